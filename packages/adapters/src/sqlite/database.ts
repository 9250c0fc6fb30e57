import { closeSync, openSync, statSync } from 'node:fs'
import type * as NodeSqlite from 'node:sqlite'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type Clock, errorText, PintailError } from '@pintail/core'
import { failure, isBusy, spoilsHandle } from './failure.ts'
import { foreign, inspect } from './inspect.ts'
import { applicationId, type SqliteMigration, sqliteMigrations } from './schema.ts'

export interface DatabaseOptions {
  readonly path: string
  readonly environment: string
  readonly busyTimeoutMs: number
  readonly clock: Clock
}

/** Pause before a locked file is tried again, milliseconds: short, because who commits again and again leaves it free for less. */
const busyPauseMs = 2

/** A record as it is kept, in whichever table. */
export interface Row {
  /** Its place: whatever is newer has a higher one. */
  readonly ord: number
  readonly id: string
  readonly version: number
  readonly record: string
}

/** What a call works with: statements of the open file, each prepared once. */
export interface Handle {
  all<Row>(sql: string, ...values: (string | number | null)[]): Row[]
  get<Row>(sql: string, ...values: (string | number | null)[]): Row | undefined
  /** How many rows it has changed. */
  run(sql: string, ...values: (string | number | null)[]): number
}

/**
 * One file: opened with the first call, and again after a failure that spoils the handle. Calls are synchronous and
 * short; a lock of another process is waited for outside of them, so that the event loop goes on.
 */
export class Database {
  readonly path: string
  readonly #options: DatabaseOptions
  readonly #isInMemory: boolean
  #open: { readonly db: DatabaseSync; readonly handle: Handle; readonly inode: number } | null = null
  #closed = false

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.path = options.path
    this.#isInMemory = options.path === ':memory:'
  }

  /** @throws PintailError `unavailable` and others, see `failure` */
  read<T>(signal: AbortSignal, work: (handle: Handle) => T): Promise<T> {
    return this.#patiently(signal, () => this.#attempt((_, handle) => work(handle)))
  }

  /** All or nothing. */
  write<T>(signal: AbortSignal, work: (handle: Handle) => T): Promise<T> {
    return this.#patiently(signal, () => this.#attempt((db, handle) => this.#transaction(db, () => work(handle))))
  }

  /** Whether the path still names the file that is open: what is written to a removed one is lost with the process. */
  checkFile(): void {
    if (this.#isInMemory || !this.#open) return
    if (statSync(this.path, { throwIfNoEntry: false })?.ino === this.#open.inode) return
    this.#close()
    const remedy = 'Never move or replace it while Pintail runs: stop Pintail first.'
    throw new PintailError('unavailable', `${this.path}: it was removed or replaced`, { remedy })
  }

  close(): void {
    this.#closed = true
    this.#close()
  }

  #close(): void {
    const { db } = this.#open ?? {}
    this.#open = null
    try {
      db?.close()
    } catch {}
  }

  async #patiently<T>(signal: AbortSignal, work: () => T): Promise<T> {
    const { clock, busyTimeoutMs } = this.#options
    const until = clock.now() + busyTimeoutMs
    for (;;) {
      if (this.#closed) throw new PintailError('stopped', `${this.path} has been closed`)
      if (signal.aborted) throw new PintailError('aborted', 'given up before it was done', { cause: signal.reason })
      try {
        return work()
      } catch (error) {
        if (!isBusy(error) || clock.now() >= until) throw failure(error, this.path)
      }
      await pause(clock, busyPauseMs, signal)
    }
  }

  #attempt<T>(work: (db: DatabaseSync, handle: Handle) => T): T {
    try {
      this.#open ??= this.#opened()
      return work(this.#open.db, this.#open.handle)
    } catch (error) {
      if (spoilsHandle(error) || spoilsHandle((error as { readonly cause?: unknown }).cause)) this.#close()
      throw error
    }
  }

  #transaction<T>(db: DatabaseSync, work: () => T): T {
    db.exec('BEGIN IMMEDIATE')
    let result: T
    try {
      result = work()
    } catch (error) {
      rollBack(db)
      throw error
    }
    try {
      db.exec('COMMIT')
    } catch (error) {
      rollBack(db)
      throw isBusy(error) ? error : failure(error, this.path, true)
    }
    return result
  }

  #opened() {
    const { path } = this
    const kind = this.#isInMemory ? 'new' : inspect(path)
    if (kind === 'unclear' && !isEmpty(path)) throw foreign(path, 'it is the database of another application')
    // The rows name users: for its owner alone. SQLite gives the files beside it the same rights.
    if (kind === 'new' && !this.#isInMemory) create(path)
    const db = new (sqlite().DatabaseSync)(path)
    try {
      db.exec('PRAGMA busy_timeout = 0')
      const handle = handleOf(db)
      this.#prepare(db, handle)
      const mode = handle.get<{ journal_mode: string }>('PRAGMA journal_mode = WAL')?.journal_mode
      if (mode !== 'wal' && mode !== 'memory')
        throw new PintailError('unavailable', `${path}: the file system has no write-ahead log (${mode})`, {
          remedy: 'Put the file on a local disk.',
        })
      db.exec('PRAGMA synchronous = FULL')
      return { db, handle, inode: this.#isInMemory ? 0 : statSync(path).ino }
    } catch (error) {
      db.close()
      throw error
    }
  }

  /** Brings the schema up to date, after everything that speaks against touching the file has been looked at. */
  #prepare(db: DatabaseSync, handle: Handle): void {
    const version = this.#check(handle)
    if (version === newest()) return
    this.#transaction(db, () => {
      // Another process may have done it between the look and the lock.
      const from = this.#check(handle)
      db.exec(`PRAGMA application_id = ${applicationId}`)
      if (from === 0) db.exec('CREATE TABLE schema_versions (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT')
      for (const { version: next, sql } of sqliteMigrations.filter((one: SqliteMigration) => one.version > from)) {
        db.exec(sql)
        handle.run("INSERT INTO schema_versions (version, applied_at) VALUES (?, strftime('%Y-%m-%dT%H:%M:%fZ'))", next)
      }
      if (from === 0) {
        handle.run('INSERT INTO state (id, environment) VALUES (1, ?)', this.#options.environment)
        handle.run('INSERT INTO lease (id) VALUES (1)')
      }
    })
  }

  /** The version of its schema; 0: it is empty. */
  #check(handle: Handle): number {
    const { path } = this
    const tables = handle.all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'").map(({ name }) => name)
    if (tables.length === 0) return 0
    const mark = handle.get<{ application_id: number }>('PRAGMA application_id')?.application_id
    if (mark !== applicationId || !tables.includes('schema_versions')) throw foreign(path, 'it is the database of another application')
    const version = handle.get<{ version: number }>('SELECT max(version) AS version FROM schema_versions')?.version ?? 0
    if (version > newest())
      throw new PintailError('unsupported', `${path}: it has schema ${version}, and this Pintail knows ${newest()}; nothing was changed`, {
        remedy: 'Use the newer Pintail, or a copy from before it.',
      })
    const { environment } = handle.get<{ environment: string }>('SELECT environment FROM state') ?? {}
    if (environment !== this.#options.environment)
      throw new PintailError(
        'invalid_options',
        `${path}: it belongs to the environment ${JSON.stringify(environment)}, not ${JSON.stringify(this.#options.environment)}; nothing was changed`,
        { remedy: 'Name the file of this environment, or the environment of this file.' },
      )
    return version
  }
}

