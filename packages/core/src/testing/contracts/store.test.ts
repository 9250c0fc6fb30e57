import { expect, test } from 'vitest'
import { memoryStore, PintailError } from '../../index.ts'
import type {
  CallContext,
  Found,
  FoundKind,
  JournalEntry,
  MigrationStore,
  MigrationSums,
  RecordQuery,
  StoreBatch,
  StoreKind,
  StoreRecords,
  StoreWrite,
} from '../../ports.ts'
import { migrationStoreContract, type StoreHarness } from './index.ts'
import { attempt } from './rule.ts'

const ofMemory = migrationStoreContract(() => ({ store: memoryStore() }), { without: ['another', 'restart', 'goDown', 'fallSilent'] })
for (const rule of ofMemory) test(`memoryStore: ${rule.name}`, rule.run)

// --------------------------------------------------------------------------------------- a store behind a network, and bad ones

type Network = { state: 'up' | 'down' | 'silent' }
/** What may be done wrong about one part of a good store. */
type Spoil = (store: MigrationStore, disk: Disk) => Partial<MigrationStore>
interface Disk {
  /** What is kept; each process has it through a store of its own. */
  kept: MigrationStore
  readonly network: Network
}

async function reach({ state }: Network, { signal }: CallContext): Promise<void> {
  if (state === 'down') throw new PintailError('unavailable', 'connection refused')
  if (state === 'silent') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}

function good(disk: Disk): MigrationStore {
  const { network } = disk
  return {
    name: 'good',
    commit: async (batch, ctx) => {
      // Silence is an answer that is lost: the batch is kept.
      if (network.state === 'silent') await disk.kept.commit(batch, ctx)
      await reach(network, ctx)
      return disk.kept.commit(batch, ctx)
    },
    get: async (kind, id, ctx) => {
      await reach(network, ctx)
      return disk.kept.get(kind, id, ctx)
    },
    async *list<K extends StoreKind>(kind: K, filter: { readonly migrationId?: string }, ctx: CallContext) {
      await reach(network, ctx)
      const rows = [...((await disk.kept.list(kind, filter, ctx)) as readonly StoreRecords[K][])]
      for (let at = 0; at < rows.length; at += 1000) yield rows.slice(at, at + 1000)
    },
    readJournal: async (query, ctx) => {
      await reach(network, ctx)
      return disk.kept.readJournal(query, ctx)
    },
    prune: async (query, ctx) => {
      await reach(network, ctx)
      return disk.kept.prune?.(query, ctx) as never
    },
    post: async (one, ctx) => {
      await reach(network, ctx)
      return disk.kept.post?.(one, ctx)
    },
    posts: async (after, ctx) => {
      await reach(network, ctx)
      return disk.kept.posts?.(after, ctx) as never
    },
    find: async (kind, query, ctx) => {
      await reach(network, ctx)
      return disk.kept.find?.(kind, query, ctx) as never
    },
    sumMigrations: async (ctx) => {
      await reach(network, ctx)
      return disk.kept.sumMigrations?.(ctx) as never
    },
  }
}

function full(spoil: Spoil = () => ({})): StoreHarness {
  const disk: Disk = { kept: memoryStore(), network: { state: 'up' } }
  const open = (): MigrationStore => {
    const store = good(disk)
    return { ...store, ...spoil(store, disk) }
  }
  const turn = (state: Network['state']): void => {
    disk.network.state = state
  }
  return {
    store: open(),
    another: open,
    restart: open,
    goDown: () => turn('down'),
    fallSilent: () => turn('silent'),
    comeBack: () => turn('up'),
  }
}

for (const rule of migrationStoreContract(() => full(), { promptMs: 500 })) test(`a good store: ${rule.name}`, rule.run)

const batchOf =
  (change: (batch: StoreBatch, disk: Disk) => StoreBatch | null): Spoil =>
  (store, disk) => ({
    commit: async (batch, ctx) => {
      const changed = change(batch, disk)
      return changed === null ? { lastSeq: (await store.readJournal({ after: 0, limit: 1 }, ctx)).lastSeq } : store.commit(changed, ctx)
    },
  })
