import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'without fencing no move starts whose time out the lease would not outlive',
  { users: 2, panel: { fencing: 'none' } },
  async (world) => {
    // The lease of 45 s cannot be renewed; a move may take 20 s.
    world.fault('leases.fail', 60)
    await world.seconds(27)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(10)
    assert.equal(world.engine.status().state, 'leading')
    assert.deepEqual([world.keys, world.moved], [[], 0])
    await world.minutes(2)
    assert.deepEqual([world.on('s1'), world.moved], [[], 2])
  },
)
