import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a cordon moves nobody off the server', {}, async (world) => {
  await world.answer(world.engine.cordon('s1'))
  await world.minutes(5)
  assert.equal(world.on('s1').length, 4)
  assert.deepEqual([world.moved, world.evacuations], [0, []])
})
