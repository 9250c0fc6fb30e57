import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a successor takes back what the dead leader owed',
  { engines: 2, users: 2, policy: { mode: 'auto', migration: { revokeGraceMs: 90_000 } } },
  async (world) => {
    world.when('completed', () => world.crash())
    await world.answer(world.engine.drain('s1'))
    await world.minutes(4)
    assert.equal(world.told('revoke.settled').length, 2)
    assert.deepEqual([world.grants('s1-1').length, world.grants('s1-2').length], [1, 1])
    assert.ok(world.calls.every(({ name, move }) => name !== 'complete' || (move?.fencingToken ?? 0) >= 2))
  },
)
