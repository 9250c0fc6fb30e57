import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('whom nobody can list nobody calls evacuated', {}, async (world) => {
  world.unlistable('s1')
  world.kill('s1')
  await world.minutes(2)
  assert.deepEqual(world.evacuations, [])
  assert.equal(world.incidents[0]?.status, 'open')
  assert.match(world.told('warning').find(({ code }) => code === 'unavailable')?.message ?? '', /connections of s1 could not be listed/)
  world.unlistable()
  await world.minutes(2)
  assert.deepEqual(world.on('s1'), [])
})
