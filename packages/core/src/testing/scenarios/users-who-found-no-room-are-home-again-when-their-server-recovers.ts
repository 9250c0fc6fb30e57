import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'users who found no room are home again when their server recovers',
  { servers: 3, users: { s1: 3, s2: 4, s3: 4 }, capacity: 4 },
  async (world) => {
    world.kill('s1')
    await world.minutes(2)
    world.revive('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), ['s1-1', 's1-2', 's1-3'])
    assert.match(world.told('evacuation.cancelled')[0]?.why ?? '', /s1 has recovered/)
    assert.deepEqual(world.engine.status().evacuations, [])
  },
)
