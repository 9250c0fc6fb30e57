import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('servers out of service do not count for the mass failure guard', {}, async (world) => {
  world.status('s4', 'offline')
  await world.seconds(20)
  world.kill('s4')
  await world.minutes(1)
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
})
