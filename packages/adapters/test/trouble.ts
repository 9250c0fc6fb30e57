import assert from 'node:assert/strict'
import { type ConnectionMover, createPintail, type LeaseStore, type MigrationStore, memoryRegistry, type Prober } from '@pintail/core'
import { until } from './until.ts'

export interface Trouble {
  readonly store: MigrationStore
  readonly leases: LeaseStore
  /** The store fails, for real; after `end` it works again. */
  readonly begin: () => unknown
  readonly end: () => unknown
}

const users = 60
const concurrency = 4

/**
 * A store that fails in the middle of an evacuation: no move has its effect before its intent is kept, so they stop; the
 * engine says so and goes on probing; when the store is back it goes on, and each user is moved once. Rejects if not.
 */
export async function evacuateThrough({ store, leases, begin, end }: Trouble): Promise<void> {
  const servers = ['s1', 's2', 's3', 's4'].map((id, index) => ({ id, host: `192.0.2.${index + 1}`, capacity: users }))
  const registry = memoryRegistry({ servers, connections: { s1: Array.from({ length: users }, (_, index) => ({ id: `c${index}` })) } })
  let dead = false
  let probes = 0
  const prober: Prober = {
    name: 'static',
    probe: async ({ serverId, packets }) => {
      probes++
      const received = dead && serverId === 's1' ? 0 : packets
      return { sent: packets, received, rttMs: Array.from({ length: received }, () => 1) }
    },
  }
  const kept = new Set<unknown>()
  const watched: MigrationStore = {
    ...store,
    commit: async (batch, ctx) => {
      const answer = await store.commit(batch, ctx)
      for (const { type, data } of batch.journal) if (type === 'move.started') kept.add((data as { readonly key?: unknown }).key)
      return answer
    },
  }
  const moves = new Map<string, number>()
  const tooSoon: string[] = []
  // However long the trouble takes to begin, it finds an evacuation in its middle: half of the users wait for it.
  let isTroubled = (): void => {}
  const troubled = new Promise<void>((resolve) => {
    isTroubled = resolve
  })
  const mover: ConnectionMover = {
    move: async ({ connection, to, key }) => {
      if (!kept.has(key)) tooSoon.push(key)
      if (moves.size >= users / 2) await troubled
      await new Promise((resolve) => setTimeout(resolve, 20))
      moves.set(connection.id, (moves.get(connection.id) ?? 0) + 1)
      registry.assign({ id: connection.rawId }, to.id)
    },
    locate: async ({ connection, to }) => (registry.on(to.rawId).includes(connection.id) ? 'on_target' : 'on_source'),
  }
  const pintail = createPintail({
    registry,
    mover,
    probers: [prober],
    store: watched,
    leases,
    policy: {
      mode: 'auto',
      registryRefreshMs: 500,
      detect: { checkIntervalMs: 50, confirm: { intervalMs: 20, durationMs: 100 } },
      guards: { recheckMs: 50 },
      migration: { concurrency, concurrencyPerTarget: concurrency },
    },
  })
  const warnings: string[] = []
  pintail.on('warning', ({ message }) => void warnings.push(message))
  const done = new Promise<void>((resolve) => void pintail.on('evacuation.completed', () => resolve()))
  await pintail.start()
  try {
    await until('every server is up', () => pintail.status().counts.up === servers.length)
    dead = true
    await until('some have been moved', () => moves.size >= 5)
    await begin()
    isTroubled()
    try {
      await until('the engine says that its store fails', () => pintail.status().storeTrouble !== null)
      // What had its intent kept may still have its effect; then nothing more.
      const before = probes
      await until('it goes on probing', () => probes > before + 40)
      const stopped = moves.size
      await until('it goes on probing', () => probes > before + 80)
      assert.equal(moves.size, stopped, 'moves go on although nothing can be kept')
      assert.ok(stopped < users, 'everybody had been moved before the store failed')
      assert.equal(pintail.status().state, 'leading')
    } finally {
      await end()
    }
    await done
    await until('the store works again', () => pintail.status().storeTrouble === null)
    assert.ok(
      warnings.some((message) => message.includes('the store does not answer; nothing is moved until it does')),
      `no word of it: ${warnings.join('; ')}`,
    )
    assert.deepEqual(tooSoon, [], 'moved before the intent was kept')
    assert.deepEqual(registry.on('s1'), [])
    assert.deepEqual(
      [...moves.values()],
      Array.from({ length: users }, () => 1),
    )
  } finally {
    isTroubled()
    await pintail.stop()
  }
}
