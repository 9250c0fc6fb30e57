import assert from 'node:assert/strict'
import type {
  CallContext,
  JournalDraft,
  JournalEntry,
  Listing,
  MigrationStore,
  StoreBatch,
  StoreKind,
  StoreRecords,
  StoreWrite,
} from '../../ports.ts'
import type { EvacuationId, IncidentId, Json, MoveRecord, Token } from '../../vocabulary.ts'
import {
  cursorOf,
  draft,
  erase,
  evacuationOf,
  failbackOf,
  incidentOf,
  migrationOf,
  moveOf,
  oneOfEach,
  startOfTime,
  write,
} from './records.ts'
import { abortCall, attempt, type ContractRule, frozen, type Kit, type KitOptions, shown, toRules } from './rule.ts'
import { findingCalls, findingRules } from './storeFinding.ts'
import type { StoreExtra, StoreHarness } from './storeHarness.ts'

export type { StoreExtra, StoreHarness } from './storeHarness.ts'

/**
 * What every store must do. `create` makes an empty store for each rule.
 * @example for (const rule of migrationStoreContract(create, { without: ['fallSilent'] })) test(rule.name, rule.run)
 */
export function migrationStoreContract(
  create: () => StoreHarness | PromiseLike<StoreHarness>,
  options: KitOptions<StoreExtra> = {},
): ContractRule[] {
  return toRules(kit, create, options)
}

