import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('what failed while the prober was blind is confirmed anew before anybody is moved', {}, async (world) => {
  world.blind(true)
  await world.seconds(30)
  world.kill('s1')
  await world.minutes(1)
  assert.equal(world.incidents.length, 0)
  const seesAgain = world.engine.status().at
  world.blind(false)
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.incidents.length, 1)
  assert.ok((world.incidents[0]?.suspectedAt ?? 0) >= seesAgain)
})
