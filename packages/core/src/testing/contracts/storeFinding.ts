import assert from 'node:assert/strict'
import type { CallContext, FoundKind, MigrationStore, RecordQuery, StoreRecords, StoreWrite } from '../../ports.ts'
import type { Evacuation, EvacuationId, Incident, IncidentId, Migration, ServerId, Token } from '../../vocabulary.ts'
import { draft, erase, evacuationOf, failbackOf, incidentOf, migrationOf, startOfTime, write } from './records.ts'
import type { RuleDraft } from './rule.ts'
import type { StoreExtra, StoreHarness } from './storeHarness.ts'

/** Rules for the optional methods that look through many records: `find` and `sumMigrations`. */
export const findingRules: readonly RuleDraft<StoreHarness, StoreExtra>[] = [
  {
    name: 'a page is newest first and no longer than asked for, with the total of all that match, also behind the last one',
    needs: ['find'],
    run: async ({ store }, { ctx }) => {
      for (const kind of foundKinds) assert.deepEqual(await find(store, kind, {}, ctx), { records: [], total: 0 })
      // In an order that is not that of their ids.
      const ids = Array.from({ length: 30 }, (_, index) => `m${(index * 7) % 30}`)
      for (const kind of foundKinds) {
        await keep(store, ctx, ...ids.map((id) => write(kind, id, oneOf[kind](id))))
        const page = (offset: number, limit: number) => find(store, kind, { offset, limit }, ctx)
        const newest = ids.toReversed().map((id) => oneOf[kind](id))
        assert.deepEqual(await page(0, 1000), { records: newest, total: 30 })
        assert.deepEqual(await page(0, 7), { records: newest.slice(0, 7), total: 30 })
        assert.deepEqual(await page(7, 7), { records: newest.slice(7, 14), total: 30 })
        assert.deepEqual(await page(28, 7), { records: newest.slice(28), total: 30 })
        for (const offset of [30, 31, Number.MAX_SAFE_INTEGER]) assert.deepEqual(await page(offset, 7), { records: [], total: 30 })
        const [some] = [{ status: [newest[0]?.status as string], offset: 5, limit: 3 }]
        assert.deepEqual(await find(store, kind, some, ctx), { records: newest.slice(5, 8), total: 30 }, `${kind} by pages of one status`)
      }
    },
  },
  {
    name: 'what was changed is found by what it is now, in the place that it had; what was deleted is not found',
    needs: ['find'],
    run: async ({ store }, { ctx }) => {
      await keep(store, ctx, ...['a', 'b', 'c'].map((id) => write('migration', id, migrationOf(id))))
      await keep(store, ctx, write('migration', 'b', migrationOf('b', { version: 2, status: 'scheduled', toServerId: 's9' as ServerId })))
      await keep(store, ctx, erase('migration', 'a', 1))
      const ids = async (query: Partial<RecordQuery>) => (await find(store, 'migration', query, ctx)).records.map(({ id }) => id)
      assert.deepEqual(await ids({}), ['c', 'b'])
      assert.deepEqual(await ids({ status: ['suggested'] }), ['c'])
      assert.deepEqual(await ids({ status: ['scheduled'] }), ['b'])
      assert.deepEqual(await ids({ serverId: 's9' }), ['b'])
      assert.deepEqual(await ids({ serverId: 's2' }), ['c'])
      assert.equal((await find(store, 'migration', { ids: ['b'] }, ctx)).records[0]?.version, 2)
    },
  },
  {
    name: 'each filter takes what it names and nothing else, and several take what is all of it',
    needs: ['find'],
    run: async ({ store }, { ctx }) => {
      for (const [kind, , records] of worlds) await keep(store, ctx, ...records.map((one) => write(kind, one.id, one as never)))
      for (const [kind, cases] of worlds)
        for (const [query, wanted] of cases) {
          const { records, total } = await find(store, kind, query, ctx)
          const what = `${kind} by ${JSON.stringify(query)}`
          assert.deepEqual(records.map(({ id }) => id).sort(), [...wanted].sort(), what)
          assert.equal(total, wanted.length, what)
        }
    },
  },
  {
    name: 'texts are compared exactly, whatever characters are in them',
    needs: ['find'],
    run: async ({ store }, { ctx }) => {
      const texts = ['1', '01', 'A', 'a', "o'brien", 'ünï 🦆', '%', '_', '"\\', 'a,b', '[1]', 'null', ' a', '\ud800', 'x\0y', '\uf8ff']
      await keep(
        store,
        ctx,
        ...texts.map((text, index) => {
          const [serverId, evacuationId] = [text as ServerId, text as EvacuationId]
          return write('migration', `m${index}`, migrationOf(`m${index}`, { fromServerId: serverId, evacuationId }))
        }),
      )
      for (const [index, text] of texts.entries())
        for (const query of [{ serverId: text }, { of: [text, 'nobody'] }]) {
          const { records } = await find(store, 'migration', query, ctx)
          assert.deepEqual(
            records.map(({ id }) => id),
            [`m${index}`],
            JSON.stringify(query),
          )
        }
    },
  },
  {
    name: 'since a time: what is not over, and what was over then or later, each kind by its own measure',
    needs: ['find'],
    run: async ({ store }, { ctx }) => {
      const at = startOfTime + 1000.5
      const before = at - 0.25
      const named = <T extends { readonly id: string }>(records: readonly T[]): T[] =>
        records.map((one, index) => ({ ...one, id: `${index}` }))
      const migrations = named<Migration>([
        migrationOf('', { status: 'transferring', startedAt: before }),
        migrationOf('', { status: 'completed', completedAt: at }),
        migrationOf('', { status: 'failed', completedAt: at + 1 }),
        migrationOf('', { status: 'cancelled', completedAt: before }),
        migrationOf('', { status: 'completed', completedAt: null, createdAt: at }),
        // Brought back to life by a retry: it ended once, and is not over.
        migrationOf('', { status: 'scheduled', completedAt: before }),
      ])
      const evacuations = named<Evacuation>([
        evacuationOf('', { status: 'running', endedAt: null }),
        evacuationOf('', { status: 'completed', endedAt: at }),
        evacuationOf('', { status: 'cancelled', endedAt: before }),
      ])
      const incidents = named<Incident>([
        incidentOf('', { status: 'open', openedAt: before }),
        incidentOf('', { status: 'recovered', openedAt: before }),
        incidentOf('', { status: 'closed', openedAt: before, failback: failbackOf('waiting') }),
        incidentOf('', { status: 'closed', openedAt: before, failback: failbackOf('running') }),
        incidentOf('', { status: 'closed', openedAt: before, failback: failbackOf('done') }),
        incidentOf('', { status: 'closed', openedAt: at, failback: null }),
        incidentOf('', { status: 'closed', openedAt: before, failback: null, recoveredAt: at + 5 }),
      ])
      const wanted = [
        ['migration', migrations, ['0', '1', '2', '5'], ['0', '5']],
        ['evacuation', evacuations, ['0', '1'], ['0']],
        ['incident', incidents, ['0', '1', '2', '3', '5'], ['0', '1', '2', '3']],
      ] as const
      for (const [kind, records, since, open] of wanted) {
        await keep(store, ctx, ...records.map((one) => write(kind, one.id, one as never)))
        const ids = async (time: number) => (await find(store, kind, { since: time }, ctx)).records.map(({ id }) => id).sort()
        assert.deepEqual(await ids(at), since, `${kind} since a time`)
        assert.deepEqual(await ids(Number.MAX_SAFE_INTEGER), open, `${kind} that are not over`)
        assert.equal((await ids(0)).length, records.length, `${kind} since ever`)
      }
    },
  },
  {
    name: 'page and total are of one moment, also while others write',
    needs: ['find'],
    run: async (harness, { ctx }) => {
      const { store } = harness
      const other = (await harness.another?.()) ?? store
      let writing = true
      const writer = async (): Promise<void> => {
        for (let batch = 1; batch <= 40; batch++) {
          const id = `m${batch}`
          await other.commit({ token: 1 as Token, batch, writes: [write('migration', id, migrationOf(id))], journal: [draft(id)] }, ctx)
        }
        writing = false
      }
      const reader = async (): Promise<void> => {
        while (writing) {
          const { records, total } = await find(store, 'migration', {}, ctx)
          assert.equal(records.length, total, `a page of ${records.length} says that ${total} match`)
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      await Promise.all([writer(), reader(), reader()])
      assert.equal((await find(store, 'migration', {}, ctx)).total, 40)
    },
  },
  {
    name: 'sums are over all migrations, by status and reason, and follow their changes',
    needs: ['sumMigrations'],
    run: async ({ store }, { ctx }) => {
      assert.deepEqual(await store.sumMigrations?.(ctx), { groups: [], failures: [] })
      const times = (ms: number) => ({ startedAt: startOfTime + 0.25, completedAt: startOfTime + 0.25 + ms })
      const records = [
        migrationOf('a', { status: 'completed', reason: 'manual', ...times(1500.5), savingsEurHour: 0.1, savingsEurMonth: 73 }),
        migrationOf('b', { status: 'completed', reason: 'manual', ...times(500), savingsEurHour: 0.2, savingsEurMonth: null }),
        migrationOf('c', { status: 'completed', reason: 'manual', completedAt: startOfTime, savingsEurMonth: null }),
        migrationOf('d', { status: 'completed', reason: 'failback', ...times(0), savingsEurMonth: null }),
        migrationOf('e', { status: 'failed', reason: 'manual', ...times(10), savingsEurMonth: -1 }),
        migrationOf('f', { status: 'suggested', savingsEurMonth: null }),
        migrationOf('g', { status: 'suggested', savingsEurMonth: null }),
      ]
      await keep(store, ctx, ...records.map((one) => write('migration', one.id, one)))
      await keep(store, ctx, write('migration', 'f', { ...migrationOf('f', { status: 'approved', savingsEurMonth: null }), version: 2 }))
      await keep(store, ctx, erase('migration', 'g', 1))
      const group = (status: string, reason: string, figures: object) => ({ status, reason, ...none, ...figures })
      assert.deepEqual(rounded((await store.sumMigrations?.(ctx))?.groups ?? []), [
        group('approved', 'server-down', { count: 1 }),
        group('completed', 'failback', { count: 1, timed: 1 }),
        group('completed', 'manual', { count: 3, timed: 2, durationMs: 2000.5, savingsEurHour: 0.3, savingsEurMonth: 73 }),
        group('failed', 'manual', { count: 1, timed: 1, durationMs: 10, savingsEurMonth: -1 }),
      ])
    },
  },
  {
    name: 'failures are counted by their text, the most frequent twenty first, whatever is in them',
    needs: ['sumMigrations'],
    run: async ({ store }, { ctx }) => {
      const often: readonly (string | null)[] = ['the panel said no', null, '"\\ 🦆 \ud800 x\0y \uf8ff', 'A', 'a']
      const texts = [
        ...often.flatMap((text, index) => Array.from({ length: 9 - index }, () => text)),
        ...Array.from({ length: 30 }, (_, index) => `once ${index}`),
      ]
      const failed = texts.map((errorMessage, index) => migrationOf(`m${index}`, { status: 'failed', errorMessage }))
      // Tried again, and not failed any more.
      const going = Array.from({ length: 20 }, (_, index) => migrationOf(`n${index}`, { status: 'scheduled', errorMessage: 'once 0' }))
      await keep(store, ctx, ...[...failed, ...going].map((one) => write('migration', one.id, one)))
      const { failures = [] } = (await store.sumMigrations?.(ctx)) ?? {}
      assert.equal(failures.length, 20)
      assert.deepEqual(
        failures.slice(0, often.length),
        often.map((error, index) => ({ error, count: 9 - index })),
      )
      for (const { error, count } of failures.slice(often.length))
        assert.ok(error?.startsWith('once ') && count === 1, `${error}: ${count}`)
    },
  },
]

/** What the rules of trouble ask of a store that has these methods. */
export function findingCalls(store: MigrationStore): readonly [string, (ctx: CallContext) => PromiseLike<unknown>][] {
  return [
    ...(store.find ? [['find', (ctx: CallContext) => find(store, 'migration', {}, ctx)] as const] : []),
    ...(store.sumMigrations ? [['sumMigrations', async (ctx: CallContext) => store.sumMigrations?.(ctx)] as const] : []),
  ].map(([name, call]) => [name, call])
}

const foundKinds = ['incident', 'evacuation', 'migration'] as const
const oneOf = { incident: incidentOf, evacuation: evacuationOf, migration: migrationOf } as const

async function find<K extends FoundKind>(
  store: MigrationStore,
  kind: K,
  query: Partial<RecordQuery>,
  ctx: CallContext,
): Promise<{ readonly records: readonly StoreRecords[K][]; readonly total: number }> {
  const found = await store.find?.(kind, { limit: 1000, offset: 0, ...query }, ctx)
  assert.ok(found, 'there is no find')
  return { records: found.records, total: found.total }
}

const batches = new WeakMap<MigrationStore, number>()

async function keep(store: MigrationStore, ctx: CallContext, ...writes: StoreWrite[]): Promise<void> {
  const batch = (batches.get(store) ?? 0) + 1
  batches.set(store, batch)
  await store.commit({ token: 1 as Token, batch, writes, journal: [] }, ctx)
}

const none = { count: 0, timed: 0, durationMs: 0, savingsEurHour: 0, savingsEurMonth: 0 }

/** In the order of their names; sums of fractions, as they are meant. */
function rounded(groups: readonly { readonly status: string; readonly reason: string }[]): object[] {
  const one = (group: object) =>
    Object.entries(group).map(([key, value]) => [key, typeof value === 'number' ? Math.round(value * 1e6) / 1e6 : value])
  return [...groups]
    .sort((a, b) => (`${a.status} ${a.reason}` < `${b.status} ${b.reason}` ? -1 : 1))
    .map((group) => Object.fromEntries(one(group)))
}

type Case = readonly [query: Partial<RecordQuery>, wanted: readonly string[]]
type World = { [K in FoundKind]: readonly [kind: K, cases: readonly Case[], records: readonly StoreRecords[K][]] }[FoundKind]

const s = (id: string): ServerId => id as ServerId
const e = (id: string): EvacuationId => id as EvacuationId
const i = (id: string): IncidentId => id as IncidentId

const worlds: readonly World[] = [
  [
    'migration',
    [
      [{ status: ['completed'] }, ['m2', 'm3']],
      [{ status: ['suggested', 'failed'] }, ['m1', 'm4']],
      [{ status: ['preparing'] }, []],
      [{ serverId: 's1' }, ['m1', 'm2', 'm3']],
      [{ serverId: 's2' }, ['m1', 'm3', 'm4']],
      [{ serverId: 's' }, []],
      [{ reason: 'manual' }, ['m2', 'm4']],
      [{ of: ['e1'] }, ['m1', 'm2']],
      [{ of: ['e2', 'e3', 'e9'] }, ['m3', 'm4']],
      [{ ids: ['m1', 'm4', 'e1', 'm9'] }, ['m1', 'm4']],
      [{ ids: ['m'] }, []],
      [{ status: ['completed'], serverId: 's2' }, ['m3']],
      [
        { reason: 'manual', of: ['e1', 'e3'], status: ['failed', 'completed'], serverId: 's3', ids: ['m1', 'm2', 'm4'], since: 0 },
        ['m2', 'm4'],
      ],
    ],
    [
      migrationOf('m1', { evacuationId: e('e1'), fromServerId: s('s1'), toServerId: s('s2'), status: 'suggested' }),
      migrationOf('m2', { evacuationId: e('e1'), fromServerId: s('s1'), toServerId: s('s3'), status: 'completed', reason: 'manual' }),
      migrationOf('m3', { evacuationId: e('e2'), fromServerId: s('s2'), toServerId: s('s1'), status: 'completed' }),
      migrationOf('m4', { evacuationId: e('e3'), fromServerId: s('s3'), toServerId: s('s2'), status: 'failed', reason: 'manual' }),
    ],
  ],
  [
    'evacuation',
    [
      [{ status: ['running'] }, ['e1', 'e3']],
      [{ serverId: 's1' }, ['e1', 'e2']],
      [{ serverId: 's2' }, ['e1', 'e3']],
      [{ reason: 'maintenance' }, ['e2']],
      [{ of: ['i1', 'i2'] }, ['e1', 'e2']],
      [{ of: ['i'] }, []],
      [{ ids: ['e3', 'm3'] }, ['e3']],
      [{ serverId: 's1', status: ['completed', 'cancelled'] }, ['e2']],
    ],
    [
      evacuationOf('e1', { incidentId: i('i1'), fromServerIds: [s('s1'), s('s2')] }),
      evacuationOf('e2', { incidentId: i('i2'), fromServerIds: [s('s1')], status: 'completed', reason: 'maintenance', endedAt: 1 }),
      evacuationOf('e3', { incidentId: null, fromServerIds: [s('s3')], toServerId: s('s2') }),
    ],
  ],
  [
    'incident',
    [
      [{ status: ['open', 'recovered'] }, ['i1', 'i2']],
      [{ serverId: 's1' }, ['i1', 'i3']],
      [{ ids: ['i2'] }, ['i2']],
      [{ serverId: 's1', status: ['closed'] }, ['i3']],
      [{ reason: 'server-down' }, []],
      [{ of: ['i1', 'e1'] }, []],
    ],
    [
      incidentOf('i1', { serverId: s('s1'), evacuationId: e('e1') }),
      incidentOf('i2', { serverId: s('s2'), status: 'recovered' }),
      incidentOf('i3', { serverId: s('s1'), status: 'closed' }),
    ],
  ],
]
