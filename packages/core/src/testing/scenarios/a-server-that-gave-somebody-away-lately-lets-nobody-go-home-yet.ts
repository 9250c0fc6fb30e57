import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a server that gave somebody away lately lets nobody go home yet',
  {
    servers: 3,
    users: 2,
    policy: { mode: 'auto', migration: { cooldownMs: 1_800_000 }, failback: { strategy: 'immediate', stableMs: 60_000 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    const at = world.home('s1-1')
    world.addUser('other', at)
    await world.answer(world.engine.migrations.create({ serverId: at, connectionIds: ['other'], reason: 'rebalancing', autoApprove: true }))
    await world.minutes(1)
    assert.notEqual(world.home('other'), at)
    world.revive('s1')
    await world.minutes(25)
    assert.equal(world.home('s1-1'), at)
    await world.minutes(20)
    assert.equal(world.home('s1-1'), 's1')
  },
)
