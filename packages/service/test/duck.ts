import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Call, createDatabaseService, type DatabaseService } from '@pintail/adapters/vpn-duck/testing'

export const serverIds = [1, 2, 3, 4, 5, 6] as const

interface WorldOptions {
  readonly dialect: 'v1' | 'v2'
  /** How many users are on server 2. Default 0. */
  readonly users?: number
  readonly duplicates?: number
  readonly withoutConfiguration?: number
  /** Whether clients connect to the new server as soon as their user is moved. Default `stay`. */
  readonly clients?: 'stay' | 'follow'
}

/** A VPN Duck of six servers: its database service over HTTP, and a socket on loopback for each server. */
export class DuckWorld implements AsyncDisposable {
  readonly database: DatabaseService
  readonly #listeners = new Map<number, Server>()
  /** Where services keep what outlives them. */
  readonly folder: string
  #port = 0
  /** Has the port where nothing is ever killed, so that no other world takes it while its servers are down. */
  #holder: Server | null = null
  #move: { readonly count: number; readonly then: () => void } | null = null

  private constructor(database: DatabaseService, folder: string) {
    this.database = database
    this.folder = folder
  }

  static async open({ dialect, users = 0, duplicates = 0, withoutConfiguration = 0, clients = 'stay' }: WorldOptions): Promise<DuckWorld> {
    const people = Array.from({ length: users }, (_, index) => ({
      id: 200_001 + index,
      server: 2,
      rows: index < duplicates ? 2 : 1,
      hasConfiguration: index < users - withoutConfiguration,
    }))
    const onCall = (): void => world.#called()
    const world: DuckWorld = new DuckWorld(
      createDatabaseService({ dialect, servers: serverIds.length, users: people, clients, onCall }),
      await mkdtemp(join(tmpdir(), 'pintail-duck-')),
    )
    await world.database.listen()
    await world.#openAll()
    return world
  }

  /** One port for all addresses: the service is told one. Another process may have it on one of them. */
  async #openAll(): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      try {
        this.#holder = await this.#listen(0)
        for (const id of serverIds) await this.revive(id)
        return
      } catch {
        for (const id of serverIds) await this.kill(id)
        await closed(this.#holder)
        this.#port = 0
      }
    }
    throw new Error('no port is free on all loopback addresses')
  }

  /** Variables with which the service sees this world, and sees it fast: seconds of real time, not minutes. */
  env(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      DATABASE_SERVICE_URL: this.database.url,
      CHECK_INTERVAL: '0.5',
      PING_TIMEOUT: '0.5',
      STARTUP_DELAY: '0',
      // On loopback only this machine is slow.
      LATENCY_THRESHOLD: '60000',
      PINTAIL_PROBER: 'tcp',
      PINTAIL_TCP_PORT: String(this.#port),
      PINTAIL_PORT: '0',
      PINTAIL_LOG_LEVEL: 'debug',
      STATE_DIRECTORY: this.folder,
      ...more,
    }
  }

  async kill(id: number): Promise<void> {
    const listener = this.#listeners.get(id)
    this.#listeners.delete(id)
    await closed(listener ?? null)
  }

  async revive(id: number): Promise<void> {
    if (this.#listeners.has(id)) return
    this.#listeners.set(id, await this.#listen(id))
  }

  async #listen(id: number): Promise<Server> {
    const listener = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(this.#port, `127.0.0.${10 + id}`, resolve))
    this.#port = (listener.address() as { port: number }).port
    return listener
  }

  /** Does this at the very call by which so many have been moved, before anything else can happen here. */
  atMove(count: number, then: () => void): void {
    this.#move = { count, then }
  }

  #called(): void {
    if (!this.#move || this.#moved().length < this.#move.count) return
    const { then } = this.#move
    this.#move = null
    then()
  }

  /** Lets the database service listen again where it has been. Another process may have its port for a while. */
  async databaseIsBack(): Promise<void> {
    for (let tries = 0; ; tries++)
      try {
        await this.database.listen()
        return
      } catch (error) {
        if (tries === 600) throw error
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
  }

  /** Calls that were answered with success. */
  #moved(): readonly Call[] {
    return this.database.calls.filter(({ path, status }) => path.endsWith('/configs/change_geolocation') && status === 200)
  }

  status(id: number): string | undefined {
    return this.database.tables.servers.get(id)?.status
  }

  usersOn(id: number): number {
    return [...this.database.tables.configurations.values()].filter(({ server }) => server === id).length
  }

  /** How often each user was really moved: calls that were answered with success. */
  moves(): Map<number, number> {
    const moves = new Map<number, number>()
    for (const { body } of this.#moved()) moves.set(Number(body.user_id), (moves.get(Number(body.user_id)) ?? 0) + 1)
    return moves
  }

  /** To which servers each user was moved: a call that is repeated changes nothing, and is no second move. */
  destinations(): Map<number, Set<number>> {
    const all = new Map<number, Set<number>>()
    for (const { body } of this.#moved())
      all.set(Number(body.user_id), (all.get(Number(body.user_id)) ?? new Set()).add(Number(body.server_id)))
    return all
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of serverIds) await this.kill(id)
    await closed(this.#holder)
    await this.database.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

const closed = (listener: Server | null): Promise<unknown> =>
  listener?.listening ? new Promise((resolve) => listener.close(resolve)) : Promise.resolve()
