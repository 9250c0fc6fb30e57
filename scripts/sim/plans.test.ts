import { simulate } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { type PlanOutcome, planHistoryOf, planWorld } from './plans.ts'

// All of 1,000 worlds each: npm run sim -- --plans 1000

test('in memory, a plan that is carried out ends as it said for every single user, and a changed world is refused by name', async () => {
  const outcomes: PlanOutcome[] = []
  for (let seed = 1; seed <= 400; seed++) {
    const outcome = await planWorld(seed)
    expect(outcome.wrong, `world ${seed}`).toEqual([])
    outcomes.push(outcome)
  }
  expect(outcomes.filter(({ refused }) => !refused).reduce((sum, { compared }) => sum + compared, 0)).toBeGreaterThan(10_000)
  const refused = new Set(outcomes.flatMap(({ refused, change }) => (refused ? change : [])))
  expect(refused).toEqual(
    new Set(['a target is cordoned', 'a capacity is lowered', 'a target goes into maintenance', 'a target dies', 'the policy changes']),
  )
  const carriedOut = new Set(outcomes.map(({ refused, change }) => (refused ? 'refused' : change)))
  expect(carriedOut).toEqual(new Set(['refused', null, 'a user leaves', 'another server is cordoned']))
})

test('under the simulator, a plan that is carried out ends as it said wherever nothing has come in between', async () => {
  const total = { executed: 0, settled: 0, refused: 0 }
  for (let seed = 1; seed <= 40; seed++) {
    const { violations, plans } = await simulate(planHistoryOf(seed))
    expect(violations, `world ${seed}`).toEqual([])
    for (const key of ['executed', 'settled', 'refused'] as const) total[key] += plans[key]
  }
  expect(total.executed).toBeGreaterThan(20)
  expect(total.settled).toBeGreaterThan(100)
  expect(total.refused).toBeGreaterThan(0)
})
