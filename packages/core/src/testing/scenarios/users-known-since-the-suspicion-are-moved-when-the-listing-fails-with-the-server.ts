import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('users known since the suspicion are moved when the listing fails with the server', {}, async (world) => {
  world.kill('s1')
  await world.until('s1 is suspected', () => world.report('s1').verdict.verdict === 'suspect')
  await world.seconds(1)
  world.unlistable('s1')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  const [decision] = world.decisions
  assert.equal(decision?.coverage.remembered, true)
  assert.ok(decision.coverage.asOf < decision.at - 5000)
})
