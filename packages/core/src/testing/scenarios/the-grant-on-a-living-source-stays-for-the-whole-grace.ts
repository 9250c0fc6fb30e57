import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the grant on a living source stays for the whole grace',
  {
    servers: 2,
    policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 3_600_000 } },
    users: 1,
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(59)
    assert.deepEqual(world.grants('s1-1'), ['s1', 's2'])
    assert.equal(world.engine.status().pendingRevokes, 1)
    await world.minutes(2)
    assert.deepEqual(world.grants('s1-1'), ['s2'])
    assert.deepEqual(
      world.told('revoke.settled').map(({ serverId, connectionId }) => [serverId, connectionId]),
      [['s1', 's1-1']],
    )
  },
)
