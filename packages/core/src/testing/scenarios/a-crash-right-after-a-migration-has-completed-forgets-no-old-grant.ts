import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash right after a migration has completed forgets no old grant',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 0 } } },
  async (world) => {
    world.when('completed', () => world.crash())
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    assert.equal(world.told('revoke.settled').length, 4)
    assert.deepEqual(world.grants('s1-1'), ['s2'])
    assert.deepEqual(world.revokes, [])
  },
)
