import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a pause of one server holds its evacuation alone', { servers: 8, users: { s1: 2, s2: 2 } }, async (world) => {
  await world.answer(world.engine.pause({ serverId: 's1' }))
  world.kill('s1')
  world.kill('s2')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), ['s1-1', 's1-2'])
  assert.deepEqual(world.on('s2'), [])
  assert.deepEqual(world.held('s1'), ['paused'])
})
