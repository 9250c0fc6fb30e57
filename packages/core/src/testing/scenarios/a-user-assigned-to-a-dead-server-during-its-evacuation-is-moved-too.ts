import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user assigned to a dead server during its evacuation is moved too',
  { users: 6, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.addUser('late', 's1'))
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.evacuations[0]?.moved, 7)
  },
)
