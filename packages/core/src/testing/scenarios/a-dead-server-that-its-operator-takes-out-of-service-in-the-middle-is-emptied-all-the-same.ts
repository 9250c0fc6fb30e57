import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a dead server that its operator takes out of service in the middle is emptied all the same',
  { users: 40, capacity: 60, policy: { mode: 'auto', registryRefreshMs: 500, migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.status('s1', 'maintenance'))
    world.kill('s1')
    await world.minutes(3)
    assert.deepEqual(world.on('s1'), [])
    world.revive('s1')
    await world.minutes(2)
    // His word, not ours.
    assert.equal(world.server('s1').status, 'maintenance')
  },
)
