import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('who has come since the plan is moved beside it', { servers: 2 }, async (world) => {
  const plan = await world.answer(world.engine.plan({ drain: ['s1'] }))
  world.addUser('late', 's1')
  await world.answer(world.engine.execute(plan))
  await world.minutes(2)
  assert.deepEqual([world.on('s1'), world.home('late')], [[], 's2'])
})
