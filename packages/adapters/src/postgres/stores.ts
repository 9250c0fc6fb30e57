import { type Clock, type LeaseStore, type MigrationStore, PintailError, systemClock } from '@pintail/core'
import { Database } from './database.ts'
import { leasesOf } from './leases.ts'
import { migrate } from './migrate.ts'
import type { PgPool } from './pool.ts'
import { type PostgresNames, postgresMigrations, tablesOf } from './schema.ts'
import { storeOf } from './store.ts'

export interface PostgresStoresOptions extends PostgresNames {
  /** The host's own pool. Pintail uses few connections, one for each call under way, and ends none but broken ones. */
  readonly pool: PgPool
  /** Whose state it is, 1–100 characters: tables of another environment are refused. Default `default`. */
  readonly environment?: string
  /** How long a connection of the pool, and a lock in the database, is waited for, milliseconds, 10–60 000. Default 5 000. */
  readonly timeoutMs?: number
  /** For that waiting. Default: the machine's. */
  readonly clock?: Clock
}

export interface PostgresStores {
  readonly store: MigrationStore & Required<Pick<MigrationStore, 'prune' | 'post' | 'posts' | 'find' | 'sumMigrations'>>
  readonly leases: LeaseStore
  /** Makes the tables, or brings them up to date. For those who do not run `schemaSql()` with a tool of their own. */
  migrate(): Promise<void>
}

/**
 * State, journal and lease in PostgreSQL 12 or later, over the host's own pool. Each call is one statement and one
 * transaction: no session state, so that any proxy may stand between. Nothing is opened before the first call.
 * @throws PintailError `invalid_options`; each call: `unavailable` (nothing was written: no connection, a lock, a full disk,
 * a read-only server, missing tables), `internal` (the connection was lost before the answer: the same batch comes again),
 * `invalid_options` (another environment's tables), `unsupported` (a newer schema), `invalid_row` (a row that Pintail has not written)
 */
export function postgresStores(options: PostgresStoresOptions): PostgresStores {
  const { pool, environment = 'default', timeoutMs = 5000, clock = systemClock } = options
  if (typeof pool?.connect !== 'function') throw new PintailError('invalid_options', 'pool must be a pool of `pg`: it has no connect()')
  if (!(timeoutMs >= 10 && timeoutMs <= 60_000))
    throw new PintailError('invalid_options', `timeoutMs must be from 10 to 60000, not ${timeoutMs}`)
  const tables = tablesOf(options)
  const migrations = postgresMigrations(options)
  const database = new Database({ pool, tables, environment, migrations, timeoutMs, clock })
  return {
    store: storeOf(database) as PostgresStores['store'],
    leases: leasesOf(database),
    migrate: () => migrate(pool, tables, migrations),
  }
}
