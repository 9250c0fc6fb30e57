import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server slower than the threshold fails like a silent one', {}, async (world) => {
  world.slow('s1', 400)
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.incidents[0]?.reasons[0].code, 'latency')
  assert.match(world.incidents[0]?.reasons[0].message ?? '', /mean round trip 420 ms \(limit 300 ms\)/)
})
