import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Target } from '../decide/ranking.ts'
import { resolvePolicy } from '../options.ts'
import { parseConnection, parseServer } from '../rows.ts'
import type { Connection, ServerId } from '../vocabulary.ts'
import {
  type AdviceInput,
  type Consolidation,
  candidates,
  emptied,
  type Heat,
  hottest,
  isLastOfItsRegion,
  nextHeat,
  regionsOf,
  relief,
  savingsPerMonth,
} from './advice.ts'

const { placement, advice: adviceLimits } = resolvePolicy().policy

interface Resident {
  readonly target: Target
  readonly connections: readonly Connection[]
}

type Given = Omit<AdviceInput, 'fleet'> & { readonly fleet: readonly Resident[] }

const inputOf = (given: Given): AdviceInput => ({ ...given, fleet: given.fleet.map(({ target }) => target) })
const usersOf = (given: Given, id: ServerId) => given.fleet.find(({ target }) => target.server.id === id)?.connections ?? []

/** As a round does it: the dearest that can be emptied. */
function consolidation(given: Given): Consolidation | null {
  const input = inputOf(given)
  const needed = regionsOf(given.fleet.flatMap(({ connections }) => connections))
  for (const id of candidates(input)) {
    const found = emptied(input, id, usersOf(given, id), isLastOfItsRegion(input, id) ? needed : new Set())
    if (typeof found !== 'string') return found
  }
  return null
}

function rebalancing(heat: Heat | null, given: Given) {
  const input = inputOf(given)
  const id = hottest(input)
  const found = id && relief(input, id, usersOf(given, id))
  const next = nextHeat(heat, found, input.limits)
  return { heat: next, advice: next?.rounds === input.limits.rounds ? found : null }
}

interface Row {
  readonly id: string
  readonly users: number
  readonly capacity: number
  readonly price?: number
  readonly region?: string
  readonly status?: 'online' | 'maintenance'
  readonly cordoned?: boolean
  readonly user?: object
}

function resident({ id, users, capacity, price, region, status, cordoned = false, user }: Row): Resident {
  const parsed = parseServer({
    id,
    host: '10.0.0.1',
    capacity,
    ...(price !== undefined && { priceEurHour: price }),
    ...(region && { region }),
    ...(status && { status }),
  })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const connections = Array.from({ length: users }, (_, index): Connection => {
    const found = parseConnection({ id: `${id}-${index}`, ...(region && { region }), ...user })
    if (!found.ok) throw new Error(JSON.stringify(found.problems))
    return found.value
  })
  const target = {
    server: parsed.value,
    verdict: 'up',
    cordoned,
    instability: 0,
    load: users,
    capacity,
    full: users >= capacity,
    limited: true,
    rttMs: null,
  } as const
  return { target, connections }
}
const input = (rows: readonly Row[], patch: Partial<Given> = {}): Given => ({
  fleet: rows.map(resident),
  placement,
  targetsPerConnection: 3,
  limits: adviceLimits,
  ...patch,
})

/** Four regions of ten servers: dear and cheap ones, half full. */
const fleet = Array.from({ length: 40 }, (_, index): Row => {
  const price = index === 17 ? 0.42 : 0.05 + (index % 7) * 0.03
  return { id: `s${index}`, region: `r${index % 4}`, capacity: 100, users: 30 + ((index * 13) % 30), price }
})

test('of forty servers the dearest is given back, all its users have a place, and a month has 730 hours', () => {
  const found = consolidation(input(fleet))
  expect(found).toMatchObject({ serverId: 's17', savingsEurHour: 0.42, savingsEurMonth: 306.6 })
  expect(savingsPerMonth(0.42)).toBe(306.6)
  const users = fleet[17]?.users as number
  expect(found?.moves.reduce((sum, { connections }) => sum + connections.length, 0)).toBe(users)
  for (const { to, connections } of found?.moves ?? []) {
    const there = fleet.find(({ id }) => id === to) as Row
    expect(there.users + connections.length).toBeLessThanOrEqual(there.capacity * placement.fillLimit)
  }
  const load = fleet.reduce((sum, row) => sum + row.users, 0)
  expect(found?.freeAfter).toBeCloseTo(1 - load / 3900)
})

test('a suggestion disappears when the load rises above what the reserve allows', () => {
  const at = (users: number) => consolidation(input(fleet.map((row) => ({ ...row, users }))))
  expect(at(68)?.serverId).toBe('s17')
  expect(at(69)).toBeNull()
})

test('a consolidation never starts what it could not finish', () => {
  const pinned = fleet.map((row) => (row.id === 's17' ? { ...row, user: { mobility: 'pinned' } } : row))
  expect(consolidation(input(pinned))?.serverId).not.toBe('s17')
  const needy = fleet.map((row) => (row.id === 's17' ? { ...row, user: { needs: { protocols: ['none-has-it'] } } } : row))
  expect(consolidation(input(needy))?.serverId).not.toBe('s17')
  const hidden = input(fleet)
  const more = hidden.fleet.map((one) => (one.target.server.id === 's17' ? { ...one, target: { ...one.target, load: 99 } } : one))
  expect(consolidation({ ...hidden, fleet: more })?.serverId).not.toBe('s17')
})

test('a server that saves less than ten cents an hour is not worth it, nor one in maintenance or cordoned', () => {
  const cheap = fleet.map((row) => ({ ...row, price: 0.099 }))
  expect(consolidation(input(cheap))).toBeNull()
  for (const [index, patch] of [{ status: 'maintenance' as const }, { cordoned: true }].entries()) {
    const one = cheap.map((row) => (row.id === `s${index}` ? { ...row, ...patch, price: 5 } : row))
    expect(consolidation(input(one))).toBeNull()
  }
})

