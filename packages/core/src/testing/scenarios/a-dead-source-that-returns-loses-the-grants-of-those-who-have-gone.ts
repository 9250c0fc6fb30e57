import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a dead source that returns loses the grants of those who have gone',
  { users: 2, policy: { mode: 'auto', migration: { backoffMaxMs: 20_000 } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(10)
    assert.deepEqual(world.grants('s1-1').length, 2)
    assert.equal(world.told('revoke.pending').length, 2)
    assert.match(world.migrations[0]?.warnings.join() ?? '', /old grants on the source could not be taken back/)
    world.revive('s1')
    await world.minutes(1)
    assert.deepEqual([world.grants('s1-1').length, world.grants('s1-2').length], [1, 1])
    assert.equal(world.told('revoke.settled').length, 2)
  },
)
