import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { type JournalDraft, systemClock, type Token } from '@pintail/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { evacuateOver } from '../../test/evacuation.ts'
import { migrationOf } from '../../test/records.ts'
import { shareWithThreads, sqliteThread } from '../../test/sqliteThread.ts'
import { type SqliteStores, sqliteStores } from './index.ts'

const program = join(import.meta.dirname, '..', '..', 'test', 'sqliteProcess.ts')
const ctx = { signal: new AbortController().signal }
const draft = (type: string): JournalDraft => ({ at: 0, type, data: {} })
const batch = (number: number, ...journal: JournalDraft[]) => ({ token: 1 as Token, batch: number, writes: [], journal })

let folder: string
let path: string
const opened: SqliteStores[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-sqlite-'))
  path = join(folder, 'state.db')
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  rmSync(folder, { recursive: true })
})

function open(options: Partial<Parameters<typeof sqliteStores>[0]> = {}): SqliteStores {
  const stores = sqliteStores({ path, busyTimeoutMs: 50, ...options })
  opened.push(stores)
  return stores
}

/** Every file of the folder, with what is in it. */
const picture = () =>
  readdirSync(folder).map(
    (name) =>
      `${name} ${createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex')}`,
  )

async function refusedUntouched(code: string, message: RegExp, options = {}): Promise<void> {
  const before = picture()
  const { store, leases, open: openNow } = open(options)
  for (const call of [
    openNow,
    () => store.commit(batch(1, draft('x')), ctx),
    () => store.get('word', 'x', ctx),
    () => leases.acquire('a', 1000, ctx),
  ])
    await expect(call()).rejects.toMatchObject({ code, message: expect.stringMatching(message), remedy: expect.any(String) })
  expect(picture()).toEqual(before)
}

async function made(): Promise<void> {
  const stores = open()
  await stores.store.commit(batch(1, draft('kept')), ctx)
  await stores.close()
}

// ------------------------------------------------------------------------------------------------------ files that are refused

test('nothing is opened or made before the first call', () => {
  open()
  expect(readdirSync(folder)).toEqual([])
})

test('a new file, and those beside it, are for their owner alone', async () => {
  await open().store.commit(batch(1, draft('one')), ctx)
  for (const name of readdirSync(folder)) expect(`${name} ${(statSync(join(folder, name)).mode & 0o777).toString(8)}`).toBe(`${name} 600`)
})

test('an empty file is taken', async () => {
  writeFileSync(path, '')
  await open().store.commit(batch(1, draft('one')), ctx)
})

test('an empty database without a mark is taken', async () => {
  const db = new DatabaseSync(path)
  db.exec('CREATE TABLE x (a); DROP TABLE x')
  db.close()
  await open().store.commit(batch(1, draft('one')), ctx)
})

test.each(['hello', 'x'.repeat(5000), '{"a":1}\n'])('what is no database is refused, and nothing is touched: %#', async (text) => {
  writeFileSync(path, text)
  await refusedUntouched('invalid_options', /not a SQLite database/)
})

test.each([
  ['with another mark', 'PRAGMA application_id = 77; CREATE TABLE x (a)'],
  ['without a mark', 'CREATE TABLE x (a)'],
  ['without a mark, with a write-ahead log', 'PRAGMA journal_mode = WAL; CREATE TABLE x (a)'],
  ['that has tables of our names', 'CREATE TABLE schema_versions (version); CREATE TABLE state (environment)'],
])('the database of another application %s is refused, and nothing is touched', async (_, sql) => {
  const db = new DatabaseSync(path)
  db.exec(sql)
  db.close()
  await refusedUntouched('invalid_options', /another application/)
})

test('a directory in its place is refused', async () => {
  mkdirSync(path)
  await expect(open().open()).rejects.toMatchObject({ code: 'invalid_options' })
})

test('a missing directory is unavailable, and is used when it is there', async () => {
  const { store } = open({ path: join(folder, 'sub', 'state.db') })
  await expect(store.commit(batch(1), ctx)).rejects.toMatchObject({ code: 'unavailable' })
  mkdirSync(join(folder, 'sub'))
  await store.commit(batch(1, draft('one')), ctx)
})

test('a newer schema is refused, and nothing is touched', async () => {
  await made()
  const db = new DatabaseSync(path)
  db.exec("INSERT INTO schema_versions VALUES (99, 'later')")
  db.close()
  await refusedUntouched('unsupported', /schema 99/)
})

test('the file of another environment is refused, and nothing is touched', async () => {
  await made()
  await refusedUntouched('invalid_options', /"default", not "staging"/, { environment: 'staging' })
})

