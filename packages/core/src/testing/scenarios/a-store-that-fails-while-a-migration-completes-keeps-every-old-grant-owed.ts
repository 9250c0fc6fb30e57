import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a store that fails while a migration completes keeps every old grant owed',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 120_000 } } },
  async (world) => {
    world.when('completing', () => world.fault('store.fails', 40))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    assert.equal(world.migrations[0]?.status, 'completed')
    assert.equal(world.revokes.length, 4)
    await world.minutes(3)
    assert.deepEqual([world.grants('s1-1'), world.grants('s1-4')], [['s2'], ['s2']])
  },
)
