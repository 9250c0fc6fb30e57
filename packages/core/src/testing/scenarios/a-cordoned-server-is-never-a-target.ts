import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a cordoned server is never a target', { users: 6 }, async (world) => {
  await world.answer(world.engine.cordon('s2'))
  world.kill('s1')
  await world.minutes(2)
  assert.deepEqual(world.on('s1'), [])
  assert.deepEqual(world.on('s2'), [])
})
