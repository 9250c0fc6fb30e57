import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a target that answers faster is better among equals', { servers: 3, users: 1 }, async (world) => {
  world.slow('s2', 150)
  await world.minutes(2)
  world.kill('s1')
  await world.minutes(1)
  assert.equal(world.home('s1-1'), 's3')
})
