import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration is retried with growing pauses and no more often than it says',
  {
    servers: 2,
    policy: {
      mode: 'auto',
      detect: { canaries: [{ host: '192.0.2.1' }] },
      migration: { moveTries: 1, maxRetries: 3, backoffMs: 1000, retryUnplacedMs: 3_600_000 },
    },
  },
  async (world) => {
    world.fault('mover.is_unavailable', 300)
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    const [migration] = world.migrations
    assert.deepEqual([world.migrations.length, migration?.status, migration?.retryCount], [1, 'failed', 3])
    const at = (status: string) =>
      world.events.flatMap((event) => (event.type === 'migration.status_changed' && event.data.newStatus === status ? event.at : []))
    const tried = at('preparing')
    // Each pause is doubled, give or take a half, and a look at what is due each second.
    at('scheduled').forEach((failed, retry) => {
      const pause = (tried[retry + 1] ?? 0) - failed
      assert.ok(pause >= 500 * 2 ** retry && pause <= 1500 * 2 ** retry + 1100, `pause ${retry + 1}: ${pause} ms`)
    })
    assert.equal(tried.length, 4)
  },
)
