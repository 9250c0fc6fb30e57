import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a policy that somebody else has changed meanwhile is refused as stale', {}, async (world) => {
  const { policy } = world.engine
  await world.answer(policy.update({ placement: { fillLimit: 0.8 } }, { ifVersion: 0 }))
  const { code, message } = await world.refused(policy.update({ placement: { fillLimit: 0.5 } }, { ifVersion: 0 }))
  assert.deepEqual([code, message], ['policy_stale', 'the policy is at version 1, not 0'])
  assert.equal(policy.get().policy.placement.fillLimit, 0.8)
})
