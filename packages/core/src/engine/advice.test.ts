import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PintailError } from '../errors.ts'
import type { EventType, PintailEvents } from '../events.ts'
import type { CallContext, GuardState, ServerInput } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import { collect } from '../time.ts'
import type { AdvicePolicy, PolicyInput } from '../vocabulary.ts'

interface Row {
  readonly id: string
  readonly users: number
  readonly capacity: number
  readonly price?: number | null
  readonly region?: string
  /** Its users may stay in their region only. */
  readonly stays?: boolean
}

/** Checks are rare: what is tested here is not how servers are watched. */
const detect = { checkIntervalMs: 60_000 }
const rounds: Partial<AdvicePolicy> = { enabled: true, intervalMs: 60_000, afterScalingMs: 0 }

function world(rows: readonly Row[], policy: PolicyInput = {}, more: FleetOptions = {}): Promise<Fleet> {
  const servers = rows.map(({ id, capacity, price, region }, index): ServerInput => {
    return { id, host: `10.0.0.${index + 1}`, capacity, ...(price && { priceEurHour: price }), ...(region && { region }) }
  })
  const connections = Object.fromEntries(
    rows.map(({ id, users, region, stays }) => [
      id,
      Array.from({ length: users }, (_, index) => {
        return { id: `${id}-${index}`, ...(region && { region }), ...(stays && region && { needs: { regions: [region] } }) }
      }),
    ]),
  )
  return createFleet({ servers, connections, ...more, policy: { mode: 'suggest', detect, advice: rounds, ...policy } })
}

async function ask<T>(fleet: Fleet, call: Promise<T>): Promise<T> {
  let done = false
  const over = call.then(
    () => {
      done = true
    },
    () => {
      done = true
    },
  )
  while (!done) await fleet.advance(100)
  await over
  return call
}

const refusal = (fleet: Fleet, call: Promise<unknown>): Promise<PintailError> =>
  ask(fleet, call).then(
    () => {
      throw new Error('it was not refused')
    },
    (error) => error,
  )
const told = <T extends EventType>(fleet: Fleet, type: T): PintailEvents[T][] =>
  fleet.events.flatMap((event) => (event.type === type ? [event.data as PintailEvents[T]] : []))
const migrationsOf = async (fleet: Fleet) => (await ask(fleet, fleet.pintail.migrations.list({ limit: 200 }))).migrations
const open = (fleet: Fleet) =>
  fleet.pintail.status().evacuations.map(({ status, reason, fromServerIds }) => [fromServerIds[0], reason, status])
const sum = (values: readonly (number | null)[]) => values.reduce<number>((all, value) => all + (value ?? 0), 0)

const trio: Row[] = [
  { id: 'dear', users: 10, capacity: 100, price: 0.5 },
  { id: 'a', users: 10, capacity: 100, price: 0.1 },
  { id: 'b', users: 10, capacity: 100, price: 0.1 },
]
/** Four regions of ten servers: dear and cheap ones, half full. */
const forty = Array.from({ length: 40 }, (_, index): Row => {
  const price = index === 17 ? 0.42 : 0.05 + (index % 7) * 0.03
  return { id: `s${index}`, region: `r${index % 4}`, capacity: 100, users: 30 + ((index * 13) % 30), price }
})

test('of forty servers the dearest is proposed with what it saves, and nothing is done by asking', async () => {
  const fleet = await world(forty, { advice: { ...rounds, enabled: false } })
  await fleet.advance(2000)
  const { consolidation, rebalancing } = await ask(fleet, fleet.pintail.advice())
  expect(consolidation).toMatchObject({ serverId: 's17', savingsEurHour: 0.42, savingsEurMonth: 306.6, evacuationId: null, heldBy: [] })
  expect(sum(consolidation?.placements.map(({ connections }) => connections) ?? [])).toBe(forty[17]?.users)
  expect(consolidation?.connections).toBe(forty[17]?.users)
  expect(rebalancing).toMatchObject({ rounds: 0 })
  await fleet.advance(3_600_000)
  expect(fleet.events.filter(({ type }) => type.startsWith('advice.') || type.startsWith('evacuation.'))).toEqual([])
  await fleet.stop()
})

