import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server that its operator has taken out of service opens no incident', {}, async (world) => {
  world.status('s1', 'maintenance')
  await world.seconds(20)
  world.kill('s1')
  await world.minutes(2)
  assert.equal(world.report('s1').verdict.verdict, 'down')
  assert.deepEqual(world.incidents, [])
  assert.equal(world.moved, 0)
})
