import { type Clock, type LeaseStore, type MigrationStore, PintailError } from '@pintail/core'
import { type Ask, askHere } from './calls.ts'
import { Database } from './database.ts'
import { leasesOf } from './leases.ts'
import { machineClock } from './serve.ts'
import { storeOf } from './store.ts'
import { Thread } from './thread.ts'

export interface SqliteStoresOptions {
  /** The file; it is made if it is not there, its directory is not. `:memory:` keeps everything in this process. */
  readonly path: string
  /** Whose state it is, 1–100 characters: a file of another environment is refused. Default `default`. */
  readonly environment?: string
  /** How long a lock of another process is waited for, milliseconds, 0–60 000. Default 2 000. The event loop goes on meanwhile. */
  readonly busyTimeoutMs?: number
  /**
   * Whether the file is open in a thread of its own, so that the event loop never waits for the disk. A URL or a path: that
   * thread's program, `@pintail/adapters/sqlite/worker`, where a bundler has put it. False: in the caller's thread, where
   * calls are synchronous. Default true; false for `:memory:`, and where a `clock` is given, which no other thread can read.
   */
  readonly worker?: boolean | URL | string
  /** For leases and waiting. Default: the machine's steady clock, which its processes share. */
  readonly clock?: Clock
}

export interface SqliteStores extends AsyncDisposable {
  readonly store: MigrationStore & Required<Pick<MigrationStore, 'prune' | 'post' | 'posts' | 'find' | 'sumMigrations'>>
  readonly leases: LeaseStore
  /** Opens the file and brings its schema up to date now, so that what is wrong with it is said now. */
  open(): Promise<void>
  /** Closes the file. Later calls reject with `stopped`. */
  close(): Promise<void>
}

/**
 * State and journal in one SQLite file, for one process or several on one machine. Opened with the first call. Durable:
 * a commit that resolved survives a power cut, as far as the disk keeps its word.
 * @throws PintailError `invalid_options`; each call: `unavailable` (nothing was written: locked, full, read-only, damaged),
 * `invalid_options` (another application's file, another environment's), `unsupported` (a newer schema, no node:sqlite, no
 * thread), `invalid_row` (a row that Pintail has not written), `internal` (nobody knows whether it was written)
 */
export function sqliteStores(options: SqliteStoresOptions): SqliteStores {
  const { path, environment = 'default', busyTimeoutMs = 2000, clock = machineClock } = options
  const { worker = path !== ':memory:' && options.clock === undefined } = options
  const wrong = (what: string) => new PintailError('invalid_options', what)
  if (typeof path !== 'string' || path === '') throw wrong('path must name a file')
  if (environment.length < 1 || environment.length > 100) throw wrong('environment must have 1 to 100 characters')
  if (!(busyTimeoutMs >= 0 && busyTimeoutMs <= 60_000)) throw wrong(`busyTimeoutMs must be from 0 to 60000, not ${busyTimeoutMs}`)
  if (worker !== false && options.clock) throw wrong('a clock can only be read in its own thread: leave `worker` out')
  const { ask, close } =
    worker === false
      ? inThisThread(new Database({ path, environment, busyTimeoutMs, clock }), clock)
      : inThread(new Thread(worker === true ? program() : worker, { path, environment, busyTimeoutMs }))
  return {
    store: storeOf(ask),
    leases: leasesOf(ask),
    open: () => ask('open', [], new AbortController().signal),
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface Opened {
  readonly ask: Ask
  readonly close: () => Promise<void>
}

const inThisThread = (database: Database, clock: Clock): Opened => ({ ask: askHere(database, clock), close: async () => database.close() })

const inThread = (thread: Thread): Opened => ({
  ask: (name, args, signal) => thread.ask(name, args, signal) as Promise<never>,
  close: () => thread.close(),
})

/** Beside this file, under the name that it has in the sources or in what is built of them. */
const program = (): URL =>
  import.meta.url.endsWith('.ts') ? new URL('./worker.ts', import.meta.url) : new URL('./worker.js', import.meta.url)
