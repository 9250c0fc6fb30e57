import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a source that recovers while a migration completes takes nobody back', {}, async (world) => {
  world.when('completing', () => world.revive('s1'))
  world.kill('s1')
  await world.minutes(3)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.calls.filter(({ name }) => name === 'rollback').length, 0)
  assert.equal(world.server('s1').status, 'online')
  assert.equal(world.moved, 4)
})
