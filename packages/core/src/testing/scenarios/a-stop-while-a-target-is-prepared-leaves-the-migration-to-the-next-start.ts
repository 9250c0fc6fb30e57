import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a stop while a target is prepared leaves the migration to the next start',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } },
  async (world) => {
    world.when('preparing', () => world.redeploy())
    await world.answer(world.engine.drain('s1')).catch(() => {})
    await world.minutes(1)
    assert.deepEqual([world.on('s1').length, world.moved, world.reserved], [0, 4, 0])
    assert.deepEqual(
      world.migrations.map(({ status }) => status),
      ['completed'],
    )
  },
)
