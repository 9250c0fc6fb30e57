import type { MigrationQuery } from '@pintail/client'
import type { WireMigrationPage } from '@pintail/core/wire'
import { expect, test } from 'vitest'
import { migrationRecord } from '../../test/records.ts'
import { anything } from './filter.ts'
import { readFinished } from './finished.ts'

const all = Array.from({ length: 10_000 }, (_, n) =>
  migrationRecord({ id: `m${n}`, status: 'completed', notes: n % 1000 === 999 ? 'special' : null }),
)

/** Pages as the API gives them; counts how often it was asked. */
function listed() {
  const asked: MigrationQuery[] = []
  const list = async (query: MigrationQuery = {}): Promise<WireMigrationPage> => {
    asked.push(query)
    const { limit = 50, offset = 0 } = query
    return { migrations: all.slice(offset, offset + limit), total: all.length, limit, offset }
  }
  return { asked, client: { migrations: { list } } as unknown as Parameters<typeof readFinished>[0] }
}
const { signal } = new AbortController()

test('a page of ten thousand is one request of twenty-five records', async () => {
  const { asked, client } = listed()
  const page = await readFinished(client, { ...anything, server: 's1' }, 3, signal)
  expect(asked).toEqual([{ status: ['completed', 'failed', 'cancelled'], server_id: 's1', limit: 25, offset: 75 }])
  expect(page).toMatchObject({ total: 10_000, hasMore: true })
  expect(page.migrations).toHaveLength(25)
})

test('a text is looked for in at most the newest thousand, and only until fifty were found', async () => {
  const rare = listed()
  const first = await readFinished(rare.client, { ...anything, text: 'special' }, 0, signal)
  expect(rare.asked).toHaveLength(5)
  expect(first).toMatchObject({ scanned: 1000, hasMore: true, total: null })
  expect(first.migrations.map(({ id }) => id)).toEqual(['m999'])
  const frequent = listed()
  expect(await readFinished(frequent.client, { ...anything, text: 'fra' }, 0, signal)).toMatchObject({ scanned: 200, hasMore: true })
  expect(frequent.asked).toHaveLength(1)
})

test('of an open state nothing is over, and nothing is asked', async () => {
  const { asked, client } = listed()
  expect(await readFinished(client, { ...anything, state: 'transferring' }, 0, signal)).toMatchObject({ total: 0, hasMore: false })
  expect(asked).toEqual([])
})
