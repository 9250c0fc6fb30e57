import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the fill limit holds for what may wait',
  { servers: 3, users: { s1: 4, s2: 8, s3: 9 }, capacity: 10 },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    assert.deepEqual(
      ['s1', 's2', 's3'].map((server) => world.on(server).length),
      [3, 9, 9],
    )
  },
)