test('of up to twelve servers the one that saves the most is proposed, as by trying each, and no region is left empty', async () => {
  const row = fc.record({
    region: fc.constantFrom('a', 'b', 'c'),
    users: fc.integer({ min: 0, max: 6 }),
    capacity: fc.integer({ min: 1, max: 12 }),
    price: fc.constantFrom(0.05, 0.1, 0.2, 0.3, 0.4, null),
    stays: fc.boolean(),
  })
  const limits = { fillLimit: 0.9, reserve: 0.3, least: 0.1 }
  let [some, none] = [0, 0]
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 12 }), fc.boolean(), async (drawn, tellsLoad) => {
      const rows = drawn.map((one, index): Row => ({ ...one, id: `s${index}`, users: Math.min(one.users, one.capacity) }))
      // Users of one server need the same, so that counting the room that they may use is all there is to try.
      const saved = rows.map((leaving) => {
        const rest = rows.filter((one) => one !== leaving)
        const roomOf = ({ capacity, users }: Row) => Math.max(0, Math.floor(capacity * limits.fillLimit + 1e-9) - users)
        const room = sum(rest.filter(({ region }) => !leaving.stays || region === leaving.region).map(roomOf))
        const capacity = sum(rest.map((one) => one.capacity))
        const load = sum(rows.map(({ users }) => users))
        const isNeeded = rows.some(({ region, users }) => region === leaving.region && users > 0)
        const isLast = !rest.some(({ region }) => region === leaving.region)
        const price = leaving.price ?? 0
        const isPossible = room >= leaving.users && capacity > 0 && 1 - load / capacity >= limits.reserve && !(isNeeded && isLast)
        return isPossible && price >= limits.least ? price : 0
      })
      const best = Math.max(0, ...saved)
      const silent: FleetOptions['replace'] = ({ registry }) => {
        const listServers = async (ctx: CallContext) =>
          (await collect(registry.listServers(ctx))).map((server) => ({ ...server, load: null }))
        return { registry: { ...registry, listServers } }
      }
      const fleet = await world(rows, { advice: { ...rounds, enabled: false } }, tellsLoad ? {} : { replace: silent })
      await fleet.advance(20_000)
      const { consolidation } = await ask(fleet, fleet.pintail.advice())
      await fleet.stop()
      expect(consolidation?.savingsEurHour ?? 0).toBe(best)
      if (!consolidation) return void none++
      some++
      expect(saved[rows.findIndex(({ id }) => id === consolidation.serverId)]).toBe(best)
      for (const { serverId, connections } of consolidation.placements) {
        const there = rows.find(({ id }) => id === serverId) as Row
        expect(there.users + connections).toBeLessThanOrEqual(Math.floor(there.capacity * limits.fillLimit + 1e-9))
      }
    }),
    { seed: 20261129, numRuns: 150 },
  )
  expect(Math.min(some, none)).toBeGreaterThan(20)
})

test('level 1: a round makes a suggestion with its savings, holds no place, and one approval carries it out', async () => {
  const fleet = await world(trio)
  await fleet.advance(3 * 60_000)
  expect(open(fleet)).toEqual([['dear', 'cost-optimization', 'suggested']])
  const suggested = await migrationsOf(fleet)
  expect(new Set(suggested.map(({ status, triggeredBy }) => `${status} ${triggeredBy}`))).toEqual(new Set(['suggested system']))
  expect(sum(suggested.map(({ savingsEurHour }) => savingsEurHour))).toBeCloseTo(0.5, 10)
  expect(sum(suggested.map(({ savingsEurMonth }) => savingsEurMonth))).toBeCloseTo(365, 10)
  expect(told(fleet, 'advice.given')).toMatchObject([
    { reason: 'cost-optimization', serverId: 'dear', mode: 'suggest', connections: 10, savingsEurHour: 0.5, savingsEurMonth: 365 },
  ])
  expect(fleet.pintail.status().servers.map(({ reserved }) => reserved)).toEqual([0, 0, 0])
  // However long nobody looks: one suggestion a server.
  await fleet.advance(3_600_000)
  expect(told(fleet, 'evacuation.created')).toHaveLength(1)
  await ask(fleet, fleet.pintail.evacuations.approve(suggested[0]?.evacuationId as string))
  await fleet.advance(120_000)
  expect(fleet.registry.on('dear')).toEqual([])
  expect(new Set((await migrationsOf(fleet)).map(({ status }) => status))).toEqual(new Set(['completed']))
  await fleet.stop()
})

