import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Latencies } from '../figures/latency.ts'
import { resolvePolicy } from '../options.ts'
import { parseConnection, parseServer } from '../rows.ts'
import type { Connection, ConnectionId, MigrationReason, PlacementPolicy, Server, ServerId } from '../vocabulary.ts'
import { type PlacementInput, place as placePieces, roomOf } from './placement.ts'
import { rank, type Target } from './ranking.ts'

const policy = resolvePolicy().policy.placement

/** All are of one source here, so that a piece is a target. */
const place = (given: PlacementInput) => {
  const { pieces, ...rest } = placePieces(given)
  return { ...rest, placed: new Map(pieces.map(({ to, connections }) => [to, connections])) }
}

function server(row: object): Server {
  const parsed = parseServer({ host: '10.0.0.1', id: 's', ...row } as never)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return parsed.value
}
function target(row: object, patch: Partial<Target> = {}): Target {
  const one = server(row)
  return {
    server: one,
    verdict: 'up',
    cordoned: false,
    instability: 0,
    load: one.load ?? 0,
    capacity: one.capacity,
    full: one.capacity !== null && (one.load ?? 0) >= one.capacity,
    limited: true,
    rttMs: null,
    ...patch,
  }
}
function connection(row: object): Connection {
  const parsed = parseConnection(row as never)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return parsed.value
}
function input(targets: readonly Target[], connections: readonly Connection[], patch: Partial<PlacementInput> = {}): PlacementInput {
  const source = target({ id: 'dead' }, { verdict: 'down' })
  return {
    sources: ['dead' as ServerId],
    only: null,
    sourceDomains: [],
    reason: 'server-down',
    connections,
    refusals: new Map(),
    targets: [source, ...targets],
    policy,
    targetsPerConnection: 3,
    ...patch,
  }
}
const many = (count: number, row: object = {}) => Array.from({ length: count }, (_, index) => connection({ id: `c${index}`, ...row }))
const counts = (placed: ReadonlyMap<ServerId, readonly Connection[]>) =>
  Object.fromEntries([...placed].map(([id, list]) => [id, list.length]))

