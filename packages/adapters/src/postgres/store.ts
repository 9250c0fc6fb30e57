import {
  type CallContext,
  errorText,
  type JournalPage,
  type MemberPost,
  type MigrationStore,
  PintailError,
  type Pruned,
  type PruneQuery,
  type StoreBatch,
  type StoreKind,
  type StoreRecords,
} from '@pintail/core'
import { commitOf } from './commit.ts'
import type { Database } from './database.ts'
import { find, sumMigrations } from './find.ts'
import { failure, StatementFailure } from './pool.ts'
import type { Tables } from './schema.ts'
import { fromColumn, toColumn } from './text.ts'

/** Rows of a list that are read with one statement. */
const pageRows = 1000
/** Entries of the journal that are read at once at most. */
const mostEntries = 10_000

export function storeOf(database: Database): MigrationStore & Required<Pick<MigrationStore, 'prune' | 'find' | 'sumMigrations'>> {
  return {
    name: 'postgres',
    commit: (batch, ctx) => commit(database, batch, ctx),
    get: (kind, id, ctx) => get(database, kind, id, ctx),
    list: (kind, filter, ctx) => list(database, kind, filter.migrationId, ctx),
    readJournal: (query, ctx) => readJournal(database, query, ctx),
    prune: (query, ctx) => prune(database, query, ctx),
    post: (one, ctx) => post(database, one, ctx),
    posts: (after, ctx) => posts(database, after, ctx),
    find: async (kind, query, ctx) => {
      const { rows, total } = await find(database, kind, query, ctx)
      return { records: rows.map((row) => recordOf(kind, row)), total }
    },
    sumMigrations: (ctx) => sumMigrations(database, ctx),
  }
}

async function commit(database: Database, batch: StoreBatch, { signal }: CallContext): Promise<{ lastSeq: number }> {
  const { sql, values } = commitOf(database.tables, batch, database.lockTimeout)
  try {
    const [row] = await database.attempt<{ last_seq: string | null }>(signal, sql, values)
    if (row?.last_seq != null) return { lastSeq: Number(row.last_seq) }
  } catch (error) {
    if (!(error instanceof StatementFailure) || error.sqlState !== '22P02' || !error.message.includes('pintail_conflict'))
      throw failure(error)
    throw new PintailError('conflict', `a version of batch ${batch.token}.${batch.batch} does not match; nothing of it was written`)
  }
  // Nothing was written: the token is too old, or the batch is there. Looked at now, because the statement itself has
  // seen the row as it was when it began, which may be before the one that it has waited for.
  const [state] = await database.ask<{ token: string; last_seq: string }>(
    signal,
    `SELECT token, last_seq FROM ${database.tables.state} WHERE id = 1`,
  )
  if (!state) throw new PintailError('invalid_row', 'the row of `state` is missing', { remedy: 'Restore a copy.' })
  if (batch.token < Number(state.token)) throw new PintailError('fenced', `token ${batch.token} is older than ${state.token}`)
  return { lastSeq: Number(state.last_seq) }
}

interface Row {
  readonly ord: string
  readonly id: string
  readonly version: string
  readonly record: string
}

/** The table of a kind; kinds that share one are told apart by `kind`. */
function place(tables: Tables, kind: StoreKind): { readonly table: string; readonly isShared: boolean } {
  if (kind === 'migration') return { table: tables.migrations, isShared: false }
  if (kind === 'move') return { table: tables.moves, isShared: false }
  return { table: tables.records, isShared: true }
}

async function get<K extends StoreKind>(database: Database, kind: K, id: string, { signal }: CallContext): Promise<StoreRecords[K] | null> {
  const { table, isShared } = place(database.tables, kind)
  const sql = `SELECT ord, id, version, record::text AS record FROM ${table} WHERE id = $1 ${isShared ? 'AND kind = $2' : ''}`
  const [row] = await database.ask<Row>(signal, sql, isShared ? [id, kind] : [id])
  return row ? recordOf(kind, row) : null
}

async function* list<K extends StoreKind>(
  database: Database,
  kind: K,
  migrationId: string | undefined,
  { signal }: CallContext,
): AsyncGenerator<readonly StoreRecords[K][]> {
  const { table, isShared } = place(database.tables, kind)
  const only = isShared ? ['kind', kind] : kind === 'move' && migrationId !== undefined ? ['migration_id', migrationId] : null
  const sql = `SELECT ord, id, version, record::text AS record FROM ${table}
    WHERE ord > $1 ${only ? `AND ${only[0]} = $2` : ''} ORDER BY ord LIMIT ${pageRows}`
  // Places are given under the lock of the state, so that what is committed later has a higher one.
  for (let after = '0'; ; ) {
    const rows = await database.ask<Row>(signal, sql, only ? [after, only[1]] : [after])
    if (rows.length > 0) yield rows.map((row) => recordOf(kind, row))
    if (rows.length < pageRows) return
    after = rows.at(-1)?.ord ?? after
  }
}

function recordOf<K extends StoreKind>(kind: K, { id, version, record }: Omit<Row, 'ord'>): StoreRecords[K] {
  const value = parsed<StoreRecords[K]>(record, `${kind} ${id}`)
  if (typeof value === 'object' && value !== null && value.version === Number(version)) return value
  throw unreadable(`${kind} ${id}`, 'its columns and its record differ')
}

function parsed<T>(text: string, what: string): T {
  try {
    return JSON.parse(fromColumn(text))
  } catch (error) {
    throw unreadable(what, errorText(error))
  }
}

