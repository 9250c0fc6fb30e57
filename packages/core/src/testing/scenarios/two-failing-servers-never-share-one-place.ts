import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'two failing servers never share one place',
  { users: { s1: 2, s2: 2, s3: 3, s4: 4 }, capacity: 4, policy: { mode: 'auto', guards: { massFailureRatio: 0.5 } } },
  async (world) => {
    world.kill('s1')
    world.kill('s2')
    await world.minutes(3)
    assert.equal(world.moved, 1)
    assert.equal(world.on('s3').length, 4)
  },
)
