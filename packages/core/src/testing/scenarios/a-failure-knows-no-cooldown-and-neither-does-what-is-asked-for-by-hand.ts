import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a failure knows no cooldown and neither does what is asked for by hand',
  { servers: 4, users: 3 },
  async (world) => {
    const one = (user: string, reason: 'rebalancing' | 'manual') =>
      world.engine.migrations.create({ serverId: 's1', connectionIds: [user], reason, autoApprove: true })
    await world.answer(one('s1-1', 'rebalancing'))
    await world.minutes(1)
    assert.equal((await world.refused(one('s1-2', 'rebalancing'))).code, 'guard_denied')
    await world.answer(one('s1-2', 'manual'))
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), ['s1-3'])
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
  },
)
