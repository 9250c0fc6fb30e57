import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a stop while a migration completes forgets no old grant',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 60_000 } } },
  async (world) => {
    world.when('completing', () => world.redeploy())
    await world.answer(world.engine.drain('s1'))
    await world.seconds(20)
    assert.deepEqual([world.migrations[0]?.status, world.revokes.length], ['completed', 4])
    await world.minutes(2)
    assert.deepEqual([world.grants('s1-2'), world.engine.status().pendingRevokes], [['s2'], 0])
  },
)
