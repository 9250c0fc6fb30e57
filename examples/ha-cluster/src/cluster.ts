// All pieces of the cluster and how each is started: what `deploy/compose.yaml` of the service starts in containers.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Piece } from './piece.ts'
import type { Programs } from './programs.ts'
import { answers, freePort, isOpen, startNats, startPostgres } from './servers.ts'

export const regions = ['de', 'nl', 'se'] as const
const serversEach = 3
export const vantages = ['home', 'abroad'] as const

export interface VpnServer {
  readonly id: string
  readonly region: string
  readonly host: string
}

/** The command of `@pintail/service`, from its sources or as it was built. */
const service = dirname(createRequire(import.meta.url).resolve('@pintail/service/package.json'))
const isSource = process.execArgv.some((one) => one.includes('@pintail/source'))
const cli = isSource ? ['--conditions=@pintail/source', join(service, 'src', 'cli.ts')] : [join(service, 'dist', 'cli.js')]

export class Cluster implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'pintail-ha-cluster-'))
  readonly servers: readonly VpnServer[] = regions.flatMap((region, at) =>
    Array.from({ length: serversEach }, (_, index) => ({ id: `${region}-${index + 1}`, region, host: `127.46.${at + 1}.${index + 1}` })),
  )
  readonly #programs: Programs
  readonly #pieces = new Map<string, Piece>()
  #postgresPort = 0
  #natsPort = 0
  #vpnPort = 0

  constructor(programs: Programs) {
    this.#programs = programs
    // PostgreSQL may be another user, who has to come through.
    chmodSync(this.folder, 0o755)
  }

  piece(name: string): Piece {
    const piece = this.#pieces.get(name)
    if (!piece) throw new Error(`there is no ${name}`)
    return piece
  }

  get pieces(): readonly Piece[] {
    return [...this.#pieces.values()]
  }

  get postgresUrl(): string {
    return `postgres://pintail@127.0.0.1:${this.#postgresPort}/postgres`
  }

  /** Of the workers: a folder for each server in it, and the ledger. */
  get daemons(): string {
    return join(this.folder, 'daemons')
  }

  #env(more: Readonly<Record<string, string>>): Record<string, string> {
    return { STATE_DIRECTORY: this.folder, PINTAIL_NATS_URL: `nats://127.0.0.1:${this.#natsPort}`, PINTAIL_LOG_FORMAT: 'json', ...more }
  }

  /** What `pintail serve` and `pintail import` are told. */
  engineEnv(): Record<string, string> {
    return this.#env({
      PINTAIL_STORE: 'postgres',
      PINTAIL_POSTGRES_URL: this.postgresUrl,
      PINTAIL_CONFIG: join(this.folder, 'engine.json'),
      PINTAIL_SYNC_INTERVAL: '5',
      // On this machine alone, and without accounts: see the README of the service for those.
      PINTAIL_API: 'open',
      PINTAIL_PORT: '0',
      PINTAIL_LOG_LEVEL: 'debug',
      ...this.#probing(),
    })
  }

  #probing(): Record<string, string> {
    return {
      PINTAIL_PRESET: 'default',
      PINTAIL_PROBER: 'tcp',
      PINTAIL_TCP_PORT: String(this.#vpnPort),
      CHECK_INTERVAL: '1',
      PING_TIMEOUT: '1',
    }
  }

  /** Database and broker, then the VPN servers; nobody watches them yet. */
  async openGround(): Promise<void> {
    const postgres = await startPostgres(this.#programs, this.folder)
    this.#add(postgres.piece)
    const nats = await startNats(this.#programs, this.folder)
    this.#add(nats.piece)
    this.#postgresPort = postgres.port
    this.#natsPort = nats.port
    this.#vpnPort = await this.#portOnAll()
    for (const { id, host } of this.servers) {
      const args = [join(import.meta.dirname, 'vpnServer.ts'), host, String(this.#vpnPort)]
      this.#add(this.#make(`VPN server ${id}`, process.execPath, args, {}))
      this.piece(`VPN server ${id}`).start()
    }
    await Promise.all(this.servers.map(({ id, host }) => answers(this.#vpnPort, this.piece(`VPN server ${id}`), host)))
  }

  /** One port for all servers, as one is told to the probers. */
  async #portOnAll(): Promise<number> {
    for (;;) {
      const port = await freePort()
      const taken = await Promise.all(this.servers.map(({ host }) => isOpen(port, host)))
      if (!taken.includes(true)) return port
    }
  }

  /** Runs `pintail import` with this fleet. */
  async import(fleet: object): Promise<void> {
    const file = join(this.folder, 'fleet.json')
    writeFileSync(file, JSON.stringify(fleet))
    this.#writeConfigs()
    const piece = this.#make('import', process.execPath, [...cli, 'import', file], this.engineEnv())
    piece.start()
    await piece.says(/new connections/)
    await piece.end()
  }

  #writeConfigs(): void {
    mkdirSync(this.daemons, { recursive: true })
    const policy = {
      registryRefreshMs: 1000,
      detect: {
        confirm: { intervalMs: 100, durationMs: 2000, timeoutMs: 500 },
        vantages: Object.fromEntries(vantages.map((name) => [name, {}])),
      },
      // On a server that lives the old access stays so long; a day is the default.
      migration: { revokeGraceMs: 3000, timeoutMs: 5000 },
    }
    writeFileSync(join(this.folder, 'engine.json'), JSON.stringify({ policy }))
    const argv = (what: string, ...more: string[]) => [
      '/bin/sh',
      join(import.meta.dirname, 'vpnctl.sh'),
      this.daemons,
      what,
      '{serverId}',
      ...more,
    ]
    const who = ['{connectionId}', '{token}', '{epoch}']
    const command = { grant: argv('grant', ...who), revoke: argv('revoke', ...who), list: argv('list') }
    writeFileSync(join(this.folder, 'worker.json'), JSON.stringify({ command }))
  }

  /** Engines, workers and vantages. */
  async openPintail(): Promise<void> {
    // One first: it makes the tables and the streams.
    for (const name of ['engine 1', 'engine 2']) {
      this.#add(this.#make(name, process.execPath, [...cli, 'serve'], this.engineEnv()))
      this.piece(name).start()
      await this.piece(name).says(/^health is at/)
    }
    const worker = { PINTAIL_HANDLER: 'command', PINTAIL_CONFIG: join(this.folder, 'worker.json') }
    for (const region of regions)
      this.#add(this.#make(`worker ${region}`, process.execPath, [...cli, 'worker'], this.#env({ ...worker, PINTAIL_REGION: region })))
    for (const name of vantages)
      this.#add(
        this.#make(`vantage ${name}`, process.execPath, [...cli, 'vantage'], this.#env({ ...this.#probing(), PINTAIL_VANTAGE: name })),
      )
    const others = this.pieces.filter(({ name }) => /^(worker|vantage) /.test(name))
    for (const one of others) one.start()
    await Promise.all(others.map((one) => one.says(/waits for commands|probes by/)))
  }

  #make(name: string, command: string, args: readonly string[], env: Readonly<Record<string, string>>): Piece {
    return new Piece({ name, command, args, env, logFile: join(this.folder, `${name.replaceAll(' ', '-')}.log`) })
  }

  #add(piece: Piece): void {
    this.#pieces.set(piece.name, piece)
  }

  /** For the end of this program itself. */
  killNow(): void {
    for (const piece of this.#pieces.values()) piece.killNow()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const last = ['NATS', 'PostgreSQL']
    await Promise.all(this.pieces.filter(({ name }) => !last.includes(name)).map((piece) => piece.end()))
    // PostgreSQL ends at once by SIGINT, whoever is still connected.
    for (const name of last) await this.#pieces.get(name)?.end(name === 'NATS' ? 'SIGTERM' : 'SIGINT')
    rmSync(this.folder, { recursive: true, force: true })
  }
}
