import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { PlanRequest, PolicyInput, Rate } from '../vocabulary.ts'

interface Call {
  readonly at: number
  readonly key: string
  readonly from: string
  readonly to: string
}

/** A fleet whose mover notes each call, and takes so long for it. */
async function watched(options: FleetOptions & { readonly callMs?: number }): Promise<{ fleet: Fleet; calls: Call[] }> {
  const calls: Call[] = []
  const { callMs = 20, ...rest } = options
  const fleet = await createFleet({
    ...rest,
    replace: (parts) => ({
      mover: {
        ...parts.mover,
        move: async (move, ctx) => {
          calls.push({ at: parts.clock.now(), key: move.key, from: move.from.id, to: move.to.id })
          await new Promise<void>((resolve) => parts.clock.setTimeout(resolve, callMs))
          await parts.mover.move(move, ctx)
        },
      },
      ...rest.replace?.(parts),
    }),
  })
  await fleet.advance(20_000)
  return { fleet, calls }
}

/** Most calls above `burst + perSecond·w` in any window. */
function excess(calls: readonly Call[], { perSecond, burst }: Rate): number {
  let most = Number.NEGATIVE_INFINITY
  calls.forEach((first, index) => {
    for (let last = index; last < calls.length; last++)
      most = Math.max(most, last - index + 1 - burst - (perSecond * ((calls[last]?.at ?? 0) - first.at)) / 1000)
  })
  return most
}

const paced = (rates: { overall?: Rate; perTarget?: Rate; perSource?: Rate }, more: PolicyInput['migration'] = {}): PolicyInput => ({
  mode: 'auto',
  migration: { ...more, rates },
})

/** A call of an operator, answered in virtual time. */
async function ask<T>(fleet: Fleet, call: Promise<T>): Promise<T> {
  const settled = call.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error
    },
  )
  await fleet.advance(100)
  return (await settled)()
}
const execute = async (fleet: Fleet, request: PlanRequest) =>
  ask(fleet, fleet.pintail.execute(await ask(fleet, fleet.pintail.plan(request))))
const progress = (fleet: Fleet) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: 'migration.progress' }> => event.type === 'migration.progress')

test('I11: arrivals on a target, departures from a source and all moves keep to their rates, and everybody arrives', async () => {
  const rate = (most: number) =>
    fc.record({ perSecond: fc.integer({ min: 5, max: 80 }).map((n) => n / 10), burst: fc.integer({ min: 1, max: most }) })
  const world = fc.record({
    overall: rate(20),
    perTarget: rate(5),
    perSource: rate(10),
    seed: fc.nat(),
    servers: fc.integer({ min: 4, max: 9 }),
  })
  await fc.assert(
    fc.asyncProperty(world, async ({ seed, servers, ...rates }) => {
      const { fleet, calls } = await watched({ servers, connections: 25, seed, policy: paced(rates) })
      fleet.kill('s1')
      if (servers > 6) fleet.kill('s2')
      await fleet.advance(300_000)
      expect(fleet.registry.on('s1')).toEqual([])
      expect(excess(calls, rates.overall)).toBeLessThanOrEqual(1e-6)
      for (const id of new Set(calls.map(({ to }) => to)))
        expect(
          excess(
            calls.filter(({ to }) => to === id),
            rates.perTarget,
          ),
        ).toBeLessThanOrEqual(1e-6)
      for (const id of new Set(calls.map(({ from }) => from)))
        expect(
          excess(
            calls.filter(({ from }) => from === id),
            rates.perSource,
          ),
        ).toBeLessThanOrEqual(1e-6)
      await fleet.stop()
      expect(fleet.clock.pending).toBe(0)
    }),
    { seed: 20260311, numRuns: 25 },
  )
})

