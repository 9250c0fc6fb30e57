import { type CallContext, type Clock, type ConnectionInput, type Json, PintailError, type ServerInput, systemClock } from '@pintail/core'
import { migrate } from '../postgres/migrate.ts'
import { ask, failure, type PgPool, StatementFailure } from '../postgres/pool.ts'
import type { PostgresNames } from '../postgres/schema.ts'
import { fromColumn, toColumn } from '../postgres/text.ts'
import type { AccessBooks, AccessRow, HomeOutcome, WantOutcome } from './book.ts'
import { keptKeys } from './book.ts'
import { mostRows } from './order.ts'
import { type AccessTables, accessMigrations, accessTablesOf } from './schema.ts'

export interface PostgresAccessOptions extends PostgresNames {
  /** The host's own pool. One connection for each call under way; none is ended but broken ones. */
  readonly pool: PgPool
  /** How long a connection of the pool, and a lock in the database, is waited for, milliseconds, 10–60 000. Default 5 000. */
  readonly timeoutMs?: number
  /** For that waiting. Default: the machine's. */
  readonly clock?: Clock
}

export interface PostgresAccess extends AccessBooks {
  /** Makes the tables, or brings them up to date. For those who do not run `accessSchemaSql()` with a tool of their own. */
  migrate(): Promise<void>
}

/** So often a statement is repeated that the server has undone for the sake of another, or whose connection has ended. */
const mostRepeats = 5

/**
 * Books in PostgreSQL 12 or later, over the host's own pool. Each call is one statement and one transaction: no session
 * state, so that any proxy may stand between. Nothing is opened before the first call.
 * @throws PintailError `invalid_options`; each call: `unavailable` (nothing was written), `internal` (the connection was
 * lost before the answer), `rejected` (no such server)
 */
export function postgresAccess(options: PostgresAccessOptions): PostgresAccess {
  const { pool, timeoutMs = 5000, clock = systemClock } = options
  if (typeof pool?.connect !== 'function') throw new PintailError('invalid_options', 'pool must be a pool of `pg`: it has no connect()')
  if (!(timeoutMs >= 10 && timeoutMs <= 60_000))
    throw new PintailError('invalid_options', `timeoutMs must be from 10 to 60000, not ${timeoutMs}`)
  const tables = accessTablesOf(options)
  const patience = `${timeoutMs}ms`
  const never = new AbortController().signal
  const query: Query = async (ctx, text, values) => {
    let wasLost = false
    for (let tries = 0; ; tries++) {
      try {
        return await ask(pool, text, values, { signal: ctx?.signal ?? never, clock, timeoutMs })
      } catch (error) {
        const sqlState = error instanceof StatementFailure && error.isSent ? error.sqlState : undefined
        // Each call may be repeated: an idle connection of the pool may have ended unseen, as in a failover.
        const isRepeated = sqlState === null || sqlState === '40001' || sqlState === '40P01'
        wasLost ||= sqlState === null
        if (isRepeated && tries < mostRepeats && !ctx?.signal.aborted) continue
        const told = failure(error)
        // That the last try came to nothing says nothing of one before whose connection was lost.
        const isUnclear = wasLost && told.code === 'unavailable'
        throw isUnclear ? new PintailError('internal', told.message, { cause: error, ...(told.remedy && { remedy: told.remedy }) }) : told
      }
    }
  }
  return {
    ...bookOf(query, tables, patience),
    ...registryOf(query, tables),
    ...hostOf(query, tables, patience),
    migrate: () => migrate(pool, { schema_versions: tables.access_versions }, accessMigrations(options)),
  }
}

type Query = <Row>(ctx: CallContext | undefined, text: string, values: unknown[]) => Promise<readonly Row[]>

interface GrantRow {
  readonly server_id: string
  readonly connection_id: string
  readonly wanted: AccessRow['wanted']
  readonly tentative: boolean
  readonly token: string | number
  readonly epoch: string | number
  /** As text, or within an array of JSON as what it says. */
  readonly payload: string
}

const columns = 'server_id, connection_id, wanted, tentative, token, epoch, payload::text AS payload'