const newest = (): number => Math.max(...sqliteMigrations.map(({ version }) => version))

function handleOf(db: DatabaseSync): Handle {
  const prepared = new Map<string, StatementSync>()
  const statement = (sql: string): StatementSync => {
    const found = prepared.get(sql) ?? db.prepare(sql)
    prepared.set(sql, found)
    return found
  }
  return {
    all: (sql, ...values) => statement(sql).all(...values) as never,
    get: (sql, ...values) => statement(sql).get(...values) as never,
    run: (sql, ...values) => Number(statement(sql).run(...values).changes),
  }
}

function rollBack(db: DatabaseSync): void {
  try {
    db.exec('ROLLBACK')
  } catch {
    // SQLite has done so itself.
  }
}

function create(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch {
    // SQLite says what is wrong.
  }
}

/** Opened for reading, so that nothing is written if it is somebody else's. */
function isEmpty(path: string): boolean {
  const db = new (sqlite().DatabaseSync)(path, { readOnly: true })
  try {
    return db.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.count === 0
  } finally {
    db.close()
  }
}

/** Taken when it is needed: importing this file must not fail, nor warn, where it is missing or experimental. */
function sqlite(): typeof NodeSqlite {
  const module = process.getBuiltinModule('node:sqlite')
  if (module) return module
  throw new PintailError('unsupported', `this Node (${process.version}) has no node:sqlite`, {
    remedy: 'Use Node 22.13 or later, or 22.12 with --experimental-sqlite.',
  })
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.setTimeout(end, ms)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

/** A record as it was written, or an error that names the row: what somebody else has put there is never acted on. */
export function parsed<T>(text: string, row: { readonly version?: number; readonly what: string }): T {
  try {
    const value = JSON.parse(text) as { readonly version?: unknown }
    if (typeof value === 'object' && value !== null && (row.version === undefined || value.version === row.version)) return value as T
  } catch (error) {
    throw unreadable(row.what, errorText(error))
  }
  throw unreadable(row.what, 'its columns and its record differ')
}

function unreadable(what: string, why: string): PintailError {
  return new PintailError('invalid_row', `${what} is not as Pintail has written it (${why}); nothing was changed`, {
    remedy: 'Restore a copy, or mend the row: change these tables through Pintail only.',
  })
}
