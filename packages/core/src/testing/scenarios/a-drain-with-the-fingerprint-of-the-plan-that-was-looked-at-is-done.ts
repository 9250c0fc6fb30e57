import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a drain with the fingerprint of the plan that was looked at is done', {}, async (world) => {
  const { fingerprint } = await world.answer(world.engine.plan({ drain: ['s1'], reason: 'maintenance' }))
  const { status } = await world.answer(world.engine.drain('s1', { fingerprint }))
  assert.equal(status, 'running')
  await world.seconds(30)
  assert.deepEqual(world.on('s1'), [])
})
