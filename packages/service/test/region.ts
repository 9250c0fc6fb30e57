import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type NatsServer, startNats } from '../../adapters/test/nats.ts'
import { type PostgresServer, startPostgres } from '../../adapters/test/postgres.ts'
import { Service } from './service.ts'
import { pintail } from './terminal.ts'

/** What a daemon's own tool would be: a file for each user in a folder for each server, and a ledger. */
const script = `#!/bin/sh
cd "$1" || exit 3
case $2 in
grant) mkdir -p "$3"; : >"$3/$4"; echo "$2 $3 $4 $5.$6" >>ledger ;;
revoke) rm -f "$3/$4"; echo "$2 $3 $4 $5.$6" >>ledger ;;
list) printf '['; sep=; if [ -d "$3" ]; then for one in "$3"/*; do [ -e "$one" ] || continue; printf '%s{"connectionId":"%s","payload":null}' "$sep" "\${one##*/}"; sep=,; done; fi; printf ']' ;;
esac
`

export interface Servers {
  readonly id: string
  readonly region: string
  readonly host: string
}

/** A fleet over NATS and PostgreSQL: its broker, its database, and a socket on loopback for each server. */
export class RegionWorld implements AsyncDisposable {
  readonly nats: NatsServer
  readonly postgres: PostgresServer
  readonly folder = mkdtempSync(join(tmpdir(), 'pintail-regions-'))
  readonly servers: readonly Servers[]
  readonly #listeners = new Map<string, Server>()
  #port = 0
  /** Has the port where nothing is ever killed, so that no other world takes it while its servers are down. */
  #holder: Server | null = null

  private constructor(nats: NatsServer, postgres: PostgresServer, servers: readonly Servers[]) {
    this.nats = nats
    this.postgres = postgres
    this.servers = servers
  }

  /** @param users how many are on the first server of each region */
  static async open(regions: Readonly<Record<string, number>>, users: number, natsConfig = ''): Promise<RegionWorld> {
    const servers = Object.entries(regions).flatMap(([region, count], at) =>
      Array.from({ length: count }, (_, index) => ({ id: `${region}-${index + 1}`, region, host: `127.45.${at + 1}.${index + 1}` })),
    )
    const [nats, postgres] = [await startNats({ config: natsConfig }), await startPostgres()]
    const world = new RegionWorld(nats, postgres, servers)
    try {
      await world.#openAll()
      const fleet = {
        servers: servers.map(({ id, region, host }) => ({ id, region, host, capacity: 10_000 })),
        connections: Object.keys(regions).flatMap((region) =>
          Array.from({ length: users }, (_, index) => ({ id: `${region}-user-${index + 1}`, region, server: `${region}-1` })),
        ),
      }
      const file = join(world.folder, 'fleet.json')
      writeFileSync(file, JSON.stringify(fleet))
      const { code, err } = await pintail(['import', file], world.env())
      if (code !== 0) throw new Error(err)
      return world
    } catch (error) {
      await world[Symbol.asyncDispose]()
      throw error
    }
  }