test('a damaged file is unavailable, and what can be read of it stays as it is', async () => {
  await made()
  const bytes = readFileSync(path)
  bytes.fill(0xaa, 4096)
  writeFileSync(path, bytes)
  const before = readFileSync(path)
  await expect(open().store.commit(batch(2, draft('x')), ctx)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/damaged/),
  })
  await expect(open().store.list('migration', {}, ctx)[Symbol.asyncIterator as never]).toBeDefined()
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('a file that was cut off is unavailable', async () => {
  await made()
  truncateSync(path, 8192)
  await expect(open().store.commit(batch(2, draft('x')), ctx)).rejects.toMatchObject({ code: 'unavailable' })
})

test.each([
  ['is no JSON', 'UPDATE records SET record = \'{"kind":\''],
  ['has another version than its column', 'UPDATE records SET version = 7'],
  ['is no record', "UPDATE records SET record = '[]'"],
])('a row that %s is refused by name, and the others are read', async (_, sql) => {
  const { store, close } = open()
  const cursor = { name: 'log', seq: 1, version: 1 }
  await store.commit({ ...batch(1, draft('one')), writes: [{ kind: 'cursor', id: 'log', expected: 0, value: cursor }] }, ctx)
  await close()
  const db = new DatabaseSync(path)
  db.exec(sql)
  db.close()
  const again = open().store
  await expect(again.get('cursor', 'log', ctx)).rejects.toMatchObject({ code: 'invalid_row', message: expect.stringMatching(/cursor log/) })
  await expect(all(again.list('cursor', {}, ctx) as AsyncIterable<unknown>)).rejects.toMatchObject({ code: 'invalid_row' })
  expect((await again.readJournal({ after: 0, limit: 9 }, ctx)).entries).toHaveLength(1)
})

test('whoever looks for what is open is told of a record that is no JSON, and does not pass over it', async () => {
  const { store, close } = open()
  const value = { id: 'i1', serverId: 's1', status: 'closed', openedAt: 1, version: 1 } as never
  await store.commit({ ...batch(1, draft('one')), writes: [{ kind: 'incident', id: 'i1', expected: 0, value }] }, ctx)
  const query = { since: Number.MAX_SAFE_INTEGER, limit: 10, offset: 0 }
  expect(await store.find('incident', query, ctx)).toEqual({ records: [], total: 0 })
  await close()
  const db = new DatabaseSync(path)
  db.exec('UPDATE records SET record = \'{"kind":\'')
  db.close()
  const found = open().store.find('incident', query, ctx)
  await expect(found).rejects.toMatchObject({ code: 'invalid_row', message: expect.stringMatching(/incident i1/) })
})

// ------------------------------------------------------------------------------------------------------------ troubles

test('a lock of another process is waited for while the event loop goes on, and then it is unavailable with nothing written', async () => {
  const shared = shareWithThreads(1e6)
  const { store } = open({ busyTimeoutMs: 150, worker: sqliteThread })
  await store.commit(batch(1, draft('one')), ctx)
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  let isOver = false
  const refused = expect(store.commit(batch(2, draft('two')), ctx)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/locked/),
  })
  void refused.then(() => {
    isOver = true
  })
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(isOver).toBe(false)
  shared.pass(150)
  await refused
  // Readers do not wait for writers.
  expect((await store.readJournal({ after: 0, limit: 9 }, ctx)).lastSeq).toBe(1)
  const under = store.commit(batch(2, draft('two')), ctx)
  other.exec('ROLLBACK')
  other.close()
  expect(await under).toEqual({ lastSeq: 2 })
})

test('who is aborted waits for no lock', async () => {
  const { store } = open({ busyTimeoutMs: 60_000 })
  await store.commit(batch(1, draft('one')), ctx)
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  const controller = new AbortController()
  const under = expect(store.commit(batch(2), { signal: controller.signal })).rejects.toMatchObject({ code: 'aborted' })
  controller.abort()
  await under
  other.close()
})

test('a full disk is unavailable and nothing is written; when there is room again the same batch is kept', async () => {
  await made()
  // SQLite's own limit answers as a full disk does, at the same place.
  const { exec } = DatabaseSync.prototype
  const limits: DatabaseSync[] = []
  DatabaseSync.prototype.exec = function (sql) {
    exec.call(this, sql)
    if (sql.startsWith('PRAGMA synchronous')) limits.push(this)
  }
  try {
    const { store } = open({ worker: false })
    await store.commit(batch(2, draft('two')), ctx)
    limits[0]?.exec('PRAGMA max_page_count = 1')
    const large = { ...batch(3, { at: 0, type: 'three', data: { text: 'x'.repeat(1_000_000) } }) }
    await expect(store.commit(large, ctx)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/full/) })
    expect((await store.readJournal({ after: 0, limit: 9 }, ctx)).entries.map(({ type }) => type)).toEqual(['kept', 'two'])
    limits[0]?.exec('PRAGMA max_page_count = 100000')
    expect(await store.commit(large, ctx)).toEqual({ lastSeq: 3 })
  } finally {
    DatabaseSync.prototype.exec = exec
  }
})

