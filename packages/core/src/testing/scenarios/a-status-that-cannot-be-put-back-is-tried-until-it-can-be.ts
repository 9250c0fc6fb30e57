import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a status that cannot be put back is tried until it can be', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.fault('registry.refuses_status', 90)
  world.revive('s1')
  await world.minutes(1)
  assert.equal(world.incidents[0]?.status, 'recovered')
  assert.deepEqual(world.told('incident.recovered'), [])
  await world.minutes(3)
  assert.equal(world.server('s1').status, 'online')
  assert.equal(world.incidents[0]?.status, 'closed')
})
