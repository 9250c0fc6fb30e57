import { type Clock, type FoundKind, PintailError, type Pruned, type PruneQuery, type RecordQuery, type StoreKind } from '@pintail/core'
import type { Database, Handle, Row } from './database.ts'
import { type FoundRows, find, type SumRows, sumMigrations } from './find.ts'

/** One write: `record` is its JSON, null removes it; `migrationId` is that of a move. */
export type TextWrite = readonly [
  kind: StoreKind,
  id: string,
  expected: number,
  version: number,
  record: string | null,
  migrationId: string | null,
]
/** One entry of the journal, its data as JSON. */
export type TextEntry = readonly [at: number, type: string, data: string]

export interface TextBatch {
  readonly token: number
  readonly batch: number
  readonly writes: readonly TextWrite[]
  readonly journal: readonly TextEntry[]
}

export interface JournalRows {
  readonly rows: readonly { readonly seq: number; readonly at: number; readonly type: string; readonly data: string }[]
  readonly oldestSeq: number
  readonly lastSeq: number
}

/**
 * What is asked of an open file. Records are texts here: whoever asks makes and reads the JSON, so that a call is cheap to
 * hand to another thread.
 */
export interface Calls {
  open(): void
  commit(batch: TextBatch): number
  get(kind: StoreKind, id: string): Row | null
  page(kind: StoreKind, migrationId: string | null, after: number): readonly Row[]
  readJournal(after: number, limit: number): JournalRows
  prune(query: PruneQuery): Pruned
  /** `body` is JSON. */
  post(from: string, number: number, body: string): void
  posts(after: string): readonly { readonly from: string; readonly number: number; readonly body: string }[]
  find(kind: FoundKind, query: RecordQuery): FoundRows
  sumMigrations(): SumRows
  acquire(holder: string, ttlMs: number): number | null
  renew(token: number, holder: string, ttlMs: number): boolean
  release(token: number, holder: string): void
}
export type CallName = keyof Calls

/** Asks, and rejects with PintailError. */
export type Ask = <N extends CallName>(name: N, args: Parameters<Calls[N]>, signal: AbortSignal) => Promise<ReturnType<Calls[N]>>

/** Rows of a list that are read at once. */
export const pageRows = 500
/** Entries of the journal that are read at once at most. */
const mostEntries = 10_000

interface Tools {
  readonly handle: Handle
  readonly database: Database
  readonly clock: Pick<Clock, 'now'>
}

const reads: readonly CallName[] = ['open', 'get', 'page', 'readJournal', 'posts', 'find', 'sumMigrations']
export const isRead = (name: CallName): boolean => reads.includes(name)

/** Asks the file in this thread. */
export function askHere(database: Database, clock: Pick<Clock, 'now'>): Ask {
  return (name, args, signal) => {
    const work = (handle: Handle) => calls[name]({ handle, database, clock }, ...args) as never
    return isRead(name) ? database.read(signal, work) : database.write(signal, work)
  }
}

const calls: { readonly [N in CallName]: (tools: Tools, ...args: Parameters<Calls[N]>) => ReturnType<Calls[N]> } = {
  open: () => {},
  commit,
  get: ({ handle }, kind, id) => handle.get<Row>(sqlOf[kind].one, ...keyOf(kind, id)) ?? null,
  page,
  readJournal,
  prune,
  post,
  posts: ({ handle }, after) => handle.all(newPosts, after),
  find: ({ handle }, kind, query) => find(handle, kind, query),
  sumMigrations: ({ handle }) => sumMigrations(handle),
  acquire,
  renew,
  release: ({ handle }, token, holder) => void handle.run('UPDATE lease SET holder = NULL WHERE token = ? AND holder = ?', token, holder),
}

// --------------------------------------------------------------------------------------------------------------- posts

/** Posts of each engine that are kept, and how long those of one that is silent are, milliseconds. */
const postsKept = 16
const silentMs = 3_600_000

function post({ handle, clock }: Tools, from: string, number: number, body: string): void {
  const now = clock.now()
  const changed = 'ON CONFLICT (engine, slot) DO UPDATE SET number = excluded.number, at = excluded.at, body = excluded.body'
  const put = `INSERT INTO posts (engine, slot, number, at, body) VALUES (?, ?, ?, ?, ?) ${changed} WHERE excluded.number >= number`
  handle.run(put, from, number % postsKept, number, now, body)
  // The machine's clock begins anew when it starts: what seems to come from later is from before.
  handle.run('DELETE FROM posts WHERE at NOT BETWEEN ? AND ?', now - silentMs, now + silentMs)
}

