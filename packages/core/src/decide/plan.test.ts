import fc from 'fast-check'
import { expect, test } from 'vitest'
import { resolvePolicy } from '../options.ts'
import { parseConnection, parseServer } from '../rows.ts'
import type { Connection, MigrationReason, Plan, Shortfall, UnplacedCode } from '../vocabulary.ts'
import { makePlan, type PlanWorld } from './plan.ts'
import type { Target } from './ranking.ts'

const { policy } = resolvePolicy()

function target(row: object): Target {
  const parsed = parseServer({ host: '10.0.0.1', ...row } as never)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const { value: server } = parsed
  const { capacity } = server
  const load = server.load ?? 0
  const full = capacity !== null && load >= capacity
  return { server, verdict: 'up', cordoned: false, instability: 0, load, capacity, full, limited: true, rttMs: null }
}
function connection(row: object): Connection {
  const parsed = parseConnection(row as never)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return parsed.value
}

/** One server is left; the others are there to go to. */
function worldOf(targets: readonly Target[], connections: readonly Connection[], patch: Partial<PlanWorld> = {}): PlanWorld {
  const source = { ...target({ id: 'dead', capacity: 100, load: connections.length }), verdict: 'down' as const }
  return {
    now: 0,
    sources: [{ server: source.server, isDown: true, connections }],
    coverage: { kind: 'assigned', asOf: 0, remembered: false },
    targets: [source, ...targets],
    policy,
    policyVersion: 0,
    claims: new Map(),
    digest: (value) => JSON.stringify(value),
    regions: new Set(),
    moveMs: null,
    ...patch,
  }
}

const world = fc.record({
  servers: fc.array(
    fc.record({
      capacity: fc.integer({ min: 0, max: 10 }),
      load: fc.integer({ min: 0, max: 12 }),
      region: fc.constantFrom('eu', 'us'),
      country: fc.constantFrom('de', 'fr', 'us'),
      protocols: fc.subarray(['wg', 'xray']),
      features: fc.subarray(['p2p']),
      status: fc.constantFrom('online', 'online', 'maintenance'),
    }),
    { maxLength: 5 },
  ),
  users: fc.array(
    fc.record({
      region: fc.constantFrom('eu', null),
      tier: fc.nat(1),
      mobility: fc.constantFrom('free', 'free', 'free', 'failure-only', 'pinned'),
      needs: fc.record(
        {
          protocols: fc.subarray(['wg', 'xray']),
          features: fc.subarray(['p2p']),
          countries: fc.subarray(['de', 'fr']),
          regions: fc.subarray(['eu', 'us', 'mars'], { minLength: 1 }),
        },
        { requiredKeys: [] },
      ),
    }),
    { minLength: 1, maxLength: 20 },
  ),
  reason: fc.constantFrom<MigrationReason>('server-down', 'manual'),
  fillLimit: fc.constantFrom(0.5, 0.9, 1),
})

/** A server that offers exactly what is missing, with so many places within the limit. */
function remedy({ needs }: Shortfall, places: number, index: number, limit: number): Target {
  const { protocols, features, countries, regions } = needs
  const capacity = Math.ceil(places / limit)
  const row = { id: `new${index}`, capacity, load: Math.floor(capacity * limit + 1e-9) - places, protocols, features, host: '10.0.0.2' }
  return target({ ...row, country: countries?.[0], region: regions?.[0] })
}

const roomless = ({ unplaced }: Plan): number =>
  unplaced.filter(({ code }) => (['no_capacity', 'no_candidate'] satisfies UnplacedCode[] as string[]).includes(code)).length

