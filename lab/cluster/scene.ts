// Broker, database, VPN servers, and the processes of the cluster over them: two engines, a worker for each region, two vantages.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { accessMigrations } from '@pintail/adapters/access'
import { postgresMigrations } from '@pintail/adapters/postgres'
import type { PolicyInput } from '@pintail/core'
import { type NatsServer, startNats } from '../../packages/adapters/test/nats.ts'
import { type PostgresServer, startPostgres } from '../../packages/adapters/test/postgres.ts'
import { type Reality, readDaemon } from './daemon.ts'
import { Town } from './town.ts'
import type { EngineStatus, Sent, Surroundings, SyncSaid } from './words.ts'

const regions = ['de', 'nl', 'se'] as const
const serversEach = 5
const vantages = ['home', 'abroad'] as const
const schema = 'pintail'
const syncEveryMs = 10_000

const detect = {
  checkIntervalMs: 1000,
  pingTimeoutMs: 500,
  confirm: { intervalMs: 100, durationMs: 1500, timeoutMs: 300 },
} satisfies PolicyInput['detect']

const policy: PolicyInput = {
  mode: 'auto',
  registryRefreshMs: 1000,
  guards: { recheckMs: 200 },
  detect: { ...detect, vantages: Object.fromEntries(vantages.map((name) => [name, {}])) },
  migration: { concurrency: 100, concurrencyPerTarget: 50, timeoutMs: 5000, revokeGraceMs: 2000, cooldownMs: 0 },
  failback: { strategy: 'never' },
}

export interface JournalEntry {
  readonly seq: number
  readonly at: number
  readonly type: string
  // biome-ignore lint/suspicious/noExplicitAny: the payloads of all events, as they are in the journal
  readonly data: any
}

export interface Scene extends AsyncDisposable {
  readonly town: Town
  readonly nats: NatsServer
  /** By name: `engine 1`, `worker de`, `vantage abroad` … */
  readonly procs: ReadonlyMap<string, Proc>
  /** The engine that leads, and what it says; null: none does. */
  leader(): Promise<{ readonly proc: Proc; readonly status: EngineStatus } | null>
  homes(): Promise<Map<string, string>>
  /** How many accesses are still to be taken. */
  owed(): Promise<number>
  reality(): Reality
  sent(): readonly Sent[]
  journal(): Promise<readonly JournalEntry[]>
}