test('the rate is used: a leader that has been there for a while begins with the burst and keeps the pace', async () => {
  const { fleet, calls } = await watched({ connections: 40, policy: paced({ overall: { perSecond: 2, burst: 10 } }) })
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(calls).toHaveLength(40)
  const begun = calls[0]?.at ?? 0
  expect(calls.filter(({ at }) => at - begun < 100)).toHaveLength(10)
  // 30 more at two a second, each at most a twentieth of its wait late.
  expect((calls.at(-1)?.at ?? 0) - begun).toBeLessThan(15_000 * 1.06)
  await fleet.stop()
})

test('two sources share a rate fairly, also when one has many targets and the other has one', async () => {
  const { fleet, calls } = await watched({ servers: 10, connections: 40, policy: paced({ overall: { perSecond: 2, burst: 1 } }) })
  for (const id of ['s1', 's2']) await ask(fleet, fleet.pintail.cordon(id))
  await execute(fleet, { drain: ['s1'] })
  await execute(fleet, { drain: ['s2'], to: 's3' })
  await fleet.advance(25_000)
  const since = calls.findIndex(({ from }) => from === 's2')
  const shared = calls.slice(since, since + 40)
  expect(new Set(calls.filter(({ from }) => from === 's1').map(({ to }) => to)).size).toBeGreaterThan(3)
  expect(Math.abs(shared.filter(({ from }) => from === 's1').length - 20)).toBeLessThanOrEqual(2)
  await fleet.stop()
})

test('a source that waits for its target, or is held by a guard, holds up no other', async () => {
  const { fleet, calls } = await watched({
    servers: 8,
    connections: 30,
    policy: paced({ perTarget: { perSecond: 0.1, burst: 2 }, overall: { perSecond: 0.5, burst: 1 } }, { concurrency: 2 }),
  })
  await execute(fleet, { drain: ['s1'], to: 's3' })
  await execute(fleet, { drain: ['s2'], to: 's3' })
  await fleet.advance(60_000)
  const before = calls.length
  await execute(fleet, { drain: ['s4'], to: 's5' })
  await fleet.advance(10_000)
  expect(calls.slice(before).filter(({ from }) => from === 's4').length).toBeGreaterThanOrEqual(2)
  await ask(fleet, fleet.pintail.pause({ serverId: 's1' }))
  await ask(fleet, fleet.pintail.pause({ serverId: 's2' }))
  await ask(fleet, fleet.pintail.pause({ serverId: 's4' }))
  await execute(fleet, { drain: ['s6'], to: 's7' })
  const held = calls.length
  await fleet.advance(60_000)
  const since = calls.slice(held)
  expect(since.filter(({ from }) => from === 's6').length).toBeGreaterThanOrEqual(6)
  expect(since.filter(({ from }) => from !== 's6').length).toBeLessThanOrEqual(2)
  await fleet.stop()
})

test('a move that is held has no claim on the next token, also at a low rate', async () => {
  const { fleet, calls } = await watched({ connections: 8, policy: paced({ overall: { perSecond: 0.1, burst: 1 } }) })
  await execute(fleet, { drain: ['s1'], to: 's3' })
  const intended = () => fleet.events.filter(({ type }) => type === 'move.started').length
  while (intended() <= calls.length) await fleet.advance(200)
  await ask(fleet, fleet.pintail.pause({ serverId: 's1' }))
  expect(intended()).toBe(calls.length + 1)
  await execute(fleet, { drain: ['s2'], to: 's4' })
  await fleet.advance(60_000)
  expect(calls.filter(({ from }) => from === 's2').length).toBeGreaterThanOrEqual(5)
  await fleet.stop()
})

test('an engine that is stopped while moves wait for their tokens leaves no timer behind', async () => {
  const { fleet, calls } = await watched({ connections: 20, policy: paced({ overall: { perSecond: 0.01, burst: 1 } }) })
  fleet.kill('s1')
  await fleet.advance(100_000)
  expect(calls.length).toBeGreaterThan(0)
  expect(calls.length).toBeLessThan(20)
  const stopped = fleet.pintail.stop()
  await fleet.advance(1000)
  await stopped
  expect(fleet.clock.pending).toBe(0)
})

