import { expect, test } from 'vitest'
import type { CallContext, JournalDraft, StoreWrite } from '../ports.ts'
import type { Migration, MoveRecord, Token } from '../vocabulary.ts'
import { memoryStore } from './store.ts'

const ctx: CallContext = { signal: new AbortController().signal }
const token = (value: number) => value as Token
const draft = (name: string): JournalDraft => ({ at: 0, type: name, data: {} })
const migration = (id: string, version: number) => ({ id, version }) as Migration
const write = (id: string, expected: number): StoreWrite => ({ kind: 'migration', id, expected, value: migration(id, expected + 1) })
const move = (id: string, expected: number): StoreWrite => ({
  kind: 'move',
  id,
  expected,
  value: { id, version: expected + 1 } as MoveRecord,
})

let batches = 0
const next = (): number => ++batches

test('what was committed comes back equal, in the order of its first commit', async () => {
  const store = memoryStore()
  await store.commit({ token: token(1), batch: next(), writes: [write('b', 0), write('a', 0)], journal: [] }, ctx)
  await store.commit({ token: token(1), batch: next(), writes: [write('b', 1)], journal: [] }, ctx)
  expect(await store.get('migration', 'a', ctx)).toEqual(migration('a', 1))
  expect(await store.list('migration', {}, ctx)).toEqual([migration('b', 2), migration('a', 1)])
})

test('a record of one kind is none of another, and a missing one is null', async () => {
  const store = memoryStore()
  await store.commit({ token: token(1), batch: next(), writes: [write('a', 0)], journal: [] }, ctx)
  expect(await store.get('evacuation', 'a', ctx)).toBeNull()
  expect(await store.get('migration', '__proto__', ctx)).toBeNull()
  expect(await store.list('evacuation', {}, ctx)).toEqual([])
})

test('hostile ids are ids like any other', async () => {
  const store = memoryStore()
  for (const id of ['__proto__', 'constructor', 'toString', '']) {
    await store.commit({ token: token(1), batch: next(), writes: [write(id, 0)], journal: [] }, ctx)
    expect(await store.get('migration', id, ctx)).toEqual(migration(id, 1))
  }
  expect(({} as Record<string, unknown>).version).toBeUndefined()
})

test.each([
  ['a record that should not be there yet', 'a', 0],
  ['an older version', 'b', 1],
  ['a newer version', 'b', 3],
  ['a record that should be there', 'c', 1],
])('a conflict writes nothing at all, neither records nor journal: %s', async (_, id, expected) => {
  const store = memoryStore()
  await store.commit({ token: token(1), batch: next(), writes: [write('a', 0), write('b', 0)], journal: [draft('one')] }, ctx)
  await store.commit({ token: token(1), batch: next(), writes: [write('b', 1)], journal: [draft('two')] }, ctx)
  const batch = {
    token: token(1),
    batch: next(),
    writes: [write('new', 0), write(id, expected), write('newer', 0)],
    journal: [draft('lost')],
  }
  await expect(store.commit(batch, ctx)).rejects.toMatchObject({ code: 'conflict' })
  expect(await store.list('migration', {}, ctx)).toEqual([migration('a', 1), migration('b', 2)])
  expect((await store.readJournal({ after: 0, limit: 100 }, ctx)).entries.map(({ type }) => type)).toEqual(['one', 'two'])
})

test('a deletion needs the version too, and after it the record begins anew', async () => {
  const store = memoryStore()
  await store.commit({ token: token(1), batch: next(), writes: [write('a', 0)], journal: [] }, ctx)
  const remove = (expected: number): StoreWrite => ({ kind: 'migration', id: 'a', expected, value: null })
  await expect(store.commit({ token: token(1), batch: next(), writes: [remove(2)], journal: [] }, ctx)).rejects.toMatchObject({
    code: 'conflict',
  })
  await store.commit({ token: token(1), batch: next(), writes: [remove(1)], journal: [] }, ctx)
  expect(await store.get('migration', 'a', ctx)).toBeNull()
  await store.commit({ token: token(1), batch: next(), writes: [write('a', 0)], journal: [] }, ctx)
  expect(await store.get('migration', 'a', ctx)).toEqual(migration('a', 1))
})

test('a token lower than one that has committed is fenced, and writes nothing', async () => {
  const store = memoryStore()
  await store.commit({ token: token(5), batch: next(), writes: [], journal: [draft('leader.acquired')] }, ctx)
  await expect(
    store.commit({ token: token(4), batch: next(), writes: [write('a', 0)], journal: [draft('late')] }, ctx),
  ).rejects.toMatchObject({
    code: 'fenced',
  })
  expect(await store.get('migration', 'a', ctx)).toBeNull()
  expect((await store.readJournal({ after: 0, limit: 100 }, ctx)).lastSeq).toBe(1)
  await store.commit({ token: token(5), batch: next(), writes: [write('a', 0)], journal: [] }, ctx)
})

test('a higher token whose commit was refused fences nobody', async () => {
  const store = memoryStore()
  await store.commit({ token: token(1), batch: next(), writes: [write('a', 0)], journal: [] }, ctx)
  await expect(store.commit({ token: token(9), batch: next(), writes: [write('a', 0)], journal: [] }, ctx)).rejects.toMatchObject({
    code: 'conflict',
  })
  await store.commit({ token: token(1), batch: next(), writes: [write('a', 1)], journal: [] }, ctx)
})

