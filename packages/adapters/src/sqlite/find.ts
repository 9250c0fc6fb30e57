import type { FoundKind, MigrationGroup, RecordQuery } from '@pintail/core'
import type { Handle, Row } from './database.ts'

/** A page as it is in the file. */
export interface FoundRows {
  readonly rows: readonly Row[]
  readonly total: number
}

/** Texts of failures that are told one by one. */
const mostErrors = 20

type Values = (string | number | null)[]

interface Place {
  readonly table: string
  /** In words of the schema and no parameters: an index of a part of a table is found by them. */
  readonly only: string
  /** Indexes are named: what SQLite would choose depends on what it has been told of the data. */
  readonly indexes: Readonly<Partial<Record<'all' | 'of' | 'since' | 'status' | 'reason', string>>>
  /** Each finds some of a server's; together they find all of them. */
  readonly servers: (value: string) => readonly { readonly term: string; readonly index: string }[]
  readonly parent: string | null
  readonly reason: string | null
}

const places: { readonly [K in FoundKind]: Place } = {
  migration: {
    table: 'migrations',
    only: 'true',
    indexes: {
      all: 'idx_migrations_ord',
      of: 'idx_migrations_evacuation_id',
      since: 'idx_migrations_over_ms',
      reason: 'idx_migrations_reason',
      status: 'idx_migrations_status',
    },
    servers: (value) => [
      { term: `server_id = ${value}`, index: 'idx_migrations_server_id' },
      { term: `to_node_id = ${value}`, index: 'idx_migrations_to_node_id' },
    ],
    parent: 'evacuation_id',
    reason: 'reason',
  },
  evacuation: {
    table: 'records',
    only: "kind = 'evacuation'",
    indexes: {
      all: 'idx_records_kind',
      of: 'idx_evacuations_incident_id',
      since: 'idx_evacuations_over_ms',
      reason: 'idx_evacuations_reason',
      status: 'idx_evacuations_status',
    },
    // Without an index: a list in the record. There are far fewer evacuations than migrations.
    servers: (value) => [
      {
        term: `(EXISTS (SELECT 1 FROM json_each(record, '$.fromServerIds') f WHERE f.value = ${value}) OR json_extract(record, '$.toServerId') = ${value})`,
        index: 'idx_records_kind',
      },
    ],
    parent: 'incident_id',
    reason: 'reason',
  },
  incident: {
    table: 'records',
    only: "kind = 'incident'",
    indexes: { all: 'idx_records_kind', since: 'idx_incidents_over_ms', status: 'idx_incidents_status' },
    servers: (value) => [{ term: `server_id = ${value}`, index: 'idx_incidents_server_id' }],
    parent: null,
    reason: null,
  },
}

/**
 * Page and total in one statement, so that they are of one moment. First the places alone, which an index has, then their rows.
 * @internal
 */
export function findSql(kind: FoundKind, query: RecordQuery): { readonly sql: string; readonly values: Values } {
  const { table, only, indexes, servers, parent, reason } = places[kind]
  const values: Values = [query.limit, query.offset]
  const value = (one: string | number): string => `?${values.push(one)}`
  // As JSON, like the record that its column is made of: a text that is no good Unicode is the same one then.
  const text = (one: string): string => `json_extract(${value(JSON.stringify(one))}, '$')`
  const list = (all: readonly string[]): string => `(SELECT value FROM json_each(${value(JSON.stringify(all))}))`
  // Of one state the places are in the index in their order.
  const statusIn = ([first = '', ...rest]: readonly string[]): string =>
    rest.length === 0 ? `status = ${text(first)}` : `status IN ${list([first, ...rest])}`
  const terms = [
    only,
    ...(query.ids ? [`id IN ${list(query.ids)}`] : []),
    ...(query.status ? [statusIn(query.status)] : []),
    ...(query.reason === undefined ? [] : [reason === null ? 'false' : `${reason} = ${text(query.reason)}`]),
    ...(query.of ? [parent === null ? 'false' : `${parent} IN ${list(query.of)}`] : []),
    ...(query.since === undefined ? [] : [`over_ms >= ${value(query.since)}`]),
  ]
  // What is named in the order of how few there are likely to be; ids have the index of their table.
  const narrowest = (['of', 'since', 'reason', 'status'] as const).find((name) => query[name] !== undefined) ?? 'all'
  const index = query.ids ? '' : `INDEXED BY ${indexes[narrowest] ?? indexes.all}`
  const where = `WHERE ${terms.join(' AND ')}`
  const from =
    query.serverId === undefined
      ? `FROM ${table} ${index} ${where}`
      : `FROM (${servers(text(query.serverId))
          .map((one) => `SELECT ord FROM ${table} ${query.ids || query.of ? index : `INDEXED BY ${one.index}`} ${where} AND ${one.term}`)
          .join(' UNION ')})`
  const sql = `SELECT c.total, r.ord, r.id, r.version, r.record FROM (SELECT count(*) AS total ${from}) c LEFT JOIN (
    SELECT ord, id, version, record FROM ${table} WHERE ord IN (SELECT ord ${from} ORDER BY ord DESC LIMIT ?1 OFFSET ?2)
  ) r ORDER BY r.ord DESC`
  return { sql, values }
}

export function find(handle: Handle, kind: FoundKind, query: RecordQuery): FoundRows {
  const { sql, values } = findSql(kind, query)
  const rows = handle.all<Row & { readonly total: number }>(sql, ...values)
  return { total: rows[0]?.total ?? 0, rows: rows.flatMap(({ total: _, ...row }) => (row.ord === null ? [] : row)) }
}

export interface SumRows {
  readonly groups: readonly MigrationGroup[]
  /** `error` as JSON. */
  readonly failures: readonly { readonly error: string; readonly count: number }[]
}

/**
 * In one statement, so that all sums are of one moment.
 * @internal
 */
export const sumsSql = `
SELECT status, reason, NULL AS error, count(*) AS count, count(duration_ms) AS timed, total(duration_ms) AS durationMs,
  total(savings_eur_hour) AS savingsEurHour, total(savings_eur_month) AS savingsEurMonth
FROM migrations INDEXED BY idx_migrations_sums GROUP BY status, reason
UNION ALL SELECT * FROM (
  SELECT NULL, NULL, record -> '$.errorMessage', count(*), 0, 0, 0, 0 FROM migrations INDEXED BY idx_migrations_failures WHERE status = 'failed'
  GROUP BY record -> '$.errorMessage' ORDER BY count(*) DESC LIMIT ${mostErrors}
)`

export function sumMigrations(handle: Handle): SumRows {
  const rows = handle.all<MigrationGroup & { readonly error: string }>(sumsSql)
  return {
    groups: rows.flatMap(({ error: _, ...group }) => (group.status === null ? [] : group)),
    failures: rows.flatMap(({ status, error, count }) => (status === null ? { error, count } : [])),
  }
}
