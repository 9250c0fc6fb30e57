import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a plan is carried out once', { servers: 3 }, async (world) => {
  const plan = await world.answer(world.engine.plan({ drain: ['s1'] }))
  const { answers, refusals } = await world.atOnce(world.engine.execute(plan), world.engine.execute(plan))
  assert.deepEqual([answers.length, refusals.length], [1, 1])
  assert.ok(['guard_denied', 'plan_stale'].includes(refusals[0]?.code ?? ''))
  await world.minutes(1)
  assert.deepEqual([world.moved, world.on('s1'), world.evacuations.length], [4, [], 1])
})
