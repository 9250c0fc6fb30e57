import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a panel that is away for ten minutes costs ten minutes and nobody', {}, async (world) => {
  world.kill('s1')
  world.fault('mover.is_unavailable', 600)
  await world.minutes(9)
  assert.equal(world.on('s1').length, 4)
  assert.equal(world.moved, 0)
  await world.minutes(4)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.moved, 4)
  // What had no effect needs no undoing, and so no new attempt.
  assert.ok(world.keys.every((key) => key.endsWith('/1')))
})
