// What does a probe cost, how many go in a second, and how wrong is its round trip? All methods side by side, in the
// lab's two namespaces: 65,000 hosts that answer at once. CPU is that of all processes of a method, kernel included.
//
// Each round has one run of every case, so that what else the machine does falls on all of them alike.

import type { ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { generate } from 'selfsigned'
import { firstLine } from '../lab/children.ts'
import { makeWorld, type World } from '../lab/world.ts'
import { hasCommand } from '../scripts/lib/debian.ts'
import { type Bench, type Emit, median, quantile } from './harness.ts'
import type { Run, Task } from './probeWorker.ts'

const rounds = 5
const fastest = 100_000
const usual = 10_000

type Case = {
  readonly name: string
  readonly task: Omit<Task, 'case' | 'hosts'>
  readonly hosts: number
  readonly needs?: readonly string[]
}
const flood = { times: 3, inFlight: 10_000, port: 0, pace: fastest }
const paced = { times: 1, inFlight: 10_000, port: 0, pace: usual }
const cases: readonly Case[] = [
  { name: 'fping', task: flood, hosts: 10_000, needs: ['fping'] },
  { name: 'fping-adapter', task: flood, hosts: 10_000, needs: ['fping'] },
  { name: 'fping-adapter-single', task: flood, hosts: 10_000, needs: ['fping'] },
  { name: 'fping-paced', task: paced, hosts: 10_000, needs: ['fping'] },
  { name: 'fping-adapter-paced', task: paced, hosts: 10_000, needs: ['fping'] },
  { name: 'blackbox', task: { times: 1, inFlight: 64, port: 0, pace: 0 }, hosts: 2000, needs: ['prometheus-blackbox-exporter'] },
  { name: 'ping', task: { times: 1, inFlight: 64, port: 0, pace: 0 }, hosts: 500, needs: ['ping'] },
  { name: 'tcp', task: { times: 1, inFlight: 16, port: 443, pace: 0 }, hosts: 10_000 },
  { name: 'tls', task: { times: 1, inFlight: 4, port: 8443, pace: 0 }, hosts: 500 },
  { name: 'http', task: { times: 1, inFlight: 16, port: 8080, pace: 0 }, hosts: 3000 },
]

const probe: Bench = async (emit, { progress, args }) => {
  const wanted = (name: string): boolean => args.length === 0 || args.includes(name)
  const impossible = whyNot()
  if (impossible) return skipAll(emit, impossible)
  await using world = await makeWorld()
  const stopServers = await startServers(world)
  const workers: Worker[] = []
  try {
    for (const { name, task, hosts, needs = [] } of cases.filter((one) => wanted(one.name))) {
      const missing = needs.find((command) => !hasCommand(command))
      if (missing) emit({ case: name, skipped: `${missing} is not installed` })
      else workers.push(new Worker(world, { case: name, hosts: hostsOf(world, hosts), ...task }))
    }
    if (wanted('wireguard')) await addWireguard(world, workers, emit)
    for (const worker of workers) await worker.calm()
    for (let round = 0; round <= rounds; round += 1) {
      progress(`round ${round} of ${rounds}${round === 0 ? ' (not counted)' : ''}`)
      for (const worker of workers) await worker.run(round > 0)
    }
    for (const worker of workers) tell(worker, workers, emit)
  } finally {
    for (const worker of workers) worker.end()
    stopServers()
  }
}

function whyNot(): string | null {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const missing = ['ip', 'nft', 'ping'].filter((command) => !hasCommand(command))
  return missing.length > 0 ? `not installed: ${missing.join(', ')} (npm run lab -- --install)` : null
}

function skipAll(emit: Emit, skipped: string): void {
  for (const name of [...cases.map((one) => one.name), 'wireguard']) emit({ case: name, skipped })
}

const hostsOf = (world: World, count: number): string[] => Array.from({ length: count }, (_, index) => world.host(index + 1))

/** One method in a process of its own, which waits while others have their turn. */
class Worker {
  readonly name: string
  readonly runs: Run[] = []
  calmMs = Number.NaN
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #reader: Interface

  constructor(world: World, task: Task) {
    this.name = task.case
    this.#child = world.node('prober', 'bench/probeWorker.ts')
    this.#child.stdin?.write(`${JSON.stringify(task)}\n`)
    this.#reader = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })
    this.#lines = this.#reader[Symbol.asyncIterator]()
  }

  /** What the round trip is when nothing else is under way. */
  async calm(): Promise<void> {
    this.calmMs = median((await this.#ask('calm')).rttMs)
  }

  async run(counts: boolean): Promise<void> {
    const run = await this.#ask('run')
    if (counts) this.runs.push(run)
  }

  end(): void {
    this.#reader.close()
    this.#child.kill('SIGKILL')
  }

  async #ask(what: string): Promise<Run> {
    this.#child.stdin?.write(`${what}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`${this.name} ended without an answer`)
    return JSON.parse(value) as Run
  }
}

const perProbe = ({ runs }: Worker): number => median(runs.map(({ cpuUs, probes }) => cpuUs / probes))

/** What stands beside what, and the aims. */
const peers: Record<string, readonly { readonly peer: string; readonly aim?: string }[]> = {
  'fping-adapter': [
    { peer: 'fping', aim: 'ratio<=2' },
    { peer: 'blackbox', aim: 'ratio<=0.04' },
  ],
  'fping-adapter-single': [{ peer: 'fping', aim: 'ratio<=2' }, { peer: 'blackbox' }],
  'fping-adapter-paced': [{ peer: 'fping-paced', aim: 'ratio<=2' }],
}

function tell(worker: Worker, all: readonly Worker[], emit: Emit): void {
  const { name, runs, calmMs } = worker
  emit({ case: name, metric: 'rate_per_s', value: median(runs.map(({ probes, ms }) => (probes * 1000) / ms)), unit: '1/s' })
  const cpu = { case: name, metric: 'cpu_us', value: perProbe(worker), unit: 'us' }
  const beside = (peers[name] ?? []).flatMap(({ peer, aim }) => {
    const other = all.find((one) => one.name === peer)
    return other ? [{ ...cpu, peer, ratio: cpu.value / perProbe(other), ...(aim && { aim }) }] : []
  })
  for (const line of beside.length > 0 ? beside : [cpu]) emit(line)
  const wrong = runs.flatMap(({ rttMs }) => rttMs.map((ms) => Math.abs(ms - calmMs)))
  emit({ case: name, metric: 'rtt_error_p99_ms', value: quantile(wrong, 0.99), unit: 'ms' })
  const probes = runs.reduce((sum, one) => sum + one.probes, 0)
  emit({ case: name, metric: 'lost', value: runs.reduce((sum, one) => sum + one.lost, 0) / probes, unit: 'share' })
}

// ------------------------------------------------------------------------------------------------------ what they probe

async function startServers(world: World): Promise<() => void> {
  await world.listenTcp(443)
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'pintail bench' }], { keyType: 'ec' })
  const tls = `require('node:tls').createServer(${JSON.stringify({ cert, key })}, (one) => one.on('error', () => {}).resume())
    .on('tlsClientError', () => {}).listen({ host: '::', port: 8443, backlog: 4096 }, () => console.log('ready'))`
  const http = `require('node:http').createServer((_, response) => response.end('fine'))
    .listen({ host: '::', port: 8080, backlog: 4096 }, () => console.log('ready'))`
  const children = [tls, http].map((script) => world.spawn('hosts', process.execPath, '-e', script))
  for (const child of children) await firstLine(child)
  return () => {
    for (const child of children) child.kill('SIGKILL')
  }
}

