import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user has both grants while he is moved and one when all is over',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 60_000 } }, users: 2 },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.seconds(10)
    assert.deepEqual([world.home('s1-1'), world.grants('s1-1')], ['s2', ['s1', 's2']])
    await world.minutes(2)
    assert.deepEqual([world.grants('s1-1'), world.grants('s1-2')], [['s2'], ['s2']])
  },
)
