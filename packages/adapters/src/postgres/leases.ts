import type { LeaseStore, Token } from '@pintail/core'
import type { Database } from './database.ts'

/** One lease, by the clock of the database: no member's own clock is asked. */
export function leasesOf(database: Database): LeaseStore {
  const { lease, state } = database.tables
  const until = `clock_timestamp() + $2::double precision * interval '1 millisecond'`
  const patience = `(SELECT set_config('lock_timeout', $3::text, true)) AS patience`
  return {
    async acquire(holder, ttlMs, { signal }) {
      const sql = `UPDATE ${lease} l SET token = greatest(l.token, (SELECT token FROM ${state} WHERE id = 1)) + 1, holder = $1, until = ${until}
        FROM ${patience} WHERE l.id = 1 AND (l.holder IS NULL OR l.holder = $1 OR l.until <= clock_timestamp()) RETURNING l.token`
      const [row] = await database.ask<{ token: string }>(signal, sql, [holder, ttlMs, database.lockTimeout])
      return row ? { token: Number(row.token) as Token, holder, ttlMs } : null
    },
    async renew({ token, holder, ttlMs }, { signal }) {
      const sql = `UPDATE ${lease} l SET until = ${until}
        FROM ${patience} WHERE l.id = 1 AND l.holder = $1 AND l.token = $4::bigint AND l.until > clock_timestamp() RETURNING 1`
      return (await database.ask(signal, sql, [holder, ttlMs, database.lockTimeout, token])).length === 1
    },
    async release({ token, holder }, { signal }) {
      await database.ask(signal, `UPDATE ${lease} SET holder = NULL WHERE id = 1 AND holder = $1 AND token = $2::bigint`, [holder, token])
    },
  }
}
