import {
  type CallContext,
  type JournalPage,
  type MigrationStore,
  PintailError,
  type Pruned,
  type PruneQuery,
  type StoreBatch,
  type StoreKind,
  type StoreRecords,
  type StoreWrite,
} from '@pintail/core'
import { type Database, type Handle, parsed } from './database.ts'

/** Rows of a list that are read in one turn of the event loop. */
const pageRows = 500
/** Entries of the journal that are read at once at most. */
const mostEntries = 10_000

interface Row {
  readonly ord: number
  readonly id: string
  readonly version: number
  readonly record: string
}

export function storeOf(database: Database): MigrationStore {
  return {
    name: 'sqlite',
    commit: (batch, { signal }) => database.write(signal, (handle) => commit(handle, batch)),
    get: (kind, id, { signal }) => database.read(signal, (handle) => get(handle, kind, id)),
    list: (kind, filter, ctx) => list(database, kind, filter.migrationId, ctx),
    readJournal: (query, { signal }) => database.read(signal, (handle) => readJournal(handle, query)),
    prune: (query, { signal }) => database.write(signal, (handle) => prune(handle, query)),
  }
}

function commit(handle: Handle, { token, batch, writes, journal }: StoreBatch): { lastSeq: number } {
  const state = stateOf(handle)
  if (token < state.token) throw new PintailError('fenced', `token ${token} is older than ${state.token}`)
  if (token === state.token && batch <= state.batch) return { lastSeq: state.last_seq }
  for (const one of writes) put(handle, one)
  let seq = state.last_seq
  for (const { at, type, data } of journal)
    handle.run('INSERT INTO journal (seq, at, type, data) VALUES (?, ?, ?, ?)', ++seq, at, type, JSON.stringify(data))
  handle.run('UPDATE state SET token = ?, batch = ?, last_seq = ?', token, batch, seq)
  return { lastSeq: seq }
}

interface State {
  readonly token: number
  readonly batch: number
  readonly last_seq: number
}

function stateOf(handle: Handle): State {
  const state = handle.get<State>('SELECT token, batch, last_seq FROM state')
  if (!state) throw new PintailError('invalid_row', 'the row of `state` is missing', { remedy: 'Restore a copy.' })
  return state
}

function put(handle: Handle, write: StoreWrite): void {
  const { kind, id, expected, value } = write
  const sql = sqlOf[kind]
  const key = isShared(kind) ? [kind, id] : [id]
  const done = (): number => {
    if (value === null) return handle.run(sql.erase, ...key, expected)
    const record = JSON.stringify(value)
    if (expected > 0) return handle.run(sql.change, value.version, record, ...key, expected)
    const whose = write.kind === 'move' && write.value ? [write.value.migrationId] : []
    return handle.run(sql.make, value.version, record, ...key, ...whose)
  }
  if (done() === 1) return
  const found = handle.get<Row>(sql.one, ...key)?.version ?? 0
  throw new PintailError('conflict', `${kind} ${id} is at version ${found}, not ${expected}`)
}

/** Kinds that share a table are told apart by `kind`. */
const isShared = (kind: StoreKind): boolean => kind !== 'migration' && kind !== 'move'

/** Texts are made once: a commit of a hundred moves runs some of them two hundred times. */
function textsOf(table: string, keys: readonly string[], more: readonly string[] = []) {
  const where = keys.map((column) => `${column} = ?`).join(' AND ')
  const columns = ['version', 'record', ...keys, ...more]
  return {
    table,
    one: `SELECT ord, id, version, record FROM ${table} WHERE ${where}`,
    make: `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ON CONFLICT DO NOTHING`,
    change: `UPDATE ${table} SET version = ?, record = ? WHERE ${where} AND version = ?`,
    erase: `DELETE FROM ${table} WHERE ${where} AND version = ?`,
  }
}
const shared = textsOf('records', ['kind', 'id'])
const sqlOf: Readonly<Record<StoreKind, ReturnType<typeof textsOf>>> = {
  migration: textsOf('migrations', ['id']),
  move: textsOf('moves', ['id'], ['migration_id']),
  incident: shared,
  evacuation: shared,
  decision: shared,
  revoke: shared,
  word: shared,
  cursor: shared,
}

function get<K extends StoreKind>(handle: Handle, kind: K, id: string): StoreRecords[K] | null {
  const row = handle.get<Row>(sqlOf[kind].one, ...(isShared(kind) ? [kind, id] : [id]))
  return row ? recordOf(kind, row) : null
}