const kit: Kit<StoreHarness, StoreExtra> = {
  has: (harness, extra) => {
    if (extra === 'prune' || extra === 'find' || extra === 'sumMigrations') return harness.store[extra] !== undefined
    if (extra === 'post') return harness.store.post !== undefined && harness.store.posts !== undefined
    if (extra === 'another' || extra === 'restart') return harness[extra] !== undefined
    return harness[extra] !== undefined && harness.comeBack !== undefined
  },
  rules: [
    {
      name: 'an empty store has nothing, and says so',
      run: async ({ store }, { ctx }) => {
        for (const kind of kinds) {
          assert.equal(await store.get(kind, 'nobody', ctx), null)
          assert.deepEqual(await listed(store, kind, ctx), [])
        }
        assert.deepEqual(await listed(store, 'move', ctx, 'm1'), [])
        assert.deepEqual(await store.readJournal({ after: 0, limit: 10 }, ctx), { entries: [], oldestSeq: 1, lastSeq: 0 })
      },
    },
    {
      name: 'every kind of record is kept whole, by its id and in the list of its kind only',
      run: async ({ store }, { ctx }) => {
        const writes = kinds.map((kind) => write(kind, oneOfEach[kind].id, oneOfEach[kind].value))
        await store.commit({ token: 1 as Token, batch: 1, writes, journal: [] }, ctx)
        for (const kind of kinds) {
          assert.deepEqual(await store.get(kind, oneOfEach[kind].id, ctx), oneOfEach[kind].value)
          assert.deepEqual(await listed(store, kind, ctx), [oneOfEach[kind].value])
        }
      },
    },
    {
      name: 'any JSON comes back as it was: all of Unicode, null, deep, long and large values, in records and in the journal',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        const patches = awkward.map((value, index) => [`x${index}`, value] as const)
        await commit({
          writes: patches.map(([id, value]) => write('word', id, wordOf(value, 1))),
          journal: patches.map(([id, value]) => draft(id, { value })),
        })
        for (const [id, value] of patches) assert.deepEqual(await store.get('word', id, ctx), wordOf(value, 1), id)
        assert.deepEqual(
          await listed(store, 'word', ctx),
          patches.map(([, value]) => wordOf(value, 1)),
        )
        const { entries } = await store.readJournal({ after: 0, limit: 100 }, ctx)
        assert.deepEqual(
          entries,
          patches.map(([id, value], index) => ({ seq: index + 1, ...draft(id, { value }) })),
        )
        // Where a store has columns of its own for a field, they have to take whatever the field may hold.
        for (const [index, text] of awkward.filter((value): value is string => typeof value === 'string').entries()) {
          const value = migrationOf(`m${index}`, { notes: text, errorMessage: text, warnings: [text] })
          await commit({ writes: [write('migration', value.id, value)] })
          assert.deepEqual(await store.get('migration', value.id, ctx), value)
        }
        // JSON has no sign on its zero; a store that keeps it is as good.
        await commit({ writes: [write('word', 'zero', wordOf({ zero: -0 }, 1))] })
        const zero = (await store.get('word', 'zero', ctx)) as { readonly patch?: { readonly zero?: unknown } } | null
        assert.ok(zero?.patch?.zero === 0, 'zero is zero')
      },
    },
    {
      name: 'times keep their fractions, and ids any character that an id may have',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        const ids = ['1', '01', 'a/b/c', "o'brien", 'ünï 🦆', '%_"\\', 'x'.repeat(400), 'A', 'a']
        const at = startOfTime + 0.123
        await commit({
          writes: ids.map((id) => write('migration', id, migrationOf(id, { createdAt: at }))),
          journal: [draft('t', {}, at)],
        })
        for (const id of ids) assert.deepEqual(await store.get('migration', id, ctx), migrationOf(id, { createdAt: at }))
        assert.equal((await listed(store, 'migration', ctx)).length, ids.length)
        assert.equal((await store.readJournal({ after: 0, limit: 1 }, ctx)).entries[0]?.at, at)
      },
    },
    {
      name: 'a change is a new value at the next version; a deleted record is gone, and may be made again',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        for (const kind of kinds) {
          const { id, value } = oneOfEach[kind]
          await commit({ writes: [write(kind, id, value)] })
          const changed = { ...value, version: 2 } as typeof value
          await commit({ writes: [write(kind, id, changed)] })
          assert.deepEqual(await store.get(kind, id, ctx), changed)
          await commit({ writes: [erase(kind, id, 2)] })
          assert.equal(await store.get(kind, id, ctx), null, `${kind} ${id} was deleted`)
          assert.deepEqual(await listed(store, kind, ctx), [])
          await commit({ writes: [write(kind, id, value)] })
          assert.deepEqual(await store.get(kind, id, ctx), value)
        }
      },
    },
    {
      name: 'a version that does not match is a conflict: made twice, changed from an old one, changed or deleted where nothing is',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        for (const kind of kinds) {
          const { id, value } = oneOfEach[kind]
          const at = (version: number) => write(kind, id, { ...value, version } as typeof value)
          await rejects('conflict', `changing a ${kind} that is not there`, () => commit({ writes: [at(2)] }))
          await rejects('conflict', `deleting a ${kind} that is not there`, () => commit({ writes: [erase(kind, id, 1)] }))
          await commit({ writes: [at(1)] })
          await rejects('conflict', `making a ${kind} twice`, () => commit({ writes: [at(1)] }))
          await commit({ writes: [at(2)] })
          await rejects('conflict', `changing a ${kind} from an old version`, () => commit({ writes: [at(2)] }))
          await rejects('conflict', `changing a ${kind} from a version to come`, () => commit({ writes: [at(4)] }))
          await rejects('conflict', `deleting a ${kind} at an old version`, () => commit({ writes: [erase(kind, id, 1)] }))
          assert.deepEqual(await store.get(kind, id, ctx), { ...value, version: 2 })
        }
      },
    },
    {
      name: 'a batch is kept whole or not at all: one wrong version, and no write, no entry and no number of the journal is taken',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        await commit({ writes: [write('migration', 'm1', migrationOf('m1'))], journal: [draft('one')] })
        const others = kinds.map((kind) => write(kind, `other ${kind}`, oneOfEach[kind].value))
        const wrong = write('migration', 'm1', migrationOf('m1', { version: 3 }))
        for (const writes of [
          [...others, wrong],
          [wrong, ...others],
          [erase('migration', 'm1', 1), wrong],
        ])
          await rejects('conflict', 'a batch with one wrong version', () => commit({ writes, journal: [draft('lost'), draft('too')] }))
        for (const kind of kinds) assert.equal(await store.get(kind, `other ${kind}`, ctx), null, `${kind} of a refused batch`)
        assert.deepEqual(await store.get('migration', 'm1', ctx), migrationOf('m1'))
        assert.deepEqual(await commit({ journal: [draft('two')] }), { lastSeq: 2 })
        assert.deepEqual(await told(store, ctx), ['1 one', '2 two'])
      },
    },
    {
      name: 'a batch of 2 000 writes and entries is one batch',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        const ids = Array.from({ length: 2000 }, (_, index) => `c${index}`)
        const made = { writes: ids.map((id) => write('move', `m1/${id}`, moveOf('m1', id))), journal: ids.map((id) => draft(id)) }
        assert.deepEqual(await commit(made), { lastSeq: 2000 })
        const version = 2
        const next = ids.map((id) => write('move', `m1/${id}`, moveOf('m1', id, { version })))
        assert.deepEqual(await commit({ writes: next, journal: made.journal }), { lastSeq: 4000 })
        sameList(
          await listed(store, 'move', ctx, 'm1'),
          ids.map((id) => moveOf('m1', id, { version })),
        )
        assert.deepEqual((await told(store, ctx)).slice(1999, 2001), ['2000 c1999', '2001 c0'])
      },
    },
    {
      name: 'from the first commit of a higher token on, also an empty one, a lower one is fenced and writes nothing',
      run: async ({ store }, { ctx }) => {
        await store.commit({ token: 7 as Token, batch: 1, writes: [write('word', 'a', wordOf(1, 1))], journal: [draft('one')] }, ctx)
        await store.commit({ token: 9 as Token, batch: 1, writes: [], journal: [] }, ctx)
        for (const [token, batch] of [
          [7, 2],
          [8, 1],
          [1, 99],
        ] as const)
          await rejects('fenced', `token ${token} after 9`, () =>
            store.commit({ token: token as Token, batch, writes: [write('word', 'a', wordOf(2, 2))], journal: [draft('late')] }, ctx),
          )
        assert.deepEqual(await store.get('word', 'a', ctx), wordOf(1, 1))
        await store.commit({ token: 9 as Token, batch: 2, writes: [write('word', 'a', wordOf(3, 2))], journal: [draft('two')] }, ctx)
        assert.deepEqual(await told(store, ctx), ['1 one', '2 two'])
      },
    },
    {
      name: 'a batch that was refused neither fences nor counts',
      run: async ({ store }, { ctx }) => {
        const wrong = [write('word', 'a', wordOf(1, 5))]
        await store.commit({ token: 1 as Token, batch: 1, writes: [], journal: [draft('one')] }, ctx)
        await rejects('conflict', 'a wrong version', () => store.commit({ token: 9 as Token, batch: 3, writes: wrong, journal: [] }, ctx))
        await rejects('conflict', 'a wrong version', () => store.commit({ token: 1 as Token, batch: 2, writes: wrong, journal: [] }, ctx))
        await store.commit({ token: 1 as Token, batch: 2, writes: [], journal: [draft('two')] }, ctx)
        assert.deepEqual(await told(store, ctx), ['1 one', '2 two'])
      },
    },
    {
      name: 'a batch that comes twice is kept once and answered, also after newer ones and many times at once',
      run: async ({ store }, { ctx }) => {
        const batch = (number: number, token = 1): StoreBatch => ({
          token: token as Token,
          batch: number,
          writes: [write('word', 'a', wordOf(number, token === 1 ? number : 3))],
          journal: [draft(`${token}.${number}`)],
        })
        assert.deepEqual(await store.commit(batch(1), ctx), { lastSeq: 1 })
        assert.deepEqual(await store.commit(batch(1), ctx), { lastSeq: 1 })
        const together = await Promise.all(Array.from({ length: 5 }, () => store.commit(batch(2), ctx)))
        for (const answer of together) assert.deepEqual(answer, { lastSeq: 2 })
        assert.equal(typeof (await store.commit(batch(1), ctx)).lastSeq, 'number')
        await store.commit(batch(1, 2), ctx)
        assert.equal(typeof (await store.commit(batch(1, 2), ctx)).lastSeq, 'number')
        assert.deepEqual(await store.get('word', 'a', ctx), wordOf(1, 3))
        assert.deepEqual(await told(store, ctx), ['1 1.1', '2 1.2', '3 2.1'])
      },
    },
    {
      name: 'of two commits at once that change one record exactly one is kept',
      run: async ({ store }, { ctx }) => {
        for (let round = 1; round <= 20; round++) {
          const one = (token: number) =>
            attempt(() =>
              store.commit(
                { token: token as Token, batch: 1, writes: [write('word', `w${round}`, wordOf(token, 1))], journal: [draft(`${token}`)] },
                ctx,
              ),
            )
          const tokens = [round * 2, round * 2 + 1]
          const ends = await Promise.all(tokens.map(one))
          const kept = tokens.filter((_, index) => ends[index]?.ok)
          assert.equal(kept.length, 1, `${kept.length} of two were kept`)
          assert.deepEqual(await store.get('word', `w${round}`, ctx), wordOf(kept[0] as number, 1))
          for (const end of ends) if (!end.ok) assert.match(codeOf(end.error), /^(conflict|fenced)$/)
        }
        assert.equal((await told(store, ctx)).length, 20)
      },
    },
    {
      name: 'the journal rises by one from 1, over batches of many entries and of none',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        assert.deepEqual(await commit({ journal: [draft('a'), draft('b')] }), { lastSeq: 2 })
        assert.deepEqual(await commit({ writes: [write('word', 'a', wordOf(1, 1))] }), { lastSeq: 2 })
        assert.deepEqual(await commit({ journal: Array.from({ length: 300 }, (_, index) => draft(`${index}`)) }), { lastSeq: 302 })
        assert.deepEqual(await commit({ journal: [draft('z')] }), { lastSeq: 303 })
        assert.deepEqual(await told(store, ctx), [
          '1 a',
          '2 b',
          ...Array.from({ length: 300 }, (_, index) => `${index + 3} ${index}`),
          '303 z',
        ])
      },
    },
    {
      name: 'a page of the journal begins after its cursor, is no longer than asked for, and says what is kept',
      run: async ({ store }, { ctx }) => {
        await committer(store, ctx)({ journal: Array.from({ length: 10 }, (_, index) => draft(`${index + 1}`)) })
        const page = async (after: number, limit: number): Promise<number[]> => {
          const { entries, oldestSeq, lastSeq } = await store.readJournal({ after, limit }, ctx)
          assert.deepEqual({ oldestSeq, lastSeq }, { oldestSeq: 1, lastSeq: 10 })
          return entries.map(({ seq }) => seq)
        }
        assert.deepEqual(await page(0, 3), [1, 2, 3])
        assert.deepEqual(await page(3, 4), [4, 5, 6, 7])
        assert.deepEqual(await page(9, 1), [10])
        assert.deepEqual(await page(8, 1_000_000), [9, 10])
        for (const after of [10, 11, 1e9, Number.MAX_SAFE_INTEGER]) assert.deepEqual(await page(after, 100), [])
      },
    },
    {
      name: 'a list is oldest first, and a change does not alter the order',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        const names = ['z', 'b', 'y', 'a', 'x']
        for (const name of names.slice(0, 2)) await commit({ writes: [write('migration', name, migrationOf(name))] })
        await commit({ writes: names.slice(2).map((name) => write('migration', name, migrationOf(name))) })
        await commit({
          writes: [write('migration', 'z', migrationOf('z', { version: 2 })), write('migration', 'y', migrationOf('y', { version: 2 }))],
        })
        const found = await listed(store, 'migration', ctx)
        assert.deepEqual(
          found.map(({ id, version }) => `${id} ${version}`),
          ['z 2', 'b 1', 'y 2', 'a 1', 'x 1'],
        )
      },
    },
    {
      name: 'moves are listed by their migration, and by no other whose id begins alike',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        const moves = [
          ['m1', 'c1'],
          ['m10', 'c1'],
          ['m1', 'c/with/slashes'],
          ['M1', 'c1'],
          ['m1', 'c2'],
        ] as const
        for (const [migration, connection] of moves)
          await commit({ writes: [write('move', `${migration}/${connection}`, moveOf(migration, connection))] })
        await commit({ writes: [erase('move', 'm1/c1', 1)] })
        const of = async (migrationId: string) => (await listed(store, 'move', ctx, migrationId)).map(({ id }) => id)
        assert.deepEqual(await of('m1'), ['m1/c/with/slashes', 'm1/c2'])
        assert.deepEqual(await of('m10'), ['m10/c1'])
        assert.deepEqual(await of('m'), [])
        assert.equal((await listed(store, 'move', ctx)).length, 4)
      },
    },
    {
      name: 'a list of 5 000 has each once, also while it grows and others are changed',
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        const names = Array.from({ length: 5000 }, (_, index) => `n${index}`)
        await commit({ writes: names.map((name) => write('word', name, wordOf(name, 1))) })
        const under = listed(store, 'word', ctx)
        await commit({ writes: names.slice(0, 50).map((name) => write('word', name, wordOf(name, 2))) })
        await commit({ writes: [write('word', 'late', wordOf('late', 1))] })
        const found = (await under).map((one) => JSON.stringify((one as { readonly patch: Json }).patch))
        sameList(
          found.filter((one) => one !== JSON.stringify(boxed('late'))),
          names.map((name) => JSON.stringify(boxed(name))),
        )
      },
    },
    {
      name: 'whoever reads the journal while others write misses nothing, and finds no gap',
      run: async (harness, { ctx }) => {
        const { store } = harness
        const other = (await harness.another?.()) ?? store
        let writing = true
        const kept: string[] = []
        const leader = async (token: number, through: MigrationStore): Promise<void> => {
          for (let batch = 1; batch <= 15; batch++) {
            const names = Array.from({ length: 1 + ((token + batch) % 4) }, (_, index) => `${token}.${batch}.${index}`)
            const end = await attempt(() =>
              through.commit({ token: token as Token, batch, writes: [], journal: names.map((name) => draft(name)) }, ctx),
            )
            if (end.ok) kept.push(...names)
            else if (codeOf(end.error) === 'fenced') return
            else throw end.error
          }
        }
        const reader = async (): Promise<JournalEntry[]> => {
          const read: JournalEntry[] = []
          for (;;) {
            const last = !writing
            const { entries } = await other.readJournal({ after: read.at(-1)?.seq ?? 0, limit: 7 }, ctx)
            read.push(...entries)
            if (entries.length === 0 && last) return read
            if (entries.length === 0) await new Promise((resolve) => setImmediate(resolve))
          }
        }
        const reading = reader()
        // Several at once: a leader that has lost its lease does not know it yet.
        for (const token of [10, 20, 30]) await Promise.all([leader(token, store), leader(token + 1, other), leader(token + 2, store)])
        writing = false
        const read = await reading
        assert.deepEqual(
          read.map(({ seq }) => seq),
          Array.from(read, (_, index) => index + 1),
          'numbers rise by one',
        )
        assert.deepEqual(read.map(({ type }) => type).sort(), kept.sort(), 'what was kept, and nothing else')
      },
    },
    {
      name: 'an aborted commit settles soon, and when it comes again it is kept once',
      run: async ({ store }, { ctx, promptMs }) => {
        for (const [index, afterMs] of (['beforehand', 0, 1] as const).entries()) {
          const batch = {
            token: 1 as Token,
            batch: index + 1,
            writes: [write('word', `w${index}`, wordOf(1, 1))],
            journal: [draft(`${index}`)],
          }
          await abortCall('commit', (aborted) => store.commit(batch, aborted), { promptMs, afterMs })
          await store.commit(batch, ctx)
        }
        assert.deepEqual(await told(store, ctx), ['1 0', '2 1', '3 2'])
        assert.equal((await listed(store, 'word', ctx)).length, 3)
      },
    },
    {
      name: 'another process reads what this one has committed, and fences it',
      needs: ['another'],
      run: async (harness, { ctx }) => {
        const { store } = harness
        const other = (await harness.another?.()) as MigrationStore
        await store.commit({ token: 1 as Token, batch: 1, writes: [write('word', 'a', wordOf(1, 1))], journal: [draft('one')] }, ctx)
        assert.deepEqual(await other.get('word', 'a', ctx), wordOf(1, 1))
        await other.commit({ token: 2 as Token, batch: 1, writes: [write('word', 'a', wordOf(2, 2))], journal: [draft('two')] }, ctx)
        await rejects('fenced', 'the older token', () =>
          store.commit({ token: 1 as Token, batch: 2, writes: [], journal: [draft('late')] }, ctx),
        )
        assert.deepEqual(await store.get('word', 'a', ctx), wordOf(2, 2))
        assert.deepEqual(await told(store, ctx), ['1 one', '2 two'])
      },
    },
    {
      name: 'what was committed outlives the process: records, order, journal, token and batch',
      needs: ['restart'],
      run: async (harness, { ctx }) => {
        const writes = kinds.map((kind) => write(kind, oneOfEach[kind].id, oneOfEach[kind].value))
        const batch = { token: 5 as Token, batch: 3, writes, journal: [draft('one'), draft('two')] }
        await harness.store.commit(batch, ctx)
        const next = (await harness.restart?.()) as MigrationStore
        for (const kind of kinds) assert.deepEqual(await listed(next, kind, ctx), [oneOfEach[kind].value])
        assert.deepEqual(await next.commit(batch, ctx), { lastSeq: 2 })
        await rejects('fenced', 'an older token', () =>
          next.commit({ token: 4 as Token, batch: 9, writes: [], journal: [draft('late')] }, ctx),
        )
        assert.deepEqual(await next.commit({ ...batch, batch: 4, writes: [], journal: [draft('three')] }, ctx), { lastSeq: 3 })
        assert.deepEqual(await told(next, ctx), ['1 one', '2 two', '3 three'])
      },
    },
    {
      name: 'a store that cannot be reached throws; `unavailable` means that nothing was written, and the batch may come again',
      needs: ['goDown'],
      run: async (harness, { ctx }) => {
        const { store } = harness
        const batch = { token: 1 as Token, batch: 1, writes: [write('word', 'a', wordOf(1, 1))], journal: [draft('one')] }
        await harness.goDown?.()
        const ends = await Promise.all([
          attempt(() => store.commit(batch, ctx)),
          attempt(() => store.get('word', 'a', ctx)),
          attempt(() => listed(store, 'word', ctx)),
          attempt(() => store.readJournal({ after: 0, limit: 1 }, ctx)),
          ...findingCalls(store).map(([, call]) => attempt(() => call(ctx))),
        ])
        for (const [index, what] of ['commit', 'get', 'list', 'readJournal', ...findingCalls(store).map(([name]) => name)].entries())
          assert.ok(!ends[index]?.ok, `${what} resolved while the store could not be reached`)
        await harness.comeBack?.()
        const [first] = ends
        if (first && !first.ok && codeOf(first.error) === 'unavailable') {
          assert.equal(await store.get('word', 'a', ctx), null, 'commit was unavailable and has written all the same')
          assert.deepEqual(await told(store, ctx), [])
        }
        await store.commit(batch, ctx)
        assert.deepEqual(await store.get('word', 'a', ctx), wordOf(1, 1))
        assert.deepEqual(await told(store, ctx), ['1 one'])
      },
    },
    {
      name: 'a call without an answer settles soon after its abort, by throwing, and a batch that comes again is kept once',
      needs: ['fallSilent'],
      run: async (harness, { ctx, promptMs }) => {
        const { store } = harness
        const batch = { token: 1 as Token, batch: 1, writes: [write('word', 'a', wordOf(1, 1))], journal: [draft('one')] }
        await harness.fallSilent?.()
        const calls: readonly [string, (aborted: CallContext) => PromiseLike<unknown>][] = [
          ['commit', (aborted) => store.commit(batch, aborted)],
          ['get', (aborted) => store.get('word', 'a', aborted)],
          ['list', (aborted) => listed(store, 'word', aborted)],
          ['readJournal', (aborted) => store.readJournal({ after: 0, limit: 1 }, aborted)],
          ...findingCalls(store),
        ]
        const ends = await Promise.all(calls.map(([what, call]) => abortCall(what, call, { promptMs, afterMs: 50 })))
        for (const [index, [what]] of calls.entries()) assert.ok(!ends[index]?.ok, `${what} resolved without an answer`)
        await harness.comeBack?.()
        const [first] = ends
        if (first && !first.ok && codeOf(first.error) === 'unavailable')
          assert.equal(await store.get('word', 'a', ctx), null, 'commit was unavailable and has written all the same')
        await store.commit(batch, ctx)
        assert.deepEqual(await told(store, ctx), ['1 one'])
      },
    },
    {
      name: 'engines read each other’s newest posts, each in its order, and only those that they have not read',
      needs: ['post'],
      run: async ({ store, another }, { ctx }) => {
        const other = (await another?.()) ?? store
        const post = (from: string, number: number) => store.post?.({ from, number, body: { is: number, text: 'ü "\'\\' } }, ctx)
        const read = async (after: Record<string, number>) =>
          ((await other.posts?.(after, ctx)) ?? []).map(({ from, number, body }) => `${from} ${number} ${(body as { is: number }).is}`)
        assert.deepEqual(await read({}), [])
        for (let number = 1; number <= 40; number++) await post('a', number)
        await post('b', 1)
        await post('b', 1)
        await post('__proto__', 1)
        const all = await read({})
        const ofA = all.filter((line) => line.startsWith('a '))
        assert.ok(ofA.length >= 16, `${ofA.length} posts of one engine are there, and the newest 16 must be`)
        assert.deepEqual(
          ofA.slice(-16),
          Array.from({ length: 16 }, (_, index) => `a ${index + 25} ${index + 25}`),
        )
        assert.deepEqual(all.filter((line) => !line.startsWith('a ')).sort(), ['__proto__ 1 1', 'b 1 1'])
        assert.deepEqual((await read({ a: 39 })).sort(), ['__proto__ 1 1', 'a 40 40', 'b 1 1'])
        assert.deepEqual(await read(JSON.parse(`{ "a": 40, "b": ${Number.MAX_SAFE_INTEGER}, "__proto__": 1, "who": 3 }`)), [])
        const found = ((await other.posts?.({ a: 39, b: 1 }, ctx)) ?? []).find(({ from }) => from === 'a')
        assert.deepEqual(found?.body, { is: 40, text: 'ü "\'\\' })
      },
    },
    {
      name: 'pruning forgets the moves of what is over, and keeps those that say whom to bring home',
      needs: ['prune'],
      run: async ({ store }, { ctx }) => {
        const day = 86_400_000
        const old = startOfTime + day
        const now = startOfTime + 10 * day
        const commit = committer(store, ctx)
        const cases: readonly {
          readonly name: string
          readonly endedAt: number | null
          readonly incident?: Parameters<typeof incidentOf>[1]
          readonly goes: boolean
        }[] = [
          { name: 'over', endedAt: old, goes: true },
          { name: 'young', endedAt: now - 1, goes: false },
          { name: 'running', endedAt: null, goes: false },
          { name: 'closed', endedAt: old, incident: { status: 'closed' }, goes: true },
          { name: 'open', endedAt: old, incident: { status: 'open' }, goes: false },
          { name: 'waiting', endedAt: old, incident: { status: 'closed', failback: failbackOf('waiting') }, goes: false },
          { name: 'homeward', endedAt: old, incident: { status: 'closed', failback: failbackOf('running') }, goes: false },
          { name: 'home', endedAt: old, incident: { status: 'closed', failback: failbackOf('done') }, goes: true },
        ]
        for (const { name, endedAt, incident } of cases) {
          const incidentId = incident ? (`i ${name}` as IncidentId) : null
          const evacuationId = `e ${name}` as EvacuationId
          await commit({
            writes: [
              ...(incident ? [write('incident', `i ${name}`, incidentOf(`i ${name}`, { ...incident, evacuationId }))] : []),
              write('evacuation', evacuationId, evacuationOf(evacuationId, { endedAt, incidentId })),
              write('migration', name, migrationOf(name, { evacuationId, status: 'completed', connectionsMoved: 2 })),
              ...['c1', 'c2'].map((id) =>
                write('move', `${name}/${id}`, moveOf(name, id, { state: { state: 'skipped', at: old, why: '' } })),
              ),
            ],
          })
        }
        const query = { movesBefore: now - day, journalBefore: 0, limit: 100 }
        assert.deepEqual(await store.prune?.({ ...query, limit: 4 }, ctx), { moves: 4, entries: 0, more: true, heldBy: null })
        assert.deepEqual(await store.prune?.(query, ctx), { moves: 2, entries: 0, more: false, heldBy: null })
        for (const { name, goes } of cases) {
          assert.equal((await listed(store, 'move', ctx, name)).length, goes ? 0 : 2, `moves of ${name}`)
          assert.equal((await store.get('migration', name, ctx))?.connectionsMoved, 2)
        }
        assert.equal((await listed(store, 'evacuation', ctx)).length, cases.length)
      },
    },
    {
      name: 'pruning takes the oldest entries, and none that a reader has still to read; their numbers are not given again',
      needs: ['prune'],
      run: async ({ store }, { ctx }) => {
        const commit = committer(store, ctx)
        await commit({
          journal: [1, 2, 3, 9, 4, 5].map((at) => draft(`${at}`, {}, at)),
          writes: [write('cursor', 'log', cursorOf('log', 2))],
        })
        await commit({ writes: [write('cursor', 'advice/s1', cursorOf('advice/s1', 0))] })
        const prune = (journalBefore: number, limit = 100) => store.prune?.({ movesBefore: 0, journalBefore, limit }, ctx)
        assert.deepEqual(await prune(5, 1), { moves: 0, entries: 1, more: true, heldBy: 'log' })
        assert.deepEqual(await prune(5), { moves: 0, entries: 1, more: false, heldBy: 'log' })
        assert.deepEqual(await store.readJournal({ after: 0, limit: 2 }, ctx), {
          entries: [
            { seq: 3, ...draft('3', {}, 3) },
            { seq: 4, ...draft('9', {}, 9) },
          ],
          oldestSeq: 3,
          lastSeq: 6,
        })
        await commit({ writes: [write('cursor', 'log', cursorOf('log', 6, 2))] })
        // In the order of the journal: what stands behind a young entry stays, however old it says it is.
        assert.deepEqual(await prune(5), { moves: 0, entries: 1, more: false, heldBy: null })
        assert.deepEqual(await prune(100), { moves: 0, entries: 3, more: false, heldBy: null })
        assert.deepEqual(await store.readJournal({ after: 0, limit: 2 }, ctx), { entries: [], oldestSeq: 7, lastSeq: 6 })
        assert.deepEqual(await commit({ journal: [draft('next')] }), { lastSeq: 7 })
        assert.deepEqual(await told(store, ctx, 6), ['7 next'])
      },
    },
    ...findingRules,
  ],
}