test('level 0: it is told and decided once, and nobody is asked or moved', async () => {
  const fleet = await world(trio, { mode: 'observe' })
  await fleet.advance(3_600_000)
  expect(told(fleet, 'advice.given')).toMatchObject([{ serverId: 'dear', mode: 'observe', evacuationId: null }])
  expect(told(fleet, 'decision.made')).toHaveLength(1)
  expect(await migrationsOf(fleet)).toEqual([])
  await fleet.stop()
})

test('level 2: it begins by itself, within a window or while the host says that users are idle, and not before', async () => {
  let busy = true
  const guards = [{ current: async (): Promise<GuardState[]> => [{ name: 'busy', active: busy, message: '12 users are active' }] }]
  const byHost = await world(trio, { mode: 'auto' }, { replace: () => ({ guards }) })
  await byHost.advance(1_800_000)
  expect(open(byHost)).toEqual([])
  busy = false
  await byHost.advance(180_000)
  expect(byHost.registry.on('dear')).toEqual([])
  expect(
    (await migrationsOf(byHost)).map(({ status, scheduledAt, approvedAt }) => [status, scheduledAt !== null, approvedAt]),
  ).toContainEqual(['completed', true, null])
  await byHost.stop()

  const fleet = await world(trio, { mode: 'auto', advice: { ...rounds, windows: [] } })
  const begins = fleet.clock.now()
  const hour = (plus: number) => new Date(begins + plus * 3_600_000).toISOString().slice(11, 16)
  await ask(fleet, fleet.pintail.policy.update({ advice: { windows: [{ from: hour(2), to: hour(3) }] } }, { ifVersion: 0 }))
  await fleet.advance(1.9 * 3_600_000)
  expect(fleet.registry.on('dear')).toHaveLength(10)
  const { consolidation } = await ask(fleet, fleet.pintail.advice())
  expect(consolidation?.heldBy.map(({ guard }) => guard)).toEqual(['window'])
  await fleet.advance(0.3 * 3_600_000)
  expect(fleet.registry.on('dear')).toEqual([])
  await fleet.stop()
})

test('in auto, while nobody says when users are idle, it is only suggested', async () => {
  const fleet = await world(trio, { mode: 'auto' })
  await fleet.advance(180_000)
  expect(open(fleet)).toEqual([['dear', 'cost-optimization', 'suggested']])
  await fleet.stop()
})

test('a suggestion disappears when the load rises, and says why', async () => {
  const fleet = await world(trio, { advice: { ...rounds, margin: 1 } })
  await fleet.advance(180_000)
  const [evacuation] = fleet.pintail.status().evacuations
  for (let index = 0; index < 60; index++) fleet.registry.assign({ id: `more-${index}` }, index % 2 ? 'a' : 'b')
  await fleet.advance(180_000)
  expect(told(fleet, 'advice.expired')).toEqual([])
  for (let index = 0; index < 60; index++) fleet.registry.assign({ id: `still-${index}` }, index % 2 ? 'a' : 'b')
  await fleet.advance(180_000)
  expect(open(fleet)).toEqual([])
  const why = '25 % of the rest would be free, less than the reserve of 30 %'
  expect(told(fleet, 'advice.expired')).toEqual([{ reason: 'cost-optimization', serverId: 'dear', evacuationId: evacuation?.id, why }])
  expect(told(fleet, 'evacuation.cancelled')).toMatchObject([{ why: `the advice holds no longer: ${why}` }])
  expect((await migrationsOf(fleet)).map(({ status }) => status)).toEqual(['cancelled', 'cancelled'])
  await fleet.stop()
})