function unreadable(what: string, why: string): PintailError {
  return new PintailError('invalid_row', `${what} is not as Pintail has written it (${why}); nothing was changed`, {
    remedy: 'Restore a copy, or mend the row: change these tables through Pintail only.',
  })
}

interface EntryRow {
  readonly last_seq: string
  readonly oldest: string | null
  readonly seq: string | null
  readonly at: number
  readonly type: string
  readonly data: string
}

async function readJournal(
  database: Database,
  query: { readonly after: number; readonly limit: number },
  { signal }: CallContext,
): Promise<JournalPage> {
  const { state, journal } = database.tables
  // In one look: entries are numbered under the lock of the state, so whoever sees its newest number sees all before it.
  const sql = `SELECT s.last_seq, (SELECT min(seq) FROM ${journal}) AS oldest, j.seq, j.at, j.type, j.data
    FROM ${state} s LEFT JOIN LATERAL (
      SELECT seq, at, type, data::text AS data FROM ${journal} WHERE seq > $1 AND seq <= s.last_seq ORDER BY seq LIMIT $2
    ) j ON true WHERE s.id = 1 ORDER BY j.seq`
  const rows = await database.ask<EntryRow>(signal, sql, [Math.max(0, query.after), Math.min(query.limit, mostEntries)])
  const lastSeq = Number(rows[0]?.last_seq ?? 0)
  const entries = rows.flatMap(({ seq, at, type, data }) =>
    seq === null ? [] : { seq: Number(seq), at: Number(at), type, data: parsed<object>(data, `journal entry ${seq}`) },
  )
  return { entries, oldestSeq: Number(rows[0]?.oldest ?? lastSeq + 1), lastSeq }
}

/** Posts of each engine that are kept. */
const postsKept = 16

async function post(database: Database, { from, number, body }: MemberPost, { signal }: CallContext): Promise<void> {
  const table = database.tables.posts
  // One statement, so that a proxy that pools transactions may stand between.
  const sql = `WITH gone AS (DELETE FROM ${table} WHERE at < now() - interval '1 hour')
INSERT INTO ${table} AS old (engine, slot, number, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (engine, slot) DO UPDATE SET number = excluded.number, at = excluded.at, body = excluded.body
WHERE excluded.number >= old.number`
  await database.attempt(signal, sql, [from, number % postsKept, number, toColumn(JSON.stringify(body))]).catch((error) => {
    throw failure(error)
  })
}

async function posts(database: Database, after: Readonly<Record<string, number>>, { signal }: CallContext): Promise<MemberPost[]> {
  const sql = `SELECT engine, number, body::text AS body FROM ${database.tables.posts}
LEFT JOIN json_each_text($1::json) known ON known.key = engine
WHERE number > coalesce(known.value::bigint, 0) ORDER BY engine, number`
  const rows = await database.ask<{ engine: string; number: string; body: string }>(signal, sql, [JSON.stringify(after)])
  return rows.map(({ engine, number, body }) => ({ from: engine, number: Number(number), body: JSON.parse(fromColumn(body)) as object }))
}

async function prune(database: Database, { movesBefore, journalBefore, limit }: PruneQuery, { signal }: CallContext): Promise<Pruned> {
  const { tables } = database
  const [gone] = await database.ask<{ count: string }>(signal, pruneMoves(tables), [movesBefore, limit])
  const [cut] = await database.ask<{ count: string; held_by: string | null }>(signal, pruneJournal(tables), [journalBefore, limit])
  const [moves, entries] = [Number(gone?.count ?? 0), Number(cut?.count ?? 0)]
  return { moves, entries, more: moves === limit || entries === limit, heldBy: cut?.held_by ?? null }
}

/** By migration first, because a record is parsed for each; whoever is over has few of them. */
const pruneMoves = ({ moves, migrations, records }: Tables): string => `
WITH over AS MATERIALIZED (
  SELECT present.migration_id FROM (SELECT DISTINCT migration_id FROM ${moves}) present
  LEFT JOIN ${migrations} m ON m.id = present.migration_id
  LEFT JOIN ${records} e ON e.kind = 'evacuation' AND e.id = m.evacuation_id
  LEFT JOIN ${records} i ON i.kind = 'incident' AND i.id = e.record ->> 'incidentId'
  WHERE (e.id IS NULL OR (e.record ->> 'endedAt')::double precision < $1)
    AND (i.id IS NULL OR i.record ->> 'status' = 'closed'
      AND coalesce(i.record -> 'failback' ->> 'state', '') NOT IN ('waiting', 'running'))
), gone AS (
  DELETE FROM ${moves} WHERE ord IN (
    SELECT ord FROM ${moves} WHERE migration_id IN (SELECT migration_id FROM over) ORDER BY ord LIMIT $2
  ) RETURNING 1
)
SELECT count(*) AS count FROM gone`

const pruneJournal = ({ journal, records }: Tables): string => `
WITH reader AS MATERIALIZED (
  SELECT id AS name, (record ->> 'seq')::bigint AS seq FROM ${records}
  WHERE kind = 'cursor' AND id NOT LIKE '%/%' ORDER BY 2 LIMIT 1
), oldest AS MATERIALIZED (
  SELECT seq, at FROM ${journal} WHERE seq <= coalesce((SELECT seq FROM reader), 9007199254740991) ORDER BY seq LIMIT $2
), gone AS (
  DELETE FROM ${journal} WHERE seq < (SELECT coalesce(min(seq) FILTER (WHERE at >= $1), max(seq) + 1) FROM oldest) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS count,
  (SELECT name FROM reader WHERE
    (SELECT at FROM ${journal} j WHERE j.seq > reader.seq ORDER BY j.seq LIMIT 1) < $1) AS held_by`
