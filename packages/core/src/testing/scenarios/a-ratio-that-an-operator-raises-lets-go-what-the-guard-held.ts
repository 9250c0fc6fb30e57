import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a ratio that an operator raises lets go what the guard held', { users: { s1: 2, s2: 2 } }, async (world) => {
  world.kill('s1')
  world.kill('s2')
  await world.minutes(1)
  assert.equal(world.moved, 0)
  const { version } = world.engine.policy.get()
  await world.answer(world.engine.policy.update({ guards: { massFailureRatio: 0.5 } }, { ifVersion: version }))
  await world.minutes(1)
  assert.deepEqual([...world.on('s1'), ...world.on('s2')], [])
})