const kinds = Object.keys(oneOfEach) as StoreKind[]

const awkward: readonly Json[] = [
  null,
  '',
  'a\nb\r\nc\u2028d\u2029e\0f"g\\h\ti',
  'ünï ☃ 🦆 \u{10ffff} \ud800 \\u0000 \uf8ff',
  [],
  {},
  { 'a.b': 1, '': [null, [[]]], __proto__x: 0.1, $ref: "'; drop table x; --" },
  [9007199254740991, -9007199254740991, 1e308, 5e-324, -1e-9, 0.1, 1700000000000.123],
  [true, false],
  '1',
  'x'.repeat(300_000),
  JSON.parse(`${'['.repeat(100)}1${']'.repeat(100)}`),
]

const boxed = (value: Json): { readonly value: Json } => ({ value })
const wordOf = (value: Json, version: number) =>
  frozen({ kind: 'policy', patch: isObject(value) ? value : boxed(value), at: startOfTime, version } as const)
const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

type Draft = { readonly writes?: readonly StoreWrite[]; readonly journal?: readonly JournalDraft[] }

/** One leader: the number of a batch that was refused is not used again, as in the engine. */
function committer(store: MigrationStore, ctx: CallContext): (batch: Draft) => Promise<{ readonly lastSeq: number }> {
  let batch = 0
  return async ({ writes = [], journal = [] }) => store.commit({ token: 1 as Token, batch: ++batch, writes, journal }, ctx)
}

