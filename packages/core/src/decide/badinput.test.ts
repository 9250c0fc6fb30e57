import { expect, test } from 'vitest'
import { resolvePolicy } from '../options.ts'
import { parseConnection, parseServer } from '../rows.ts'
import type { Connection, PlacementPolicy, RankingWeights } from '../vocabulary.ts'
import { type PlacementInput, type PlacementOutput, place } from './placement.ts'
import type { Target } from './ranking.ts'

// What may be wrong in what is handed in: refused with the path when it is parsed, or a value that is documented as neutral.

const { placement: policy } = resolvePolicy().policy

const problems = (row: object) => {
  const parsed = parseServer({ id: 's', host: '10.0.0.1', ...row } as never)
  return parsed.ok ? [] : parsed.problems.map(({ path }) => path)
}
function target(row: object, patch: Partial<Target> = {}): Target {
  const parsed = parseServer({ host: '10.0.0.1', load: 0, ...row } as never)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const { value: server } = parsed
  const { capacity, load } = server
  const full = capacity !== null && load !== null && load >= capacity
  return { server, verdict: 'up', cordoned: false, instability: 0, load, capacity, full, limited: true, rttMs: null, ...patch }
}
function user(id: string, row: object = {}): Connection {
  const parsed = parseConnection({ id, ...row } as never)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return parsed.value
}
const users = (count: number, row: object = {}) => Array.from({ length: count }, (_, index) => user(`c${index}`, row))
function placed(targets: readonly Target[], connections: readonly Connection[], patch: Partial<PlacementInput> = {}): PlacementOutput {
  const rest = { sources: [], sourceDomains: [], only: null, refusals: new Map(), targetsPerConnection: 3, policy }
  return place({ ...rest, reason: 'server-down', connections, targets, ...patch })
}
const counts = ({ pieces }: PlacementOutput) => Object.fromEntries(pieces.map(({ to, connections }) => [to, connections.length]))
const exclusion = ({ cohorts }: PlacementOutput, id: string) => {
  const found = cohorts[0]?.candidates.find(({ serverId }) => serverId === id)
  return found && 'excluded' in found ? found.excluded : found?.score
}

test('a capacity or a load that is negative, broken or no number is refused, with its path', () => {
  for (const odd of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '100', {}]) {
    expect(problems({ capacity: odd })).toEqual(['capacity'])
    expect(problems({ load: odd })).toEqual(['load'])
  }
  expect(problems({ capacity: 0, load: 0 })).toEqual([])
  expect(problems({ priceEurHour: Number.NaN })).toEqual(['priceEurHour'])
  expect(problems({ coordinates: { latitude: Number.NaN, longitude: 0 } })).toEqual(['coordinates'])
  expect(problems({ resources: { cpuPercent: Number.NaN } })).toEqual(['resources.cpuPercent'])
  expect(problems({ features: 'p2p' })).toEqual(['features'])
})

test('a server of which no capacity is known takes users only where something limits them', () => {
  const open = placed([target({ id: 's' })], users(5), { policy: { ...policy, maxArrivals: 3 } })
  expect(counts(open)).toEqual({ s: 3 })
  expect(open.unplaced).toHaveLength(2)
  expect(exclusion(placed([target({ id: 's' }, { limited: false })], users(1)), 's')).toBe('capacity_unknown')
})

test('a server without room takes nobody: no capacity at all, or one below its load', () => {
  for (const row of [{ capacity: 0 }, { capacity: 10, load: 10 }, { capacity: 10, load: 25 }]) {
    const found = placed([target({ id: 's', ...row })], users(2))
    expect(exclusion(found, 's')).toBe('full')
    expect(found.unplaced.map(({ code }) => code)).toEqual(['no_candidate', 'no_candidate'])
    expect(found.shortfalls).toMatchObject([{ places: 2, message: '2 more places on any server' }])
  }
})

test('a load that is no number excludes the server; a round trip or a price that is none is neutral', () => {
  expect(exclusion(placed([target({ id: 's', capacity: 9 }, { load: Number.NaN })], users(1)), 's')).toBe('load_unknown')
  const odd = target({ id: 's', capacity: 9, priceEurHour: 1, region: 'eu' }, { rttMs: Number.NaN, rttFor: new Map([['us', Number.NaN]]) })
  for (const region of ['us', 'eu', null]) {
    const found = placed([odd, target({ id: 't', capacity: 9, priceEurHour: 2, region: 'eu' }, { rttMs: 50 })], users(3, { region }))
    for (const one of found.cohorts.flatMap(({ candidates }) => candidates)) {
      if (!('score' in one)) throw new Error('both are candidates')
      expect(one.score).toBeGreaterThan(0)
      for (const { value } of one.contributions) expect(value).not.toBeNaN()
    }
    const latency = found.cohorts[0]?.candidates.flatMap((one) => ('score' in one && one.serverId === 's' ? one.contributions : []))[1]
    if (region !== 'eu') expect(latency).toMatchObject({ factor: 'latency', value: 0.5, note: expect.stringContaining('neutral') })
  }
})

