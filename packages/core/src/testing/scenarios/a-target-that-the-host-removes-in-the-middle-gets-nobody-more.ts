import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target that the host removes in the middle gets nobody more',
  { servers: 3, users: 8, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => {
      for (const user of world.on('s2')) world.hostMoves(user, 's3')
      world.remove('s2')
    })
    world.kill('s1')
    await world.minutes(3)
    assert.equal(world.on('s3').length, 8)
  },
)
