import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'each migration that was planned anew has a decision of its own that says why',
  { servers: 4, users: 1 },
  async (world) => {
    world.refuse('s1-1')
    world.kill('s1')
    await world.minutes(2)
    const decisions = await Promise.all(world.migrations.map(({ decisionId }) => world.answer(world.engine.decision(decisionId))))
    assert.equal(new Set(decisions.map(({ id }) => id)).size, 3)
    const last = world.decisions.findLast(({ cohorts }) => cohorts.length > 0)
    assert.equal(last?.cohorts[0]?.exclusions.refused_before, 3)
    assert.deepEqual(new Set(decisions.map(({ incidentId }) => incidentId)), new Set([world.incidents[0]?.id]))
    assert.ok(decisions.every(({ verdicts }) => verdicts[0]?.verdict.verdict === 'down'))
  },
)