test('no region that somebody lives in is left without a server', () => {
  const rows: Row[] = [
    { id: 'only', region: 'is', users: 2, capacity: 100, price: 9 },
    { id: 'a', region: 'de', users: 2, capacity: 100, price: 1 },
    { id: 'b', region: 'de', users: 2, capacity: 100, price: 0.5 },
  ]
  expect(consolidation(input(rows))?.serverId).toBe('a')
  // The other one there does not count while nobody could be sent to it.
  const cordoned = rows.map((row) => (row.id === 'b' ? { ...row, cordoned: true } : row))
  expect(consolidation(input(cordoned))).toBeNull()
  const unused = rows.map((row) => (row.id === 'only' ? { ...row, users: 0 } : row))
  expect(consolidation(input(unused))?.serverId).toBe('only')
})

test('of up to twelve servers the one that saves the most is found, as by trying each', () => {
  const row = fc.record({
    region: fc.constantFrom('a', 'b', 'c'),
    users: fc.integer({ min: 0, max: 6 }),
    capacity: fc.integer({ min: 1, max: 12 }),
    price: fc.constantFrom(0.05, 0.1, 0.2, 0.3, 0.4),
    stays: fc.boolean(),
  })
  let some = 0
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 12 }), (drawn) => {
      const rows = drawn.map((one, index): Row & { stays: boolean } => ({
        ...one,
        id: `s${index}`,
        users: Math.min(one.users, one.capacity),
        user: one.stays ? { needs: { regions: [one.region] } } : {},
      }))
      // Users of one server need the same, so that counting the room that they may use is all there is to try.
      const saved = rows.map((leaving) => {
        const rest = rows.filter((one) => one !== leaving)
        const roomOf = ({ capacity, users }: Row) => Math.max(0, Math.floor(capacity * placement.fillLimit + 1e-9) - users)
        const room = rest.filter(({ region }) => !leaving.stays || region === leaving.region).reduce((sum, one) => sum + roomOf(one), 0)
        const capacity = rest.reduce((sum, one) => sum + one.capacity, 0)
        const load = rows.reduce((sum, one) => sum + one.users, 0)
        const isNeeded = rows.some(({ region, users }) => region === leaving.region && users > 0)
        const isLast = !rest.some(({ region }) => region === leaving.region)
        const isPossible = room >= leaving.users && capacity > 0 && 1 - load / capacity >= 0.3 && !(isNeeded && isLast)
        return isPossible && (leaving.price as number) >= 0.1 ? (leaving.price as number) : 0
      })
      const found = consolidation(input(rows))
      if (found) some++
      expect(found?.savingsEurHour ?? 0).toBe(Math.max(...saved))
      if (found) expect(saved[rows.findIndex(({ id }) => id === found.serverId)]).toBe(found.savingsEurHour)
    }),
    { seed: 20261127, numRuns: 1000 },
  )
  expect(some).toBeGreaterThan(100)
})

test('the hottest server is relieved when it has been too hot for three rounds in a row, and not before', () => {
  const hot = fleet.map((row) => (row.id === 's3' ? { ...row, users: 95 } : row))
  const calm = fleet.map((row) => ({ ...row, users: 50 }))
  const other = fleet.map((row) => (row.id === 's4' ? { ...row, users: 95 } : row))
  let heat: Heat | null = null
  const told: (string | null)[] = []
  for (const rows of [hot, hot, calm, hot, hot, other, other, other, other, calm]) {
    const round: ReturnType<typeof rebalancing> = rebalancing(heat, input(rows))
    heat = round.heat
    told.push(round.advice?.serverId ?? null)
  }
  expect(told).toEqual([null, null, null, null, null, null, null, 's4', 's4', null])
})

test('relief makes no other server as hot, moves free users only, and those of the lowest tier first', () => {
  const rows: Row[] = [
    { id: 'hot', users: 90, capacity: 100 },
    { id: 'a', users: 20, capacity: 100 },
    { id: 'b', users: 20, capacity: 100 },
  ]
  const limits = { ...adviceLimits, rounds: 1 }
  const { advice } = rebalancing(null, input(rows, { limits }))
  expect(advice?.fillNow).toBe(0.9)
  expect(advice?.fillAfter).toBeLessThan(0.5)
  for (const { to, connections } of advice?.moves ?? [])
    expect((rows.find(({ id }) => id === to) as Row).users + connections.length).toBeLessThanOrEqual(
      100 * (advice?.fillAfter as number) + 1e-9,
    )
  const given = input(rows, { limits })
  const tiered = given.fleet.map((one) => ({
    ...one,
    connections: one.connections.map((user, index) => ({
      ...user,
      tier: index < 50 ? 1 : 0,
      mobility: index >= 88 ? ('pinned' as const) : user.mobility,
    })),
  }))
  const moved = rebalancing(null, { ...given, fleet: tiered }).advice?.moves.flatMap(({ connections }) => connections) ?? []
  expect(moved.filter(({ tier }) => tier === 0)).toHaveLength(38)
  expect(moved.every(({ mobility }) => mobility === 'free')).toBe(true)
  const stuck = given.fleet.map((one) => ({
    ...one,
    connections: one.connections.map((user) => ({ ...user, mobility: 'pinned' as const })),
  }))
  expect(rebalancing(null, { ...given, fleet: stuck })).toEqual({ heat: null, advice: null })
})