const newPosts = `SELECT engine AS "from", number, body FROM posts
LEFT JOIN json_each(?) known ON known.key = engine WHERE number > coalesce(known.value, 0) ORDER BY engine, number`

// --------------------------------------------------------------------------------------------------------------- store

function commit({ handle }: Tools, { token, batch, writes, journal }: TextBatch): number {
  const state = stateOf(handle)
  if (token < state.token) throw new PintailError('fenced', `token ${token} is older than ${state.token}`)
  if (token === state.token && batch <= state.batch) return state.last_seq
  for (const one of writes) put(handle, one)
  let seq = state.last_seq
  for (const [at, type, data] of journal) handle.run('INSERT INTO journal (seq, at, type, data) VALUES (?, ?, ?, ?)', ++seq, at, type, data)
  handle.run('UPDATE state SET token = ?, batch = ?, last_seq = ?', token, batch, seq)
  return seq
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

function put(handle: Handle, [kind, id, expected, version, record, migrationId]: TextWrite): void {
  const sql = sqlOf[kind]
  const key = keyOf(kind, id)
  const done = (): number => {
    if (record === null) return handle.run(sql.erase, ...key, expected)
    if (expected > 0) return handle.run(sql.change, version, record, ...key, expected)
    return handle.run(sql.make, version, record, ...key, ...(kind === 'move' ? [migrationId] : []))
  }
  if (done() === 1) return
  const found = handle.get<Row>(sql.one, ...key)?.version ?? 0
  throw new PintailError('conflict', `${kind} ${id} is at version ${found}, not ${expected}`)
}

/** Kinds that share a table are told apart by `kind`. */
const isShared = (kind: StoreKind): boolean => kind !== 'migration' && kind !== 'move'
const keyOf = (kind: StoreKind, id: string): string[] => (isShared(kind) ? [kind, id] : [id])

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

function page({ handle }: Tools, kind: StoreKind, migrationId: string | null, after: number): readonly Row[] {
  const only = isShared(kind) ? ['kind', kind] : kind === 'move' && migrationId !== null ? ['migration_id', migrationId] : null
  const where = only ? `${only[0]} = ? AND` : ''
  const sql = `SELECT ord, id, version, record FROM ${sqlOf[kind].table} WHERE ${where} ord > ? ORDER BY ord LIMIT ${pageRows}`
  return handle.all<Row>(sql, ...(only ? only.slice(1) : []), after)
}

function readJournal({ handle }: Tools, after: number, limit: number): JournalRows {
  const rows = handle.all<JournalRows['rows'][number]>(
    'SELECT seq, at, type, data FROM journal WHERE seq > ? ORDER BY seq LIMIT ?',
    after,
    Math.min(limit, mostEntries),
  )
  const { last_seq: lastSeq } = stateOf(handle)
  const oldest = handle.get<{ seq: number }>('SELECT seq FROM journal ORDER BY seq LIMIT 1')?.seq
  return { rows, oldestSeq: oldest ?? lastSeq + 1, lastSeq }
}

function prune({ handle }: Tools, { movesBefore, journalBefore, limit }: PruneQuery): Pruned {
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

// --------------------------------------------------------------------------------------------------------------- lease

interface LeaseRow {
  readonly token: number
  readonly holder: string | null
  readonly since: number
  readonly ttl_ms: number
}

/** Who holds it: it stands at 0 after a boot, so a lease from before is from the future then, and over. */
function held({ handle, clock }: Tools): LeaseRow | null {
  const row = handle.get<LeaseRow>('SELECT token, holder, since, ttl_ms FROM lease')
  const now = clock.now()
  return row?.holder && row.since <= now && now < row.since + row.ttl_ms ? row : null
}

function acquire(tools: Tools, holder: string, ttlMs: number): number | null {
  tools.database.checkFile()
  const other = held(tools)
  if (other && other.holder !== holder) return null
  const sql = 'UPDATE lease SET token = max(token, (SELECT token FROM state)) + 1, holder = ?, since = ?, ttl_ms = ? RETURNING token'
  return tools.handle.get<{ token: number }>(sql, holder, tools.clock.now(), ttlMs)?.token ?? 0
}

function renew(tools: Tools, token: number, holder: string, ttlMs: number): boolean {
  tools.database.checkFile()
  const own = held(tools)
  if (own?.token !== token || own.holder !== holder) return false
  return tools.handle.run('UPDATE lease SET since = ?, ttl_ms = ?', tools.clock.now(), ttlMs) === 1
}
