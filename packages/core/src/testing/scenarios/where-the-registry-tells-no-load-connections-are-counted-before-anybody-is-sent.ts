import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'where the registry tells no load connections are counted before anybody is sent',
  { users: { s1: 4, s2: 4, s3: 3 }, capacity: 4, registry: { tellsLoad: false } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(
      ['s1', 's2', 's3', 's4'].map((server) => world.on(server).length),
      [0, 4, 3 + (4 - world.on('s4').length), world.on('s4').length],
    )
    assert.ok(world.on('s3').length <= 4)
  },
)
