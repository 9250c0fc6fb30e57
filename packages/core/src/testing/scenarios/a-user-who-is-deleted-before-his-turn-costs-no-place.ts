import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user who is deleted before his turn costs no place',
  { servers: 2, users: 12, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.removeUser('s1-12'))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    assert.deepEqual([world.on('s1'), world.on('s2').length, world.reserved], [[], 11, 0])
    assert.equal(world.evacuations[0]?.status, 'completed')
    assert.deepEqual(world.evacuations[0]?.unplaced, [])
  },
)