function bookOf(query: Query, t: AccessTables, patience: string) {
  return {
    async look(connectionId, ctx) {
      // One statement, so that home and grants are of one moment.
      const rows = await query<{ home: string; keys: string[]; newest: string; newest_epoch: string } & GrantRow>(
        ctx,
        `SELECT c.home, c.keys, c.token AS newest, c.epoch AS newest_epoch, g.server_id, g.connection_id, g.wanted, g.tentative,
           g.token, g.epoch, g.payload::text AS payload
         FROM ${t.access_connections} c LEFT JOIN ${t.access_grants} g ON g.connection_id = c.id WHERE c.id = $1`,
        [connectionId],
      )
      const [first] = rows
      if (!first) return null
      return {
        serverId: first.home,
        keys: first.keys,
        token: Number(first.newest),
        epoch: Number(first.newest_epoch),
        rows: rows.filter(({ server_id }) => server_id !== null).map(rowOf),
      }
    },
    async want({ connectionId, serverId, wanted, token, epoch, payload }, ctx) {
      const [row] = await query<{ outcome: WantOutcome }>(ctx, `SELECT ${t.access_want}($1, $2, $3, $4, $5, $6, $7) AS outcome`, [
        patience,
        connectionId,
        serverId,
        wanted,
        token,
        epoch,
        jsonOf(payload),
      ])
      return row?.outcome ?? 'fenced'
    },
    async setHome({ connectionId, from, to, token, epoch, grant, leaves, key }, ctx) {
      const call = `SELECT ${t.access_set_home}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS outcome`
      const values = [patience, connectionId, from, to, token, epoch, grant.token, grant.epoch, leaves, key, keptKeys]
      const [row] = await query<{ outcome: HomeOutcome }>(ctx, call, values)
      return row?.outcome ?? 'fenced'
    },
    async forget(serverId, gone, ctx) {
      if (gone.length === 0) return
      const sql = `DELETE FROM ${t.access_grants} g
        USING unnest($2::text[], $3::bigint[], $4::bigint[]) AS gone (id, token, epoch), ${t.access_connections} c
        WHERE g.server_id = $1 AND g.connection_id = gone.id AND g.token = gone.token AND g.epoch = gone.epoch
          AND c.id = g.connection_id AND c.home <> $1 AND (g.wanted = 'revoked' OR g.tentative)`
      const list = <T>(of: (one: (typeof gone)[number]) => T): T[] => gone.map(of)
      await query(ctx, sql, [serverId, list((one) => one.connectionId), list((one) => one.token), list((one) => one.epoch)])
    },
    async rowsOn(serverId, { after, limit }, ctx) {
      const sql = `SELECT ${columns} FROM ${t.access_grants}
        WHERE server_id = $1 AND ($2::text IS NULL OR connection_id > $2 COLLATE "C") ORDER BY connection_id LIMIT $3`
      return (await query<GrantRow>(ctx, sql, [serverId, after, Math.min(limit, mostRows)])).map(rowOf)
    },
    async servers(ctx) {
      return query(ctx, `SELECT id, region FROM ${t.access_servers} ORDER BY ord`, [])
    },
    async fence(token, ctx) {
      const sql = `WITH raised AS (UPDATE ${t.access_state} SET token = $1::bigint WHERE id = 1 AND token < $1::bigint RETURNING 1)
        SELECT EXISTS (SELECT FROM raised) OR token <= $1::bigint AS fits FROM ${t.access_state} WHERE id = 1`
      const [row] = await query<{ fits: boolean }>(ctx, sql, [token])
      return row?.fits === true
    },
  } satisfies Partial<AccessBooks>
}

function registryOf(query: Query, t: AccessTables) {
  return {
    async listServers(ctx: CallContext) {
      const sql = `SELECT s.row::text AS row, s.status, coalesce(c.load, 0)::int AS load FROM ${t.access_servers} s
        LEFT JOIN (SELECT home, count(*) AS load FROM ${t.access_connections} GROUP BY home) c ON c.home = s.id ORDER BY s.ord`
      const rows = await query<{ row: string; status: ServerInput['status']; load: number }>(ctx, sql, [])
      return rows.map(({ row, status = null, load }) => ({ ...parsed<ServerInput>(row), status, load }))
    },
    async *listConnections({ id }: { readonly id: string }, ctx: CallContext) {
      const sql = `SELECT id, row::text AS row FROM ${t.access_connections}
        WHERE home = $1 AND ($2::text IS NULL OR id > $2 COLLATE "C") ORDER BY id LIMIT ${mostRows}`
      for (let after: string | null = null; ; ) {
        const rows: readonly { id: string; row: string }[] = await query(ctx, sql, [id, after])
        if (rows.length > 0) yield rows.map(({ row }) => parsed<ConnectionInput>(row))
        if (rows.length < mostRows) return
        after = rows.at(-1)?.id ?? after
      }
    },
    async setServerStatus({ id }, status, ctx) {
      const rows = await query(ctx, `UPDATE ${t.access_servers} SET status = $2 WHERE id = $1 RETURNING 1`, [id, status])
      if (rows.length === 0) throw new PintailError('rejected', `there is no server ${id}`)
    },
  } satisfies Partial<AccessBooks>
}

function hostOf(query: Query, t: AccessTables, patience: string) {
  return {
    async putServer(server, ctx) {
      const sql = `INSERT INTO ${t.access_servers} AS s (id, status, region, row) VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO UPDATE SET status = coalesce(excluded.status, s.status), region = excluded.region, row = excluded.row`
      await query(ctx, sql, [String(server.id), server.status ?? null, server.region ?? null, jsonOf({ ...server } as Json)])
    },
    async removeServer(id, ctx) {
      const sql = `WITH gone AS (DELETE FROM ${t.access_servers} WHERE id = $1)
        DELETE FROM ${t.access_grants} g USING ${t.access_connections} c WHERE g.server_id = $1 AND c.id = g.connection_id AND c.home <> $1`
      await query(ctx, sql, [String(id)])
    },
    async assign(connection, server, payload, ctx) {
      const values = [patience, String(connection.id), String(server), jsonOf({ ...connection } as Json), jsonOf(payload)]
      const [row] = await query<{ done: boolean }>(ctx, `SELECT ${t.access_assign}($1, $2, $3, $4, $5) AS done`, values)
      if (!row?.done) throw new PintailError('rejected', `there is no server ${String(server)}`)
    },
    async remove(connection, ctx) {
      await query(ctx, `DELETE FROM ${t.access_connections} WHERE id = $1`, [String(connection)])
    },
    async homeOf(connection, ctx) {
      const [row] = await query<{ home: string }>(ctx, `SELECT home FROM ${t.access_connections} WHERE id = $1`, [String(connection)])
      return row?.home ?? null
    },
  } satisfies Partial<AccessBooks>
}

const rowOf = (row: GrantRow): AccessRow => ({
  connectionId: row.connection_id,
  serverId: row.server_id,
  wanted: row.wanted,
  isTentative: row.tentative,
  token: Number(row.token),
  epoch: Number(row.epoch),
  payload: parsed<Json>(row.payload),
})

/** Absent stays absent: null is a payload too. */
const jsonOf = (value: Json | undefined): string | null => (value === undefined ? null : toColumn(JSON.stringify(value)))
const parsed = <T>(text: string): T => JSON.parse(fromColumn(text)) as T