test('moves that a guard has held do not go out all at once when it ends', async () => {
  const rate = { perSecond: 1, burst: 3 }
  const { fleet, calls } = await watched({ connections: 40, policy: paced({ overall: rate }) })
  fleet.kill('s1')
  await fleet.advance(15_000)
  expect(calls.length).toBeGreaterThan(3)
  for (let times = 0; times < 5; times++) {
    await ask(fleet, fleet.pintail.pause())
    await fleet.advance(60_000)
    const held = calls.length
    await ask(fleet, fleet.pintail.resume())
    await fleet.advance(900)
    expect(calls.length - held).toBeLessThanOrEqual(3)
    await fleet.advance(2000)
  }
  expect(excess(calls, rate)).toBeLessThanOrEqual(1e-6)
  await fleet.stop()
})

test('a crash loop admits no more than the rate, and leaves few moves unclear', async () => {
  const rate = { perSecond: 1, burst: 8 }
  const first = await watched({ connections: 60, policy: paced({ overall: rate }), callMs: 50 })
  const { calls } = first
  let { fleet } = first
  fleet.kill('s1')
  for (let times = 0; times < 8; times++) {
    await fleet.advance(45_000 + 731 * times)
    const migrations = (await ask(fleet, fleet.pintail.migrations.list({ limit: 200 }))).migrations
    const ctx = { signal: new AbortController().signal }
    let unclear = 0
    for (const { id } of migrations)
      for (const { state } of (await fleet.store.list('move', { migrationId: id }, ctx)) as readonly { state: { state: string } }[])
        if (state.state === 'moving') unclear++
    expect(unclear).toBeLessThanOrEqual(3)
    fleet = await fleet.crash()
  }
  await fleet.advance(120_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(excess(calls, rate)).toBeLessThanOrEqual(1e-6)
  await fleet.stop()
})

test('a patch in the middle holds from then on: a limit that is new, a slower one, none', async () => {
  const { fleet, calls } = await watched({
    connections: 90,
    capacity: 500,
    policy: { mode: 'auto', migration: { concurrency: 2 } },
    callMs: 500,
  })
  fleet.kill('s1')
  await fleet.advance(13_000)
  expect(calls.length).toBeGreaterThan(5)
  const slow = { perSecond: 0.5, burst: 2 }
  await ask(fleet, fleet.pintail.policy.update({ migration: { rates: { overall: slow } } }, { ifVersion: 0 }))
  const limited = calls.length
  await fleet.advance(20_000)
  const during = calls.slice(limited)
  expect(during.length).toBeGreaterThanOrEqual(9)
  expect(excess(during, slow)).toBeLessThanOrEqual(1e-6)
  expect(fleet.pintail.policy.get().policy.migration.rates).toEqual({ overall: slow, perTarget: null, perSource: null })
  const slower = { perSecond: 0.1, burst: 1 }
  await ask(fleet, fleet.pintail.policy.update({ migration: { rates: { overall: slower } } }, { ifVersion: 1 }))
  const slowed = calls.length
  await fleet.advance(60_000)
  expect(calls.length - slowed).toBeGreaterThanOrEqual(5)
  expect(excess(calls.slice(slowed), slower)).toBeLessThanOrEqual(1e-6)
  await ask(fleet, fleet.pintail.policy.update({ migration: { rates: { overall: null } } }, { ifVersion: 2 }))
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a retry of the same move on the same target needs no token of its own', async () => {
  const tried = new Map<string, number>()
  const starts: number[] = []
  const fleet = await createFleet({
    connections: 10,
    policy: paced({ overall: { perSecond: 0.1, burst: 10 } }, { backoffMs: 100 }),
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          const tries = (tried.get(move.key) ?? 0) + 1
          tried.set(move.key, tries)
          if (tries === 1) starts.push(clock.now())
          if (tries < 3) throw new PintailError('unavailable', '503')
          await mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(120_000)
  fleet.kill('s1')
  await fleet.advance(20_000)
  expect(starts).toHaveLength(10)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a rate that cannot be is refused with what can, and one that is half given too', async () => {
  for (const overall of [{ perSecond: 0, burst: 1 }, { perSecond: 1, burst: 0.5 }, { perSecond: 1 }, { perSecond: 10_001, burst: 1 }])
    await expect(createFleet({ policy: paced({ overall: overall as Rate }) })).rejects.toMatchObject({ code: 'invalid_options' })
})

test('the expected end is honest under a rate, told with the progress, and gone when it is over', async () => {
  const { fleet } = await watched({ servers: 3, connections: 60, capacity: 500, policy: paced({ overall: { perSecond: 1, burst: 10 } }) })
  fleet.kill('s1')
  await fleet.advance(30_000)
  const [evacuation] = fleet.pintail.status().evacuations
  const live = fleet.pintail.status().migrations
  expect(live.length).toBe(2)
  expect(evacuation?.moved).toBe(live.reduce((sum, { connectionsMoved }) => sum + connectionsMoved, 0))
  expect(evacuation?.moved).toBeGreaterThan(15)
  expect(evacuation?.progress).toBe(Math.floor(((evacuation?.moved ?? 0) * 100) / 60))
  expect((await ask(fleet, fleet.pintail.evacuations.get(evacuation?.id ?? ''))).moved).toBeGreaterThanOrEqual(evacuation?.moved ?? 0)
  const expected = evacuation?.expectedEndAt ?? 0
  expect(live.map(({ expectedEndAt }) => expectedEndAt)).toContain(expected)
  const asked = fleet.clock.now()
  await fleet.advance(90_000)
  const ends = fleet.events.flatMap(({ type, at }) => (type === 'migration.completed' ? at : []))
  const ended = Math.max(...ends)
  // Never a promise that cannot be kept. Two migrations share the rate, and the last one goes faster when it is alone.
  expect(expected - asked).toBeGreaterThan((ended - asked) * 0.95)
  expect(expected - asked).toBeLessThan((ended - asked) * 2)
  expect(progress(fleet).some(({ data }) => data.expectedEndAt !== null)).toBe(true)
  expect(progress(fleet)[0]?.data.expectedEndAt).toBeNull()
  const [done] = await ask(fleet, fleet.pintail.evacuations.list())
  expect(done).toMatchObject({ status: 'completed', moved: 60, progress: 100, expectedEndAt: null })
  for (const { expectedEndAt } of (await ask(fleet, fleet.pintail.migrations.list())).migrations) expect(expectedEndAt).toBeNull()
  await fleet.stop()
})

test('the expected end follows the pace seen without a rate, and is not known while a guard holds', async () => {
  const { fleet } = await watched({
    servers: 3,
    connections: 80,
    capacity: 500,
    policy: { mode: 'auto', migration: { concurrency: 2 } },
    callMs: 1000,
  })
  fleet.kill('s1')
  await fleet.advance(25_000)
  const expected = fleet.pintail.status().evacuations[0]?.expectedEndAt ?? 0
  const asked = fleet.clock.now()
  expect(expected).toBeGreaterThan(asked)
  await ask(fleet, fleet.pintail.pause())
  await fleet.advance(3_600_000)
  expect(fleet.pintail.status().evacuations[0]?.expectedEndAt).toBeNull()
  expect(fleet.pintail.status().migrations.map(({ expectedEndAt }) => expectedEndAt)).toEqual([null, null])
  await ask(fleet, fleet.pintail.resume())
  const resumed = fleet.clock.now()
  await fleet.advance(10_000)
  // An hour of waiting is no pace.
  const again = fleet.pintail.status().evacuations[0]?.expectedEndAt ?? 0
  await fleet.advance(60_000)
  const ended = Math.max(...fleet.events.flatMap(({ type, at }) => (type === 'migration.completed' ? at : [])))
  expect(ended - resumed).toBeGreaterThan(15_000)
  expect(Math.abs(again - ended)).toBeLessThan(6000)
  expect(Math.abs(expected - asked - (ended - resumed))).toBeLessThan((ended - resumed) / 3)
  await fleet.stop()
})
