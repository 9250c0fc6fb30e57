import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a guard that begins in the middle of an evacuation stops it there',
  { users: 60, capacity: 100, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.kill('s1')
    // In its middle, and not as soon as it may begin: then nobody might have left yet.
    while (world.on('s1').length === 60) await world.seconds(0.1)
    world.kill('s2')
    await world.minutes(1)
    const left = world.on('s1').length
    assert.ok(left > 0 && left < 60, `${left} are left`)
    await world.minutes(2)
    assert.equal(world.on('s1').length, left)
    world.revive('s2')
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
  },
)
