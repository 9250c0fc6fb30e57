import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'whom the host has brought back within the grace keeps his home',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 120_000 } }, users: 1 },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    world.hostMoves('s1-1', 's1')
    await world.minutes(5)
    assert.deepEqual([world.home('s1-1'), world.grants('s1-1')], ['s1', ['s1']])
    assert.equal(world.engine.status().pendingRevokes, 0)
    assert.ok(!world.calls.some(({ name }) => name === 'complete'))
  },
)
