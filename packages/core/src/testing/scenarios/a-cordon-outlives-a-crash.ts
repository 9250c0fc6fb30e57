import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a cordon outlives a crash', {}, async (world) => {
  await world.answer(world.engine.cordon('s2'))
  world.crash()
  await world.minutes(2)
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual([world.on('s1'), world.on('s2')], [[], []])
})
