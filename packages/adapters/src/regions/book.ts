import type { Known, ServerMark } from './rules.ts'

/**
 * What a worker remembers, so that nothing is done twice and nothing late is done at all. Reading is at once; a promise
 * resolves when what was recorded would survive the process. The host's own book has to keep to that too.
 */
export interface WorkerBook {
  connection(serverId: string, connectionId: string): Known | null
  server(serverId: string): ServerMark | null
  /** Everybody known on a server. */
  connections(serverId: string): ReadonlyMap<string, Known>
  /** Nothing is in it: a worker that says so when it starts gets a sync. */
  readonly isEmpty: boolean
  record(serverId: string, connectionId: string, known: Known): PromiseLike<void>
  mark(serverId: string, mark: ServerMark): PromiseLike<void>
  /** Forgets revoked connections recorded before this, milliseconds since 1970, at most 10 000 at a time; resolves with how many. */
  prune(before: number): PromiseLike<number>
  /** Resolves when everything recorded is kept. Afterwards nothing can be recorded. */
  close(): PromiseLike<void>
}

/** A book that is gone with its process: then the next sync teaches it, and until then a late command of before is not known to be late. */
export function memoryBook(): WorkerBook {
  const servers = new Map<string, { mark: ServerMark | null; readonly connections: Map<string, Known> }>()
  const at = (serverId: string) => {
    const found = servers.get(serverId) ?? { mark: null, connections: new Map<string, Known>() }
    servers.set(serverId, found)
    return found
  }
  return {
    connection: (serverId, connectionId) => servers.get(serverId)?.connections.get(connectionId) ?? null,
    server: (serverId) => servers.get(serverId)?.mark ?? null,
    connections: (serverId) => new Map(servers.get(serverId)?.connections),
    get isEmpty() {
      return servers.size === 0
    },
    record: async (serverId, connectionId, known) => void at(serverId).connections.set(connectionId, known),
    mark: async (serverId, mark) => {
      at(serverId).mark = mark
    },
    prune: async (before) => {
      let count = 0
      for (const { connections } of servers.values())
        for (const [connectionId, known] of connections)
          if (count < 10_000 && known.done === 'revoked' && known.at < before) {
            connections.delete(connectionId)
            count += 1
          }
      return count
    },
    close: async () => {},
  }
}
