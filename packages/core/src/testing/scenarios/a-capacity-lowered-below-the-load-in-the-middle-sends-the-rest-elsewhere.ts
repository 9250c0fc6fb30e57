import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a capacity lowered below the load in the middle sends the rest elsewhere',
  { servers: 3, users: 12, policy: { mode: 'auto', registryRefreshMs: 100, migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.capacity('s2', 1))
    world.kill('s1')
    await world.minutes(3)
    assert.deepEqual(world.on('s1'), [])
    assert.ok(world.on('s2').length < 6, `${world.on('s2').length} are on s2`)
  },
)