export async function openScene(users: number): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-cluster-'))
  const [nats, postgres, town] = [await startNats(), await startPostgres(), await Town.open(regions, serversEach)]
  const pool = postgres.pool({ max: 2 })
  const procs = new Map<string, Proc>()
  const end = async (): Promise<void> => {
    await Promise.all([...procs.values()].map((one) => one.kill()))
    await town[Symbol.asyncDispose]()
    await nats.stop()
    await postgres.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    for (const { sql } of [...postgresMigrations({ schema }), ...accessMigrations({ schema })]) await pool.query(sql)
    await populate(postgres, town, users)
    const around: Surroundings = { natsUrl: nats.url, prefix: 'vpn', postgres: { port: postgres.port, schema }, folder }
    const add = (name: string, file: string, setting: object) =>
      procs.set(name, new Proc(name, file, JSON.stringify({ ...around, ...setting })))
    for (const name of ['e1', 'e2']) add(`engine ${name}`, 'engine.ts', { name, policy, syncEveryMs })
    for (const region of regions) add(`worker ${region}`, 'worker.ts', { region })
    for (const vantage of vantages) add(`vantage ${vantage}`, 'vantage.ts', { vantage, detect })
  } catch (error) {
    await end()
    throw error
  }
  return {
    town,
    nats,
    procs,
    async leader() {
      for (const proc of procs.values()) {
        if (!proc.name.startsWith('engine') || !proc.isAwake) continue
        const status = await proc.status()
        if (status?.state === 'leading') return { proc, status }
      }
      return null
    },
    async homes() {
      const { rows } = await pool.query<{ id: string; home: string }>(`SELECT id, home FROM ${schema}.access_connections`)
      return new Map(rows.map(({ id, home }) => [id, home]))
    },
    async owed() {
      const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${schema}.access_grants WHERE wanted = 'revoked' OR tentative`)
      return rows[0].count
    },
    reality() {
      const all = regions.map((region) => readDaemon(join(folder, `daemon-${region}.db`)))
      return { grants: new Map(all.flatMap(({ grants }) => [...grants])), ledger: all.flatMap(({ ledger }) => ledger) }
    },
    sent() {
      const files = ['e1', 'e2'].map((name) => join(folder, `sent-${name}.jsonl`)).filter(existsSync)
      return files.flatMap((file) => linesOf(readFileSync(file, 'utf8')))
    },
    async journal() {
      const { rows } = await pool.query(`SELECT seq, at, type, data FROM ${schema}.journal ORDER BY seq`)
      return rows.map(({ seq, at, type, data }) => ({
        seq: Number(seq),
        at: Number(at),
        type,
        data: typeof data === 'string' ? JSON.parse(data) : data,
      }))
    },
    [Symbol.asyncDispose]: end,
  }
}

/** The last line of a killed engine may be half a line. */
const linesOf = (text: string): Sent[] =>
  text
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Sent)

/** Everybody is at home somewhere before anything runs: as a host has written its own books. */
async function populate(postgres: PostgresServer, { rows }: Town, users: number): Promise<void> {
  const pool = postgres.pool({ max: 1 })
  const servers = rows.map(({ id, host, port, region }) => ({
    id,
    region,
    row: JSON.stringify({ id, host, port, region, capacity: users }),
  }))
  for (const { id, region, row } of servers)
    await pool.query(`INSERT INTO ${schema}.access_servers (id, region, row) VALUES ($1, $2, $3)`, [id, region, row])
  const home = `($1::text[])[1 + n % ${servers.length}]`
  const ids = [servers.map(({ id }) => id)]
  await pool.query(
    `INSERT INTO ${schema}.access_connections (id, home, row)
     SELECT 'u' || n, ${home}, json_build_object('id', 'u' || n) FROM generate_series(0, ${users - 1}) n`,
    ids,
  )
  await pool.query(
    `INSERT INTO ${schema}.access_grants (server_id, connection_id, wanted, tentative, token, epoch, payload)
     SELECT ${home}, 'u' || n, 'granted', false, 0, 0, 'null' FROM generate_series(0, ${users - 1}) n`,
    ids,
  )
}

/** One process of the cluster, which can be killed, stopped for a while, and started again. */
export class Proc {
  readonly name: string
  readonly #file: string
  readonly #argument: string
  #child: ChildProcess | null = null
  #isStopped = false
  #waiting: { readonly kind: 'status' | 'sync'; readonly answer: (value: unknown) => void }[] = []
  #ready: Promise<void> = Promise.resolve()
  #stderr = ''

  constructor(name: string, file: string, argument: string) {
    this.name = name
    this.#file = join(import.meta.dirname, file)
    this.#argument = argument
  }

  get isAlive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get isAwake(): boolean {
    return this.isAlive && !this.#isStopped
  }

  get stderr(): string {
    return this.#stderr
  }

  /**
   * Resolves when it has said that it is ready; rejects when it ends before. Whoever cannot begin because the broker is away is started
   * again, as a supervisor would.
   */
  async start(): Promise<void> {
    for (let tries = 1; ; tries++) {
      this.#stderr = ''
      try {
        return await this.#begin()
      } catch (error) {
        if (tries === 100 || !/timeout|no responders|disconnect|connection|unavailable|closed/i.test(this.#stderr)) throw error
      }
    }
  }

  #begin(): Promise<void> {
    if (this.isAlive) return this.#ready
    const child = spawn(process.execPath, ['--conditions=@pintail/source', this.#file, this.#argument], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child = child
    this.#isStopped = false
    child.stdin?.on('error', () => {})
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#stderr = `${this.#stderr}${chunk}`.slice(-10_000)
    })
    this.#ready = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (text) => {
        const line = JSON.parse(text)
        if (line.type === 'ready') resolve()
        for (const kind of ['status', 'sync'] as const) if (kind in line) this.#answer(kind, line[kind])
      })
      child.once('exit', (code, signal) => {
        for (const one of this.#waiting.splice(0)) one.answer(null)
        // Who was killed is not waited for by anybody.
        if (signal) resolve()
        else reject(new Error(`${this.name} has ended with ${code}: ${this.#stderr}`))
      })
    })
    this.#ready.catch(() => {})
    return this.#ready
  }

  #answer(kind: 'status' | 'sync', value: unknown): void {
    const at = this.#waiting.findIndex((one) => one.kind === kind)
    if (at >= 0) this.#waiting.splice(at, 1)[0]?.answer(value)
  }

  #ask(kind: 'status' | 'sync'): Promise<unknown> {
    return new Promise((resolve) => {
      if (!this.isAlive) return resolve(null)
      this.#waiting.push({ kind, answer: resolve })
      this.#child?.stdin?.write(`${kind}\n`)
    })
  }

  /** Null: it has ended. */
  status = (): Promise<EngineStatus | null> => this.#ask('status') as Promise<EngineStatus | null>
  sync = (): Promise<SyncSaid | { readonly error: string } | null> => this.#ask('sync') as Promise<SyncSaid | null>

  async kill(): Promise<void> {
    if (!this.isAlive || !this.#child) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  stop(): void {
    if (!this.isAlive) return
    this.#isStopped = true
    this.#child?.kill('SIGSTOP')
  }

  goOn(): void {
    this.#isStopped = false
    if (this.isAlive) this.#child?.kill('SIGCONT')
  }
}
