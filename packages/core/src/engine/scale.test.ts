// What is read when very much is kept: counted, because a time would say more about the machine.
import { expect, test } from 'vitest'
import type { MigrationStore, RecordQuery, StoreKind, StoreWrite } from '../ports.ts'
import { evacuationOf, incidentOf, migrationOf, startOfTime, write } from '../testing/contracts/records.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { Evacuation, EvacuationId, Incident, IncidentId, Migration, MigrationStatus, ServerId, Token } from '../vocabulary.ts'

type Parts = Parameters<NonNullable<FleetOptions['replace']>>[0]

/** Years ago: incidents of four migrations each, the last of a hundred failed. */
function finished(count: number): StoreWrite[] {
  return Array.from({ length: count }, (_, index): StoreWrite[] => {
    const group = index >> 2
    const [evacuationId, incidentId] = [`old-e${group}` as EvacuationId, `old-i${group}` as IncidentId]
    const serverId = `s${1 + (group % 6)}` as ServerId
    const at = startOfTime - 1e11 + index * 1000
    const status: MigrationStatus = index % 100 === 99 ? 'failed' : 'completed'
    const times = { createdAt: at, startedAt: at, completedAt: at + 2000, connectionsMoved: 3, savingsEurMonth: null }
    const migration: Partial<Migration> = { evacuationId, fromServerId: serverId, toServerId: 's9' as ServerId, status, ...times }
    const evacuation: Partial<Evacuation> = {
      incidentId,
      fromServerIds: [serverId],
      status: 'completed',
      createdAt: at,
      endedAt: at + 3000,
    }
    const incident: Partial<Incident> = { serverId, status: 'closed', openedAt: at, suspectedAt: at, recoveredAt: at, evacuationId }
    return [
      write('migration', `old-${index}`, migrationOf(`old-${index}`, migration)),
      ...(index % 4 === 0
        ? [
            write('evacuation', evacuationId, evacuationOf(evacuationId, evacuation)),
            write('incident', incidentId, incidentOf(incidentId, incident)),
          ]
        : []),
    ]
  }).flat()
}

/** Before any leader: kept in the turn in which it is asked for, as the store in memory does. */
const fill = (store: MigrationStore, writes: readonly StoreWrite[]): void =>
  void store.commit({ token: 0 as Token, batch: 1, writes, journal: [] }, { signal: new AbortController().signal })

interface Read {
  readonly rows: Partial<Record<StoreKind, number>>
  readonly queries: RecordQuery[]
}

/** Counts what is handed out. */
function counted(store: MigrationStore, { rows, queries }: Read): MigrationStore {
  const note = (kind: StoreKind, count: number): void => {
    if (count > 0) rows[kind] = (rows[kind] ?? 0) + count
  }
  return {
    ...store,
    list: async (kind, filter, ctx) => {
      const found = (await store.list(kind, filter, ctx)) as readonly never[]
      note(kind, found.length)
      return found
    },
    find: async (kind, query, ctx) => {
      const found = await store.find?.(kind, query, ctx)
      note(kind, found?.records.length ?? 0)
      queries.push(query)
      return found as never
    },
  }
}

/** A fleet whose store has a past; what each of its leaders has read. */
async function fleetWithPast(count: number, options: FleetOptions = {}): Promise<{ fleet: Fleet; reads: Read[] }> {
  const reads: Read[] = []
  const fleet = await createFleet({
    servers: 6,
    connections: { s1: Array.from({ length: 20 }, (_, index) => ({ id: `u${index}` })) },
    ...options,
    replace: (parts: Parts) => {
      if (reads.length === 0) fill(parts.store, finished(count))
      reads.push({ rows: {}, queries: [] })
      return { store: counted(parts.store, reads.at(-1) as Read), ...options.replace?.(parts) }
    },
  })
  return { fleet, reads }
}

test('a new leader reads what is open, and not the 100 000 migrations that are over', async () => {
  const { fleet, reads } = await fleetWithPast(100_000, {
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 1, burst: 1 } } } },
  })
  await fleet.advance(20_000)
  expect(fleet.pintail.status().state).toBe('leading')
  expect(reads[0]?.rows).toEqual({})
  fleet.kill('s1')
  while (fleet.registry.on('s1').length > 15) await fleet.advance(500)
  const open = fleet.pintail.status().migrations.length
  const next = await fleet.crash()
  while (next.pintail.status().state !== 'leading') await next.advance(100)
  const { rows } = reads[1] as Read
  expect(rows).toMatchObject({ incident: 1, evacuation: 1, migration: open, move: 20 })
  await next.advance(120_000)
  expect(next.registry.on('s1')).toEqual([])
  // Going on, ending and looking home again: still nothing of what was over before.
  expect(rows.migration).toBeLessThan(200)
  expect(rows.evacuation).toBeLessThan(20)
  expect((await next.pintail.migrations.list({ limit: 1 })).total).toBeGreaterThan(100_000)
  await next.stop()
})

