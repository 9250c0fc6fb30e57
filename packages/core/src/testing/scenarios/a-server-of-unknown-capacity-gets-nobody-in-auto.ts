import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a server of unknown capacity gets nobody in auto',
  { servers: [{ id: 's1' }, { id: 's2', capacity: null }, { id: 's3' }] },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s2'), [])
    assert.equal(world.on('s3').length, 4)
    assert.equal(world.decisions[0]?.cohorts[0]?.exclusions.capacity_unknown, 1)
  },
)
