import type { Clock, LeaseStore, Token } from '@pintail/core'
import type { Database, Handle } from './database.ts'

interface Row {
  readonly token: number
  readonly holder: string | null
  readonly since: number
  readonly ttl_ms: number
}

/**
 * One lease for the processes of one machine, by the clock that they share. It stands at 0 after a boot: a lease from
 * before is then from the future, and over.
 */
export function leasesOf(database: Database, clock: Pick<Clock, 'now'>): LeaseStore {
  const held = (handle: Handle): Row | null => {
    const row = handle.get<Row>('SELECT token, holder, since, ttl_ms FROM lease')
    const now = clock.now()
    return row?.holder && row.since <= now && now < row.since + row.ttl_ms ? row : null
  }
  return {
    acquire: (holder, ttlMs, { signal }) =>
      database.write(signal, (handle) => {
        database.checkFile()
        const other = held(handle)
        if (other && other.holder !== holder) return null
        const sql = `UPDATE lease SET token = max(token, (SELECT token FROM state)) + 1, holder = ?, since = ?, ttl_ms = ? RETURNING token`
        const { token } = handle.get<{ token: number }>(sql, holder, clock.now(), ttlMs) ?? { token: 0 }
        return { token: token as Token, holder, ttlMs }
      }),
    renew: ({ token, holder, ttlMs }, { signal }) =>
      database.write(signal, (handle) => {
        database.checkFile()
        const own = held(handle)
        if (own?.token !== token || own.holder !== holder) return false
        return handle.run('UPDATE lease SET since = ?, ttl_ms = ?', clock.now(), ttlMs) === 1
      }),
    release: ({ token, holder }, { signal }) =>
      database.write(signal, (handle) => handle.run('UPDATE lease SET holder = NULL WHERE token = ? AND holder = ?', token, holder)),
  }
}
