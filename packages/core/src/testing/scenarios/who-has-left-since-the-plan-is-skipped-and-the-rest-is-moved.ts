import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('who has left since the plan is skipped and the rest is moved', { servers: 2 }, async (world) => {
  const plan = await world.answer(world.engine.plan({ drain: ['s1'] }))
  world.removeUser('s1-2')
  await world.answer(world.engine.execute(plan))
  await world.seconds(30)
  assert.deepEqual(world.on('s2'), ['s1-1', 's1-3', 's1-4'])
})
