import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash in the middle of a revoke repeats it until its outcome is kept',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 0 } }, users: 1 },
  async (world) => {
    world.crashAt('complete', 'after')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    assert.equal(world.calls.filter(({ name }) => name === 'complete').length, 2)
    assert.deepEqual(world.grants('s1-1'), ['s2'])
    assert.equal(world.told('revoke.settled').length, 1)
    assert.equal(world.engine.status().pendingRevokes, 0)
  },
)
