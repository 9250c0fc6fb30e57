import assert from 'node:assert/strict'
import {
  type ConnectionMover,
  createPintail,
  type LeaseStore,
  type MemoryRegistry,
  type Migration,
  type MigrationStore,
  type MoveRecord,
  memoryRegistry,
  type PintailOptions,
  type Prober,
} from '@pintail/core'

interface Stores {
  readonly store: MigrationStore
  readonly leases: LeaseStore
}

const ids = Array.from({ length: 8 }, (_, index) => `c${index}`)
const cordoned = 's4'

function registryOf(homes: ReadonlyMap<string, string>): MemoryRegistry {
  const servers = ['s1', 's2', 's3', cordoned].map((id, index) => ({ id, host: `192.0.2.${index + 1}`, capacity: 20 }))
  const on = (server: string) => ids.filter((id) => homes.get(id) === server).map((id) => ({ id, userId: `u'${id} 🦆` }))
  return memoryRegistry({ servers, connections: Object.fromEntries(servers.map(({ id }) => [id, on(id)])) })
}

function optionsOf(registry: MemoryRegistry, mover: ConnectionMover, { store, leases }: Stores, isDead: () => boolean): PintailOptions {
  const prober: Prober = {
    name: 'static',
    probe: async ({ serverId, packets }) => {
      const received = isDead() && serverId === 's1' ? 0 : packets
      return { sent: packets, received, rttMs: Array.from({ length: received }, () => 1) }
    },
  }
  return {
    registry,
    mover,
    probers: [prober],
    store,
    leases,
    policy: {
      mode: 'auto',
      registryRefreshMs: 500,
      detect: { checkIntervalMs: 50, confirm: { intervalMs: 20, durationMs: 100 } },
      guards: { recheckMs: 50 },
      // One after the other, and the intent of the next one is kept ahead of its call.
      migration: { concurrency: 1, concurrencyPerTarget: 2, timeoutMs: 20_000 },
    },
  }
}

/** An evacuation that ends in its middle, as by a crash: `keep` is called at that moment, with the lease held. */
export async function interruptedEvacuation(stores: Stores, keep: () => Promise<void>): Promise<void> {
  let isDead = false
  const registry = registryOf(new Map(ids.map((id) => [id, 's1'])))
  let called = 0
  let interrupt = () => {}
  const interrupted = new Promise<void>((resolve) => {
    interrupt = resolve
  })
  const mover: ConnectionMover = {
    move: async ({ connection, to }) => {
      called++
      if (called <= 5) registry.assign({ id: connection.rawId, userId: connection.userId }, to.id)
      if (called < 5) return
      interrupt()
      await new Promise(() => {})
    },
    locate: async ({ connection, to }) => (registry.on(to.rawId).includes(connection.id) ? 'on_target' : 'on_source'),
  }
  const engine = createPintail(optionsOf(registry, mover, stores, () => isDead))
  await engine.start()
  await engine.cordon(cordoned)
  await new Promise((resolve) => setTimeout(resolve, 300))
  isDead = true
  await interrupted
  await new Promise((resolve) => setTimeout(resolve, 200))
  await keep()
  await engine.stop({ timeoutMs: 1 })
}

/** Goes on with it over a store that has been kept. Rejects if anybody is left, was moved twice, or is on the cordoned server. */
export async function resumedEvacuation(stores: Stores): Promise<void> {
  const { homes, unclear } = await homesIn(stores.store)
  assert.ok(homes.size > 0 && homes.size < ids.length, 'the evacuation was open when it was kept')
  assert.ok(unclear > 0, 'the outcome of a move was unclear when it was kept')
  const registry = registryOf(new Map(ids.map((id) => [id, homes.get(id) ?? 's1'])))
  const moves = new Map<string, number>()
  const mover: ConnectionMover = {
    move: async ({ connection, to }) => {
      moves.set(connection.id, (moves.get(connection.id) ?? 0) + 1)
      registry.assign({ id: connection.rawId, userId: connection.userId }, to.id)
    },
    locate: async ({ connection, to }) => (registry.on(to.rawId).includes(connection.id) ? 'on_target' : 'on_source'),
  }
  const engine = createPintail(optionsOf(registry, mover, stores, () => true))
  const done = new Promise<void>((resolve) => {
    engine.on('evacuation.completed', () => resolve())
  })
  await engine.start()
  await done
  const { migrations } = await engine.migrations.list()
  await engine.stop()
  assert.deepEqual(registry.on('s1'), [], 'nobody is left on the dead server')
  assert.deepEqual(registry.on(cordoned), [], 'the word of the operator holds')
  assert.deepEqual(
    [...moves].sort(),
    ids.filter((id) => !homes.has(id)).map((id) => [id, 1]),
    'each of the others is moved once',
  )
  const moved = migrations.reduce((sum, one) => sum + one.connectionsMoved, 0)
  assert.equal(moved, ids.length)
}

/** Who has been moved where, by what the store has kept; the first one whose move was unclear has had its effect. */
async function homesIn(store: MigrationStore): Promise<{ readonly homes: ReadonlyMap<string, string>; readonly unclear: number }> {
  const migrations = new Map((await all<Migration>(store, 'migration')).map((one) => [one.id as string, one]))
  const moves = await all<MoveRecord>(store, 'move')
  const open = moves.filter(({ state }) => state.state === 'moving')
  const gone = [...moves.filter(({ state }) => state.state === 'moved'), ...open.slice(0, 1)]
  return {
    homes: new Map(gone.map(({ connection, migrationId }) => [connection.id, migrations.get(migrationId)?.toServerId ?? ''])),
    unclear: open.length,
  }
}

async function all<T>(store: MigrationStore, kind: 'migration' | 'move'): Promise<T[]> {
  const found: unknown[] = []
  for await (const page of store.list(kind, {}, { signal: new AbortController().signal }) as AsyncIterable<readonly unknown[]>)
    found.push(...page)
  return found as T[]
}
