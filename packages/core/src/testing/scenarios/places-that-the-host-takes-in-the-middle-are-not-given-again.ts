import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'places that the host takes in the middle are not given again',
  { servers: 3, users: 12, capacity: 8, policy: { mode: 'auto', registryRefreshMs: 100, migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => {
      for (let user = 1; user <= 6; user++) world.addUser(`own-${user}`, 's2')
    })
    world.kill('s1')
    await world.minutes(2)
    assert.deepEqual([world.on('s2').length, world.on('s3').length], [8, 8])
    assert.equal(world.on('s1').length, 2)
  },
)
