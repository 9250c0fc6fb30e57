import type { CallContext, ConnectionInput, JsonObject, Logger, Server, ServerInput, ServerRegistry } from '@pintail/core'
import type { DuckApi } from './api.ts'
import { Bounded } from './bounded.ts'
import type { Homes } from './homes.ts'
import type { DuckServer } from './rows.ts'
import { type Statuses, statusOf } from './statuses.ts'

const knownWords = ['active', 'inactive', 'degraded', 'maintenance', 'error']

/** Servers and users of VPN Duck. A user's id is the connection's: it survives a move. */
export class DuckRegistry implements ServerRegistry {
  /** Lists name who has been seen lately: v1 within the last hour, v2 whoever has a row. */
  readonly coverage = 'active'
  readonly #api: DuckApi
  readonly #homes: Homes
  readonly #statuses: Statuses
  readonly #logger: Logger | undefined
  readonly #tellsKeys: boolean
  /** What has been warned about, so that it is said once and not with every list. */
  readonly #warned = new Bounded<string, true>(20_000)

  constructor(api: DuckApi, homes: Homes, statuses: Statuses, logger: Logger | undefined, tellsKeys: boolean) {
    this.#tellsKeys = tellsKeys
    this.#api = api
    this.#homes = homes
    this.#statuses = statuses
    this.#logger = logger
  }

  async listServers(ctx: CallContext): Promise<ServerInput[]> {
    const { servers, unreadable } = await this.#api.servers(ctx)
    if (unreadable > 0) this.#warn('unreadable', { unreadable }, `VPN Duck lists ${unreadable} rows without an id; they are left out`)
    const byId = new Map<string, DuckServer>()
    for (const server of servers) {
      if (!byId.has(server.id)) byId.set(server.id, server)
      else this.#warn(`twice ${server.id}`, { server: server.id }, `VPN Duck lists server ${server.id} twice; its first row is taken`)
    }
    this.#homes.know([...byId.keys()])
    return [...byId.values()].map((server) => this.#input(server))
  }

  async listConnections(server: Server, ctx: CallContext): Promise<ConnectionInput[]> {
    const { sessions, expected, unreadable } = await this.#homes.residents(server.id, ctx)
    if (unreadable > 0)
      this.#warn(`users ${server.id}`, { server: server.id, unreadable }, `VPN Duck lists ${unreadable} connections without a user`)
    return [
      ...sessions.map(({ userId, geolocationId }) => {
        const region = geolocationId === null ? server.region : regionOf(geolocationId, server)
        return { id: userId, userId, region, meta: this.#metaOf(userId, server) }
      }),
      ...expected.map((userId) => ({ id: userId, userId, region: server.region })),
    ]
  }

  /** What `complete` needs when WireGuard is told too: kept with the move, it outlives this process. */
  #metaOf(user: number, server: Server): JsonObject | null {
    const publicKey = this.#tellsKeys ? this.#homes.publicKeyOf(user) : null
    return publicKey === null ? null : { publicKey, server: server.id }
  }

  setServerStatus(server: Server, status: 'online' | 'offline' | 'maintenance', ctx: CallContext): Promise<void> {
    return this.#statuses.set(server, status, ctx)
  }

  #input(server: DuckServer): ServerInput {
    const { id, rawId, host, port, name, status, geolocationId, geolocationName, country, coordinates, capacity, slug } = server
    if (host === null)
      this.#warn(
        `host ${id}`,
        { server: id, remedy: 'Give it an endpoint in VPN Duck.' },
        `VPN Duck's server ${id} has no endpoint that is a host: it cannot be probed, so it is never evacuated and never a target`,
      )
    if (!knownWords.includes(status))
      this.#warn(
        `status ${id} ${status}`,
        { server: id, status },
        `VPN Duck's server ${id} has a status that is not known: it counts as maintenance`,
      )
    return {
      id: rawId,
      // A name that never resolves (RFC 2606): a prober has no evidence, and judges nobody.
      host: host ?? `server-${hostLabel(id)}.endpoint-missing.invalid`,
      name,
      status: statusOf(status),
      port,
      region: geolocationName ?? (geolocationId === null ? null : String(geolocationId)),
      country,
      coordinates,
      capacity,
      meta: { geolocationId, ...(slug !== null && { slug }) },
    }
  }

  #warn(about: string, data: object, text: string): void {
    if (this.#warned.has(about)) return
    this.#warned.set(about, true)
    this.#logger?.warn(data, text)
  }
}

const hostLabel = (id: string): string =>
  id
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '') || 'x'

/** The user's geolocation in the words of the server's region: only the server's own has a name. */
function regionOf(geolocationId: number, { meta, region }: Server): string | null {
  return meta?.geolocationId === geolocationId ? region : String(geolocationId)
}