test('a page of a list, its total and the figures over everything are not read row by row', async () => {
  const { fleet, reads } = await fleetWithPast(20_000)
  await fleet.advance(20_000)
  const { pintail } = fleet
  const page = await pintail.migrations.list({ status: ['failed'], serverId: 's9', limit: 3, offset: 2 })
  expect(page.total).toBe(200)
  expect(page.migrations.map(({ id }) => id)).toEqual(['old-19799', 'old-19699', 'old-19599'])
  expect((await pintail.evacuations.page({ serverId: 's2', limit: 2 })).evacuations.map(({ id }) => id)).toEqual(['old-e4999', 'old-e4993'])
  expect((await pintail.incidents.page({ open: false, ids: ['old-i7', 'old-i8', 'nobody'] })).total).toBe(2)
  expect(await pintail.migrations.stats()).toMatchObject({
    total: 20_000,
    successRate: 0.99,
    averageDurationSeconds: 2,
    failuresByReason: { 'server-down': 200 },
  })
  expect(reads[0]?.rows).toEqual({ migration: 3, evacuation: 2, incident: 2 })
  await fleet.stop()
})

test('a store that can only be read whole works the same, and what that costs is said once', async () => {
  const lines: string[] = []
  const logger = { debug: () => {}, info: (_: object, text: string) => void lines.push(text), warn: () => {}, error: () => {} }
  const run = async (isForeign: boolean) => {
    const plain = ({ store: { find: _, sumMigrations: __, ...store } }: Parts): MigrationStore => store
    const fleet = await createFleet({
      servers: 4,
      connections: 6,
      replace: (parts) => {
        if (parts.store.sumMigrations && !filled.has(parts.registry)) fill(parts.store, finished(300))
        filled.add(parts.registry)
        return { logger, ...(isForeign && { store: plain(parts) }) }
      },
    })
    await fleet.advance(20_000)
    fleet.kill('s1')
    await fleet.advance(15_000)
    const next = await fleet.crash()
    await next.advance(120_000)
    const { migrations, evacuations, incidents } = next.pintail
    const answers = await Promise.all([
      migrations.list(),
      migrations.list({ status: ['failed'], reason: 'server-down', limit: 2, offset: 1 }),
      migrations.list({ serverId: 's1', open: true }),
      migrations.list({ evacuationId: 'old-e3' }),
      migrations.list({ open: true, status: ['completed'] }),
      evacuations.page({ open: false, serverId: 's2', limit: 3 }),
      evacuations.page({ incidentId: 'old-i5' }),
      incidents.page({ status: ['open'] }),
      migrations.stats(),
    ])
    await next.stop()
    return answers
  }
  const filled = new Set<unknown>()
  const found = await run(false)
  expect(lines.filter((line) => line.includes('store.find'))).toEqual([])
  expect(await run(true)).toEqual(found)
  // Once an engine: two have run.
  expect(lines.filter((line) => line.includes('store.find'))).toHaveLength(2)
  expect(found[0].total).toBeGreaterThan(300)
  expect(found[3].total).toBe(4)
  expect(found[4]).toEqual({ migrations: [], total: 0, limit: 50, offset: 0 })
})

test('a list shows the figures of this moment, and never a record in a state that was not asked for', async () => {
  const fleet = await createFleet({
    servers: 3,
    connections: { s1: Array.from({ length: 10 }, (_, index) => ({ id: `u${index}` })) },
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 1, burst: 1 } } } },
  })
  await fleet.advance(20_000)
  const [migration] = await Promise.all([
    fleet.pintail.migrations.create({ serverId: 's1', toServerId: 's2', autoApprove: true }),
    fleet.advance(1000),
  ])
  let moved = -1
  for (let step = 0; step < 200 && moved < 10; step++) {
    const [live] = fleet.pintail.status().migrations.filter(({ id }) => id === migration.id)
    const running = await fleet.pintail.migrations.list({ status: ['transferring'] })
    for (const one of running.migrations) {
      expect(one.status).toBe('transferring')
      if (live?.status === 'transferring') moved = Math.max(moved, one.connectionsMoved)
    }
    if ((await fleet.pintail.migrations.get(migration.id)).status === 'completed') break
    await fleet.advance(250)
  }
  // What is kept of a wave says less than what is known of it.
  expect(moved).toBeGreaterThan(3)
  expect(await fleet.pintail.migrations.list({ open: true })).toMatchObject({ migrations: [], total: 0 })
  expect((await fleet.pintail.migrations.list({ open: false })).migrations.map(({ id }) => id)).toContain(migration.id)
  await fleet.stop()
})

test.for([
  [{ limit: 0 }],
  [{ limit: 201 }],
  [{ limit: 1.5 }],
  [{ offset: -1 }],
  [{ offset: 'x' as never }],
  [{ ids: Array.from({ length: 201 }, () => 'a') }],
])('a list of %j is refused by name', async ([filter]) => {
  const fleet = await createFleet({ servers: 3 })
  for (const list of [fleet.pintail.migrations.list, fleet.pintail.evacuations.page, fleet.pintail.incidents.page])
    await expect(list(filter)).rejects.toMatchObject({ code: 'invalid_argument' })
  await fleet.stop()
})

test('the health says what the status says, without a look at each server', async () => {
  const fleet = await createFleet({ servers: 5 })
  await fleet.advance(90_000)
  const { servers, counts: _, ...status } = fleet.pintail.status()
  const { serverCount, ...health } = fleet.pintail.health()
  expect(serverCount).toBe(servers.length)
  expect(status).toMatchObject(health)
  expect(health).toMatchObject({ state: 'leading', storeTrouble: null })
  await fleet.stop()
  expect(fleet.pintail.health().state).toBe('stopped')
})
