import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('observe that becomes auto acts on what is down already', { policy: { mode: 'observe' } }, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  const { version } = world.engine.policy.get()
  await world.answer(world.engine.policy.update({ mode: 'auto' }, { ifVersion: version }))
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.server('s1').status, 'offline')
})
