import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import type { ConnectionMover, Logger } from '../ports.ts'
import type { Evacuation, Migration, PlanRequest } from '../vocabulary.ts'
import { migrationToWire, toWire } from '../wire.ts'
import { createFleet, type Fleet, type FleetOptions } from './index.ts'

// What seed 004 asks of the engine, told as the seed tells it. Its phases are shown on a living source (`manual`),
// because there the users must be on the original after a rollback.

type Told<T extends PintailEvent['type']> = Extract<PintailEvent, { type: T }>
const told = <T extends PintailEvent['type']>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Told<T> => event.type === type)

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

/** A fleet that has been probed, with a mover that is the one in memory but for what is given. */
async function fleetWith(mover: Partial<ConnectionMover> = {}, options: FleetOptions = {}): Promise<Fleet> {
  const { replace, ...rest } = options
  const fleet = await createFleet({
    servers: 4,
    connections: 6,
    ...rest,
    replace: (parts) => ({ mover: { ...parts.mover, ...mover }, ...replace?.(parts) }),
  })
  await fleet.advance(20_000)
  return fleet
}

async function execute(fleet: Fleet, request: PlanRequest): Promise<Evacuation> {
  const plan = await ask(fleet, fleet.pintail.plan(request))
  return ask(fleet, fleet.pintail.execute(plan))
}

const migrationsOf = async (fleet: Fleet): Promise<readonly Migration[]> => (await ask(fleet, fleet.pintail.migrations.list())).migrations

