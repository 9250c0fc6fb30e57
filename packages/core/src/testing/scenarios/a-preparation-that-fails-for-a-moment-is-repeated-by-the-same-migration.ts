import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a preparation that fails for a moment is repeated by the same migration',
  { servers: 3, users: 1 },
  async (world) => {
    world.when('preparing', () => world.fault('mover.fails_prepare', 0.5))
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(
      world.migrations.map(({ status, retryCount }) => [status, retryCount]),
      [['completed', 1]],
    )
    assert.deepEqual(world.on('s1'), [])
  },
)
