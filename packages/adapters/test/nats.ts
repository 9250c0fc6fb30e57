import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node'
import { connect } from '@nats-io/transport-node'
import { ownPort } from './ports.ts'

/** What a test says in its name that is left out where no broker is installed. */
export const needsNats = '[needs: a NATS server (Debian: nats-server)]'

/** Debian keeps it where an administrator's commands are. */
const program = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  .map((folder) => join(folder, 'nats-server'))
  .find((file) => existsSync(file))

export const hasNats = program !== undefined && spawnSync(program, ['--version']).status === 0

export interface NatsServer extends AsyncDisposable {
  readonly port: number
  /** `nats://127.0.0.1:<port>` */
  readonly url: string
  /** Of the running broker: for SIGSTOP and SIGKILL. */
  readonly pid: number
  /** Its temporary folder: `store` in it holds the streams. */
  readonly folder: string
  /** A connection, closed with the broker. It reconnects for ever, every 50 ms. */
  connect(options?: NodeConnectionOptions): Promise<NatsConnection>
  /** Ends the process and keeps port and data; `start` brings it back. */
  down(signal?: NodeJS.Signals): Promise<void>
  /** After `down`; `wiped`: without the streams that it had. */
  start(options?: { readonly wiped?: boolean }): Promise<void>
  /** `down` and `start`. */
  restart(options?: { readonly wiped?: boolean; readonly signal?: NodeJS.Signals }): Promise<void>
  /** Closes the connections, ends the broker and removes its folder. */
  stop(): Promise<void>
}

export interface NatsServerOptions {
  /** Lines of nats-server.conf: `authorization { … }`, `max_payload: …`. */
  readonly config?: string
  /** Lines of its `jetstream { … }`, as `max_file_store: 1MB`; null: a broker without it. */
  readonly jetstream?: string | null
  /** Whether an answer that is late is on its way, so that it is waited for. Default: until `down`. A cluster may have nobody who answers. */
  readonly isSteady?: boolean
}

/** Three brokers that are one cluster: with two of them gone it has no quorum. */
export async function startCluster(): Promise<readonly NatsServer[]> {
  const routes = await Promise.all([ownPort(), ownPort(), ownPort()])
  const all = routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')
  return Promise.all(
    routes.map((port, index) =>
      startNats({
        config: `server_name: s${index}\ncluster { name: test, listen: "127.0.0.1:${port}", routes: [${all}] }`,
        isSteady: false,
      }),
    ),
  )
}

/** A broker with JetStream on loopback and a free port, its streams in a temporary folder. */
export async function startNats({ config = '', jetstream = '', isSteady = true }: NatsServerOptions = {}): Promise<NatsServer> {
  if (program === undefined) throw new Error('there is no NATS server')
  const folder = mkdtempSync(join(tmpdir(), 'pintail-nats-'))
  const port = await ownPort()
  const store = join(folder, 'store')
  const file = join(folder, 'nats-server.conf')
  const streams = jetstream === null ? '' : `jetstream { store_dir: ${JSON.stringify(store)}\n ${jetstream} }`
  const lines = [`listen: "127.0.0.1:${port}"`, streams, config]
  writeFileSync(file, lines.join('\n'))
  const connections: NatsConnection[] = []
  let running: Running | null = null
  const kill = (): void => void running?.child.kill('SIGKILL')
  process.once('exit', kill)

  const start = async ({ wiped = false } = {}): Promise<void> => {
    if (running) throw new Error('it runs')
    if (wiped) rmSync(store, { recursive: true, force: true })
    running = await startProgram(file, port)
  }
  let waits = isSteady
  const down = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    waits = false
    const { child, ended } = running ?? {}
    running = null
    child?.kill('SIGCONT')
    child?.kill(signal)
    await ended
  }
  const stop = async (): Promise<void> => {
    process.removeListener('exit', kill)
    await Promise.all(connections.map((one) => one.close().catch(() => {})))
    await down()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    folder,
    url: `nats://127.0.0.1:${port}`,
    get pid() {
      return running?.child.pid ?? Number.NaN
    },
    connect: async (options = {}) => {
      const one = await connect({
        servers: `127.0.0.1:${port}`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
        timeout: 25_000,
        ...options,
      })
      connections.push(one)
      return patient(one, () => waits)
    },
    down,
    start,
    restart: async ({ wiped = false, signal = 'SIGKILL' } = {}) => {
      await down(signal)
      await start({ wiped })
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** What the client gives up after so long by default, milliseconds. */
const defaultMs = 5000
const patienceMs = 60_000

/** A connection whose requests wait where they would by default be given up after five seconds: a broker on a busy machine may need those. */
function patient(nats: NatsConnection, waits: () => boolean): NatsConnection {
  const request = nats.request.bind(nats)
  nats.request = (subject, payload, options) =>
    request(subject, payload, options && options.timeout >= defaultMs && waits() ? { ...options, timeout: patienceMs } : options)
  return nats
}

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<void>
}

/** Resolves when it says that it is ready: JetStream has read its streams then. */
async function startProgram(file: string, port: number): Promise<Running> {
  const child = spawn(program ?? '', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`nats-server on port ${port} ended: ${said.slice(-1000)}`)))
    child.stderr?.on('data', (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-10_000)
      if (said.includes('Server is ready')) resolve()
    })
  })
  return { child, ended }
}
