import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a migration by hand waits for its approval in auto too', { servers: 2 }, async (world) => {
  const { id, status, reason } = await world.answer(world.engine.migrations.create({ serverId: 's1' }))
  assert.deepEqual([status, reason], ['suggested', 'manual'])
  await world.minutes(30)
  assert.deepEqual([world.moved, world.migration().status], [0, 'suggested'])
  await world.answer(world.engine.migrations.approve(id))
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
})
