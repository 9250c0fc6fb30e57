import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the headroom of the host is kept free in a failure too',
  { servers: 3, users: { s1: 4, s2: 7, s3: 8 }, capacity: 10, policy: { mode: 'auto', placement: { hostHeadroom: 2 } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(2)
    assert.deepEqual(
      ['s1', 's2', 's3'].map((server) => world.on(server).length),
      [3, 8, 8],
    )
  },
)
