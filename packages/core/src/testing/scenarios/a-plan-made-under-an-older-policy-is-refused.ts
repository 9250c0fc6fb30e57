import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a plan made under an older policy is refused', {}, async (world) => {
  const plan = await world.answer(world.engine.plan({ drain: ['s1'] }))
  await world.answer(world.engine.policy.update({ placement: { fillLimit: 0.8 } }, { ifVersion: 0 }))
  const refused = await world.refused(world.engine.execute(plan))
  assert.equal(refused.code, 'plan_stale')
  assert.match(refused.message, /policy: was version 0, is version 1/)
  assert.equal(world.moved, 0)
})
