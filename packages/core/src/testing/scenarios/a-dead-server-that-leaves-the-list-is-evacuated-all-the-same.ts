import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a dead server that leaves the list is evacuated all the same', {}, async (world) => {
  await world.answer(world.engine.pause('all'))
  world.kill('s1')
  await world.until('the incident is open', () => world.incidents.length === 1)
  world.unlist('s1')
  await world.minutes(1)
  await world.answer(world.engine.resume('all'))
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
})