test('what holds no longer when somebody approves it is refused by name, and moves nobody', async () => {
  const fleet = await world(trio, { advice: { ...rounds, intervalMs: 3_600_000 } })
  await fleet.advance(3_660_000)
  const [migration] = await migrationsOf(fleet)
  for (let index = 0; index < 130; index++) fleet.registry.assign({ id: `more-${index}` }, index % 2 ? 'a' : 'b')
  const refused = await refusal(fleet, fleet.pintail.migrations.approve(migration?.id as string))
  expect(refused).toMatchObject({ code: 'plan_stale', problems: [{ path: 'advice', message: expect.stringContaining('reserve of 30 %') }] })
  await fleet.advance(60_000)
  expect(fleet.registry.on('dear')).toHaveLength(10)
  expect(open(fleet)).toEqual([])
  await fleet.stop()
})

test('a target of a suggestion that was cordoned meanwhile is gone to by nobody: it is suggested anew, elsewhere', async () => {
  const fleet = await world([...trio, { id: 'c', users: 15, capacity: 100, price: 0.05 }])
  await fleet.advance(180_000)
  await ask(fleet, fleet.pintail.cordon('a'))
  await fleet.advance(180_000)
  expect(told(fleet, 'advice.expired')).toMatchObject([{ serverId: 'dear', why: expect.stringContaining('a is no target any more') }])
  expect(open(fleet)).toEqual([['dear', 'cost-optimization', 'suggested']])
  const targets = (await migrationsOf(fleet)).filter(({ status }) => status === 'suggested').map(({ toServerId }) => toServerId)
  expect(targets).not.toContain('a')
  await fleet.stop()
})

test('what a person has cancelled is not proposed again for a day, and the next best one is', async () => {
  const fleet = await world(trio)
  await fleet.advance(180_000)
  await ask(fleet, fleet.pintail.evacuations.cancel(fleet.pintail.status().evacuations[0]?.id as string))
  await fleet.advance(12 * 3_600_000)
  expect(open(fleet)).toEqual([['a', 'cost-optimization', 'suggested']])
  await ask(fleet, fleet.pintail.evacuations.cancel(fleet.pintail.status().evacuations[0]?.id as string))
  await fleet.advance(13 * 3_600_000)
  expect(open(fleet)).toEqual([['b', 'cost-optimization', 'suggested']])
  await ask(fleet, fleet.pintail.evacuations.cancel(fleet.pintail.status().evacuations[0]?.id as string))
  await fleet.advance(120_000)
  expect(open(fleet)).toEqual([['dear', 'cost-optimization', 'suggested']])
  await fleet.stop()
})

test("a suggestion stands in nobody's way: a person's drain of that server takes its place", async () => {
  const fleet = await world(trio, { mode: { default: 'suggest', maintenance: 'auto' } })
  await fleet.advance(180_000)
  expect(open(fleet)).toEqual([['dear', 'cost-optimization', 'suggested']])
  const { id } = await ask(fleet, fleet.pintail.drain('dear'))
  await fleet.advance(60_000)
  expect(fleet.registry.on('dear')).toEqual([])
  expect(told(fleet, 'evacuation.cancelled')).toMatchObject([{ why: expect.stringMatching(/superseded by evacuation|holds no longer/) }])
  expect((await ask(fleet, fleet.pintail.evacuations.get(id))).status).toBe('completed')
  await fleet.stop()
})

test('within two hours of a scaling nothing is given back: a server that came, or the host that says so', async () => {
  const advice = { ...rounds, afterScalingMs: 7_200_000 }
  const guards = (active: () => boolean) => [{ current: async () => [{ name: 'scaling', active: active(), message: 'scaling out' }] }]
  let scales = false
  const fleet = await world(trio, { advice }, { replace: () => ({ guards: guards(() => scales) }) })
  const hour = 3_600_000
  await fleet.advance(1.9 * hour)
  // A new leader knows of nothing before.
  expect(open(fleet)).toEqual([])
  fleet.registry.putServer({ id: 'new', host: '10.0.1.1', capacity: 10 })
  await fleet.advance(1.9 * hour)
  expect(open(fleet)).toEqual([])
  scales = true
  await fleet.advance(0.1 * hour)
  scales = false
  await fleet.advance(1.9 * hour)
  expect(open(fleet)).toEqual([])
  const { consolidation } = await ask(fleet, fleet.pintail.advice())
  expect(consolidation?.heldBy.map(({ guard }) => guard)).toEqual(['scaling'])
  await fleet.advance(0.3 * hour)
  expect(open(fleet)).toEqual([['dear', 'cost-optimization', 'suggested']])
  await fleet.stop()
})

