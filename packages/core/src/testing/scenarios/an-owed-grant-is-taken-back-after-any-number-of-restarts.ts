import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an owed grant is taken back after any number of restarts',
  { users: 1, policy: { mode: 'auto', migration: { backoffMaxMs: 20_000 } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    for (let restart = 0; restart < 3; restart++) {
      world.crash()
      await world.minutes(2)
      assert.equal(world.engine.status().pendingRevokes, 1)
    }
    world.revive('s1')
    await world.minutes(2)
    assert.deepEqual([world.grants('s1-1').includes('s1'), world.engine.status().pendingRevokes], [false, 0])
  },
)
