import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a drain with the fingerprint of another plan moves nobody', {}, async (world) => {
  const { fingerprint } = await world.answer(world.engine.plan({ drain: ['s2'] }))
  const refused = await world.refused(world.engine.drain('s1', { fingerprint }))
  assert.equal(refused.code, 'plan_stale')
  assert.match(refused.remedy ?? '', /Plan again/)
  await world.seconds(30)
  assert.deepEqual([world.on('s1').length, world.evacuations, world.report('s1').cordoned], [4, [], false])
})
