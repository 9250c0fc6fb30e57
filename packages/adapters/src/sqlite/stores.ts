import { type Clock, type LeaseStore, type MigrationStore, PintailError, systemClock } from '@pintail/core'
import { Database } from './database.ts'
import { leasesOf } from './leases.ts'
import { storeOf } from './store.ts'

export interface SqliteStoresOptions {
  /** The file; it is made if it is not there, its directory is not. `:memory:` keeps everything in this process. */
  readonly path: string
  /** Whose state it is, 1–100 characters: a file of another environment is refused. Default `default`. */
  readonly environment?: string
  /** How long a lock of another process is waited for, milliseconds, 0–60 000. Default 2 000. The event loop goes on meanwhile. */
  readonly busyTimeoutMs?: number
  /** For leases and waiting. Default: the machine's steady clock, which its processes share. */
  readonly clock?: Clock
}

export interface SqliteStores extends AsyncDisposable {
  readonly store: MigrationStore & Required<Pick<MigrationStore, 'prune'>>
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
 * `invalid_options` (another application's file, another environment's), `unsupported` (a newer schema, no node:sqlite),
 * `invalid_row` (a row that Pintail has not written)
 */
export function sqliteStores({
  path,
  environment = 'default',
  busyTimeoutMs = 2000,
  clock = machineClock,
}: SqliteStoresOptions): SqliteStores {
  const wrong = (what: string) => new PintailError('invalid_options', what)
  if (typeof path !== 'string' || path === '') throw wrong('path must name a file')
  if (environment.length < 1 || environment.length > 100) throw wrong('environment must have 1 to 100 characters')
  if (!(busyTimeoutMs >= 0 && busyTimeoutMs <= 60_000)) throw wrong(`busyTimeoutMs must be from 0 to 60000, not ${busyTimeoutMs}`)
  const database = new Database({ path, environment, busyTimeoutMs, clock })
  const close = async (): Promise<void> => database.close()
  return {
    store: storeOf(database) as SqliteStores['store'],
    leases: leasesOf(database, clock),
    open: () => database.read(new AbortController().signal, () => {}),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Since the machine has booted: the same in all of its processes, and never set. */
const machineClock: Clock = { ...systemClock, now: () => Number(process.hrtime.bigint()) / 1e6 }