test('advice waits while anything that matters more is under way', async () => {
  const fleet = await world([...trio, { id: 'c', users: 3, capacity: 100 }, { id: 'd', users: 3, capacity: 100 }])
  fleet.kill('d')
  await fleet.advance(600_000)
  expect(open(fleet)).toEqual([['d', 'server-down', 'suggested']])
  const { consolidation } = await ask(fleet, fleet.pintail.advice())
  expect(consolidation).toMatchObject({ serverId: 'dear', heldBy: [{ guard: 'queue' }] })
  await fleet.stop()
})

test('an emptied server is the next one of nobody: it gets no user for balance, and the next round looks at the others', async () => {
  const guards = [{ current: async () => [] }]
  const rows = [...trio, { id: 'c', users: 0, capacity: 1000 }, { id: 'hot', users: 80, capacity: 100 }]
  const fleet = await world(rows, { mode: 'auto', advice: { ...rounds, reserve: 0.1 } }, { replace: () => ({ guards }) })
  await fleet.advance(3_600_000)
  expect(fleet.registry.on('dear')).toEqual([])
  expect(told(fleet, 'advice.given').map(({ reason, serverId }) => `${reason} ${serverId}`)).toEqual(
    expect.arrayContaining(['cost-optimization dear', 'rebalancing hot']),
  )
  expect(fleet.registry.on('hot').length).toBeLessThan(40)
  expect(told(fleet, 'migration.created').filter(({ toServerId }) => toServerId === 'dear')).toEqual([])
  // Nobody is moved to and fro.
  const moves = new Map<unknown, number>()
  for (const { connectionId } of told(fleet, 'connection.moved')) moves.set(connectionId, (moves.get(connectionId) ?? 0) + 1)
  const before = moves.size
  await fleet.advance(12 * 3_600_000)
  expect(told(fleet, 'connection.moved').length - before).toBeLessThan(60)
  await fleet.stop()
})

test('an empty server is told of once, with what it saves, and nothing is made of it', async () => {
  const fleet = await world([{ ...(trio[0] as Row), users: 0 }, ...trio.slice(1)])
  await fleet.advance(3_600_000)
  const about = told(fleet, 'advice.given').filter(({ serverId }) => serverId === 'dear')
  expect(about).toMatchObject([{ evacuationId: null, connections: 0, message: expect.stringContaining('nobody is there') }])
  await fleet.stop()
})

test('the hottest server is relieved after three rounds in a row, and only by as many as it takes', async () => {
  const rows = [
    { id: 'hot', users: 90, capacity: 100 },
    { id: 'a', users: 20, capacity: 100 },
    { id: 'b', users: 20, capacity: 100 },
  ]
  const fleet = await world(rows, { mode: 'auto' })
  await fleet.advance(150_000)
  expect(open(fleet)).toEqual([])
  expect((await ask(fleet, fleet.pintail.advice())).rebalancing).toMatchObject({ serverId: 'hot', fillNow: 0.9, rounds: 2 })
  await fleet.advance(120_000)
  const fills = rows.map(({ id }) => fleet.registry.on(id).length)
  expect(Math.max(...fills) - Math.min(...fills)).toBeLessThan(5)
  await fleet.advance(3_600_000)
  expect(told(fleet, 'evacuation.created')).toHaveLength(1)
  expect((await migrationsOf(fleet)).every(({ reason, savingsEurHour }) => reason === 'rebalancing' && savingsEurHour === null)).toBe(true)
  await fleet.stop()
})

