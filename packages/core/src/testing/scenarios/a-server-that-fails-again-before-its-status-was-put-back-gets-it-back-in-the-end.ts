import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server that fails again before its status was put back gets it back in the end', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.fault('registry.refuses_status', 600)
  world.revive('s1')
  await world.until('it has recovered', () => world.incidents[0]?.status === 'recovered')
  world.kill('s1')
  await world.minutes(1)
  world.heal()
  await world.minutes(3)
  assert.equal(world.server('s1').status, 'offline')
  world.revive('s1')
  await world.minutes(2)
  assert.equal(world.server('s1').status, 'online')
  assert.ok(world.incidents.every(({ status }) => status === 'closed'))
})