test('moves are listed by their migration, and by no other whose id begins alike', async () => {
  const store = memoryStore()
  const writes = [move('m1/c1', 0), move('m1/c2', 0), move('m10/c1', 0), move('m1/c/with/slashes', 0)]
  await store.commit({ token: token(1), batch: next(), writes, journal: [] }, ctx)
  await store.commit({ token: token(1), batch: next(), writes: [move('m1/c1', 1)], journal: [] }, ctx)
  await store.commit(
    { token: token(1), batch: next(), writes: [{ kind: 'move', id: 'm1/c2', expected: 1, value: null }], journal: [] },
    ctx,
  )
  const of = async (migrationId: string) =>
    ((await store.list('move', { migrationId }, ctx)) as MoveRecord[]).map(({ id, version }) => `${id} ${version}`)
  expect(await of('m1')).toEqual(['m1/c1 2', 'm1/c/with/slashes 1'])
  expect(await of('m10')).toEqual(['m10/c1 1'])
  expect(await of('m')).toEqual([])
  expect((await store.list('move', {}, ctx)) as MoveRecord[]).toHaveLength(3)
})

test('the journal rises by one from 1, over commits of many entries and of none', async () => {
  const store = memoryStore()
  expect(await store.readJournal({ after: 0, limit: 10 }, ctx)).toEqual({ entries: [], oldestSeq: 1, lastSeq: 0 })
  expect(await store.commit({ token: token(1), batch: next(), writes: [], journal: [draft('a'), draft('b')] }, ctx)).toEqual({ lastSeq: 2 })
  expect(await store.commit({ token: token(1), batch: next(), writes: [write('a', 0)], journal: [] }, ctx)).toEqual({ lastSeq: 2 })
  expect(await store.commit({ token: token(1), batch: next(), writes: [], journal: [draft('c')] }, ctx)).toEqual({ lastSeq: 3 })
  const { entries } = await store.readJournal({ after: 0, limit: 10 }, ctx)
  expect(entries.map(({ seq, type }) => `${seq} ${type}`)).toEqual(['1 a', '2 b', '3 c'])
})

test('a page of the journal begins after the cursor and is no longer than asked for', async () => {
  const store = memoryStore()
  await store.commit(
    { token: token(1), batch: next(), writes: [], journal: Array.from({ length: 10 }, (_, index) => draft(`${index + 1}`)) },
    ctx,
  )
  const seqs = async (after: number, limit: number) => (await store.readJournal({ after, limit }, ctx)).entries.map(({ seq }) => seq)
  expect(await seqs(3, 4)).toEqual([4, 5, 6, 7])
  expect(await seqs(8, 100)).toEqual([9, 10])
  expect(await seqs(10, 100)).toEqual([])
  expect(await seqs(Number.MAX_SAFE_INTEGER, 1)).toEqual([])
})

test('the oldest entries go when the journal is full; the others keep their numbers, and the page says what is left', async () => {
  const store = memoryStore({ journalLimit: 1000 })
  for (let count = 0; count < 30; count++)
    await store.commit(
      {
        token: token(1),
        batch: next(),
        writes: [],
        journal: Array.from({ length: 100 }, (_, index) => draft(`${count * 100 + index + 1}`)),
      },
      ctx,
    )
  const { entries, oldestSeq, lastSeq } = await store.readJournal({ after: 0, limit: 10_000 }, ctx)
  expect(lastSeq).toBe(3000)
  expect(entries.length).toBeGreaterThanOrEqual(1000)
  expect(entries.length).toBeLessThanOrEqual(1250)
  expect(entries[0]?.seq).toBe(oldestSeq)
  expect(entries.at(-1)).toMatchObject({ seq: 3000, type: '3000' })
  for (const [index, { seq, type }] of entries.entries()) expect([seq, type]).toEqual([oldestSeq + index, String(seq)])
  expect((await store.readJournal({ after: 2999, limit: 10 }, ctx)).entries.map(({ seq }) => seq)).toEqual([3000])
})

test.each([0, 999, -1, 1500.5, Number.NaN, Number.POSITIVE_INFINITY, 100_000_001])(
  'a senseless journalLimit is refused: %d',
  (journalLimit) => {
    expect(() => memoryStore({ journalLimit })).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  },
)

test('a batch that comes twice is kept once, also when it comes after a newer one', async () => {
  const store = memoryStore()
  const first = { token: token(1), batch: 1, writes: [write('a', 0)], journal: [draft('one')] }
  expect(await store.commit(first, ctx)).toEqual({ lastSeq: 1 })
  expect(await store.commit(first, ctx)).toEqual({ lastSeq: 1 })
  await store.commit({ token: token(1), batch: 2, writes: [write('a', 1)], journal: [draft('two')] }, ctx)
  expect(await store.commit(first, ctx)).toEqual({ lastSeq: 2 })
  expect(await store.get('migration', 'a', ctx)).toMatchObject({ version: 2 })
  await store.commit({ token: token(2), batch: 1, writes: [], journal: [draft('three')] }, ctx)
  expect((await store.readJournal({ after: 0, limit: 9 }, ctx)).entries.map(({ type }) => type)).toEqual(['one', 'two', 'three'])
})