/** A world of a few servers and cohorts, with everything that makes a server no target. */
const world = fc.record({
  servers: fc.array(
    fc.record({
      capacity: fc.integer({ min: 0, max: 12 }),
      load: fc.integer({ min: 0, max: 14 }),
      region: fc.constantFrom('a', 'b', 'c'),
      protocols: fc.subarray(['wg', 'xray']),
      state: fc.constantFrom('up', 'up', 'up', 'up', 'down', 'suspect', 'unknown', 'cordoned', 'damped', 'offline', 'maintenance'),
    }),
    { minLength: 0, maxLength: 7 },
  ),
  cohorts: fc.array(
    fc.record({
      size: fc.integer({ min: 1, max: 9 }),
      tier: fc.integer({ min: 0, max: 2 }),
      region: fc.constantFrom('a', 'b', null),
      regions: fc.option(fc.subarray(['a', 'b', 'c'], { minLength: 1 }), { nil: undefined }),
      protocols: fc.option(fc.subarray(['wg', 'xray']), { nil: undefined }),
      mobility: fc.constantFrom('free', 'free', 'failure-only', 'pinned'),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  reason: fc.constantFrom<MigrationReason>('server-down', 'manual'),
  hostHeadroom: fc.integer({ min: 0, max: 2 }),
})
type World = typeof world extends fc.Arbitrary<infer T> ? T : never

function build({ servers, cohorts, reason, hostHeadroom }: World) {
  const targets = servers.map(({ capacity, load, region, protocols, state }, index) =>
    target(
      {
        id: `t${index}`,
        capacity,
        region,
        protocols,
        ...(state === 'offline' || state === 'maintenance' ? { status: state } : {}),
      },
      {
        load,
        verdict: state === 'down' || state === 'suspect' || state === 'unknown' ? state : 'up',
        cordoned: state === 'cordoned',
        instability: state === 'damped' ? 1 : 0,
      },
    ),
  )
  const connections = cohorts.flatMap(({ size, tier, region, regions, protocols, mobility }, index) =>
    Array.from({ length: size }, (_, number) =>
      connection({
        id: `c${index}-${number}`,
        tier,
        region,
        mobility,
        needs: { ...(regions && { regions }), ...(protocols && { protocols }) },
      }),
    ),
  )
  return input(targets, connections, { reason, policy: { ...policy, hostHeadroom } as PlacementPolicy })
}

/** The most that any assignment could place: unit augmenting paths over single connections, written for clarity alone. */
function mostPlaceable(given: PlacementInput): number {
  const fill = given.reason === 'server-down' ? 1 : given.policy.fillLimit
  const open = given.targets.filter(
    (t) => t.server.id !== 'dead' && t.verdict === 'up' && !t.cordoned && t.instability < 1 && t.server.status === 'online',
  )
  const accepts = (c: Connection, t: Target) =>
    (c.mobility === 'free' || (c.mobility === 'failure-only' && given.reason === 'server-down')) &&
    (c.needs.protocols ?? []).every((one) => t.server.protocols.includes(one)) &&
    (!c.needs.regions || c.needs.regions.includes(t.server.region ?? ''))
  const seats = open.flatMap((t) => Array.from({ length: roomOf(t, fill, given.policy) }, () => ({ t, by: null as Connection | null })))
  let placed = 0
  const seat = (c: Connection, tried: Set<object>): boolean => {
    for (const one of seats) {
      if (tried.has(one) || !accepts(c, one.t)) continue
      tried.add(one)
      if (one.by === null || seat(one.by, tried)) {
        one.by = c
        return true
      }
    }
    return false
  }
  for (const c of given.connections) if (seat(c, new Set())) placed++
  return placed
}

test('no placement is above capacity, and no cordoned, suspect, down, unknown or damped server is a target', () => {
  fc.assert(
    fc.property(world, (random) => {
      const given = build(random)
      const { placed } = place(given)
      for (const [id, list] of placed) {
        const t = given.targets.find(({ server: { id: other } }) => other === id) as Target
        expect((t.load ?? 0) + list.length + given.policy.hostHeadroom).toBeLessThanOrEqual(t.capacity ?? Number.POSITIVE_INFINITY)
        expect(t).toMatchObject({ verdict: 'up', cordoned: false })
        expect(t.instability).toBeLessThan(1)
        expect(t.server.status).toBe('online')
      }
    }),
    { seed: 20260103, numRuns: 2000 },
  )
})

test('everybody is either placed once or reported with a reason', () => {
  fc.assert(
    fc.property(world, (random) => {
      const given = build(random)
      const { placed, unplaced, cohorts } = place(given)
      const seen = [...[...placed.values()].flat().map(({ id }) => id), ...unplaced.map(({ connectionId }) => connectionId)]
      expect([...seen].sort()).toEqual(given.connections.map(({ id }) => id).sort())
      for (const { code, message } of unplaced) expect(`${code}: ${message}`).toMatch(/^\w+: .{5,}/)
      expect(cohorts.reduce((sum, { connections }) => sum + connections, 0)).toBe(given.connections.length)
    }),
    { seed: 20260104, numRuns: 1000 },
  )
})

test('nobody is stranded whom some assignment could place', () => {
  fc.assert(
    fc.property(world, (random) => {
      const given = build(random)
      expect([...place(given).placed.values()].flat()).toHaveLength(mostPlaceable(given))
    }),
    { seed: 20260105, numRuns: 2000 },
  )
})

test('the order of the input changes nothing', () => {
  fc.assert(
    fc.property(world, fc.infiniteStream(fc.nat()), (random, stream) => {
      const given = build(random)
      const shuffled = <T>(list: readonly T[]): T[] =>
        list
          .map((item) => ({ item, key: stream.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ item }) => item)
      const other = place({ ...given, targets: shuffled(given.targets), connections: shuffled(given.connections) })
      const ids = (placed: ReadonlyMap<ServerId, readonly Connection[]>) =>
        Object.fromEntries([...placed].sort().map(([id, list]) => [id, list.map((one) => one.id).sort()]))
      expect(ids(other.placed)).toEqual(ids(place(given).placed))
    }),
    { seed: 20260106, numRuns: 300 },
  )
})

test('when room is short the higher tier has it', () => {
  const low = many(5, { tier: 0 })
  const high = Array.from({ length: 5 }, (_, index) => connection({ id: `h${index}`, tier: 1 }))
  const { placed } = place(input([target({ id: 't', capacity: 6 })], [...low, ...high]))
  const ids = [...placed.values()].flat().map(({ id }) => id)
  expect(ids).toHaveLength(6)
  expect(ids.filter((id) => id.startsWith('h'))).toHaveLength(5)
})

test('the fill limit is hard for optional reasons and soft for failures', () => {
  const targets = [target({ id: 't', capacity: 10 })]
  expect(place(input(targets, many(10), { reason: 'rebalancing' })).unplaced).toHaveLength(1)
  expect(place(input(targets, many(10))).unplaced).toHaveLength(0)
})

test('equal targets share the arrivals instead of one getting all', () => {
  const targets = ['a', 'b', 'c', 'd'].map((id) => target({ id, capacity: 100 }))
  expect(counts(place(input(targets, many(100))).placed)).toEqual({ a: 25, b: 25, c: 25, d: 25 })
})

test('arrivals spread by load where no capacity is known', () => {
  const targets = [target({ id: 'a' }, { capacity: null, load: 40 }), target({ id: 'b' }, { capacity: null, load: 0 })]
  const placed = counts(place(input(targets, many(40))).placed)
  expect(placed.b).toBeGreaterThan(placed.a ?? 0)
})

test('nobody goes back onto the server that is being left, whatever type its id has', () => {
  const back = { ...input([target({ id: 3, capacity: 50 })], many(4)), sources: ['3' as ServerId] }
  expect(place(back).placed.size).toBe(0)
  expect(place(back).unplaced).toHaveLength(4)
})

test('a target that refused a connection is not chosen for it again', () => {
  const targets = [target({ id: 'a', capacity: 50 }), target({ id: 'b', capacity: 50 })]
  const refusals = new Map([['c0' as ConnectionId, new Set(['a' as ServerId])]])
  const { placed } = place(input(targets, many(20), { refusals }))
  expect(placed.get('b' as ServerId)?.map(({ id }) => id)).toContain('c0')
  const everywhere = new Map([['c0' as ConnectionId, new Set(['a', 'b'] as ServerId[])]])
  expect(place(input(targets, many(1), { refusals: everywhere })).unplaced[0]?.code).toBe('refused_everywhere')
})

test('a ranking names every server: contributions, or the reason of its exclusion', () => {
  const targets = [
    target({ id: 'good', capacity: 10, region: 'de', priceEurHour: 0.1, failureDomain: 'x' }, { rttMs: 30 }),
    target({ id: 'full', capacity: 10, load: 10 }),
    target({ id: 'cordoned', capacity: 10 }, { cordoned: true }),
  ]
  const cohort = {
    key: 'k',
    sample: many(1, { region: 'de' })[0] as Connection,
    refusedBy: new Set<ServerId>(),
  }
  const context = {
    sources: new Set<ServerId>(),
    only: null,
    sourceDomains: new Set(['x']),
    weights: policy.weights,
    maxPrice: 0.2,
    meanLoad: 3,
    reason: 'server-down' as const,
    latencies: new Latencies(targets, new Set(['de']), {}),
    kinds: new Map(),
  }
  const candidates = rank(cohort, targets, context)
  expect(candidates.map(({ serverId }) => serverId)).toEqual(['good', 'cordoned', 'full'])
  expect(candidates[1]).toMatchObject({ excluded: 'cordoned' })
  expect(candidates[2]).toMatchObject({ excluded: 'full' })
  const best = candidates[0]
  if (!best || !('score' in best)) throw new Error('the first candidate has a score')
  expect(best.contributions.map(({ factor }) => factor)).toEqual([
    'headroom',
    'latency',
    'stability',
    'region',
    'failure_domain',
    'cost',
    'preference',
  ])
  for (const { value, note } of best.contributions) {
    expect(value).toBeGreaterThanOrEqual(0)
    expect(value).toBeLessThanOrEqual(1)
    expect(note).not.toBe('')
  }
  expect(best.score).toBeGreaterThan(0)
  expect(best.score).toBeLessThanOrEqual(1)
})

test('a score is never NaN, also with all weights zero and capacity zero', () => {
  const weights = { headroom: 0, latency: 0, stability: 0, region: 0, failure_domain: 0, cost: 0, preference: 0 }
  const { placed } = place(
    input([target({ id: 'a', capacity: 0 }), target({ id: 'b', capacity: 5 })], many(3), { policy: { ...policy, weights } }),
  )
  expect(counts(placed)).toEqual({ b: 3 })
})
