import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { PintailEvent, PintailEvents } from '../events.ts'
import type { ConnectionMover, Logger } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { FailbackPolicy, Incident, PolicyInput } from '../vocabulary.ts'

const minute = 60_000
const hour = 60 * minute
const told = <T extends keyof PintailEvents>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)
const home = (fleet: Fleet) => fleet.registry.on('s1').length
const cameHome = (fleet: Fleet) => told(fleet, 'connection.moved').filter(({ data }) => data.reason === 'failback')
const incidents = async (fleet: Fleet): Promise<readonly Incident[]> => fleet.pintail.incidents.list()

/** Ten users of s1 have been moved off it, and it answers again. */
async function returned(failback: Partial<FailbackPolicy>, options: FleetOptions = {}, policy: PolicyInput = {}): Promise<Fleet> {
  const fleet = await createFleet({
    servers: 5,
    connections: { s1: Array.from({ length: 10 }, (_, index) => ({ id: `u${index}` })), s2: [{ id: 'other' }] },
    policy: { mode: 'auto', failback, ...policy },
    ...options,
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(minute)
  expect(home(fleet)).toBe(0)
  fleet.revive('s1')
  await fleet.advance(30_000)
  expect(told(fleet, 'incident.recovered')).toHaveLength(1)
  return fleet
}

test('immediate: everybody goes home at once, not before the server has been stable for stableMs, and only those whom we moved', async () => {
  const fleet = await returned({ strategy: 'immediate' })
  await fleet.advance(14 * minute)
  expect(home(fleet)).toBe(0)
  await fleet.advance(2 * minute)
  expect(home(fleet)).toBe(10)
  expect(fleet.registry.homeOf('other')).toBe('s2')
  const created = told(fleet, 'evacuation.created').at(-1)
  const evacuation = await fleet.pintail.evacuations.get(created?.data.evacuationId ?? '')
  expect(evacuation).toMatchObject({ reason: 'failback', triggeredBy: 'system', status: 'completed', toServerId: 's1', moved: 10 })
  expect(evacuation.fromServerIds.length).toBeGreaterThan(1)
  expect((await incidents(fleet))[0]?.failback).toMatchObject({ state: 'done', batches: 1, moved: 10 })
  expect(told(fleet, 'failback.changed').map(({ data }) => `${data.state} ${data.connections} ${data.moved}`)).toEqual([
    'running 10 0',
    'done 0 10',
  ])
  await fleet.stop()
})

test('never: nobody goes home, and nothing is kept for it', async () => {
  const fleet = await returned({})
  await fleet.advance(2 * hour)
  expect(home(fleet)).toBe(0)
  expect((await incidents(fleet))[0]?.failback).toBeNull()
  await fleet.stop()
})

test('gradual: batches of batchPercent, each a batchIntervalMs after the last', async () => {
  const fleet = await returned({ strategy: 'gradual', batchPercent: 25, stableMs: minute, batchIntervalMs: 10 * minute })
  const seen: number[] = []
  for (let step = 0; step < 6; step++) {
    await fleet.advance(step === 0 ? 2 * minute : 10 * minute + 15_000)
    seen.push(home(fleet))
  }
  expect(seen).toEqual([3, 6, 9, 10, 10, 10])
  expect((await incidents(fleet))[0]?.failback).toMatchObject({ state: 'done', batches: 4, batchSize: 3, moved: 10 })
  await fleet.stop()
})

test.each(['rejected', 'unavailable'] as const)(
  'gradual: after a batch in which somebody could not go home there is no other: %s',
  async (code) => {
    const fleet = await returned(
      { strategy: 'gradual', batchPercent: 30, stableMs: minute, batchIntervalMs: minute },
      {
        replace: ({ mover }) => ({
          mover: {
            ...mover,
            move: async (move, ctx) => {
              if (move.to.id === 's1' && move.connection.id === 'u1') throw new PintailError(code, 'its configuration is gone')
              return mover.move(move, ctx)
            },
          },
        }),
      },
    )
    await fleet.advance(hour)
    expect(home(fleet)).toBe(2)
    expect((await incidents(fleet))[0]?.failback).toMatchObject({ state: 'abandoned', batches: 1, why: '1 could not be brought home' })
    expect(fleet.pintail.status().evacuations).toEqual([])
    await fleet.stop()
  },
)

test('best-score: only those for whom home is better by minGain than where they are', async () => {
  const users = Array.from({ length: 10 }, (_, index) => ({ id: `u${index}`, region: index < 4 ? 'eu' : 'us' }))
  const servers = ['eu', 'us', 'us', 'us'].map((region, index) => ({
    id: `s${index + 1}`,
    host: `10.0.0.${index + 1}`,
    capacity: 100,
    region,
  }))
  const fleet = await returned({ strategy: 'best-score', stableMs: minute }, { servers, connections: { s1: users } })
  await fleet.advance(hour)
  expect(fleet.registry.on('s1').toSorted()).toEqual(['u0', 'u1', 'u2', 'u3'])
  expect((await incidents(fleet))[0]?.failback).toMatchObject({ state: 'done', moved: 4 })
  await fleet.stop()
})

test('who has been moved by the host since, who is pinned and who moves only off a dead server stays where he is', async () => {
  const users = [{ id: 'a' }, { id: 'b' }, { id: 'sticky', mobility: 'failure-only' as const }]
  const fleet = await returned({ strategy: 'immediate', stableMs: minute }, { connections: { s1: users } })
  const elsewhere = ['s2', 's3', 's4', 's5'].find((id) => id !== fleet.registry.homeOf('a')) ?? ''
  fleet.registry.assign({ id: 'a' }, elsewhere)
  await fleet.advance(10 * minute)
  expect(fleet.registry.on('s1')).toEqual(['b'])
  expect(fleet.registry.homeOf('a')).toBe(elsewhere)
  await fleet.advance(hour)
  expect((await incidents(fleet))[0]?.failback).toMatchObject({ state: 'done', moved: 1 })
  expect(told(fleet, 'connection.unplaced')).toEqual([])
  await fleet.stop()
})

test('home is never filled above fillLimit, those whom the host has put there meanwhile counted; the rest follow when there is room', async () => {
  const fleet = await returned({ strategy: 'immediate', stableMs: 5 * minute }, { capacity: 20 })
  for (let index = 0; index < 12; index++) fleet.registry.assign({ id: `new${index}` }, 's1')
  await fleet.advance(10 * minute)
  expect(home(fleet)).toBe(18)
  for (let index = 0; index < 12; index++) fleet.registry.unassign(`new${index}`)
  await fleet.advance(5 * minute)
  expect(home(fleet)).toBe(10)
  expect(told(fleet, 'connection.unplaced')).toEqual([])
  await fleet.stop()
})

test('observe decides once and moves nobody; suggest waits for a person', async () => {
  const observed = await returned({ strategy: 'immediate', stableMs: minute }, {}, { mode: { default: 'auto', failback: 'observe' } })
  await observed.advance(hour)
  expect(home(observed)).toBe(0)
  expect(told(observed, 'decision.made').filter(({ data }) => data.reason === 'failback')).toHaveLength(1)
  expect((await incidents(observed))[0]?.failback).toMatchObject({ state: 'done', moved: 0 })
  await observed.stop()
  const fleet = await returned({ strategy: 'immediate', stableMs: minute }, {}, { mode: { default: 'auto', failback: 'suggest' } })
  await fleet.advance(10 * minute)
  expect(home(fleet)).toBe(0)
  const [suggested] = fleet.pintail.status().evacuations
  expect(suggested).toMatchObject({ reason: 'failback', status: 'suggested' })
  await fleet.pintail.evacuations.approve(suggested?.id ?? '')
  await fleet.advance(minute)
  expect(home(fleet)).toBe(10)
  await fleet.stop()
})

test('a cancelled failback is not started again, neither by itself nor after a restart', async () => {
  const fleet = await returned({ strategy: 'immediate', stableMs: minute }, {}, { mode: { default: 'auto', failback: 'suggest' } })
  await fleet.advance(5 * minute)
  await fleet.pintail.evacuations.cancel(fleet.pintail.status().evacuations[0]?.id ?? '')
  await fleet.advance(hour)
  expect(told(fleet, 'failback.changed').at(-1)?.data).toMatchObject({
    state: 'abandoned',
    message: expect.stringContaining('cancelled by an operator'),
  })
  const again = await fleet.crash()
  await again.advance(2 * hour)
  expect(home(again)).toBe(0)
  expect(again.pintail.status().evacuations).toEqual([])
  await again.stop()
})

test('a cordon or a pause of the home holds the failback, and a guard of the host does', async () => {
  let scaling = true
  const guards = [{ current: async () => [{ name: 'scaling', active: scaling, message: 'a deployment runs' }] }]
  const fleet = await returned({ strategy: 'immediate', stableMs: minute }, { replace: () => ({ guards }) })
  await fleet.advance(10 * minute)
  expect(home(fleet)).toBe(0)
  expect(told(fleet, 'warning')).toEqual([])
  await fleet.pintail.pause({ serverId: 's1' })
  scaling = false
  await fleet.advance(10 * minute)
  expect(home(fleet)).toBe(0)
  await fleet.pintail.cordon('s1')
  await fleet.pintail.resume({ serverId: 's1' })
  await fleet.advance(10 * minute)
  expect(home(fleet)).toBe(0)
  await fleet.pintail.uncordon('s1')
  await fleet.advance(50_000)
  expect(home(fleet)).toBe(0)
  await fleet.advance(minute)
  expect(home(fleet)).toBe(10)
  await fleet.stop()
})

test('a source that had a migration lately is left alone for its cooldown, and the own batches do not count', async () => {
  const fleet = await returned({ strategy: 'immediate', stableMs: 5 * minute })
  const away = fleet.registry.homeOf('u0') ?? ''
  const others = fleet.registry.on(away).filter((id) => id.startsWith('u')).length
  fleet.registry.assign({ id: 'guest' }, away)
  await fleet.pintail.execute(await fleet.pintail.plan({ drain: [away], connections: ['guest'] }))
  await fleet.advance(10 * minute)
  expect(home(fleet)).toBe(10 - others)
  await fleet.advance(hour)
  expect(home(fleet)).toBe(10)
  await fleet.stop()
})

/** The mover of the fleet, a second for each move. */
const slowly: FleetOptions['replace'] = ({ mover, clock }) => ({
  mover: {
    ...mover,
    move: async (move, ctx) => {
      if (move.reason === 'failback') await new Promise<void>((resolve) => clock.setTimeout(resolve, 5000))
      return mover.move(move, ctx)
    },
  } satisfies ConnectionMover,
})

test('home fails again in the middle: the rest stays, who went home is evacuated again, and goes home at most once a day', async () => {
  const pace = { migration: { concurrency: 1 } }
  const fleet = await returned({ strategy: 'immediate', stableMs: minute }, { replace: slowly }, pace)
  await fleet.advance(70_000)
  const before = home(fleet)
  expect(before).toBeGreaterThan(0)
  expect(before).toBeLessThan(9)
  fleet.kill('s1')
  await fleet.advance(2 * minute)
  expect(home(fleet)).toBe(0)
  const went = new Set(cameHome(fleet).map(({ data }) => data.connectionId))
  const skipped = told(fleet, 'connection.skipped').map(({ data }) => data.why)
  expect(went.size + skipped.length).toBe(10)
  expect(new Set(skipped).size).toBe(1)
  expect(skipped[0]).toMatch(/s1/)
  expect((await incidents(fleet)).find(({ failback }) => failback)?.failback).toMatchObject({ state: 'waiting', moved: went.size })
  fleet.revive('s1')
  await fleet.advance(hour)
  // Those who had come home and had to leave again stay where they are; the others had not been home yet.
  expect(new Set(fleet.registry.on('s1'))).toEqual(
    new Set(Array.from({ length: 10 }, (_, index) => `u${index}`).filter((id) => !went.has(id as never))),
  )
  expect(cameHome(fleet)).toHaveLength(10)
  await fleet.stop()
})

test('in the middle of a batch a pause of the home holds it, and a cordon ends it: who has not started stays', async () => {
  const fleet = await returned({ strategy: 'immediate', stableMs: minute }, { replace: slowly }, { migration: { concurrency: 1 } })
  await fleet.advance(60_000)
  await fleet.pintail.pause({ serverId: 's1' })
  await fleet.advance(10_000)
  const paused = home(fleet)
  expect(paused).toBeGreaterThan(0)
  await fleet.advance(10 * minute)
  expect(home(fleet)).toBe(paused)
  await fleet.pintail.resume({ serverId: 's1' })
  await fleet.advance(10_000)
  expect(home(fleet)).toBeGreaterThan(paused)
  await fleet.pintail.cordon('s1')
  await fleet.advance(30_000)
  const cordoned = home(fleet)
  expect(cordoned).toBeLessThan(10)
  expect(fleet.pintail.status().evacuations).toEqual([])
  expect(new Set(told(fleet, 'connection.skipped').map(({ data }) => data.why))).toEqual(new Set(['s1 was cordoned']))
  await fleet.advance(hour)
  expect(home(fleet)).toBe(cordoned)
  await fleet.pintail.uncordon('s1')
  await fleet.advance(hour)
  expect(home(fleet)).toBe(10)
  await fleet.stop()
})

test('a policy that turns to never, and a home that leaves the registry, end a failback that waits', async () => {
  const turned = await returned({ strategy: 'immediate' })
  await turned.pintail.policy.update({ failback: { strategy: 'never' } }, { ifVersion: 0 })
  await turned.advance(hour)
  expect((await incidents(turned))[0]?.failback).toMatchObject({ state: 'abandoned', moved: 0 })
  await turned.stop()
  const fleet = await returned({ strategy: 'immediate' })
  fleet.registry.removeServer('s1')
  await fleet.advance(5 * minute)
  expect((await incidents(fleet))[0]?.failback).toMatchObject({ state: 'abandoned', why: 'gone from the registry' })
  await fleet.stop()
})

test('who may go home outlives restarts, also one in the middle of a batch', async () => {
  for (const first of [10_000, 14 * minute, 16 * minute + 10_000]) {
    const fleet = await returned({ strategy: 'immediate' }, { replace: slowly }, { migration: { concurrency: 2 } })
    await fleet.advance(first)
    const again = await fleet.crash()
    await again.advance(hour)
    expect(home(again), `after ${first} ms`).toBe(10)
    expect((await incidents(again))[0]?.failback, `after ${first} ms`).toMatchObject({ state: 'done', moved: 10 })
    await again.stop()
  }
})

test('a grant that is still owed by the home is owed no more when its user is home', async () => {
  const revoked: string[] = []
  let broken = true
  const fleet = await returned(
    { strategy: 'immediate', stableMs: minute },
    {
      replace: ({ mover }) => {
        const { locate: _, ...blind } = mover
        return {
          mover: {
            ...blind,
            complete: async (move) => {
              if (broken && move.from.id === 's1') throw new PintailError('unavailable', 'its panel is still down')
              revoked.push(`${move.from.id}/${move.connection.id}`)
            },
          },
        }
      },
    },
  )
  expect(fleet.pintail.status().pendingRevokes).toBe(10)
  await fleet.advance(5 * minute)
  expect(home(fleet)).toBe(10)
  broken = false
  await fleet.advance(25 * hour)
  expect(revoked.filter((key) => key.startsWith('s1/'))).toEqual([])
  // The grants that they had away from home are taken back, after the grace.
  expect(revoked).toHaveLength(10)
  await fleet.stop()
})

test('when the place that users leave for home fails, each of them is moved once: home, or by the incident', async () => {
  const fleet = await returned({ strategy: 'immediate', stableMs: minute }, { replace: slowly }, { migration: { concurrency: 1 } })
  await fleet.advance(65_000)
  const last = fleet.registry.homeOf('u9') ?? ''
  fleet.kill(last)
  await fleet.advance(30 * minute)
  // The incident supersedes what had not been started.
  const away = told(fleet, 'connection.moved').filter(({ data }) => data.fromServerId === last && data.reason === 'server-down')
  const superseded = away.map(({ data }) => data.connectionId).filter((id) => id.startsWith('u'))
  expect(superseded).toEqual(['u9'])
  expect(cameHome(fleet).map(({ data }) => data.connectionId)).not.toContain('u9')
  expect(cameHome(fleet)).toHaveLength(9)
  expect(told(fleet, 'connection.move_failed')).toEqual([])
  expect(fleet.registry.on(last)).toEqual([])
  await fleet.stop()
})

// ---------------------------------------------------------------------------------------------------------- flapping

/** s1 fails ten times an hour for a day. @returns what was logged, and the fleet six hours later */
async function flappingDay(failback: Partial<FailbackPolicy>, policy: PolicyInput = {}) {
  const lines: string[] = []
  const line = (_: object, message: string) => void lines.push(message)
  const logger: Logger = { debug: () => {}, info: line, warn: line, error: line }
  const fleet = await createFleet({
    servers: 3,
    connections: { s1: Array.from({ length: 10 }, (_, index) => ({ id: `u${index}` })) },
    policy: { mode: 'auto', failback, ...policy },
    replace: () => ({ logger }),
  })
  await fleet.advance(20_000)
  lines.length = 0
  const begun = fleet.events.length
  for (let flap = 0; flap < 240; flap++) {
    fleet.kill('s1')
    await fleet.advance(minute)
    fleet.revive('s1')
    await fleet.advance(5 * minute)
  }
  const events = fleet.events.slice(begun)
  const trips = new Map<string, number>()
  for (const { data } of cameHome(fleet)) trips.set(data.connectionId, (trips.get(data.connectionId) ?? 0) + 1)
  return { fleet, lines, events, most: Math.max(0, ...trips.values()) }
}

const strategies: readonly Partial<FailbackPolicy>[] = [
  { strategy: 'never' },
  { strategy: 'gradual' },
  { strategy: 'immediate' },
  { strategy: 'best-score' },
  { strategy: 'immediate', stableMs: 0 },
  { strategy: 'gradual', stableMs: minute, batchPercent: 50, batchIntervalMs: 0 },
  { strategy: 'best-score', stableMs: 0, minGain: 0 },
]

test.each(strategies)('I10: ten flaps an hour for a day, at most one round trip a user: %j', async (failback) => {
  const tolerant = failback.stableMs === undefined ? {} : { migration: { cooldownMs: 0 }, guards: { dampingCeiling: 100 } }
  const { fleet, most } = await flappingDay(failback, tolerant)
  expect(most).toBeLessThanOrEqual(1)
  // Where everything that damps is turned off somebody did go home, so that the rule was tried.
  if (failback.strategy === 'immediate' && failback.stableMs === 0) expect(most).toBe(1)
  const during = cameHome(fleet).length
  await fleet.advance(6 * hour)
  if (failback.strategy === 'immediate' && failback.stableMs === undefined) {
    expect(during).toBe(0)
    expect(home(fleet)).toBe(10)
  }
  await fleet.stop()
})

test('a day of ten flaps an hour is told in few lines, and the journal has every outage', async () => {
  const { fleet, lines, events } = await flappingDay({})
  expect(lines.length).toBeLessThan(70)
  expect(events.filter(({ type }) => type === 'incident.opened')).toHaveLength(240)
  expect(events.filter(({ type }) => type === 'incident.recovered')).toHaveLength(240)
  const flapping = lines.filter((text) => text.includes('is flapping'))
  expect(flapping.length).toBeGreaterThan(20)
  expect(flapping.at(-1)).toMatch(/s1 is flapping: 1[01] outages in the last hour; damped for about 41 minutes/)
  await fleet.advance(3 * hour)
  expect(lines.at(-1)).toBe('s1 is no longer damped; it is up')
  await fleet.stop()
})

test('a server that was flapping and then stays down is told as down when it is no longer damped, also after a restart', async () => {
  const { fleet, lines } = await flappingDay({})
  fleet.kill('s1')
  await fleet.advance(30 * minute)
  const again = await fleet.crash()
  await again.advance(3 * hour)
  expect(told(again, 'server.undamped').map(({ data }) => data)).toEqual([{ serverId: 's1', verdict: 'down' }])
  expect(lines.at(-1)).toBe('s1 is no longer damped; it is down')
  await again.stop()
})
