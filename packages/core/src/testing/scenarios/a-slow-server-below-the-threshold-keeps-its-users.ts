import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a slow server below the threshold keeps its users', {}, async (world) => {
  world.slow('s1', 270)
  await world.minutes(5)
  assert.deepEqual(world.incidents, [])
  assert.equal(world.report('s1').verdict.verdict, 'up')
})