test('phases 1 to 3 in their order: prepare, moves, cleanup, completed', async () => {
  const calls: string[] = []
  const fleet = await createFleet({
    servers: 2,
    connections: { s1: [{ id: 'ann' }] },
    policy: { mode: 'auto', migration: { revokeGraceMs: 0 } },
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        prepare: async () => void calls.push('prepare'),
        move: (move, ctx) => {
          calls.push('move')
          return mover.move(move, ctx)
        },
        verify: async () => {
          calls.push('verify')
          return true
        },
        complete: async () => void calls.push('complete'),
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.pintail.on('migration.status_changed', ({ newStatus }) => calls.push(newStatus))
  await execute(fleet, { drain: ['s1'] })
  await fleet.advance(20_000)
  expect(calls).toEqual(['preparing', 'prepare', 'transferring', 'move', 'verify', 'completing', 'completed', 'complete'])
  expect(fleet.registry.homeOf('ann')).toBe('s2')
  await fleet.stop()
})

test('phase 1 waits for a target that answers a fresh check: one that does not gets nobody', async () => {
  const fleet = await createFleet({ servers: 2, connections: { s1: [{ id: 'ann' }] }, policy: { mode: { default: 'suggest' } } })
  await fleet.advance(20_000)
  const evacuation = await execute(fleet, { drain: ['s1'] })
  fleet.kill('s2')
  await ask(fleet, fleet.pintail.evacuations.approve(evacuation.id))
  await fleet.advance(4_000)
  const [migration] = await migrationsOf(fleet)
  expect(migration).toMatchObject({ status: 'scheduled', errorMessage: expect.stringContaining('failed a fresh check') })
  expect(told(fleet, 'migration.status_changed').map(({ data }) => data.newStatus)).not.toContain('transferring')
  expect(fleet.registry.homeOf('ann')).toBe('s1')
  await fleet.stop()
})

test('an error in phase 1 is failed: nobody was moved, nothing is left over, the original goes on', async () => {
  const fleet = await fleetWith({
    prepare: async () => {
      throw new PintailError('rejected', 'the target is read-only')
    },
  })
  const evacuation = await execute(fleet, { drain: ['s1'] })
  await fleet.advance(5_000)
  const failed = told(fleet, 'migration.failed')
  expect(failed.length).toBeGreaterThan(0)
  for (const { data } of failed)
    expect(data).toMatchObject({ error: expect.stringContaining('read-only'), rollbackSuccess: null, residue: [] })
  expect(told(fleet, 'move.started')).toHaveLength(0)
  expect(fleet.registry.on('s1')).toHaveLength(6)
  // It may have ended by itself; if it goes on trying, it must leave nothing reserved when it is stopped.
  await ask(fleet, fleet.pintail.evacuations.cancel(evacuation.id)).catch(() => {})
  expect(fleet.pintail.status().servers.map(({ reserved }) => reserved)).toEqual([0, 0, 0, 0])
  await fleet.stop()
})

test('an error in phase 2 is rolled back and failed: everybody is on the original again', async () => {
  const fleet = await fleetWith({ verify: async () => false }, { policy: { mode: 'auto', migration: { moveTries: 1, maxRetries: 0 } } })
  await execute(fleet, { drain: ['s1'] })
  await fleet.advance(5_000)
  const [failed] = told(fleet, 'migration.failed')
  expect(failed?.data).toMatchObject({ rollbackSuccess: true, residue: [] })
  expect(fleet.registry.on('s1')).toHaveLength(6)
  await fleet.stop()
})

test('what cannot be rolled back is told as not rolled back, and by whom it may be left over', async () => {
  const fleet = await fleetWith(
    {
      verify: async () => false,
      rollback: async () => {
        throw new Error('no answer')
      },
    },
    { servers: 2, connections: { s1: [{ id: 'ann' }] }, policy: { mode: 'auto', migration: { moveTries: 1, maxRetries: 0 } } },
  )
  await execute(fleet, { drain: ['s1'] })
  await fleet.advance(5_000)
  expect(told(fleet, 'migration.failed')[0]?.data).toMatchObject({ rollbackSuccess: false, residue: ['ann'] })
  await fleet.stop()
})

test('an error in phase 3 completes all the same, and the old grant is taken back later', async () => {
  let broken = true
  const revoked: string[] = []
  const fleet = await fleetWith({
    complete: async ({ connection }) => {
      if (broken) throw new Error('the source does not answer')
      revoked.push(connection.id)
    },
  })
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect((await migrationsOf(fleet)).map(({ status }) => status)).not.toContain('failed')
  expect(told(fleet, 'migration.completed').length).toBeGreaterThan(0)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.pintail.status().pendingRevokes).toBe(6)
  broken = false
  await fleet.advance(180_000)
  expect(revoked).toHaveLength(6)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  await fleet.stop()
})

test('max_retries is 3: a target that cannot be prepared is tried four times, then the migration has failed', async () => {
  const fleet = await fleetWith(
    {
      prepare: async () => {
        throw new PintailError('unavailable', 'busy')
      },
    },
    { servers: 2, connections: { s1: [{ id: 'ann' }] } },
  )
  await execute(fleet, { drain: ['s1'] })
  await fleet.advance(25_000)
  const first = (await migrationsOf(fleet)).at(-1)
  expect(first).toMatchObject({ status: 'failed', retryCount: 3, maxRetries: 3, errorMessage: expect.stringContaining('busy') })
  const begun = told(fleet, 'migration.status_changed').filter(({ data }) => data.id === first?.id && data.newStatus === 'preparing')
  expect(begun).toHaveLength(4)
  await fleet.stop()
})

test('a source has one evacuation at a time', async () => {
  const fleet = await fleetWith({}, { policy: { mode: { default: 'suggest' } } })
  await execute(fleet, { drain: ['s1'] })
  await expect(execute(fleet, { drain: ['s1'] })).rejects.toMatchObject({
    code: 'guard_denied',
    message: expect.stringContaining('under way'),
  })
  await fleet.stop()
})

test('while the host is scaling or its queue is not empty nothing optional moves, and a dead server is evacuated', async () => {
  for (const name of ['scaling', 'queue']) {
    const fleet = await fleetWith(
      {},
      { replace: () => ({ guards: [{ current: async () => [{ name, active: true, message: 'wait for it' }] }] }) },
    )
    for (const reason of ['rebalancing', 'cost-optimization', 'maintenance', 'failback'] as const)
      await expect(execute(fleet, { drain: ['s1'], reason })).rejects.toMatchObject({ code: 'guard_denied' })
    expect(told(fleet, 'move.started')).toHaveLength(0)
    fleet.kill('s1')
    await fleet.advance(60_000)
    expect(fleet.registry.on('s1')).toEqual([])
    await fleet.stop()
  }
})

test('a source that the host calls critical is left alone by what is optional, and the others are not', async () => {
  const critical = async () => [{ name: 'critical', active: true, servers: ['s1'], message: 's1 restores a backup' }]
  const fleet = await fleetWith({}, { replace: () => ({ guards: [{ current: critical }] }) })
  const refused = execute(fleet, { drain: ['s1'], reason: 'rebalancing' })
  await expect(refused).rejects.toMatchObject({ code: 'guard_denied', message: expect.stringContaining('restores a backup') })
  await execute(fleet, { drain: ['s2'], reason: 'rebalancing' })
  await fleet.advance(30_000)
  expect(fleet.registry.on('s2')).toEqual([])
  await fleet.stop()
})

test('a scheduled migration waits for the best time and then starts by itself', async () => {
  let busy = false
  const current = async () => [{ name: 'not empty', active: busy, message: '12 are playing' }]
  const fleet = await fleetWith({}, { policy: { mode: 'suggest' }, replace: () => ({ guards: [{ current }] }) })
  const { id } = await execute(fleet, { drain: ['s1'], to: 's2', reason: 'rebalancing' })
  busy = true
  await fleet.advance(60_000)
  await ask(fleet, fleet.pintail.evacuations.approve(id))
  await fleet.advance(60_000)
  expect((await migrationsOf(fleet)).map(({ status }) => status)).toEqual(['scheduled'])
  busy = false
  await fleet.advance(30_000)
  expect((await migrationsOf(fleet)).map(({ status }) => status)).toEqual(['completed'])
  await fleet.stop()
})

test('the log levels: created, started, transfer started and completed INFO, each move DEBUG, a failed move WARN, failed ERROR', async () => {
  const lines: string[] = []
  const write = (level: string) => (_: object, message: string) => void lines.push(`${level} ${message}`)
  const logger: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const fleet = await fleetWith({}, { servers: 2, connections: { s1: [{ id: 'ann' }] }, replace: () => ({ logger }) })
  await execute(fleet, { drain: ['s1'] })
  await fleet.advance(5_000)
  const about = (pattern: RegExp) => lines.filter((line) => pattern.test(line)).map((line) => line.split(' ')[0])
  expect(about(/migration \S+ created/)).toEqual(['info'])
  expect(about(/migration \S+ started/)).toEqual(['info'])
  expect(about(/transfer started/)).toEqual(['info'])
  expect(about(/connection moved/)).toEqual(['debug'])
  expect(about(/migration \S+ completed/)).toEqual(['info'])
  await fleet.stop()

  lines.length = 0
  const rejected = async () => {
    throw new PintailError('rejected', 'no')
  }
  const failing = await fleetWith({ move: rejected }, { servers: 2, connections: { s1: [{ id: 'ann' }] }, replace: () => ({ logger }) })
  await execute(failing, { drain: ['s1'] })
  await failing.advance(5_000)
  expect(about(/migration \S+ failed/)).toEqual(['error'])
  expect(about(/could not be moved to s2/)).toEqual(['warn'])
  await failing.stop()
})

test('every change of a migration is an event with the keys of the seed', async () => {
  const fleet = await fleetWith({}, { servers: 2, connections: { s1: [{ id: 'ann' }, { id: 'bob' }] } })
  await execute(fleet, { drain: ['s1'] })
  await fleet.advance(5_000)
  const wire = fleet.events.map((event) => toWire(event)).filter(({ type }) => type.startsWith('migration.'))
  const dataOf = (type: string) => wire.find((event) => event.type === type)?.data
  const id = expect.any(String)
  expect(dataOf('migration.created')).toMatchObject({
    id,
    server_id: 's1',
    status: 'scheduled',
    from_node: 's1',
    to_node: 's2',
    savings_eur_hour: null,
  })
  expect(dataOf('migration.status_changed')).toMatchObject({
    id,
    old_status: 'scheduled',
    new_status: 'preparing',
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  })
  expect(dataOf('migration.progress')).toMatchObject({
    id,
    status: 'transferring',
    progress: expect.any(Number),
    message: expect.stringMatching(/^Moving \d+ of 2 connections to s2/),
  })
  expect(dataOf('migration.completed')).toMatchObject({
    id,
    duration_seconds: expect.any(Number),
    players_transferred: 2,
    success: true,
  })
  const progress = told(fleet, 'migration.progress').map(({ data }) => data.progress)
  expect(progress).toEqual([...progress].sort((a, b) => a - b))
  expect(progress.at(-1)).toBe(100)
  await fleet.stop()
})

test('the record has every column of the seed, with the values of the whole way', async () => {
  const fleet = await fleetWith({}, { servers: 2, connections: { s1: [{ id: 'ann' }, { id: 'bob' }] }, policy: { mode: 'suggest' } })
  const evacuation = await execute(fleet, { drain: ['s1'] })
  const [suggested] = await migrationsOf(fleet)
  expect(suggested && migrationToWire(suggested)).toMatchObject({
    status: 'suggested',
    approved_at: null,
    scheduled_at: null,
    started_at: null,
  })
  await ask(fleet, fleet.pintail.evacuations.approve(evacuation.id))
  await fleet.advance(5_000)
  const [migration] = await migrationsOf(fleet)
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  const node = { from_node_id: 's1', from_node_name: 's1', to_node_id: 's2', to_node_name: 's2' }
  expect(migration && migrationToWire(migration)).toMatchObject({
    id: expect.any(String),
    server_id: 's1',
    server_name: 's1',
    ...node,
    status: 'completed',
    reason: 'manual',
    savings_eur_hour: null,
    savings_eur_month: null,
    created_at: time,
    approved_at: time,
    scheduled_at: time,
    started_at: time,
    completed_at: time,
    player_count_at_start: 2,
    data_sync_progress: 100,
    error_message: null,
    retry_count: 0,
    max_retries: 3,
    triggered_by: 'admin',
    notes: null,
  })
  await fleet.stop()
})

test('the system triggers the evacuation of a dead server, a person all others', async () => {
  const fleet = await fleetWith()
  await execute(fleet, { drain: ['s2'] })
  await fleet.advance(5_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const byReason = new Set((await migrationsOf(fleet)).map(({ reason, triggeredBy }) => `${reason} by ${triggeredBy}`))
  expect(byReason).toEqual(new Set(['manual by admin', 'server-down by system']))
  await fleet.stop()
})

test('migrations are listed newest first, by state, server and reason, in pages of 50 unless told otherwise', async () => {
  const fleet = await fleetWith()
  fleet.kill('s1')
  await fleet.advance(60_000)
  await execute(fleet, { drain: ['s2'] })
  await fleet.advance(5_000)
  const list = (filter: Parameters<Fleet['pintail']['migrations']['list']>[0]) => ask(fleet, fleet.pintail.migrations.list(filter))
  const all = await list({})
  expect(all).toMatchObject({ limit: 50, offset: 0, total: all.migrations.length })
  expect(all.migrations.map(({ createdAt }) => createdAt)).toEqual(all.migrations.map(({ createdAt }) => createdAt).sort((a, b) => b - a))
  const manual = all.migrations.filter(({ reason }) => reason === 'manual')
  expect(manual.length).toBeGreaterThan(0)
  expect(manual.length).toBeLessThan(all.total)
  expect((await list({ reason: 'manual' })).migrations).toEqual(manual)
  expect((await list({ status: ['completed', 'failed'] })).total).toBe(all.total)
  expect((await list({ status: ['suggested'] })).total).toBe(0)
  const atS2 = all.migrations.filter(({ fromServerId, toServerId }) => [fromServerId, toServerId].includes('s2' as never))
  expect((await list({ serverId: 's2' })).migrations).toEqual(atS2)
  expect(await list({ limit: 1, offset: 1 })).toMatchObject({ migrations: [all.migrations[1]], total: all.total, limit: 1, offset: 1 })
  for (const filter of [{ limit: 0 }, { limit: 201 }, { offset: -1 }])
    await expect(list(filter)).rejects.toMatchObject({ code: 'invalid_argument' })
  await fleet.stop()
})

test('a suggested migration can be cancelled, an ended one deleted, and nothing else', async () => {
  const fleet = await fleetWith({}, { servers: 2, connections: { s1: [{ id: 'ann' }] }, policy: { mode: 'suggest' } })
  await execute(fleet, { drain: ['s1'] })
  const [migration] = await migrationsOf(fleet)
  const id = migration?.id ?? ''
  await expect(ask(fleet, fleet.pintail.migrations.delete(id))).rejects.toMatchObject({ code: 'illegal_transition' })
  expect(await ask(fleet, fleet.pintail.migrations.cancel(id))).toMatchObject({ status: 'cancelled' })
  await expect(ask(fleet, fleet.pintail.migrations.approve(id))).rejects.toMatchObject({ code: 'illegal_transition' })
  await fleet.advance(60_000)
  await ask(fleet, fleet.pintail.migrations.delete(id))
  await expect(ask(fleet, fleet.pintail.migrations.get(id))).rejects.toMatchObject({ code: 'not_found' })
  expect(fleet.registry.homeOf('ann')).toBe('s1')
  await fleet.stop()
})
