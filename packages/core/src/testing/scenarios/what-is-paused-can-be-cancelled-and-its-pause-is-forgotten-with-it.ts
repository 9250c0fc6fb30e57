import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('what is paused can be cancelled and its pause is forgotten with it', { servers: 2 }, async (world) => {
  await world.answer(world.engine.pause({ serverId: 's2' }))
  const { id } = await world.answer(world.engine.migrations.create({ serverId: 's1' }))
  await world.answer(world.engine.pause({ migrationId: id }))
  await world.answer(world.engine.migrations.approve(id))
  await world.minutes(1)
  assert.equal((await world.answer(world.engine.migrations.cancel(id))).status, 'cancelled')
  assert.deepEqual(
    world.told('pause.lifted').map(({ scope }) => scope),
    [{ migrationId: id }],
  )
  // The other one stands.
  assert.deepEqual(
    world.engine.status().pauses.map(({ scope }) => scope),
    [{ serverId: 's2' }],
  )
  assert.equal(world.moved, 0)
})
