/** Work for one connection goes one after the other, in the order in which it came; other connections do not wait for it. */
export interface Lanes {
  run<T>(serverId: string, connectionId: string, work: () => Promise<T>): Promise<T>
  /** Waits for everything under way on the server; what comes later waits for it. */
  alone<T>(serverId: string, work: () => Promise<T>): Promise<T>
}

interface ServerLanes {
  readonly tails: Map<string, Promise<unknown>>
  alone: Promise<unknown> | null
}

export function lanes(): Lanes {
  const servers = new Map<string, ServerLanes>()
  const at = (serverId: string): ServerLanes => {
    const found = servers.get(serverId) ?? { tails: new Map(), alone: null }
    servers.set(serverId, found)
    return found
  }
  const leave = (serverId: string, server: ServerLanes): void => {
    if (server.tails.size === 0 && server.alone === null) servers.delete(serverId)
  }
  return {
    run: async (serverId, connectionId, work) => {
      const server = at(serverId)
      const before = server.tails.get(connectionId) ?? server.alone
      const own = before ? before.then(work) : work()
      const tail = own.catch(() => {})
      server.tails.set(connectionId, tail)
      try {
        return await own
      } finally {
        if (server.tails.get(connectionId) === tail) server.tails.delete(connectionId)
        leave(serverId, server)
      }
    },
    alone: async (serverId, work) => {
      const server = at(serverId)
      const before = Promise.all([...server.tails.values(), server.alone])
      const own = before.then(work)
      const tail = own.catch(() => {})
      server.alone = tail
      // Whoever comes now finds no tail of before: it stands behind this.
      server.tails.clear()
      try {
        return await own
      } finally {
        if (server.alone === tail) server.alone = null
        leave(serverId, server)
      }
    },
  }
}
