import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a user assigned to a dead server after its evacuation is moved too', {}, async (world) => {
  world.kill('s1')
  await world.until('the evacuation has ended', () => world.evacuations[0]?.status === 'completed')
  world.addUser('late', 's1')
  await world.minutes(1)
  assert.notEqual(world.home('late'), 's1')
  assert.equal(world.evacuations.length, 1)
  assert.equal(world.evacuations[0]?.status, 'completed')
})
