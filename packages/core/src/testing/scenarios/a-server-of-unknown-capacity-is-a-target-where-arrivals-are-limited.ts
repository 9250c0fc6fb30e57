import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a server of unknown capacity is a target where arrivals are limited',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: null }, { id: 's3', capacity: 0 }],
    policy: { mode: 'auto', placement: { maxArrivals: 2 } },
  },
  async (world) => {
    world.kill('s1')
    await world.until('somebody is moved', () => world.moved > 0)
    assert.deepEqual(world.decisions[0]?.cohorts[0]?.placed, [{ serverId: 's2', connections: 2 }])
  },
)
