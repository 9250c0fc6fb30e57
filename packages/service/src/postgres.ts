import { type PostgresStores, postgresStores } from '@pintail/adapters/postgres'
import { errorText } from '@pintail/core'
import type { Pool } from 'pg'
import type { Logger } from 'pino'
import type { Settings } from './settings/settings.ts'
import { showValue } from './settings/show.ts'

/** Connections at most: the engine has few calls under way, and the proxy before a database counts each. */
const mostConnections = 4
/** For a connection, and for the answer to a statement, milliseconds: the engine repeats what had none. */
const connectMs = 5000
const answerMs = 10_000
/** For one call, milliseconds. */
export const callMs = connectMs + answerMs

export interface PostgresPlace extends PostgresStores, AsyncDisposable {
  /** Where it is, without who one is there. */
  readonly where: string
}

/** A pool on the database of the settings. Nothing is connected yet. */
export async function postgresPool(values: Settings, max: number, logger?: Logger): Promise<Pool> {
  // Only who keeps the state there pays for loading it.
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({
    connectionString: values.postgresUrl,
    max,
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    keepAlive: true,
    application_name: 'pintail',
  })
  // A pool tells when an idle connection of its is cut; the next call takes another one.
  pool.on('error', (error) => logger?.debug({ err: errorText(error) }, 'an idle connection to PostgreSQL was cut'))
  return pool
}

export const postgresPlaceOf = ({ postgresUrl, postgresSchema }: Settings): string =>
  `${showValue('postgresUrl', postgresUrl)} (schema ${postgresSchema})`

/** The database of the settings, over a pool of its own. Nothing is connected yet. */
export async function connectPostgres(values: Settings, logger?: Logger): Promise<PostgresPlace> {
  const pool = await postgresPool(values, mostConnections, logger)
  const stores = postgresStores({ pool, schema: values.postgresSchema, environment: values.environment })
  return {
    ...stores,
    where: postgresPlaceOf(values),
    [Symbol.asyncDispose]: () => pool.end(),
  }
}
