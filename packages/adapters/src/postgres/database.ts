import { type Clock, PintailError } from '@pintail/core'
import { ask, failure, type PgPool, StatementFailure } from './pool.ts'
import type { PostgresMigration, Tables } from './schema.ts'

export interface DatabaseOptions {
  readonly pool: PgPool
  readonly tables: Tables
  readonly environment: string
  readonly migrations: readonly PostgresMigration[]
  readonly timeoutMs: number
  readonly clock: Clock
}

/** How often a statement is repeated that the server has undone for the sake of another. */
const mostRepeats = 5

/** Statements on the host's pool, one transaction each. */
export class Database {
  readonly tables: Tables
  /** How long a lock is waited for by the server itself, so that a call that was given up waits for nothing there. */
  readonly lockTimeout: string
  readonly #options: DatabaseOptions
  #checked = false

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.tables = options.tables
    this.lockTimeout = `${options.timeoutMs}ms`
  }

  /** @throws PintailError `unavailable` and others, see `failure`; StatementFailure never */
  async ask<Row>(signal: AbortSignal, text: string, values: unknown[] = []): Promise<readonly Row[]> {
    try {
      await this.#check(signal)
      return await this.#repeated<Row>(signal, text, values)
    } catch (error) {
      throw failure(error)
    }
  }

  /** As `ask`, for who knows what a failure means. */
  async attempt<Row>(signal: AbortSignal, text: string, values: unknown[]): Promise<readonly Row[]> {
    await this.#check(signal)
    return this.#repeated<Row>(signal, text, values)
  }

  async #repeated<Row>(signal: AbortSignal, text: string, values: unknown[]): Promise<readonly Row[]> {
    for (let tries = 0; ; tries++) {
      try {
        return await ask<Row>(this.#options.pool, text, values, { ...this.#options, signal })
      } catch (error) {
        const isUndone = error instanceof StatementFailure && ['40001', '40P01'].includes(error.sqlState ?? '')
        if (!isUndone || tries === mostRepeats || signal.aborted) throw error
      }
    }
  }

  /** Once, and again after each failure: whose tables these are. */
  async #check(signal: AbortSignal): Promise<void> {
    if (this.#checked) return
    const { tables, environment, migrations } = this.#options
    const sql = `SELECT (SELECT max(version) FROM ${tables.schema_versions}) AS version, (SELECT environment FROM ${tables.state}) AS environment`
    const [row] = await ask<{ version: number | null; environment: string | null }>(this.#options.pool, sql, [], {
      ...this.#options,
      signal,
    })
    const newest = Math.max(...migrations.map(({ version }) => version))
    const version = Number(row?.version ?? 0)
    if (version > newest)
      throw new PintailError('unsupported', `the tables have schema ${version}, and this Pintail knows ${newest}; nothing was changed`, {
        remedy: 'Use the newer Pintail.',
      })
    if (version < newest)
      throw new PintailError('unavailable', `the tables have schema ${version}, and this Pintail needs ${newest}`, {
        remedy: 'Run migrate(), or the missing ones of postgresMigrations() with your own tool.',
      })
    if (row?.environment !== environment)
      throw new PintailError(
        'invalid_options',
        `the tables belong to the environment ${JSON.stringify(row?.environment)}, not ${JSON.stringify(environment)}; nothing was changed`,
        { remedy: 'Name the database or schema of this environment, or the environment of this one.' },
      )
    this.#checked = true
  }
}