const pageOf =
  (
    change: (entries: readonly JournalEntry[], query: { readonly after: number; readonly limit: number }) => readonly JournalEntry[],
  ): Spoil =>
  (store) => ({
    readJournal: async (query, ctx) => {
      const page = await store.readJournal(query, ctx)
      return { ...page, entries: change(page.entries, query) }
    },
  })
const listOf =
  (change: (rows: readonly never[], kind: StoreKind, migrationId: string | undefined) => readonly never[]): Spoil =>
  (_, disk) => ({
    list: async (kind, filter, ctx) => {
      const { migrationId } = filter
      return change((await disk.kept.list(kind, {}, ctx)) as never[], kind, migrationId)
    },
  })
const ofMigration = (rows: readonly never[], id: string | undefined): readonly never[] =>
  id === undefined ? rows : rows.filter((one: { readonly migrationId: string }) => one.migrationId === id)
const valuesOf = (change: (text: string) => string): Spoil =>
  batchOf((batch) => ({
    ...batch,
    writes: batch.writes.map((one) => ({ ...one, value: one.value && JSON.parse(change(JSON.stringify(one.value))) }) as StoreWrite),
  }))
/** As `commit` should be, but without one of its looks. */
const careless =
  (without: 'version' | 'fence' | 'twice' | 'atomic'): Spoil =>
  (store, disk) => {
    let fresh = 1e9
    return {
      commit: async (batch, ctx) => {
        const token = without === 'fence' || without === 'twice' ? (++fresh as never) : batch.token
        const writes: StoreWrite[] = []
        for (const one of batch.writes) {
          const version = (await disk.kept.get(one.kind, one.id, ctx))?.version ?? 0
          const isWrong = version !== one.expected
          if (without === 'version') writes.push({ ...one, expected: version } as StoreWrite)
          else if (without !== 'atomic' || !isWrong) writes.push(one)
        }
        if (without === 'atomic' && writes.length < batch.writes.length) {
          await store.commit({ ...batch, writes }, ctx)
          throw new PintailError('conflict')
        }
        return store.commit({ ...batch, token, writes }, ctx)
      },
    }
  }

/** A `find` whose query, or whose answer, is changed. */
const findOf =
  (
    change: (query: RecordQuery, kind: FoundKind) => RecordQuery,
    after: (found: Found<never>, query: RecordQuery) => Found<never> = (found) => found,
  ): Spoil =>
  (store) => ({
    find: async (kind, query, ctx) => after((await store.find?.(kind, change(query, kind), ctx)) as never, query) as never,
  })
const sumsOf =
  (change: (sums: MigrationSums) => MigrationSums): Spoil =>
  (store) => ({ sumMigrations: async (ctx) => change((await store.sumMigrations?.(ctx)) as MigrationSums) })
const without = (query: RecordQuery, name: keyof RecordQuery): RecordQuery => {
  const { [name]: _, ...rest } = query
  return rest as RecordQuery
}

const empty = 'an empty store has nothing, and says so'
const whole = 'any JSON comes back as it was: all of Unicode, null, deep, long and large values, in records and in the journal'
const atomic = 'a batch is kept whole or not at all: one wrong version, and no write, no entry and no number of the journal is taken'
const twice = 'a batch that comes twice is kept once and answered, also after newer ones and many times at once'
const edges = 'a page of the journal begins after its cursor, is no longer than asked for, and says what is kept'
const away = 'a store that cannot be reached throws; `unavailable` means that nothing was written, and the batch may come again'
const silent = 'a call without an answer settles soon after its abort, by throwing, and a batch that comes again is kept once'
const meets = 'engines read each other’s newest posts, each in its order, and only those that they have not read'
const forgets = 'pruning forgets the moves of what is over, and keeps those that say whom to bring home'
const cuts = 'pruning takes the oldest entries, and none that a reader has still to read; their numbers are not given again'
const pages = 'a page is newest first and no longer than asked for, with the total of all that match, also behind the last one'
const isNow = 'what was changed is found by what it is now, in the place that it had; what was deleted is not found'
const filters = 'each filter takes what it names and nothing else, and several take what is all of it'
const exact = 'texts are compared exactly, whatever characters are in them'
const over = 'since a time: what is not over, and what was over then or later, each kind by its own measure'
const moment = 'page and total are of one moment, also while others write'
const sums = 'sums are over all migrations, by status and reason, and follow their changes'
const failures = 'failures are counted by their text, the most frequent twenty first, whatever is in them'

