import { createFleet } from '@pintail/core/testing'
import { toSnake } from '@pintail/core/wire'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cohort, exclusionsOf, factorsOf, stacksOf } from './stacks.ts'

let cohort: Cohort
let stop: () => Promise<void>
beforeAll(async () => {
  const fleet = await createFleet({ servers: 5, connections: 12, capacity: 30 })
  stop = () => fleet.stop()
  await fleet.advance(20_000)
  await fleet.pintail.cordon('s3')
  fleet.kill('s1')
  await fleet.advance(60_000)
  const [incident] = await fleet.pintail.incidents.list()
  const decision = toSnake(await fleet.pintail.decision(String(incident?.decisionId)))
  cohort = decision.cohorts[0] as Cohort
})
afterAll(() => stop())

test('the parts of a bar add up to the score that the engine has given, without gap or overlap', () => {
  const stacks = stacksOf(cohort)
  expect(stacks.length).toBeGreaterThan(1)
  for (const { score, segments } of stacks) {
    const last = segments.at(-1)
    expect((last?.from ?? 0) + (last?.points ?? 0)).toBeCloseTo(score, 9)
    segments.reduce((end, { from, points }) => {
      expect(from).toBeCloseTo(end, 9)
      return from + points
    }, 0)
  }
})

test('the best come first, and say how many they get', () => {
  const stacks = stacksOf(cohort)
  expect(stacks.map(({ score }) => score)).toEqual(stacks.map(({ score }) => score).sort((a, b) => b - a))
  expect(stacks.reduce((sum, { gets }) => sum + gets, 0)).toBe(cohort.placed.reduce((sum, { connections }) => sum + connections, 0))
})

test('who was no target is counted by reason, and named where it is known', () => {
  const found = exclusionsOf(cohort)
  expect(found.map(({ code }) => code).sort()).toEqual(['cordoned', 'is_source'])
  expect(found.find(({ code }) => code === 'cordoned')).toMatchObject({
    total: 1,
    named: [{ serverId: 's3', message: expect.any(String) }],
  })
})

test('a reason of which nobody is named is counted all the same', () => {
  expect(exclusionsOf({ ...cohort, candidates: [], exclusions: { full: 7 } })).toEqual([{ code: 'full', total: 7, named: [] }])
})

test('weights of nothing make bars of nothing', () => {
  const flat = {
    ...cohort,
    candidates: [{ server_id: 's2', score: 0, contributions: [{ factor: 'cost', value: 1, weight: 0, note: 'no prices' }] }],
  } as Cohort
  expect(stacksOf(flat)[0]?.segments[0]).toMatchObject({ points: 0, from: 0 })
  expect(factorsOf(stacksOf(flat))).toEqual([])
})
