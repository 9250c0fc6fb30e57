import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a limit of arrivals holds for the whole evacuation',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: null }, { id: 's3', capacity: 0 }],
    users: 8,
    policy: { mode: 'auto', placement: { maxArrivals: 2 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(5)
    assert.equal(world.on('s2').length, 2)
    assert.equal(world.on('s1').length, 6)
  },
)
