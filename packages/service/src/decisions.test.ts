import type { DecisionRecord, ServerId } from '@pintail/core'
import { expect, test } from 'vitest'
import { decisionText } from './decisions.ts'

const id = (text: string) => text as ServerId
const scored = (serverId: string, score: number) => ({
  serverId: id(serverId),
  score,
  contributions: [
    { factor: 'headroom' as const, value: 0.9, weight: 30, note: '10 of 100 taken' },
    { factor: 'region' as const, value: 1, weight: 20, note: 'same region eu' },
    { factor: 'cost' as const, value: 0, weight: 5, note: 'dear' },
  ],
})
const decision = (more: Partial<DecisionRecord>): DecisionRecord =>
  ({
    mode: 'auto',
    fromServerIds: [id('2')],
    connections: 36,
    placed: 34,
    unplaced: 2,
    cohorts: [
      {
        cohort: 'a',
        region: 'eu',
        connections: 36,
        candidates: [
          scored('4', 0.75),
          scored('6', 0.7),
          { serverId: id('5'), excluded: 'not_online', message: 'its status is offline' },
          { serverId: id('2'), excluded: 'is_source', message: 'it is the server being left' },
        ],
        exclusions: { not_online: 1, is_source: 1 },
        placed: [
          { serverId: id('4'), connections: 20 },
          { serverId: id('6'), connections: 14 },
        ],
        unplaced: { no_capacity: 2 },
      },
    ],
    ...more,
  }) as DecisionRecord

test('a decision is one line: who goes where, who stays, why there, and who was no target', () => {
  expect(decisionText(decision({}))).toBe(
    '34 of 36 users of server 2 are moved: 20 to 4, 14 to 6; 2 stay: 2 no capacity; ' +
      '4 has 75 of 100 points: 10 of 100 taken, same region eu, dear; no target: 5 (its status is offline)',
  )
  expect(decisionText(decision({ mode: 'observe' }))).toContain('would be moved (mode observe: nobody is): 20 to 4')
})

test('however large the fleet is, the line stays short', () => {
  const ids = Array.from({ length: 200 }, (_, index) => `s${index}`)
  const [cohort] = decision({}).cohorts
  const large = decision({
    cohorts: [
      {
        ...(cohort as DecisionRecord['cohorts'][number]),
        placed: ids.map((one) => ({ serverId: id(one), connections: 1 })),
        candidates: ids.map((one) => ({ serverId: id(one), excluded: 'full' as const, message: '10 of 10 taken' })),
      },
    ],
  })
  expect(decisionText(large)).toContain('and 195 more')
  expect(decisionText(large).length).toBeLessThan(500)
})