test('a file that was removed or replaced under way is noticed before the lease is renewed', async () => {
  const { leases } = open()
  const lease = await leases.acquire('a', 60_000, ctx)
  renameSync(path, `${path}.away`)
  await expect(leases.renew(lease as never, ctx)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/removed or replaced/),
  })
  for (const ending of ['', '-wal', '-shm'])
    if (existsSync(`${path}.away${ending}`)) copyFileSync(`${path}.away${ending}`, `${path}${ending}`)
  await expect(leases.acquire('b', 60_000, ctx)).resolves.toBeDefined()
})

test('a file that cannot be written is unavailable', async () => {
  await made()
  // Root may write everything; so a process that becomes nobody.
  chmodSync(path, 0o444)
  chmodSync(folder, 0o555)
  expect(await lines(run('read-only'))).toEqual(['unavailable'])
  chmodSync(folder, 0o755)
  expect((await open().store.readJournal({ after: 0, limit: 9 }, ctx)).entries).toHaveLength(1)
})

test('what was said to be kept is there after kill -9, and what is there has no gap', async () => {
  const child = run('write')
  const ended = once(child, 'exit')
  let said = 0
  for await (const line of createInterface({ input: child.stdout })) {
    said = Number(line)
    if (said === 50) child.kill('SIGKILL')
  }
  // Until then its locks may be there, though its output has ended.
  await ended
  expect(said).toBeGreaterThanOrEqual(50)
  const { store } = open()
  const { entries, lastSeq } = await store.readJournal({ after: 0, limit: 10_000 }, ctx)
  expect(lastSeq).toBeGreaterThanOrEqual(said)
  expect(entries.map(({ seq, type }) => `${seq} ${type}`)).toEqual(entries.map((_, index) => `${index + 1} ${index + 1}`))
  // The engine repeats what it had no answer for.
  expect(await store.commit(batch(said, draft('again')), ctx)).toEqual({ lastSeq })
})

test('processes that fight for the lease get a token each, all different and rising, and none is fenced while it holds', async () => {
  const said = (await Promise.all([run('lease'), run('lease'), run('lease')].map(lines))).map((tokens) => tokens.map(Number))
  const all = said.flat()
  expect(said.map(({ length }) => length)).toEqual([10, 10, 10])
  expect(new Set(all).size).toBe(all.length)
  for (const tokens of said) expect(tokens).toEqual([...tokens].sort((a, b) => a - b))
})

test('an evacuation that a second engine takes over, through one file', async () => {
  await evacuateOver(() => open())
}, 120_000)

test('migrations can be asked for with SQL, by the columns of seed 004', async () => {
  const { store, close } = open()
  const value = migrationOf()
  await store.commit({ ...batch(1), writes: [{ kind: 'migration', id: 'm1', expected: 0, value }] }, ctx)
  await close()
  const db = new DatabaseSync(path, { readOnly: true })
  const row = db.prepare("SELECT * FROM migrations WHERE status = 'completed' AND server_id = 's1' AND created_at > '2026-01-01'").get()
  const plan = db.prepare("EXPLAIN QUERY PLAN SELECT id FROM migrations WHERE status = 'completed'").get()
  db.close()
  expect(plan?.detail).toMatch(/idx_migrations_status/)
  expect(row).toMatchObject({
    id: 'm1',
    version: 1,
    server_id: 's1',
    server_name: 'ams-1',
    from_node_id: 's1',
    from_node_name: 'ams-1',
    to_node_id: 's2',
    to_node_name: 'ams-2',
    status: 'completed',
    reason: 'server-down',
    savings_eur_hour: null,
    savings_eur_month: 12.5,
    created_at: '2026-01-02T03:04:05.678Z',
    approved_at: null,
    scheduled_at: null,
    started_at: null,
    completed_at: '2026-01-02T03:05:05.000Z',
    player_count_at_start: 3,
    data_sync_progress: 100,
    error_message: null,
    retry_count: 0,
    max_retries: 3,
    triggered_by: 'system',
    notes: "o'brien",
  })
})

test('calls after close() are refused', async () => {
  const stores = open()
  await stores.open()
  await stores.close()
  await stores.close()
  await expect(stores.store.get('word', 'x', ctx)).rejects.toMatchObject({ code: 'stopped' })
})

test.each([{ path: '' }, { environment: '' }, { busyTimeoutMs: -1 }, { busyTimeoutMs: Number.NaN }, { worker: true, clock: systemClock }])(
  'senseless options are refused: %o',
  (options) => {
    expect(() => sqliteStores({ path: 'x', ...options })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
  },
)

function run(what: string) {
  const args = ['--conditions=@pintail/source', '--disable-warning=ExperimentalWarning', program, path, what]
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function lines(child: ReturnType<typeof run>): Promise<string[]> {
  return all(createInterface({ input: child.stdout }))
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const page of pages) found.push(page)
  return found
}