  async #openAll(): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      try {
        this.#holder = await this.#listen('127.45.0.1')
        for (const { id } of this.servers) await this.revive(id)
        return
      } catch {
        for (const { id } of this.servers) await this.kill(id)
        await closed(this.#holder)
        this.#port = 0
      }
    }
    throw new Error('no port is free on all loopback addresses')
  }

  /** Of the engine: variables with which it sees this world, and sees it fast. */
  env(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      PINTAIL_NATS_URL: this.nats.url,
      PINTAIL_STORE: 'postgres',
      PINTAIL_POSTGRES_URL: `postgres://postgres@127.0.0.1:${this.postgres.port}/postgres`,
      CHECK_INTERVAL: '0.5',
      PING_TIMEOUT: '0.5',
      STARTUP_DELAY: '0',
      // On loopback only this machine is slow.
      LATENCY_THRESHOLD: '60000',
      PINTAIL_PROBER: 'tcp',
      PINTAIL_TCP_PORT: String(this.#port),
      PINTAIL_PORT: '0',
      PINTAIL_LOG_LEVEL: 'debug',
      PINTAIL_API: 'open',
      PINTAIL_SYNC_INTERVAL: '2',
      STATE_DIRECTORY: this.folder,
      ...more,
    }
  }

  serve(config: string, more: Readonly<Record<string, string>> = {}): Service {
    return new Service(['serve', '--config', config], this.env(more))
  }

  worker(region: string, more: Readonly<Record<string, string>> = {}): Service {
    const [daemon, program, config] = ['daemon', 'vpnctl.sh', 'worker.yaml'].map((name) => join(this.folder, name)) as [
      string,
      string,
      string,
    ]
    mkdirSync(daemon, { recursive: true })
    writeFileSync(program, script)
    const argv = (what: string, ...more: string[]) => ['/bin/sh', program, daemon, what, '{serverId}', ...more]
    const full = ['{connectionId}', '{token}', '{epoch}']
    writeFileSync(
      config,
      JSON.stringify({ command: { grant: argv('grant', ...full), revoke: argv('revoke', ...full), list: argv('list') } }),
    )
    return new Service(['worker'], {
      PINTAIL_NATS_URL: this.nats.url,
      PINTAIL_REGION: region,
      PINTAIL_HANDLER: 'command',
      PINTAIL_CONFIG: config,
      PINTAIL_PORT: '0',
      STATE_DIRECTORY: this.folder,
      ...more,
    })
  }

  vantage(name: string, more: Readonly<Record<string, string>> = {}): Service {
    const { PINTAIL_NATS_URL, CHECK_INTERVAL, PING_TIMEOUT, PINTAIL_PROBER, PINTAIL_TCP_PORT } = this.env()
    const all = { PINTAIL_NATS_URL, CHECK_INTERVAL, PING_TIMEOUT, PINTAIL_PROBER, PINTAIL_TCP_PORT } as Record<string, string>
    return new Service(['vantage'], { ...all, PINTAIL_VANTAGE: name, PINTAIL_PORT: '0', STATE_DIRECTORY: this.folder, ...more })
  }

  /** Who has access on a server, as its daemon has it. */
  usersOn(server: string): string[] {
    try {
      return readdirSync(join(this.folder, 'daemon', server))
    } catch {
      return []
    }
  }

  /** Somebody's hand at the server itself. */
  take(server: string, user: string): void {
    rmSync(join(this.folder, 'daemon', server, user))
  }

  give(server: string, user: string): void {
    mkdirSync(join(this.folder, 'daemon', server), { recursive: true })
    writeFileSync(join(this.folder, 'daemon', server, user), '')
  }

  /** A file with this text. */
  file(text: string): string {
    const path = join(this.folder, 'given.yaml')
    writeFileSync(path, text)
    return path
  }

  ledger(): string[] {
    return readFileSync(join(this.folder, 'daemon', 'ledger'), 'utf8')
      .split('\n')
      .filter(Boolean)
  }

  async kill(id: string): Promise<void> {
    const listener = this.#listeners.get(id)
    this.#listeners.delete(id)
    await closed(listener ?? null)
  }

  async revive(id: string): Promise<void> {
    const host = this.servers.find((one) => one.id === id)?.host
    if (host === undefined || this.#listeners.has(id)) return
    this.#listeners.set(id, await this.#listen(host))
  }

  async #listen(host: string): Promise<Server> {
    const listener = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(this.#port, host, resolve))
    this.#port = (listener.address() as { port: number }).port
    return listener
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { id } of this.servers) await this.kill(id)
    await closed(this.#holder)
    await this.nats.stop()
    await this.postgres.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const closed = (listener: Server | null): Promise<unknown> =>
  listener?.listening ? new Promise((resolve) => listener.close(resolve)) : Promise.resolve()
