import type { PintailEvent } from '../index.ts'
import {
  createPintail,
  type MemoryLog,
  type MemoryRegistry,
  memoryLeases,
  memoryLog,
  memoryMover,
  memoryRegistry,
  memoryStore,
  type Pintail,
  PintailError,
  type PintailOptions,
} from '../index.ts'
import type { CallContext, ConnectionInput, ConnectionMover, Lease, LeaseStore, MigrationStore, Prober, ServerInput } from '../ports.ts'
import type { PolicyInput } from '../vocabulary.ts'
import { type FakeClock, fakeClock } from './clock.ts'
import { seededRandom } from './random.ts'

export interface FleetOptions {
  /** How many servers (`s1`, `s2` …), or the rows themselves. Default 6. */
  readonly servers?: number | readonly ServerInput[]
  /** How many connections on each (`s1-c1` …), or the rows by server. Default 10. */
  readonly connections?: number | Readonly<Record<string, readonly ConnectionInput[]>>
  /** For the servers that are made here. Default 100. */
  readonly capacity?: number
  /** Default `{ mode: 'auto' }`. */
  readonly policy?: PolicyInput
  /** Default 1. */
  readonly seed?: number
  /** Replaces parts, e.g. a mover that fails. Gets the parts that would be used. */
  readonly replace?: (
    parts: PintailOptions & { registry: MemoryRegistry; clock: FakeClock; store: MigrationStore },
  ) => Partial<PintailOptions>
}

/** What a probe of a server meets. `lossy`: this share of packets is lost; `slow`: answers take this many milliseconds. */
export type Health = 'up' | 'down' | { readonly lossy: number } | { readonly slow: number }

/** A whole test world in memory and virtual time: servers, users, an engine. */
export interface Fleet {
  readonly pintail: Pintail
  readonly registry: MemoryRegistry
  readonly store: MigrationStore
  readonly log: MemoryLog
  readonly clock: FakeClock
  /** Everything that was told, oldest first. */
  readonly events: readonly PintailEvent[]
  kill(server: string): void
  revive(server: string): void
  set(server: string, health: Health): void
  /** The prober loses its whole network, or gets it back. */
  partition(lost: boolean): void
  /** Lets virtual time pass, milliseconds. */
  advance(ms: number): Promise<void>
  /** The engine dies where it stands, as by `kill -9`, its lease still held, and a new one starts on the same store. */
  crash(): Promise<Fleet>
  stop(): Promise<void>
}

/**
 * Makes a world and starts its engine. Servers answer in 20 ms until `kill`ed.
 * @example const fleet = await createFleet({ servers: 6 }); fleet.kill('s1'); await fleet.advance(30_000)
 */
export async function createFleet(options: FleetOptions = {}): Promise<Fleet> {
  const { servers = 6, connections = 10, capacity = 100, seed = 1 } = options
  const rows: readonly ServerInput[] =
    typeof servers === 'number'
      ? Array.from({ length: servers }, (_, index) => ({
          id: `s${index + 1}`,
          host: `10.0.${index >> 8}.${index & 255}`,
          capacity,
        }))
      : servers
  const users =
    typeof connections === 'number'
      ? Object.fromEntries(
          rows.map(({ id }) => [String(id), Array.from({ length: connections }, (_, index) => ({ id: `${id}-c${index + 1}` }))]),
        )
      : connections
  const registry = memoryRegistry({ servers: rows, connections: users })
  const clock = fakeClock()
  const world = {
    registry,
    clock,
    store: memoryStore(),
    leases: memoryLeases(clock),
    mover: memoryMover(registry),
    random: seededRandom(seed),
    health: new Map<string, Health>(),
    lost: false,
  }
  return open(options, world)
}

interface World {
  readonly registry: MemoryRegistry
  readonly clock: FakeClock
  readonly store: MigrationStore
  readonly leases: LeaseStore
  readonly mover: ConnectionMover
  readonly random: () => number
  readonly health: Map<string, Health>
  lost: boolean
}

async function open(options: FleetOptions, world: World): Promise<Fleet> {
  const { registry, clock, store, leases, mover, random, health } = world
  const log = memoryLog()
  const events: PintailEvent[] = []
  // A dead engine's calls must not come back to life in the world of its successor.
  let dead = false
  const alive = <T>(value: T): T => {
    if (dead) throw new PintailError('aborted', 'this engine was killed')
    return value
  }
  const { prune, find, sumMigrations } = store
  const mortal: MigrationStore = {
    name: store.name,
    commit: async (batch, ctx) => alive(store).commit(batch, ctx),
    get: async (kind, id, ctx) => alive(store).get(kind, id, ctx),
    list: (kind, filter, ctx) => alive(store).list(kind, filter, ctx),
    readJournal: async (query, ctx) => alive(store).readJournal(query, ctx),
    ...(prune && { prune: async (query, ctx) => alive(prune)(query, ctx) }),
    ...(find && { find: async (kind, query, ctx) => alive(find)(kind, query, ctx) }),
    ...(sumMigrations && { sumMigrations: async (ctx) => alive(sumMigrations)(ctx) }),
  }
  const parts = {
    registry,
    mover,
    leases: {
      acquire: async (holder: string, ttlMs: number, ctx: CallContext) => alive(leases).acquire(holder, ttlMs, ctx),
      renew: async (lease: Lease, ctx: CallContext) => alive(leases).renew(lease, ctx),
      release: async (lease: Lease, ctx: CallContext) => alive(leases).release(lease, ctx),
    },
    log,
    store: mortal,
    clock,
    random,
    probers: [worldProber(world)],
    policy: options.policy ?? ({ mode: 'auto' } as const),
  }
  const pintail = createPintail({ ...parts, ...options.replace?.(parts) })
  pintail.on('*', (event) => events.push(event))
  await pintail.start()
  await clock.settle()
  return {
    pintail,
    registry,
    store,
    log,
    clock,
    events,
    kill: (server) => void health.set(server, 'down'),
    revive: (server) => void health.delete(server),
    set: (server, state) => void health.set(server, state),
    partition: (lost) => {
      world.lost = lost
    },
    advance: (ms) => clock.advance(ms),
    async crash() {
      dead = true
      void pintail.stop({ timeoutMs: 0 })
      await clock.advance(1)
      return open(options, world)
    },
    async stop() {
      const stopped = pintail.stop()
      await clock.advance(10_000)
      await stopped
    },
  }
}

/** Answers as the world is: in virtual time, with the world's own randomness. */
function worldProber(world: World): Prober {
  return {
    name: 'world',
    probe({ serverId, packets, timeoutMs }, { signal }) {
      const health = world.lost ? 'down' : (world.health.get(serverId) ?? 'up')
      const rtt = typeof health === 'object' && 'slow' in health ? health.slow : 20
      const loss = health === 'down' ? 1 : typeof health === 'object' && 'lossy' in health ? health.lossy : 0
      const answers = Array.from({ length: packets }, () => loss === 0 || (loss < 1 && world.random() >= loss)).filter(
        (answered) => answered && rtt <= timeoutMs,
      ).length
      return new Promise((resolve, reject) => {
        const timer = world.clock.setTimeout(
          () => {
            signal.removeEventListener('abort', stop)
            const failure = answers === 0 ? ({ kind: 'no_reply', layer: 'world' } as const) : null
            resolve({ sent: packets, received: answers, rttMs: Array.from({ length: answers }, () => rtt), failure })
          },
          answers === packets ? rtt : timeoutMs,
        )
        const stop = () => {
          timer.cancel()
          reject(new PintailError('aborted'))
        }
        signal.addEventListener('abort', stop, { once: true })
      })
    },
  }
}