async function* list<K extends StoreKind>(
  database: Database,
  kind: K,
  migrationId: string | undefined,
  { signal }: CallContext,
): AsyncGenerator<readonly StoreRecords[K][]> {
  const only = isShared(kind) ? ['kind', kind] : kind === 'move' && migrationId !== undefined ? ['migration_id', migrationId] : null
  const where = only ? `${only[0]} = ? AND` : ''
  const values = only ? only.slice(1) : []
  const sql = `SELECT ord, id, version, record FROM ${sqlOf[kind].table} WHERE ${where} ord > ? ORDER BY ord LIMIT ${pageRows}`
  // What comes while the pages are read has a higher place, and what is changed keeps its own.
  for (let after = 0; ; ) {
    const rows = await database.read(signal, (handle) => handle.all<Row>(sql, ...values, after))
    if (rows.length > 0) yield rows.map((row) => recordOf(kind, row))
    if (rows.length < pageRows) return
    after = rows.at(-1)?.ord ?? after
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const recordOf = <K extends StoreKind>(kind: K, { id, version, record }: Row): StoreRecords[K] =>
  parsed(record, { version, what: `${kind} ${id}` })

function readJournal(handle: Handle, { after, limit }: { readonly after: number; readonly limit: number }): JournalPage {
  const rows = handle.all<{ seq: number; at: number; type: string; data: string }>(
    'SELECT seq, at, type, data FROM journal WHERE seq > ? ORDER BY seq LIMIT ?',
    after,
    Math.min(limit, mostEntries),
  )
  const { last_seq: lastSeq } = stateOf(handle)
  const oldest = handle.get<{ seq: number }>('SELECT seq FROM journal ORDER BY seq LIMIT 1')?.seq
  const entries = rows.map(({ seq, at, type, data }) => ({ seq, at, type, data: parsed<object>(data, { what: `journal entry ${seq}` }) }))
  return { entries, oldestSeq: oldest ?? lastSeq + 1, lastSeq }
}

function prune(handle: Handle, { movesBefore, journalBefore, limit }: PruneQuery): Pruned {
  const moves = handle.run(overMoves, movesBefore, limit)
  const reader = handle.get<{ name: string; seq: number }>(slowestReader)
  const unread = reader?.seq ?? Number.MAX_SAFE_INTEGER
  const cut = handle.get<{ first: number | null; last: number | null }>(cutOff, journalBefore, unread, limit)
  const upTo = cut?.first ?? (cut?.last ?? 0) + 1
  const entries = handle.run('DELETE FROM journal WHERE seq < ?', upTo)
  const next = handle.get<{ at: number }>('SELECT at FROM journal WHERE seq > ? ORDER BY seq LIMIT 1', unread)
  const heldBy = reader && next && next.at < journalBefore ? reader.name : null
  return { moves, entries, more: moves === limit || entries === limit, heldBy }
}

/** By migration first, because a record is parsed for each; whoever is over has few of them. */
const overMoves = `
WITH over AS MATERIALIZED (
  SELECT present.migration_id FROM (SELECT DISTINCT migration_id FROM moves) present
  LEFT JOIN migrations m ON m.id = present.migration_id
  LEFT JOIN records e ON e.kind = 'evacuation' AND e.id = m.evacuation_id
  LEFT JOIN records i ON i.kind = 'incident' AND i.id = json_extract(e.record, '$.incidentId')
  WHERE (e.id IS NULL OR json_extract(e.record, '$.endedAt') < ?)
    AND (i.id IS NULL OR json_extract(i.record, '$.status') = 'closed'
      AND coalesce(json_extract(i.record, '$.failback.state'), '') NOT IN ('waiting', 'running'))
)
DELETE FROM moves WHERE ord IN (SELECT ord FROM moves WHERE migration_id IN (SELECT migration_id FROM over) ORDER BY ord LIMIT ?)`

const slowestReader = `
SELECT id AS name, json_extract(record, '$.seq') AS seq FROM records
WHERE kind = 'cursor' AND instr(id, '/') = 0 ORDER BY seq LIMIT 1`

/** Among the oldest entries that everybody has read: the first that is too young, and the last of them. */
const cutOff = `
SELECT min(CASE WHEN at >= ? THEN seq END) AS first, max(seq) AS last
FROM (SELECT seq, at FROM journal WHERE seq <= ? ORDER BY seq LIMIT ?)`
