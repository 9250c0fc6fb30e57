import type { CohortDecision, DecisionRecord } from '@pintail/core'
import { expect, test } from 'vitest'
import { plain, width } from './text.ts'
import { exclusions, filled, whyFor, whyShort, whyTable, whyUser } from './why.ts'

const candidate = (serverId: string, free: number, region: number) => ({
  serverId,
  score: (30 * free + 20 * region) / 50,
  contributions: [
    { factor: 'headroom', value: free, weight: 30, note: `${Math.round(60 * (1 - free))} of 60 taken` },
    { factor: 'region', value: region, weight: 20, note: region === 1 ? 'same region eu' : 'elsewhere' },
  ],
})
const cohort = (connections: number, placed: Record<string, number>, refuses: string[] = []): CohortDecision =>
  ({
    cohort: JSON.stringify(placed),
    region: 'eu',
    connections,
    candidates: [
      ...[candidate('ams-2', 0.5, 1), candidate('fra-1', 0.9, 0)].filter(({ serverId }) => !refuses.includes(serverId)),
      ...refuses.map((serverId) => ({ serverId, excluded: 'protocol_missing', message: 'it does not speak wireguard' })),
      { serverId: 'ams-1', excluded: 'is_source', message: 'it is the server being left' },
    ],
    placed: Object.entries(placed).map(([serverId, n]) => ({ serverId, connections: n })),
  }) as unknown as CohortDecision
const decide = (...cohorts: CohortDecision[]): DecisionRecord =>
  ({ connections: cohorts.reduce((sum, { connections }) => sum + connections, 0), cohorts }) as unknown as DecisionRecord
const some = decide(cohort(6, { 'ams-2': 6 }, ['fra-1']), cohort(30, { 'ams-2': 18, 'fra-1': 12 }))

test('the table is about the largest group, and says so', () => {
  expect(whyFor(some)).toBe('30 users of region eu, the largest of 2 groups')
  expect(whyFor(decide(cohort(1, { 'ams-2': 1 })))).toBe('1 user of region eu')
  expect(whyFor(decide())).toBe('nobody was there to be moved')
})

test('the points of a row add up to its score, out of 100', () => {
  const [, ...rows] = whyTable(some, 5).map((line) => plain(line).trim().split(/\s+/))
  expect(rows).toHaveLength(2)
  for (const [, score, ...cells] of rows) {
    const sum = cells.slice(0, 7).reduce((total, cell) => total + Number(cell), 0)
    expect(sum).toBeCloseTo(Number(score), 5)
  }
})

test('the table fits a terminal of 80 columns', () => {
  for (const line of [...whyTable(some, 5), ...exclusions(some)]) expect(width(line)).toBeLessThanOrEqual(80)
})

test('who is no target for some groups only is said with how many users that means', () => {
  expect(exclusions(some).map(plain)).toEqual([
    '  fra-1    no target: it does not speak wireguard (for 6 users)',
    '  ams-1    no target: it is the server being left',
  ])
})

test('a target counts as filled by what is there and all that comes, of every group', () => {
  const capacities = new Map([
    ['ams-2', 60],
    ['fra-1', 60],
  ])
  // 30 were there, 24 come: 54 of 60.
  expect(filled(some, capacities, 0.9)).toEqual(['ams-2'])
  expect(filled(some, capacities, 1)).toEqual([])
})

test('the short reason names what the best has and the others lack', () => {
  expect(whyShort(some)).toBe('ams-2 is best with 70 of 100 points: same region eu')
  expect(whyShort(decide())).toBeNull()
})

test('the short reason is about a target that takes somebody', () => {
  expect(whyShort(decide(cohort(5, { 'fra-1': 5 })))).toMatch(/^fra-1 is best/)
})

test('the why of one user is about his own group, marks where he went, and fits 80 columns', () => {
  const row = { id: 'user-7', region: 'eu', needs: { protocols: ['wireguard'] } }
  const own = { ...cohort(2, { 'ams-2': 2 }, ['fra-1']), cohort: '["eu",["wireguard"],null,null,null,"free",0,null]' }
  const lines = whyUser(decide(cohort(30, { 'fra-1': 30 }), own), { user: row, to: 'ams-2' }, 80)
  for (const line of lines) expect(width(line)).toBeLessThanOrEqual(80)
  const [title, whom, , first, rests, ...notes] = lines.map(plain)
  expect(title).toBe('Why user-7 has moved to ams-2')
  expect(whom).toBe('  region eu, needs wireguard; one of 2 users with these needs')
  expect(first).toMatch(/^→ ams-2 +70\.0 +30\.0/)
  expect(rests).toBe('  what the points of ams-2 rest on')
  expect(notes).toEqual([
    '  room      30.0 of 60  30 of 60 taken',
    '  region    40.0 of 40  same region eu',
    '  fra-1    no target: it does not speak wireguard',
    '  ams-1    no target: it is the server being left',
  ])
  expect(whyUser(decide(own), { user: { ...row, region: 'us' }, to: 'ams-2' }, 80)).toEqual([])
})
