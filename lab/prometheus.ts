import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { end } from './children.ts'

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

export interface Prometheus {
  /** The answer to an instant query. */
  query(expression: string): Promise<readonly Sample[]>
  /** Resolves when the query has an answer for which it holds. */
  until(expression: string, holds?: (samples: readonly Sample[]) => boolean): Promise<readonly Sample[]>
  close(): Promise<void>
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Debian's Prometheus with a folder of its own, on a free port of loopback. @param target host and port that it scrapes */
export async function startPrometheus(target: string, rules: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-prometheus-'))
  const config = { global: { scrape_interval: '1s', evaluation_interval: '1s' }, rule_files: [rules] }
  const jobs = { scrape_configs: [{ job_name: 'pintail', static_configs: [{ targets: [target] }] }] }
  // JSON is YAML.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify({ ...config, ...jobs }))
  const address = `127.0.0.1:${await freePort()}`
  const child: ChildProcess = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-4000)
  })
  const alive = (): void => {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}: ${said}`)
  }
  const isReady = async (): Promise<boolean> => (await fetch(`http://${address}/-/ready`).catch(() => null))?.ok === true
  const close = async (): Promise<void> => {
    await end(child)
    rmSync(folder, { recursive: true, force: true })
  }
  const query = async (expression: string): Promise<readonly Sample[]> => {
    const answer = await fetch(`http://${address}/api/v1/query?${new URLSearchParams({ query: expression })}`)
    const { status, data, error } = (await answer.json()) as {
      status: string
      error?: string
      data: { result: { metric: Record<string, string>; value: [number, string] }[] }
    }
    if (status !== 'success') throw new Error(`${expression}: ${error}`)
    return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
  }
  try {
    for (const until = performance.now() + 120_000; !(await isReady()); await pause(50)) {
      alive()
      if (performance.now() > until) throw new Error(`prometheus is not ready: ${said}`)
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    query,
    close,
    async until(expression, holds = (samples) => samples.length > 0) {
      for (const until = performance.now() + 120_000; ; await pause(100)) {
        alive()
        const samples = await query(expression)
        if (holds(samples)) return samples
        if (performance.now() > until) throw new Error(`in vain: ${expression}, last ${JSON.stringify(samples).slice(0, 500)}`)
      }
    },
  }
}
