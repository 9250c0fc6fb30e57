import { PintailError } from '@pintail/core'
import { failure, type PgPool, StatementFailure, takeFrom } from './pool.ts'
import type { PostgresMigration, Tables } from './schema.ts'

/** Any number that others are unlikely to use: "Pntl". */
const advisoryKey = 0x506e746c

/** Runs what is missing, in one transaction. Two at once wait for each other by a lock of the transaction's. */
export async function migrate(
  pool: PgPool,
  tables: Pick<Tables, 'schema_versions'>,
  migrations: readonly PostgresMigration[],
): Promise<void> {
  const { client, give } = await takeFrom(pool).catch((error) => {
    throw failure(new StatementFailure(error, false))
  })
  let isDone = false
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [advisoryKey])
    const { rows } = await client.query('SELECT to_regclass($1) IS NOT NULL AS is_there', [tables.schema_versions])
    const isThere = (rows[0] as { is_there: boolean }).is_there
    const found = isThere ? await client.query(`SELECT max(version) AS version FROM ${tables.schema_versions}`) : null
    const version = Number((found?.rows[0] as { version: number | null } | undefined)?.version ?? 0)
    const newest = Math.max(...migrations.map((one) => one.version))
    if (version > newest)
      throw new PintailError('unsupported', `the tables have schema ${version}, and this Pintail knows ${newest}; nothing was changed`)
    for (const { sql } of migrations.filter((one) => one.version > version)) await client.query(sql)
    await client.query('COMMIT')
    isDone = true
  } catch (error) {
    throw error instanceof PintailError ? error : failure(new StatementFailure(error, true))
  } finally {
    // A connection in the middle of a transaction is nobody's.
    give(!isDone)
  }
}
