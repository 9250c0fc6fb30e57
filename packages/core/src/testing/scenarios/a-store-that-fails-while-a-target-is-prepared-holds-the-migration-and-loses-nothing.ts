import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a store that fails while a target is prepared holds the migration and loses nothing',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } },
  async (world) => {
    world.when('preparing', () => world.fault('store.fails', 60))
    await world.answer(world.engine.drain('s1'))
    await world.seconds(50)
    assert.equal(world.moved, 0)
    await world.minutes(1)
    assert.deepEqual(
      world.migrations.map(({ status, retryCount, connectionsMoved }) => [status, retryCount, connectionsMoved]),
      [['completed', 0, 4]],
    )
  },
)
