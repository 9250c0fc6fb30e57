import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a migration that is cancelled while its target is prepared moves nobody', { servers: 2 }, async (world) => {
  world.when('preparing', () => void world.engine.migrations.cancel(world.migration().id))
  await world.answer(world.engine.drain('s1'))
  await world.minutes(5)
  assert.deepEqual(world.steps(), ['scheduled → preparing', 'preparing → cancelled'])
  assert.deepEqual([world.keys, world.reserved, world.on('s1').length], [[], 0, 4])
})
