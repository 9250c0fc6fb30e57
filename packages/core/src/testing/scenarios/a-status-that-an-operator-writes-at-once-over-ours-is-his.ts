import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a status that an operator writes at once over ours is his', {}, async (world) => {
  world.kill('s1')
  await world.until('ours is written', () => world.server('s1').status === 'offline')
  world.status('s1', 'maintenance')
  await world.minutes(1)
  world.revive('s1')
  await world.minutes(2)
  assert.equal(world.server('s1').status, 'maintenance')
  assert.equal(world.told('incident.recovered')[0]?.statusRestored, false)
})
