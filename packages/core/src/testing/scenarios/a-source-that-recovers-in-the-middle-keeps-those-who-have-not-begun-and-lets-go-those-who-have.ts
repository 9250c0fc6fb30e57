import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a source that recovers in the middle keeps those who have not begun and lets go those who have',
  { users: 120, capacity: 120, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.revive('s1'))
    world.kill('s1')
    await world.minutes(3)
    const kept = world.on('s1').length
    assert.ok(kept > 0 && kept < 120, `${kept} are left`)
    assert.equal(world.moved, 120 - kept)
    assert.deepEqual(new Set(world.migrations.map(({ status }) => status)), new Set(['cancelled']))
    assert.equal(
      world.migrations.reduce((sum, { connectionsMoved }) => sum + connectionsMoved, 0),
      120 - kept,
    )
    // Those who have gone owe their old grants: after the grace, because the source lives.
    assert.equal(world.revokes.length + world.told('revoke.settled').length, 120 - kept)
  },
)