test('a suggestion to relieve a server expires when it has cooled', async () => {
  const rows = [
    { id: 'hot', users: 90, capacity: 100 },
    { id: 'a', users: 20, capacity: 100 },
    { id: 'b', users: 20, capacity: 100 },
  ]
  const fleet = await world(rows)
  await fleet.advance(300_000)
  expect(open(fleet)).toEqual([['hot', 'rebalancing', 'suggested']])
  for (let index = 0; index < 65; index++) fleet.registry.unassign(`hot-${index}`)
  await fleet.advance(120_000)
  expect(open(fleet)).toEqual([])
  expect(told(fleet, 'advice.expired')).toMatchObject([{ reason: 'rebalancing', why: expect.stringContaining('would not be cooler') }])
  await fleet.stop()
})

test('a consolidation that cannot be finished any more stops, and whoever has moved stays where he is', async () => {
  const policy = { migration: { rates: { overall: { perSecond: 0.02, burst: 1 } } } }
  const fleet = await world(trio, policy)
  await fleet.advance(180_000)
  await ask(fleet, fleet.pintail.evacuations.approve(fleet.pintail.status().evacuations[0]?.id as string))
  await fleet.advance(100_000)
  const left = fleet.registry.on('dear').length
  expect(left).toBeLessThan(10)
  expect(left).toBeGreaterThan(0)
  for (let index = 0; index < 154; index++) fleet.registry.assign({ id: `more-${index}` }, index % 2 ? 'a' : 'b')
  await fleet.advance(600_000)
  expect(open(fleet)).toEqual([])
  expect(told(fleet, 'advice.expired')).toMatchObject([{ why: expect.stringContaining('would have no place') }])
  // The targets have room, but not below the limit that is hard for what may as well wait.
  expect(fleet.registry.on('dear').length).toBeGreaterThan(0)
  expect(fleet.registry.on('a').length + fleet.registry.on('b').length).toBe(20 + 10 - fleet.registry.on('dear').length + 154)
  await fleet.stop()
})

test('a suggestion outlives the engine that made it, and is still the only one', async () => {
  const fleet = await world(trio)
  await fleet.advance(180_000)
  const [before] = fleet.pintail.status().evacuations
  const next = await fleet.crash()
  await next.advance(600_000)
  expect(next.pintail.status().evacuations.map(({ id }) => id)).toEqual([before?.id])
  await ask(next, next.pintail.evacuations.approve(before?.id as string))
  await next.advance(60_000)
  expect(next.registry.on('dear')).toEqual([])
  await next.stop()
})

test('turning advice off, or another level, takes back what waits for approval', async () => {
  const fleet = await world(trio)
  await fleet.advance(180_000)
  await ask(fleet, fleet.pintail.policy.update({ mode: { 'cost-optimization': 'observe' } }, { ifVersion: 0 }))
  await fleet.advance(120_000)
  expect(open(fleet)).toEqual([])
  expect(told(fleet, 'advice.expired')).toMatchObject([{ why: 'the policy says observe now' }])
  await ask(fleet, fleet.pintail.policy.update({ mode: { 'cost-optimization': 'suggest' } }, { ifVersion: 1 }))
  await fleet.advance(120_000)
  expect(open(fleet)).toEqual([['dear', 'cost-optimization', 'suggested']])
  await ask(fleet, fleet.pintail.policy.update({ advice: { enabled: false } }, { ifVersion: 2 }))
  await fleet.advance(120_000)
  expect(open(fleet)).toEqual([])
  await fleet.stop()
})

test('with a registry that lists only active users no advice is made, and one warning says why', async () => {
  const replace: FleetOptions['replace'] = ({ registry }) => ({ registry: { ...registry, coverage: 'active' } })
  const fleet = await world([...trio, { id: 'hot', users: 90, capacity: 100 }], {}, { replace })
  await fleet.advance(3_600_000)
  expect(open(fleet)).toEqual([])
  expect(await ask(fleet, fleet.pintail.advice())).toMatchObject({ consolidation: null, rebalancing: null })
  expect(told(fleet, 'warning').filter(({ message }) => message.includes('no advice is made'))).toHaveLength(1)
  await fleet.stop()
})
