import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server in maintenance gets nobody', {}, async (world) => {
  world.status('s2', 'maintenance')
  await world.seconds(20)
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.deepEqual(world.on('s2'), [])
  assert.equal(world.decisions[0]?.cohorts[0]?.exclusions.maintenance, 1)
})
