import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a status that an operator has changed and changed back is his', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.status('s1', 'online')
  await world.seconds(20)
  world.status('s1', 'offline')
  await world.seconds(20)
  world.revive('s1')
  await world.minutes(2)
  assert.equal(world.server('s1').status, 'offline')
  assert.equal(world.told('incident.recovered')[0]?.statusRestored, false)
})