test('a region that no server and no policy knows is nothing to go by, and nobody is stranded for it', () => {
  const targets = [
    target({ id: 's', capacity: 9, region: 'eu', coordinates: { latitude: 50, longitude: 8 } }),
    target({ id: 't', capacity: 9 }),
  ]
  const found = placed(targets, users(4, { region: 'atlantis' }))
  expect(found.unplaced).toEqual([])
  const notes = found.cohorts[0]?.candidates.flatMap((one) => ('score' in one ? one.contributions.map(({ note }) => note) : []))
  expect(notes).toContain('eu, not atlantis')
  expect(notes).toContain('not measured, no distance known: neutral')
})

test('needs that no server meets, or that contradict each other, leave their users where they are, and say why', () => {
  const targets = [
    target({ id: 'de', capacity: 9, region: 'eu', country: 'de', protocols: ['wg'] }),
    target({ id: 'us', capacity: 9, region: 'us', country: 'us' }),
  ]
  const why = (needs: object) => placed(targets, users(1, { needs })).unplaced[0]
  expect(why({ countries: ['de'], regions: ['us'] })).toMatchObject({
    code: 'no_candidate',
    message: expect.stringMatching(/1 \w+_not_allowed/),
  })
  expect(why({ protocols: ['carrier pigeon'] })).toMatchObject({
    code: 'no_candidate',
    message: expect.stringContaining('2 protocol_missing'),
  })
  expect(why({ features: ['p2p'] })).toMatchObject({ code: 'no_candidate', message: expect.stringContaining('2 feature_missing') })
  expect(why({ countries: [] })).toMatchObject({ code: 'no_candidate', message: expect.stringContaining('2 country_not_allowed') })
  const wrong = parseConnection({ id: 'c', needs: { features: 'p2p', regions: [1] } } as never)
  expect(wrong.ok ? [] : wrong.problems.map(({ path }) => path)).toEqual(['needs.features', 'needs.regions'])
})

test('with all weights zero no server is better than another: every score is 0, and everybody has a place', () => {
  const zero = Object.fromEntries(Object.keys(policy.weights).map((factor) => [factor, 0])) as unknown as RankingWeights
  const targets = ['a', 'b', 'c'].map((id) => target({ id, capacity: 4 }))
  const found = placed(targets, users(11), { policy: { ...policy, weights: zero } as PlacementPolicy })
  expect(found.unplaced).toEqual([])
  expect(Object.values(counts(found)).reduce((sum, one) => sum + one, 0)).toBe(11)
  for (const one of found.cohorts.flatMap(({ candidates }) => candidates)) expect('score' in one && one.score).toBe(0)
  // Nothing can be gained, so nobody who need not move does.
  const calm = { sources: [target({ id: 'here', capacity: 20 }).server.id], minGain: 0.05, reason: 'rebalancing' } as const
  const here = target({ id: 'here', capacity: 20, load: 5 })
  expect(counts(placed([here, ...targets], users(5), { ...calm, policy: { ...policy, weights: zero } as PlacementPolicy }))).toEqual({})
})

/** Each of them needs something that nobody else does, as far as the words go. */
function distinct(count: number): Connection[] {
  return Array.from({ length: count }, (_, index) => {
    const regions = ['eu', 'us', `r${index}`]
    return user(`c${index}`, { region: `r${index % 50}`, needs: { regions, features: index % 3 === 0 ? ['p2p'] : [] } })
  })
}

test('ten thousand cohorts of one user each find the places that there are, and what is said of many is kept once', () => {
  const targets = Array.from({ length: 400 }, (_, index) =>
    target({ id: `t${index}`, capacity: 60, load: index % 20, region: index % 2 ? 'eu' : 'us', features: index % 4 ? [] : ['p2p'] }),
  )
  const { cohorts, unplaced, pieces } = placed(targets, distinct(10_000))
  expect(cohorts).toHaveLength(10_000)
  expect(unplaced).toEqual([])
  expect(pieces.reduce((sum, { connections }) => sum + connections.length, 0)).toBe(10_000)
  // By region and by feature: fifty times two, and not one list of twenty candidates for each of them.
  expect(new Set(cohorts.map(({ candidates }) => candidates)).size).toBe(100)
})
