import { DatabaseSync } from 'node:sqlite'
import type { FoundKind, RecordQuery } from '@pintail/core'
import { expect, test } from 'vitest'
import { findSql, sumsSql } from './find.ts'
import { sqliteMigrations } from './schema.ts'

const db = new DatabaseSync(':memory:')
for (const { sql } of sqliteMigrations) db.exec(sql)
/** How SQLite goes through the tables and lists that a statement names. */
const waysOf = (sql: string, values: readonly (string | number | null)[] = []): string[] =>
  (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { readonly detail: string }[])
    .map(({ detail }) => detail)
    .filter((detail) => /^(SCAN|SEARCH) (migrations|records)/.test(detail))

const queries: readonly Partial<RecordQuery>[] = [
  {},
  { ids: ['a', 'b'] },
  { status: ['completed'] },
  { status: ['completed', 'failed'] },
  { since: 1 },
  { serverId: 's1', status: ['completed'], since: 1 },
  { ids: ['a'], serverId: 's1' },
]
const more: readonly Partial<RecordQuery>[] = [
  { reason: 'manual' },
  { of: ['a'] },
  { of: ['a'], reason: 'manual', status: ['failed'], serverId: 's1' },
]
const cases = (['migration', 'evacuation', 'incident'] as const).flatMap((kind) =>
  [...queries, ...(kind === 'incident' ? [] : more)].map((query): [FoundKind, Partial<RecordQuery>] => [kind, query]),
)

test.for(cases)('a search of %s by %j has an index, and reads no record that it does not answer', ([kind, query]) => {
  const { sql, values } = findSql(kind, { limit: 50, offset: 0, ...query })
  const ways = waysOf(sql, values)
  // Total, places, and the rows of the page by their place.
  expect(ways.length).toBeGreaterThanOrEqual(3)
  for (const way of ways) expect(way).toMatch(/USING (COVERING )?INDEX \w+|USING INTEGER PRIMARY KEY \(rowid=\?\)/)
  // Through all of an index goes only who asks for all.
  if (Object.keys(query).length > 0) for (const way of ways) expect(way).not.toMatch(/^SCAN/)
})

test('sums are made of an index, and failures of their own', () => {
  expect(waysOf(sumsSql)).toEqual([
    expect.stringMatching(/^SCAN migrations USING (COVERING )?INDEX idx_migrations_sums/),
    expect.stringMatching(/^SCAN migrations USING INDEX idx_migrations_failures/),
  ])
})
