import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an approved migration goes its whole way by itself one step after the other',
  { servers: 2, users: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    assert.deepEqual([world.migration().status, world.steps()], ['suggested', []])
    await world.answer(world.engine.migrations.approve(world.migration().id))
    await world.minutes(1)
    assert.deepEqual(world.steps(), [
      'suggested → approved',
      'approved → scheduled',
      'scheduled → preparing',
      'preparing → transferring',
      'transferring → completing',
      'completing → completed',
    ])
    assert.deepEqual(world.on('s2'), ['s1-1', 's1-2'])
  },
)
