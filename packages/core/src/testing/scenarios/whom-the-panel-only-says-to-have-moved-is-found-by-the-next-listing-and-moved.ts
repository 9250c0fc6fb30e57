import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'whom the panel only says to have moved is found by the next listing and moved',
  { panel: { has: [] } },
  async (world) => {
    world.fault('mover.lies', 20)
    world.kill('s1')
    await world.minutes(1)
    world.heal()
    await world.minutes(5)
    assert.deepEqual(world.on('s1'), [])
  },
)
