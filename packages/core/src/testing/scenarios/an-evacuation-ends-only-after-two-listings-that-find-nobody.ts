import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an evacuation ends only after two listings that find nobody', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(
    world.evacuations.map(({ status, emptyListings }) => [status, emptyListings]),
    [['completed', 2]],
  )
})
