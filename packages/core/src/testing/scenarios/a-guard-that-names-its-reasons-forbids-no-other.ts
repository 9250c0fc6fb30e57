import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a guard that names its reasons forbids no other', { users: { s1: 2, s2: 2 }, guards: true }, async (world) => {
  world.forbid('billing', { forbids: ['rebalancing', 'manual'] })
  for (const reason of ['rebalancing', 'manual'] as const) {
    const { code } = await world.refused(world.engine.migrations.create({ serverId: 's1', reason }))
    assert.equal(code, 'guard_denied')
  }
  await world.answer(world.engine.drain('s1'))
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
})
