import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a partition that grows evacuates no more servers than the cap',
  { servers: 10, users: { s1: 2, s2: 2, s3: 2, s4: 2, s5: 2, s6: 2 }, capacity: 50 },
  async (world) => {
    for (let lost = 1; lost <= 6; lost++) {
      world.unreachable(Array.from({ length: lost }, (_, index) => `s${index + 1}`))
      await world.minutes(1)
    }
    assert.deepEqual(
      ['s1', 's2', 's3'].flatMap((server) => world.on(server)),
      [],
    )
    assert.deepEqual(
      ['s4', 's5', 's6'].map((server) => world.on(server).filter((user) => user.startsWith(server)).length),
      [2, 2, 2],
    )
    world.unreachable(null)
    await world.minutes(1)
  },
)
