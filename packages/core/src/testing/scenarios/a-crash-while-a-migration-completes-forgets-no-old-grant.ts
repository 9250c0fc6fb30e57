import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash while a migration completes forgets no old grant',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 300_000 } } },
  async (world) => {
    world.when('completing', () => world.crash())
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1.5)
    assert.deepEqual(
      world.revokes.map(({ serverId }) => serverId),
      ['s1', 's1', 's1', 's1'],
    )
    assert.equal(world.migrations[0]?.status, 'completed')
    await world.minutes(6)
    assert.deepEqual(
      ['s1-1', 's1-4'].map((user) => world.grants(user)),
      [['s2'], ['s2']],
    )
    assert.equal(world.engine.status().pendingRevokes, 0)
  },
)
