import { expect, test } from 'vitest'
import type { PintailEvent } from '../events.ts'
import type { GuardSource, GuardState } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { Evacuation, PlanRequest } from '../vocabulary.ts'

type Told<T extends PintailEvent['type']> = Extract<PintailEvent, { type: T }>
const told = <T extends PintailEvent['type']>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Told<T> => event.type === type)
const warnings = (fleet: Fleet) => told(fleet, 'warning').filter(({ data }) => data.message.includes('guard source'))

async function ask<T>(fleet: Fleet, call: Promise<T>, ms = 100): Promise<T> {
  const settled = call.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error
    },
  )
  await fleet.advance(ms)
  return (await settled)()
}
async function execute(fleet: Fleet, request: PlanRequest, ms?: number): Promise<Evacuation> {
  const plan = await ask(fleet, fleet.pintail.plan(request))
  return ask(fleet, fleet.pintail.execute(plan), ms)
}

/** A fleet that has been probed, with one guard source. */
async function guarded(current: GuardSource['current'], options: FleetOptions = {}): Promise<Fleet> {
  const fleet = await createFleet({ ...options, replace: (parts) => ({ guards: [{ current }], ...options.replace?.(parts) }) })
  await fleet.advance(20_000)
  return fleet
}
/** A guard that a test switches. */
function switched(state: Omit<GuardState, 'active' | 'name' | 'message'> = {}, active = false) {
  const guard = {
    active,
    current: async (): Promise<readonly GuardState[]> => [{ name: 'freeze', message: 'deploy runs', ...state, active: guard.active }],
  }
  return guard
}
const slowly = { policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 1, burst: 1 } } } } } as const
const never = () => new Promise<readonly GuardState[]>(() => {})

test('a guard of the host that forbids server-down holds the incident, says so, and lets it go when it ends', async () => {
  const guard = switched({ forbids: ['server-down'] }, true)
  const fleet = await guarded(guard.current)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toHaveLength(10)
  const [incident] = fleet.pintail.status().incidents
  expect(incident?.heldBy).toMatchObject([
    { guard: 'host', message: 'freeze forbids server-down: deploy runs', values: { name: 'freeze' } },
  ])
  expect(fleet.pintail.status().guards).toEqual([{ guard: 'host', servers: ['s1'] }])
  expect(told(fleet, 'incident.held')).toHaveLength(1)
  expect(told(fleet, 'guard.denied')).toHaveLength(1)
  guard.active = false
  await fleet.advance(10_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'incident.released')).toHaveLength(1)
  expect(fleet.pintail.status().guards).toEqual([])
  await fleet.stop()
})

