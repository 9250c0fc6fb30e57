import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user who is brought back keeps the grant that was owed',
  {
    servers: 2,
    policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 1_200_000, cooldownMs: 0 } },
    users: 1,
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    await world.answer(world.engine.uncordon('s1'))
    await world.answer(world.engine.migrations.create({ serverId: 's2', toServerId: 's1', autoApprove: true }))
    await world.minutes(1)
    assert.equal(world.home('s1-1'), 's1')
    assert.deepEqual(
      world.revokes.map(({ serverId }) => serverId),
      ['s2'],
    )
    await world.minutes(30)
    assert.deepEqual(world.grants('s1-1'), ['s1'])
  },
)
