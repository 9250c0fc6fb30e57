import assert from 'node:assert/strict'
import {
  type ConnectionMover,
  createPintail,
  type LeaseStore,
  type MigrationStore,
  memoryRegistry,
  type Pintail,
  type Prober,
} from '@pintail/core'
import { until } from './until.ts'

interface Stores {
  readonly store: MigrationStore
  readonly leases: LeaseStore
}

/**
 * The main job over a durable store: a server dies, its users are moved, the engine ends in the middle, and one in another
 * process goes on. Rejects if anybody is left or was moved twice.
 */
export async function evacuateOver(open: () => Stores | PromiseLike<Stores>, users = 40): Promise<void> {
  const servers = ['s1', 's2', 's3', 's4'].map((id, index) => ({ id, host: `192.0.2.${index + 1}`, capacity: users }))
  const connections = { s1: Array.from({ length: users }, (_, index) => ({ id: `c${index}`, userId: `u'${index} 🦆` })) }
  const registry = memoryRegistry({ servers, connections })
  let dead = false
  const prober: Prober = {
    name: 'static',
    probe: async ({ serverId, packets }) => {
      const received = dead && serverId === 's1' ? 0 : packets
      return { sent: packets, received, rttMs: Array.from({ length: received }, () => 1) }
    },
  }
  const moves = new Map<string, number>()
  let interrupted: (() => void) | null = null
  const mover: ConnectionMover = {
    move: async ({ connection, to }) => {
      moves.set(connection.id, (moves.get(connection.id) ?? 0) + 1)
      registry.assign({ id: connection.rawId, userId: connection.userId }, to.id)
      if (moves.size >= users / 2) interrupted?.()
    },
    locate: async ({ connection, to }) => (registry.on(to.rawId).includes(connection.id) ? 'on_target' : 'on_source'),
  }
  const engine = async (): Promise<Pintail> => {
    const { store, leases } = await open()
    return createPintail({
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
        migration: { concurrency: 4, concurrencyPerTarget: 4 },
      },
    })
  }
  const first = await engine()
  const half = new Promise<void>((resolve) => {
    interrupted = resolve
  })
  await first.start()
  await until('every server is up', () => first.status().counts.up === servers.length)
  dead = true
  await half
  interrupted = null
  await first.stop()

  const second = await engine()
  const done = new Promise<void>((resolve) => {
    second.on('evacuation.completed', () => resolve())
  })
  await second.start()
  await done
  assert.equal(registry.on('s1').length, 0, 'nobody is left on the dead server')
  assert.deepEqual(
    [...moves.values()],
    Array.from({ length: users }, () => 1),
    'each was moved once',
  )
  const { migrations } = await second.migrations.list()
  assert.equal(
    migrations.reduce((sum, one) => sum + one.connectionsMoved, 0),
    users,
  )
  await second.stop()
}
