/** A VPN Duck that is not there: its database service over HTTP, and a socket on loopback for each of its servers. */
import { createServer, type Server } from 'node:net'
import { createDatabaseService, type DatabaseService } from '@pintail/adapters/vpn-duck/testing'

/** The port that the database names for every server. (A real one is WireGuard's, and UDP.) */
const vpnPort = 51_820

export interface TownOptions {
  readonly dialect: 'v1' | 'v2'
  readonly port: number
  readonly servers: number
  readonly users: number
  /** Told what has changed, in words, a moment after it was quiet. */
  readonly tell: (text: string) => void
}

interface Picture {
  readonly statuses: ReadonlyMap<number, string>
  readonly homes: ReadonlyMap<number, number>
}

export class Town {
  readonly #options: TownOptions
  readonly #database: DatabaseService
  readonly #sockets = new Map<number, Server>()
  #last: Picture
  #timer: NodeJS.Timeout | null = null

  constructor(options: TownOptions) {
    const { dialect, servers, users } = options
    this.#options = options
    const people = Array.from({ length: users }, (_, index) => ({ id: 100_001 + index, server: (index % servers) + 1 }))
    this.#database = createDatabaseService({ dialect, servers, users: people, clients: 'follow', onCall: () => this.#lookSoon() })
    this.#last = this.#picture()
  }

  async open(): Promise<string> {
    const url = await this.#database.listen(this.#options.port)
    for (const id of this.serverIds) await this.#revive(id)
    return url
  }

  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    for (const id of this.serverIds) await this.#kill(id)
    await this.#database.close()
  }

  get serverIds(): number[] {
    return [...this.#database.tables.servers.keys()]
  }

  /** Kills the server, or brings it back. */
  async toggle(id: number): Promise<void> {
    const isAlive = this.#sockets.has(id)
    await (isAlive ? this.#kill(id) : this.#revive(id))
    this.#options.tell(isAlive ? `server ${id} is dead` : `server ${id} is alive again`)
  }

  /** One line a server. */
  lines(): string[] {
    const { statuses, homes } = this.#picture()
    const users = Map.groupBy(homes.values(), (id) => id)
    return this.serverIds.map((id) => {
      const state = this.#sockets.has(id) ? 'alive' : 'DEAD '
      return `  ${id}  127.0.0.${10 + id}  ${state}  ${statuses.get(id)?.padEnd(8)}  ${users.get(id)?.length ?? 0} users`
    })
  }

  async #revive(id: number): Promise<void> {
    const socket = createServer((connection) => connection.destroy())
    await new Promise<void>((resolve, reject) => socket.once('error', reject).listen(vpnPort, `127.0.0.${10 + id}`, resolve))
    this.#sockets.set(id, socket)
  }

  async #kill(id: number): Promise<void> {
    const socket = this.#sockets.get(id)
    this.#sockets.delete(id)
    if (socket) await new Promise((resolve) => socket.close(resolve))
  }

  #picture(): Picture {
    const { servers, configurations } = this.#database.tables
    return {
      statuses: new Map([...servers].map(([id, { status }]) => [id, status])),
      homes: new Map([...configurations].map(([user, { server }]) => [user, server])),
    }
  }

  /** Users are moved one by one; they are told together. */
  #lookSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      const [before, now] = [this.#last, this.#picture()]
      this.#last = now
      for (const text of changes(before, now)) this.#options.tell(text)
    }, 300)
  }
}

function changes(before: Picture, now: Picture): string[] {
  const statuses = [...now.statuses].flatMap(([id, status]) => {
    const old = before.statuses.get(id)
    return old === status ? [] : [`server ${id}: ${old} → ${status}`]
  })
  const moved = [...now.homes].filter(([user, home]) => before.homes.get(user) !== home)
  const ways = Map.groupBy(moved, ([user, home]) => `server ${before.homes.get(user)} → server ${home}`)
  return [...statuses, ...[...ways].map(([way, users]) => `${users.length} users: ${way}`)]
}
