import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a cheaper target is better among equals',
  { servers: [{ id: 's1' }, { id: 's2', priceEurHour: 0.08 }, { id: 's3', priceEurHour: 0.02 }], users: 1 },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.equal(world.home('s1-1'), 's3')
  },
)
