import { PintailError } from '../errors.ts'
import type { ConnectionInput, ServerInput, ServerRegistry } from '../ports.ts'
import type { ServerStatus } from '../vocabulary.ts'

export interface MemoryFleet {
  readonly servers: readonly ServerInput[]
  /** Who is on which server, by the server's id. */
  readonly connections?: Readonly<Record<string, readonly ConnectionInput[]>>
}

/** A registry in memory, with the calls that a host would make on its own books. The example to copy. */
export interface MemoryRegistry extends ServerRegistry {
  setServerStatus(server: { readonly id: string | number }, status: ServerStatus): Promise<void>
  /** The host's own changes. */
  putServer(server: ServerInput): void
  removeServer(id: string | number): void
  assign(connection: ConnectionInput, server: string | number): void
  unassign(connection: string | number): void
  hasServer(id: string | number): boolean
  /** The server that this connection is assigned to, or null. */
  homeOf(connection: string | number): string | null
  /** Ids of the connections on this server. */
  on(server: string | number): readonly string[]
}

/** @param fleet the servers, and who is where; `"3"` and `3` are one id */
export function memoryRegistry(fleet: MemoryFleet): MemoryRegistry {
  const servers = new Map<string, ServerInput>()
  const homes = new Map<string, string>()
  const residents = new Map<string, Map<string, ConnectionInput>>()
  const at = (server: string): Map<string, ConnectionInput> => {
    const found = residents.get(server) ?? new Map()
    residents.set(server, found)
    return found
  }
  const registry: MemoryRegistry = {
    async listServers() {
      return [...servers.values()].map((server) => ({ ...server, load: at(String(server.id)).size }))
    },
    async listConnections(server) {
      return [...at(server.id).values()]
    },
    async setServerStatus(server, status) {
      const id = String(server.id)
      const row = servers.get(id)
      if (!row) throw new PintailError('rejected', `there is no server ${id}`)
      servers.set(id, { ...row, status })
    },
    putServer(server) {
      servers.set(String(server.id), server)
    },
    removeServer(id) {
      servers.delete(String(id))
    },
    assign(connection, server) {
      const id = String(connection.id)
      registry.unassign(id)
      homes.set(id, String(server))
      at(String(server)).set(id, connection)
    },
    unassign(connection) {
      const id = String(connection)
      const home = homes.get(id)
      if (home !== undefined) at(home).delete(id)
      homes.delete(id)
    },
    hasServer: (id) => servers.has(String(id)),
    homeOf: (connection) => homes.get(String(connection)) ?? null,
    on: (server) => [...at(String(server)).keys()],
  }
  for (const server of fleet.servers) registry.putServer(server)
  for (const [server, list] of Object.entries(fleet.connections ?? {})) for (const connection of list) registry.assign(connection, server)
  return registry
}
