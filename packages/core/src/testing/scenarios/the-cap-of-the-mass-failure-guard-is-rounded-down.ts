import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the cap of the mass failure guard is rounded down',
  { servers: 13, users: { s1: 1, s2: 1, s3: 1, s4: 1 } },
  async (world) => {
    // 0.3 of thirteen is 3.9.
    for (const server of ['s1', 's2', 's3', 's4']) world.kill(server)
    await world.minutes(2)
    assert.equal(world.moved, 0)
    assert.equal(world.told('guard.denied')[0]?.values?.cap, 3)
  },
)