test('a guard that begins in the middle of the evacuation of a dead server holds the rest of it', async () => {
  const guard = switched({ forbids: ['server-down'] })
  const fleet = await guarded(guard.current, slowly)
  fleet.kill('s1')
  await fleet.advance(13_000)
  guard.active = true
  await fleet.advance(2000)
  const left = fleet.registry.on('s1').length
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThan(10)
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toHaveLength(left)
  expect(fleet.pintail.status().incidents[0]?.heldBy.map(({ guard: code }) => code)).toEqual(['host'])
  guard.active = false
  await fleet.advance(20_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a source that throws, hangs or answers nonsense neither holds nor delays the evacuation of a dead server', async () => {
  const firstMove = async (current?: GuardSource['current']) => {
    const fleet = current ? await guarded(current) : await createFleet()
    if (!current) await fleet.advance(20_000)
    fleet.kill('s1')
    await fleet.advance(60_000)
    expect(fleet.registry.on('s1')).toEqual([])
    const at = told(fleet, 'move.started')[0]?.at
    await fleet.stop()
    expect(fleet.clock.pending).toBe(0)
    return at
  }
  const expected = await firstMove()
  const throws = async () => {
    throw new Error('503')
  }
  const synchronously = () => {
    throw new Error('no')
  }
  for (const current of [throws, synchronously, never, async () => null as never, async () => [{ name: 'x' }] as never])
    expect(await firstMove(current)).toBe(expected)
})

test('what a source said last does not outlive its failure, for a dead server', async () => {
  let answer: () => Promise<readonly GuardState[]> = async () => [{ name: 'freeze', active: true, message: 'no', forbids: ['server-down'] }]
  const fleet = await guarded(() => answer())
  fleet.kill('s1')
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toHaveLength(10)
  answer = never
  await fleet.advance(20_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a source that fails forbids what is optional and nothing else, and is warned about once', async () => {
  const broken: readonly [string, GuardSource['current']][] = [
    ['503', async () => Promise.reject(new Error('503 password=hunter2'))],
    ['within 10000 ms', never],
    ['must be a list', async () => ({ name: 'x', active: false, message: 'm' }) as never],
    ['active must be true or false', async () => [{ name: 'x', message: 'm' }] as never],
    ['message must be a string', async () => [{ name: 'x', active: false }] as never],
    ['forbids must be a list of', async () => [{ name: 'x', active: true, message: 'm', forbids: ['sever-down'] }] as never],
    ['servers must be a list of', async () => [{ name: 'x', active: true, message: 'm', servers: 's1' }] as never],
    ['must be an object', async () => ['x'] as never],
  ]
  for (const [why, current] of broken) {
    const fleet = await guarded(current, slowly)
    const refused = execute(fleet, { drain: ['s1'], reason: 'rebalancing' }, 11_000)
    await expect(refused, why).rejects.toMatchObject({ code: 'guard_denied', message: expect.stringContaining(why) })
    await execute(fleet, { drain: ['s1'], reason: 'manual' }, 11_000)
    await fleet.advance(60_000)
    expect(fleet.registry.on('s1'), why).toEqual([])
    expect(warnings(fleet), why).toHaveLength(1)
    expect(JSON.stringify(fleet.events)).not.toContain('hunter2')
    await fleet.stop()
  }
})

test('an optional evacuation is held in the middle when its guard begins, told once, and goes on when it ends', async () => {
  const guard = switched()
  const fleet = await guarded(guard.current, slowly)
  await ask(fleet, fleet.pintail.cordon('s1'))
  await execute(fleet, { drain: ['s1'], reason: 'rebalancing' })
  await fleet.advance(3000)
  guard.active = true
  await fleet.advance(2000)
  const left = fleet.registry.on('s1').length
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThan(10)
  await fleet.advance(120_000)
  expect(fleet.registry.on('s1')).toHaveLength(left)
  expect(fleet.pintail.status().guards).toEqual([{ guard: 'host', servers: ['s1'] }])
  expect(told(fleet, 'guard.denied').map(({ data }) => data.message)).toEqual(['freeze forbids rebalancing: deploy runs'])
  // Another reason is none of its business.
  await execute(fleet, { drain: ['s2'], reason: 'manual' })
  await fleet.advance(30_000)
  expect(fleet.registry.on('s2').length).toBe(0)
  guard.active = false
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.pintail.status().guards).toEqual([])
  await fleet.stop()
})

test('an evacuation that is cancelled while a guard holds it leaves no guard behind', async () => {
  const guard = switched()
  const fleet = await guarded(guard.current, slowly)
  const { id } = await execute(fleet, { drain: ['s1'], reason: 'rebalancing' })
  await fleet.advance(3000)
  guard.active = true
  await fleet.advance(5000)
  expect(fleet.pintail.status().guards).toHaveLength(1)
  await ask(fleet, fleet.pintail.evacuations.cancel(id))
  await fleet.advance(5000)
  expect((await ask(fleet, fleet.pintail.evacuations.get(id))).status).toBe('cancelled')
  expect(fleet.pintail.status().guards).toEqual([])
  await fleet.stop()
})

test('a guard may forbid manual moves by name, also in the middle', async () => {
  const guard = switched({ forbids: ['manual'] })
  const fleet = await guarded(guard.current, slowly)
  await execute(fleet, { drain: ['s1'] })
  await fleet.advance(3000)
  guard.active = true
  await fleet.advance(2000)
  const left = fleet.registry.on('s1').length
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toHaveLength(left)
  expect(left).toBeGreaterThan(0)
  await expect(execute(fleet, { drain: ['s2'] })).rejects.toMatchObject({ code: 'guard_denied' })
  await fleet.stop()
})

test('a guard that names servers holds these sources only, whatever the type of their ids', async () => {
  const rows = [1, 2, 3, 4].map((id) => ({ id, host: `10.0.0.${id}`, capacity: 100 }))
  const users = Object.fromEntries(rows.map(({ id }) => [id, [{ id: `u${id}` }]]))
  const guard = switched({ servers: ['1'] }, true)
  const fleet = await guarded(guard.current, { servers: rows, connections: users })
  await expect(execute(fleet, { drain: [1], reason: 'rebalancing' })).rejects.toMatchObject({ code: 'guard_denied' })
  await execute(fleet, { drain: [2], reason: 'rebalancing' })
  await fleet.advance(30_000)
  expect(fleet.registry.on('2')).toEqual([])
  expect(fleet.registry.on('1')).toContain('u1')
  await fleet.stop()
})

test('a server that dies while a guard holds its rebalancing is evacuated all the same', async () => {
  const guard = switched()
  const fleet = await guarded(guard.current, slowly)
  await execute(fleet, { drain: ['s1'], reason: 'rebalancing' })
  await fleet.advance(3000)
  guard.active = true
  await fleet.advance(10_000)
  const left = fleet.registry.on('s1').length
  expect(left).toBeGreaterThan(0)
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('after a restart an optional evacuation waits for the first answer', async () => {
  let answer: GuardSource['current'] = async () => []
  let fleet = await guarded((ctx) => answer(ctx), slowly)
  await execute(fleet, { drain: ['s1'], reason: 'rebalancing' })
  await fleet.advance(3000)
  answer = never
  fleet = await fleet.crash()
  const left = fleet.registry.on('s1').length
  expect(left).toBeGreaterThan(0)
  await fleet.advance(120_000)
  expect(fleet.registry.on('s1')).toHaveLength(left)
  answer = async () => []
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a source is asked when a server becomes suspect and while something waits, one question at a time, and not when all is well', async () => {
  let open = 0
  let most = 0
  const askedAt: number[] = []
  const fleet: Fleet = await guarded(
    async () => {
      askedAt.push(fleet?.clock.now() ?? 0)
      most = Math.max(most, ++open)
      await new Promise<void>((resolve) => fleet.clock.setTimeout(resolve, 2500))
      open--
      return [{ name: 'freeze', active: true, message: 'no', forbids: ['server-down'] }]
    },
    { policy: { mode: 'auto' } },
  )
  await fleet.advance(600_000)
  expect(askedAt).toEqual([])
  fleet.kill('s1')
  await fleet.advance(60_000)
  const suspectAt = told(fleet, 'server.verdict_changed').find(({ data }) => data.serverId === 's1' && data.verdict === 'suspect')?.at
  expect(askedAt[0]).toBe(suspectAt)
  expect(most).toBe(1)
  expect(askedAt.length).toBeGreaterThan(10)
  expect(askedAt.length).toBeLessThan(25)
  // It held from the first moment on: the answer was there when the suspicion was confirmed.
  expect(told(fleet, 'move.started')).toEqual([])
  await fleet.stop()
})

test('the decision about a manual or an optional evacuation tells which guards were asked', async () => {
  const fleet = await guarded(async () => [])
  const guardsOf = async ({ decisionId }: Evacuation) =>
    (await ask(fleet, fleet.pintail.decision(decisionId))).guards.map(({ guard, denial }) => (denial ? `${guard}!` : guard)).sort()
  const manual = await execute(fleet, { drain: ['s1'] })
  expect(await guardsOf(manual)).toEqual(['host', 'mass_failure', 'no_control', 'paused', 'registry_stale', 'source_busy'])
  const optional = await execute(fleet, { drain: ['s2'], reason: 'rebalancing' })
  expect(await guardsOf(optional)).toEqual(['cooldown', 'host', 'mass_failure', 'no_control', 'paused', 'registry_stale', 'source_busy'])
  fleet.kill('s3')
  await fleet.advance(30_000)
  const dead = (await ask(fleet, fleet.pintail.evacuations.list())).find(({ reason }) => reason === 'server-down') as Evacuation
  expect(await guardsOf(dead)).toEqual(['host', 'mass_failure', 'no_control', 'paused', 'registry_stale', 'too_few_servers'])
  await fleet.stop()
})