async function listed<K extends StoreKind>(
  store: MigrationStore,
  kind: K,
  ctx: CallContext,
  migrationId?: string,
): Promise<readonly StoreRecords[K][]> {
  const listing = store.list(kind, migrationId === undefined ? {} : { migrationId }, ctx) as Listing<StoreRecords[K] & MoveRecord>
  if ('then' in listing) return listing
  const rows: StoreRecords[K][] = []
  for await (const page of listing) rows.push(...page)
  return rows
}

/** The whole journal after a number, by pages, as `seq type`. */
async function told(store: MigrationStore, ctx: CallContext, after = 0): Promise<string[]> {
  const lines: string[] = []
  for (let last = after; ; ) {
    const { entries } = await store.readJournal({ after: last, limit: 1000 }, ctx)
    if (entries.length === 0) return lines
    lines.push(...entries.map(({ seq, type }) => `${seq} ${type}`))
    last = entries.at(-1)?.seq ?? last
  }
}

/** As `deepEqual`, whose message of two long lists takes minutes to make. */
function sameList(found: readonly unknown[], wanted: readonly unknown[]): void {
  assert.equal(found.length, wanted.length, `${found.length} of ${wanted.length} are listed`)
  for (const [index, one] of wanted.entries()) assert.deepEqual(found[index], one, `number ${index} of the list`)
}

const codeOf = (error: unknown): string => String((error as { readonly code?: unknown } | null)?.code)

async function rejects(code: string, what: string, call: () => PromiseLike<unknown>): Promise<void> {
  const end = await attempt(call)
  assert.ok(!end.ok, `${what} was accepted`)
  assert.equal(codeOf(end.error), code, `${what} must be '${code}', and was ${shown(end.error)}`)
}
