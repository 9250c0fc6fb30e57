import { type ConnectionMover, memoryMover, memoryRegistry, type Pintail, type Prober, type ServerRegistry } from '@pintail/core'

export interface World {
  readonly registry: ServerRegistry
  readonly mover: ConnectionMover
  readonly probers: readonly Prober[]
  /** Calls of the outside: none of them may happen before start(). */
  readonly calls: { lists: number; probes: number; moves: number }
}

/** Three servers with two users each. All answer but those in `dead`. */
export function world(dead: readonly string[] = []): World {
  const calls = { lists: 0, probes: 0, moves: 0 }
  const names = ['a', 'b', 'c']
  const registry = memoryRegistry({
    servers: names.map((id, index) => ({ id, host: `127.0.0.${index + 1}`, capacity: 10 })),
    connections: Object.fromEntries(names.map((id) => [id, [{ id: `${id}-1` }, { id: `${id}-2` }]])),
  })
  const mover = memoryMover(registry)
  return {
    calls,
    registry: {
      ...registry,
      listServers(ctx) {
        calls.lists++
        return registry.listServers(ctx)
      },
    },
    mover: {
      ...mover,
      move(move, ctx) {
        calls.moves++
        return mover.move(move, ctx)
      },
    },
    probers: [
      {
        name: 'fake',
        async probe({ serverId, packets }) {
          calls.probes++
          if (dead.includes(serverId)) return { sent: packets, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'fake' } }
          return { sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 1) }
        },
      },
    ],
  }
}

/** Resolves when it holds. The bound is for what hangs, not for what is slow. */
export async function eventually(holds: () => boolean, what: string): Promise<void> {
  const until = performance.now() + 60_000
  while (!holds()) {
    if (performance.now() > until) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** An engine of which only what the plugin uses behaves; `calls` says what it used. */
export function stubEngine(parts: {
  readonly start?: () => Promise<void>
  readonly stop?: () => Promise<void>
  readonly status?: Partial<ReturnType<Pintail['status']>>
}): Pintail & { readonly calls: readonly string[] } {
  const calls: string[] = []
  const status = {
    state: 'idle',
    at: Date.now(),
    leader: null,
    servers: [],
    counts: { up: 0, suspect: 0, down: 0, unknown: 0 },
    incidents: [],
    evacuations: [],
    migrations: [],
    guards: [],
    pauses: [],
    registry: { listedAt: null, stale: false, skippedRows: 0 },
    storeTrouble: null,
    lastCheckAt: null,
    pendingRevokes: 0,
    lastSeq: 0,
    ...parts.status,
  }
  const stub = {
    calls,
    status: () => status,
    health: () => ({ ...status, serverCount: status.servers.length }),
    start: () => {
      calls.push('start')
      return parts.start?.() ?? Promise.resolve()
    },
    stop: (options: { timeoutMs?: number }) => {
      calls.push(`stop ${options.timeoutMs}`)
      return parts.stop?.() ?? Promise.resolve()
    },
    policy: {
      get: () => ({ policy: { startupDelayMs: 30_000, detect: { checkIntervalMs: 60_000, pingCount: 5, pingTimeoutMs: 3000 } } }),
    },
  }
  return stub as unknown as Pintail & { readonly calls: readonly string[] }
}
