import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'when room is short the higher tier has it',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: 1 }, { id: 's3', capacity: 0 }],
    users: 3,
    rows: { 's1-2': { tier: 1 }, 's1-3': { tier: 5 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s2'), ['s1-3'])
    assert.deepEqual(world.on('s1'), ['s1-1', 's1-2'])
  },
)
