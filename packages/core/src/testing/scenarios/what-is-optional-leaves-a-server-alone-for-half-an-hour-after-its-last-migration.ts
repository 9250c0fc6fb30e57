import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what is optional leaves a server alone for half an hour after its last migration',
  { servers: 4, users: { s1: 3, s2: 2 } },
  async (world) => {
    const one = (user: string, serverId = 's1') =>
      world.engine.migrations.create({ serverId, connectionIds: [user], reason: 'rebalancing', autoApprove: true })
    await world.answer(one('s1-1'))
    await world.minutes(29)
    const { code, message, remedy } = await world.refused(one('s1-2'))
    assert.equal(code, 'guard_denied')
    const until = new Date((world.migration().completedAt ?? 0) + 30 * 60_000).toISOString()
    assert.equal(message, `cooldown until ${until}: s1 had a migration lately`)
    assert.match(remedy ?? '', /lower migration\.cooldownMs, or give the reason manual/)
    // The others are free all the while.
    await world.answer(one('s2-1', 's2'))
    await world.minutes(2)
    await world.answer(one('s1-2'))
    await world.minutes(1)
    assert.deepEqual([world.on('s1'), world.moved], [['s1-3'], 3])
  },
)
