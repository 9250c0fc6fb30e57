import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a stop while a target is prepared costs its migration no retry',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { maxRetries: 0 } } },
  async (world) => {
    world.when('preparing', () => world.redeploy())
    await world.answer(world.engine.drain('s1'))
    await world.seconds(40)
    assert.deepEqual(
      world.migrations.map(({ status, retryCount, errorMessage }) => [status, retryCount, errorMessage]),
      [['completed', 0, null]],
    )
  },
)
