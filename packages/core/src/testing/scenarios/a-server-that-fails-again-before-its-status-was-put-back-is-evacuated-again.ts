import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server that fails again before its status was put back is evacuated again', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.fault('registry.refuses_status', 600)
  world.revive('s1')
  await world.until('it has recovered', () => world.incidents[0]?.status === 'recovered')
  world.addUser('late', 's1')
  world.kill('s1')
  await world.minutes(5)
  assert.equal(world.incidents.length, 2)
  assert.notEqual(world.home('late'), 's1')
})
