import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('while the server list cannot be read nobody is moved and afterwards everybody is', {}, async (world) => {
  world.fault('registry.fails', 120)
  await world.seconds(20)
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(world.held('s1'), ['registry_stale'])
  assert.equal(world.moved, 0)
  await world.minutes(2)
  assert.deepEqual(world.on('s1'), [])
})