const wireguardServers = 8

/** Real WireGuard servers, which know the probe's key; where there are none, or no prober yet, the reason is told. */
async function addWireguard(world: World, workers: Worker[], emit: Emit): Promise<void> {
  const name: string = '@pintail/adapters/wireguard'
  const skip = (skipped: string): void => emit({ case: 'wireguard', skipped })
  const fault = await import(name).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  )
  if (fault !== null) return skip(`${name} cannot be imported: ${fault}`)
  const missing = ['wireguard-go', 'wg'].find((command) => !hasCommand(command))
  if (missing) return skip(`${missing} is not installed`)
  const own = keyPair()
  const servers = []
  for (let index = 0; index < wireguardServers; index += 1) servers.push(await startWireguard(world, index, own.publicKey))
  const task = { times: 1, inFlight: wireguardServers, port: 0, pace: 0, wireguard: { privateKey: own.privateKey, servers } }
  workers.push(new Worker(world, { case: 'wireguard', hosts: Array.from({ length: 160 }, () => world.host(1)), ...task }))
}

async function startWireguard(world: World, index: number, peer: string): Promise<{ port: number; publicKey: string }> {
  const { privateKey, publicKey } = keyPair()
  // Its control sockets are shared by all namespaces: a name of our own.
  const device = `pb${process.pid % 100_000}x${index}`
  const port = 51_900 + index
  const file = join(tmpdir(), `pintail-bench-${device}`)
  world.spawn('hosts', 'env', 'WG_PROCESS_FOREGROUND=1', 'LOG_LEVEL=silent', 'wireguard-go', '-f', device)
  writeFileSync(file, privateKey, { mode: 0o600 })
  try {
    const args = ['set', device, 'private-key', file, 'listen-port', `${port}`, 'peer', peer, 'allowed-ips', '']
    for (let left = 50; ; left -= 1) {
      try {
        await world.exec('hosts', 'wg', ...args)
        break
      } catch (error) {
        if (left === 0) throw error
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    await world.exec('hosts', 'ip', 'link', 'set', device, 'up')
  } finally {
    rmSync(file)
  }
  return { port, publicKey }
}

function keyPair(): { privateKey: string; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  const last32 = (der: Buffer): string => der.subarray(-32).toString('base64')
  return {
    privateKey: last32(privateKey.export({ format: 'der', type: 'pkcs8' })),
    publicKey: last32(publicKey.export({ format: 'der', type: 'spki' })),
  }
}

process.env.PATH = [process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter)

export default probe
