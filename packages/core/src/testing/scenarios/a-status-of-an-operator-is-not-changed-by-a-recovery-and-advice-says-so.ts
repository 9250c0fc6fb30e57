import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a status of an operator is not changed by a recovery and advice says so', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.status('s1', 'maintenance')
  world.revive('s1')
  await world.minutes(2)
  assert.equal(world.server('s1').status, 'maintenance')
  assert.equal(world.told('incident.recovered')[0]?.statusRestored, false)
  assert.match(world.told('incident.recovered')[0]?.advice ?? '', /maintenance is not ours to change/)
})
