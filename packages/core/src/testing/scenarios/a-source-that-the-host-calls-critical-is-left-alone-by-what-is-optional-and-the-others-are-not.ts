import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a source that the host calls critical is left alone by what is optional and the others are not',
  { users: { s1: 2, s2: 2 }, guards: true },
  async (world) => {
    const { engine } = world
    const optional = (serverId: string) => engine.migrations.create({ serverId, reason: 'rebalancing', autoApprove: true })
    world.forbid('critical', { servers: ['s1'] })
    const { code, message } = await world.refused(optional('s1'))
    assert.deepEqual([code, message], ['guard_denied', 'critical forbids rebalancing: the host says critical'])
    await world.answer(optional('s2'))
    await world.minutes(1)
    assert.deepEqual([world.on('s1').length, world.on('s2')], [2, []])
  },
)