test('the room that a plan says is missing is enough for all, and with one place less one stays', () => {
  let short = 0
  fc.assert(
    fc.property(world, fc.nat(), ({ servers, users, reason, fillLimit }, pick) => {
      const connections = users.map((row, index) => connection({ id: `c${index}`, ...row }))
      const limited = { ...policy, placement: { ...policy.placement, fillLimit } }
      const targets = servers.map((row, index) => target({ id: `t${index}`, ...row }))
      const planned = (more: readonly Target[]) => makePlan(worldOf([...targets, ...more], connections, { policy: limited }), reason)
      const plan = planned([])
      // Who is allowed nowhere is helped by nothing.
      const hopeless = connections.filter(
        ({ needs, mobility }) =>
          needs.countries?.length === 0 && mobility !== 'pinned' && (mobility === 'free' || reason === 'server-down'),
      ).length
      const missing = plan.shortfalls.reduce((sum, { places }) => sum + places, 0)
      expect(missing).toBe(roomless(plan) - hopeless)
      const limit = reason === 'server-down' ? 1 : fillLimit
      const remedies = (less: number) =>
        plan.shortfalls.flatMap((one, index) =>
          one.places > (index === less ? 1 : 0) ? [remedy(one, one.places - (index === less ? 1 : 0), index, limit)] : [],
        )
      expect(roomless(planned(remedies(-1)))).toBe(hopeless)
      if (plan.shortfalls.length === 0) return
      short++
      expect(roomless(planned(remedies(pick % plan.shortfalls.length)))).toBe(hopeless + 1)
    }),
    { seed: 20261213, numRuns: 1500 },
  )
  expect(short).toBeGreaterThan(500)
})

test('what is missing is said in the words of an operator', () => {
  const users = (count: number, name: string, needs: object) =>
    Array.from({ length: count }, (_, index) => connection({ id: `${name}${index}`, needs }))
  const full = target({ id: 't', capacity: 1, load: 1, region: 'eu', protocols: ['wg'] })
  const said = (needs: object, count = 3, reason: MigrationReason = 'server-down', patch = {}) =>
    makePlan(worldOf([full], users(count, 'c', needs)), reason, patch).shortfalls.map(({ message }) => message)
  expect(said({})).toEqual(['3 more places on any server'])
  expect(said({ regions: ['eu'], features: ['p2p'] })).toEqual(['3 more places on any server in region eu that has p2p'])
  expect(said({ protocols: ['wg', 'xray'], features: ['p2p'], countries: ['de', 'fr'] }, 1)).toEqual([
    '1 more place on any server in country de or fr that speaks wg and xray and has p2p',
  ])
  expect(said({ protocols: ['wg'] }, 2, 'manual')).toEqual(['2 more places on any server that speaks wg (within 90 % of its capacity)'])
  expect(said({ countries: [] })).toEqual([])
  const only = { toServerId: full.server.id }
  expect(said({}, 2, 'server-down', only)).toEqual([])
  expect(makePlan(worldOf([{ ...full, load: 0, full: false }], users(3, 'c', {})), 'server-down', only).shortfalls).toMatchObject([
    { places: 2, onlyOn: 't', message: '2 more places on t' },
  ])
})

test('how full each server is before and after adds up, of those that are left and those that get somebody', () => {
  const targets = [target({ id: 'a', capacity: 10, load: 2 }), target({ id: 'b', capacity: 20, load: 20 }), target({ id: 'c', load: 7 })]
  const connections = Array.from({ length: 9 }, (_, index) => connection({ id: `c${index}` }))
  const { utilisation, placements } = makePlan(worldOf(targets, connections), 'server-down')
  expect(utilisation.map(({ serverId }) => serverId)).toEqual(['a', 'c', 'dead'])
  const of = (id: string) => utilisation.find(({ serverId }) => serverId === id)
  expect(of('dead')).toEqual({ serverId: 'dead', loadBefore: 9, loadAfter: 0, capacity: 100, shareBefore: 0.09, shareAfter: 0 })
  const gained = (id: string) =>
    placements.filter(({ toServerId }) => toServerId === id).reduce((sum, one) => sum + one.connections.length, 0)
  expect(of('a')).toMatchObject({ loadBefore: 2, loadAfter: 2 + gained('a'), shareBefore: 0.2, shareAfter: (2 + gained('a')) / 10 })
  expect(of('c')).toMatchObject({ loadBefore: 7, loadAfter: 7 + gained('c'), capacity: null, shareBefore: null, shareAfter: null })
  expect(gained('a') + gained('c')).toBe(9)
})