const wrong: Record<string, { spoil: Spoil; caughtBy: string }> = {
  'throws for an unknown record': {
    spoil: (store) => ({
      get: async (kind, id, ctx) => {
        const found = await store.get(kind, id, ctx)
        if (!found) throw new PintailError('not_found')
        return found
      },
    }),
    caughtBy: empty,
  },
  'says that the oldest entry of an empty journal is 0': {
    spoil: (store) => ({ readJournal: async (query, ctx) => ({ ...(await store.readJournal(query, ctx)), oldestSeq: 0 }) }),
    caughtBy: empty,
  },
  'forgets a kind': {
    spoil: batchOf((batch) => ({ ...batch, writes: batch.writes.filter(({ kind }) => kind !== 'revoke') })),
    caughtBy: 'every kind of record is kept whole, by its id and in the list of its kind only',
  },
  'has one drawer for all kinds': {
    spoil: (_, disk) => ({
      list: async (_kind, _filter, ctx) =>
        (await Promise.all((['word', 'cursor', 'move'] as const).map((kind) => disk.kept.list(kind, {}, ctx)))).flatMap((rows) => [
          ...(rows as never[]),
        ]),
    }),
    caughtBy: 'every kind of record is kept whole, by its id and in the list of its kind only',
  },
  'cuts long values': {
    spoil: valuesOf((text) => (text.length > 200_000 ? JSON.stringify({ ...JSON.parse(text), patch: {} }) : text)),
    caughtBy: whole,
  },
  'loses half a character': { spoil: valuesOf((text) => text.replaceAll('\\ud800', '\\ufffd')), caughtBy: whole },
  'drops what is null': { spoil: valuesOf((text) => text.replaceAll('"value":null', '"gone":true')), caughtBy: whole },
  'rounds large numbers': { spoil: valuesOf((text) => text.replaceAll('9007199254740991', '9007199254740992')), caughtBy: whole },
  'makes a text of the data of an entry': {
    spoil: pageOf((entries) => entries.map((entry) => ({ ...entry, data: JSON.stringify(entry.data) as never }))),
    caughtBy: whole,
  },
  'keeps whole milliseconds': {
    spoil: batchOf((batch) => ({ ...batch, journal: batch.journal.map((entry) => ({ ...entry, at: Math.floor(entry.at) })) })),
    caughtBy: 'times keep their fractions, and ids any character that an id may have',
  },
  'takes large and small letters for the same': {
    spoil: batchOf((batch) => ({ ...batch, writes: batch.writes.map((one) => ({ ...one, id: one.id.toLowerCase() })) })),
    caughtBy: 'times keep their fractions, and ids any character that an id may have',
  },
  'keeps what was deleted': {
    spoil: batchOf((batch) => ({ ...batch, writes: batch.writes.filter(({ value }) => value !== null) })),
    caughtBy: 'a change is a new value at the next version; a deleted record is gone, and may be made again',
  },
  'does not compare versions': {
    spoil: careless('version'),
    caughtBy: 'a version that does not match is a conflict: made twice, changed from an old one, changed or deleted where nothing is',
  },
  'keeps the half of a batch that it can': { spoil: careless('atomic'), caughtBy: atomic },
  'takes numbers for a batch that it refuses': {
    spoil: (store) => ({
      commit: async (batch, ctx) => {
        try {
          return await store.commit(batch, ctx)
        } catch (error) {
          await store.commit({ ...batch, writes: [] }, ctx)
          throw error
        }
      },
    }),
    caughtBy: atomic,
  },
  'takes 1 000 writes at most': {
    spoil: batchOf((batch) => ({ ...batch, writes: batch.writes.slice(0, 1000) })),
    caughtBy: 'a batch of 2 000 writes and entries is one batch',
  },
  'fences nobody': {
    spoil: careless('fence'),
    caughtBy: 'from the first commit of a higher token on, also an empty one, a lower one is fenced and writes nothing',
  },
  'does not note an empty batch': {
    spoil: batchOf((batch) => (batch.writes.length + batch.journal.length === 0 ? null : batch)),
    caughtBy: 'from the first commit of a higher token on, also an empty one, a lower one is fenced and writes nothing',
  },
  'fences with a batch that it refuses': {
    spoil: (store) => ({
      commit: async (batch, ctx) => {
        try {
          return await store.commit(batch, ctx)
        } catch (error) {
          await attempt(() => store.commit({ ...batch, writes: [], journal: [] }, ctx))
          throw error
        }
      },
    }),
    caughtBy: 'a batch that was refused neither fences nor counts',
  },
  'keeps a batch as often as it comes': { spoil: careless('twice'), caughtBy: twice },
  'looks first and writes later': {
    spoil: (store, disk) => ({
      commit: async (batch, ctx) => {
        for (const { kind, id, expected } of batch.writes)
          if (((await store.get(kind, id, ctx))?.version ?? 0) !== expected) throw new PintailError('conflict')
        await new Promise((resolve) => setImmediate(resolve))
        const writes: StoreWrite[] = []
        for (const one of batch.writes)
          writes.push({ ...one, expected: (await disk.kept.get(one.kind, one.id, ctx))?.version ?? 0 } as StoreWrite)
        return store.commit({ ...batch, writes }, ctx)
      },
    }),
    caughtBy: 'of two commits at once that change one record exactly one is kept',
  },
  'numbers batches instead of entries': {
    spoil: batchOf((batch) => ({ ...batch, journal: batch.journal.slice(0, 1) })),
    caughtBy: 'the journal rises by one from 1, over batches of many entries and of none',
  },
  'begins a page with its cursor': {
    spoil: (store) => ({ readJournal: (query, ctx) => store.readJournal({ ...query, after: Math.max(0, query.after - 1) }, ctx) }),
    caughtBy: edges,
  },
  'gives longer pages': {
    spoil: (store) => ({ readJournal: (query, ctx) => store.readJournal({ ...query, limit: query.limit + 1 }, ctx) }),
    caughtBy: edges,
  },
  'says that the last entry of the page is the last of all': {
    spoil: (store) => ({
      readJournal: async (query, ctx) => {
        const page = await store.readJournal(query, ctx)
        return { ...page, lastSeq: page.entries.at(-1)?.seq ?? 0 }
      },
    }),
    caughtBy: edges,
  },
  'lists by id': {
    spoil: listOf((rows, _, id) =>
      ofMigration(
        [...rows].sort((a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)),
        id,
      ),
    ),
    caughtBy: 'a list is oldest first, and a change does not alter the order',
  },
  'lists the newest first': {
    spoil: listOf((rows, _, id) => ofMigration([...rows].reverse(), id)),
    caughtBy: 'a list is oldest first, and a change does not alter the order',
  },
  'lists moves by the beginning of their id': {
    spoil: listOf((rows, _, id = '') => rows.filter((one: { readonly id: string }) => one.id.startsWith(id))),
    caughtBy: 'moves are listed by their migration, and by no other whose id begins alike',
  },
  'lists the first thousand': {
    spoil: listOf((rows, _, id) => ofMigration(rows, id).slice(0, 1000)),
    caughtBy: 'a list of 5 000 has each once, also while it grows and others are changed',
  },
  'lists by pages that move while they are read': {
    spoil: (_, disk) => ({
      async *list(kind, _filter, ctx) {
        for (let at = 0; ; at += 500) {
          // By their last change: whatever is changed in the meantime moves to the end, and the others forward.
          const rows = [...((await disk.kept.list(kind, {}, ctx)) as readonly { readonly version: number }[])].sort(
            (a, b) => a.version - b.version,
          )
          const page = rows.slice(at, at + 500)
          if (page.length === 0) return
          yield page as never
          await new Promise((resolve) => setImmediate(resolve))
        }
      },
    }),
    caughtBy: 'a list of 5 000 has each once, also while it grows and others are changed',
  },
  'shows entries before those that come before them': {
    spoil: pageOf((entries, { after }) => {
      // As a sequence of the database does that two commits draw from: the later number is there first.
      const [first, second] = entries
      return second && first && after > 0 && after % 5 === 0 ? entries.slice(1) : entries
    }),
    caughtBy: 'whoever reads the journal while others write misses nothing, and finds no gap',
  },
  'keeps the half of an aborted batch': {
    spoil: (store) => ({
      commit: async (batch, ctx) => {
        if (!ctx.signal.aborted) return store.commit(batch, ctx)
        return store.commit({ ...batch, journal: [] }, ctx)
      },
    }),
    caughtBy: 'an aborted commit settles soon, and when it comes again it is kept once',
  },
  'keeps its data in its own memory': {
    spoil: (_, { network }) => good({ kept: memoryStore(), network }),
    caughtBy: 'another process reads what this one has committed, and fences it',
  },
  'remembers its batches in its own memory': {
    spoil: (store) => {
      let offset = 0
      let began = false
      return {
        commit: async (batch, ctx) => {
          if (!began) offset = (await store.readJournal({ after: 0, limit: 1 }, ctx)).lastSeq > 0 ? 1000 : 0
          began = true
          return store.commit({ ...batch, token: (batch.token + offset) as never }, ctx)
        },
      }
    },
    caughtBy: 'what was committed outlives the process: records, order, journal, token and batch',
  },
  'says nothing while it is away': {
    spoil: (store, { network }) => ({ get: async (kind, id, ctx) => (network.state === 'down' ? null : store.get(kind, id, ctx)) }),
    caughtBy: away,
  },
  'says `unavailable` of what it has written': {
    spoil: (store, disk) => ({
      commit: async (batch, ctx) => {
        if (disk.network.state === 'down') await disk.kept.commit(batch, ctx)
        return store.commit(batch, ctx)
      },
    }),
    caughtBy: away,
  },
  'does not look at the signal': {
    spoil: (store, { network }) => ({
      commit: (batch, ctx) => (network.state === 'silent' ? new Promise(() => {}) : store.commit(batch, ctx)),
    }),
    caughtBy: silent,
  },
  'calls silence `unavailable`': {
    spoil: (store, { network }) => ({
      commit: async (batch, ctx) => {
        const isSilent = network.state === 'silent'
        return store.commit(batch, ctx).then(
          (answer) => answer,
          (error) => {
            throw isSilent ? new PintailError('unavailable') : error
          },
        )
      },
    }),
    caughtBy: silent,
  },
  'prunes by age alone': {
    spoil: (store, { kept }) => ({
      prune: async (query, ctx) => {
        for (const { id, version } of [...((await kept.list('move', {}, ctx)) as readonly { id: string; version: number }[])].slice(
          0,
          query.limit,
        ))
          await kept.commit(
            {
              token: 1 as never,
              batch: 1e6 + version + Math.random(),
              writes: [{ kind: 'move', id, expected: version, value: null }],
              journal: [],
            },
            ctx,
          )
        return store.prune?.(query, ctx) as never
      },
    }),
    caughtBy: forgets,
  },
  'keeps one post of each engine': {
    spoil: (store) => ({
      posts: async (after, ctx) => ((await store.posts?.(after, ctx)) ?? []).filter(({ number }) => number === 40 || number === 1),
    }),
    caughtBy: meets,
  },
  'gives every post again': { spoil: (store) => ({ posts: async (_, ctx) => (await store.posts?.({}, ctx)) as never }), caughtBy: meets },
  'prunes nothing': { spoil: () => ({ prune: async () => ({ moves: 0, entries: 0, more: false, heldBy: null }) }), caughtBy: forgets },
  'prunes what a reader has not read': {
    spoil: (store, { kept }) => ({
      prune: async (query, ctx) => {
        const cursor = await kept.get('cursor', 'log', ctx)
        if (cursor && cursor.seq < 6)
          await kept.commit(
            {
              token: 1 as never,
              batch: 1e6,
              writes: [{ kind: 'cursor', id: 'log', expected: cursor.version, value: { ...cursor, seq: 6 } }],
              journal: [],
            },
            ctx,
          )
        return store.prune?.(query, ctx) as never
      },
    }),
    caughtBy: cuts,
  },
  'finds the oldest first': {
    spoil: findOf(
      (query) => query,
      ({ records, total }) => ({ records: records.toReversed(), total }),
    ),
    caughtBy: pages,
  },
  'counts the page and not all': {
    spoil: findOf(
      (query) => query,
      ({ records }) => ({ records, total: records.length }),
    ),
    caughtBy: pages,
  },
  'has no total behind the last page': {
    spoil: findOf(
      (query) => query,
      ({ records, total }) => ({ records, total: records.length === 0 ? 0 : total }),
    ),
    caughtBy: pages,
  },
  'counts what a filter leaves out': {
    spoil: (store) => ({
      find: async (kind, query, ctx) => {
        const all = await store.find?.(kind, { limit: 1, offset: 0 }, ctx)
        return { ...(await store.find?.(kind, query, ctx)), ...{ total: all?.total } } as never
      },
    }),
    caughtBy: filters,
  },
  'finds by what a record was when it was made': {
    spoil: (store, { kept }) => {
      const first = memoryStore()
      return {
        commit: async (batch, ctx) => {
          const made = batch.writes.filter(({ expected, kind }) => expected === 0 && kind === 'migration')
          await first.commit({ ...batch, writes: made }, ctx)
          return store.commit(batch, ctx)
        },
        find: async (kind, query, ctx) => {
          const found = await first.find?.(kind, query, ctx)
          const now = await Promise.all((found?.records ?? []).map(({ id }) => kept.get(kind, id, ctx)))
          return { records: now.filter((one) => one !== null), total: found?.total } as never
        },
      }
    },
    caughtBy: isNow,
  },
  'finds by the last change first': {
    spoil: findOf(
      (query) => query,
      ({ records, total }) => ({
        records: [...records].sort((a: { version: number }, b: { version: number }) => b.version - a.version) as never,
        total,
      }),
    ),
    caughtBy: isNow,
  },
  ...Object.fromEntries(
    (['ids', 'status', 'serverId', 'reason', 'of'] as const).map((name) => [
      `does not look at the filter ${name}`,
      { spoil: findOf((query) => without(query, name)), caughtBy: filters },
    ]),
  ),
  'takes the first of several states': {
    spoil: findOf((query) => ({ ...query, ...(query.status && { status: query.status.slice(0, 1) }) })),
    caughtBy: filters,
  },
  'finds a server as the source alone': {
    spoil: findOf(
      (query) => query,
      ({ records, total }, { serverId }) => {
        const those = records.filter(
          (one: { fromServerId?: string }) => serverId === undefined || (one.fromServerId ?? serverId) === serverId,
        )
        return { records: those, total: total - records.length + those.length }
      },
    ),
    caughtBy: filters,
  },
  'finds for incidents what it cannot know of them': {
    spoil: findOf((query, kind) => (kind === 'incident' ? without(without(query, 'of'), 'reason') : query)),
    caughtBy: filters,
  },
  'takes large and small letters of a filter for the same': {
    spoil: findOf((query) => ({ ...query, ...(query.serverId && { serverId: query.serverId.toLowerCase() }) })),
    caughtBy: exact,
  },
  'loses half a character of a filter': {
    spoil: findOf((query) => ({ ...query, ...(query.serverId && { serverId: query.serverId.toWellFormed() }) })),
    caughtBy: exact,
  },
  'cuts a list of ids at a comma': {
    spoil: findOf((query) => ({ ...query, ...(query.of && { of: query.of.join(',').split(',') }) })),
    caughtBy: exact,
  },
  'does not look at the time': { spoil: findOf((query) => without(query, 'since')), caughtBy: over },
  'takes whole milliseconds of a time': {
    spoil: findOf((query) => ({ ...query, ...(query.since && { since: Math.floor(query.since) }) })),
    caughtBy: over,
  },
  'takes a closed incident for over while its users may go home': {
    spoil: findOf(
      (query) => query,
      ({ records, total }, { since }) => {
        const isClosed = ({ status, openedAt = 0 }: { status: string; openedAt?: number }) => status === 'closed' && openedAt < (since ?? 0)
        const those = records.filter((one) => !isClosed(one))
        return { records: those, total: total - records.length + those.length }
      },
    ),
    caughtBy: over,
  },
  'counts first and reads later': {
    spoil: (store) => ({
      find: async (kind, query, ctx) => {
        const before = await store.find?.(kind, query, ctx)
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
        return { ...(await store.find?.(kind, query, ctx)), ...{ total: before?.total } } as never
      },
    }),
    caughtBy: moment,
  },
  'sums without a reason': {
    spoil: sumsOf(({ groups, ...rest }) => ({ ...rest, groups: groups.map((group) => ({ ...group, reason: 'manual' })) })),
    caughtBy: sums,
  },
  'times what has no beginning': {
    spoil: sumsOf(({ groups, ...rest }) => ({ ...rest, groups: groups.map((group) => ({ ...group, timed: group.count })) })),
    caughtBy: sums,
  },
  'sums whole milliseconds': {
    spoil: sumsOf(({ groups, ...rest }) => ({
      ...rest,
      groups: groups.map((group) => ({ ...group, durationMs: Math.floor(group.durationMs) })),
    })),
    caughtBy: sums,
  },
  'sums what was once': {
    spoil: (store) => {
      let last: MigrationSums | undefined
      return {
        sumMigrations: async (ctx) => {
          last ??= (await store.sumMigrations?.(ctx)) as MigrationSums
          return last
        },
      }
    },
    caughtBy: sums,
  },
  'counts each failure for itself': {
    spoil: sumsOf(({ groups, failures }) => ({
      groups,
      failures: failures.flatMap(({ error, count }) => Array.from({ length: count }, () => ({ error, count: 1 }))).slice(0, 20),
    })),
    caughtBy: failures,
  },
  'tells every failure': {
    spoil: sumsOf(({ groups, failures }) => ({ groups, failures: [...failures, { error: 'once more', count: 1 }] })),
    caughtBy: failures,
  },
  'has no failure without a text': {
    spoil: sumsOf(({ groups, failures }) => ({
      groups,
      failures: failures.map(({ error, count }) => ({ error: error ?? '', count })),
    })),
    caughtBy: failures,
  },
  'says nothing is there while it is away': {
    spoil: (store, { network }) => ({
      find: async (kind, query, ctx) =>
        network.state === 'down' ? { records: [], total: 0 } : ((await store.find?.(kind, query, ctx)) as never),
    }),
    caughtBy: away,
  },
  'sums nothing while it is silent': {
    spoil: (store, { network }) => ({
      sumMigrations: async (ctx) =>
        network.state === 'silent' ? { groups: [], failures: [] } : ((await store.sumMigrations?.(ctx)) as never),
    }),
    caughtBy: silent,
  },
}

test.for(Object.entries(wrong))('a store that %s is caught', async ([, { spoil, caughtBy }]) => {
  const rules = migrationStoreContract(() => full(spoil), { promptMs: 200, timeoutMs: 4000 })
  const rule = rules.find(({ name }) => name === caughtBy)
  await expect(rule?.run()).rejects.toThrow()
})

test('every rule of the kit has a store that it catches', () => {
  const names = migrationStoreContract(() => full()).map(({ name }) => name)
  expect(new Set(Object.values(wrong).map(({ caughtBy }) => caughtBy))).toEqual(new Set(names))
})
