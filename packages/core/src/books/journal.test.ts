import { expect, test } from 'vitest'
import { memoryStore } from '../memory/store.ts'
import type { Cursor, StoreWrite } from '../ports.ts'
import { Bus } from '../telling/bus.ts'
import { silent } from '../telling/narrator.ts'
import { systemClock } from '../time.ts'
import type { Token } from '../vocabulary.ts'
import { Journal } from './journal.ts'

const ctx = { signal: new AbortController().signal }

function setup() {
  const store = memoryStore()
  const lost: unknown[] = []
  const batches: (readonly StoreWrite[])[] = []
  const watched = {
    ...store,
    commit: (batch: Parameters<typeof store.commit>[0]) => {
      batches.push(batch.writes)
      return store.commit(batch, ctx)
    },
  }
  const journal = new Journal(watched, new Bus(silent, () => 0), systemClock, 1 as Token, ctx.signal, (error) => lost.push(error))
  return { store, journal, lost, batches }
}

const cursor = (version: number): Cursor => ({ name: 'c', seq: version, version })
const write = (expected: number, value: Cursor | null): StoreWrite => ({ kind: 'cursor', id: 'c', expected, value })

test('two changes of one record in one batch are one write: a record may be created and stepped on in the same turn', async () => {
  const { store, journal, lost, batches } = setup()
  await Promise.all([journal.commit([write(0, cursor(1))], []), journal.commit([write(1, cursor(2))], [])])
  expect(lost).toEqual([])
  expect(batches).toEqual([[write(0, cursor(2))]])
  expect(await store.get('cursor', 'c', ctx)).toEqual(cursor(2))
})

test('a record that is created and deleted in one batch is not there afterwards', async () => {
  const { store, journal, lost } = setup()
  await Promise.all([journal.commit([write(0, cursor(1))], []), journal.commit([write(1, null)], [])])
  expect(lost).toEqual([])
  expect(await store.get('cursor', 'c', ctx)).toBeNull()
})

test('two changes that do not follow from each other are still refused', async () => {
  const { journal, lost } = setup()
  const both = await Promise.allSettled([journal.commit([write(0, cursor(1))], []), journal.commit([write(0, cursor(1))], [])])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(lost).toMatchObject([{ code: 'conflict' }])
})
