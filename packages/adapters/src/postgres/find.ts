import type { CallContext, FoundKind, MigrationGroup, MigrationSums, RecordQuery } from '@pintail/core'
import type { Database } from './database.ts'
import type { Tables } from './schema.ts'
import { fromColumn, toColumn } from './text.ts'

/** A row of a page; all but the total are null where the page is empty. */
export interface FoundRow {
  readonly total: string
  readonly id: string | null
  readonly version: string
  readonly record: string
}

/** Texts of failures that are told one by one. */
const mostErrors = 20

interface Place {
  readonly table: 'migrations' | 'records'
  /** In words of the schema and no parameters: an index of a part of a table is found by them. */
  readonly only: string
  readonly server: (value: string) => string
  readonly parent: string | null
  readonly reason: string | null
}

const places: { readonly [K in FoundKind]: Place } = {
  migration: {
    table: 'migrations',
    only: '',
    server: (value) => `(server_id = ${value} OR to_node_id = ${value})`,
    parent: 'evacuation_id',
    reason: 'reason',
  },
  evacuation: {
    table: 'records',
    only: "kind = 'evacuation'",
    server: (value) =>
      `(EXISTS (SELECT FROM json_array_elements_text(record -> 'fromServerIds') f WHERE f = ${value}) OR record ->> 'toServerId' = ${value})`,
    parent: 'incident_id',
    reason: 'reason',
  },
  incident: { table: 'records', only: "kind = 'incident'", server: (value) => `server_id = ${value}`, parent: null, reason: null },
}

/**
 * Page and total in one statement, so that they are of one moment. First the places alone, which an index has, then their rows.
 * @internal
 */
export function findSql(tables: Tables, kind: FoundKind, query: RecordQuery): { readonly sql: string; readonly values: unknown[] } {
  const place = places[kind]
  const table = tables[place.table]
  const values: unknown[] = [query.limit, query.offset]
  const value = (one: string, type = 'text'): string => `$${values.push(columnText(one))}::${type}`
  const list = (all: readonly string[]): string => `$${values.push(all.map(columnText))}::text[]`
  // Of one state the places are in the index in their order.
  const statusIn = ([first = '', ...rest]: readonly string[]): string =>
    rest.length === 0 ? `status = ${value(first)}` : `status = ANY(${list([first, ...rest])})`
  const narrowed = [
    ...(place.only ? [place.only] : []),
    ...(query.ids ? [`id = ANY(${list(query.ids)})`] : []),
    ...(query.status ? [statusIn(query.status)] : []),
    ...(query.serverId === undefined ? [] : [place.server(value(query.serverId))]),
    ...(query.reason === undefined ? [] : [place.reason === null ? 'false' : `${place.reason} = ${value(query.reason)}`]),
    ...(query.of ? [place.parent === null ? 'false' : `${place.parent} = ANY(${list(query.of)})`] : []),
    ...(query.since === undefined ? [] : [`over_ms >= ${value(String(query.since), 'double precision')}`]),
  ]
  const from = `FROM ${table} ${narrowed.length > 0 ? `WHERE ${narrowed.join(' AND ')}` : ''}`
  const sql = `SELECT c.total, r.id, r.version, r.record FROM (SELECT count(*) AS total ${from}) c LEFT JOIN (
    SELECT t.ord, t.id, t.version, t.record::text AS record
    FROM (SELECT ord ${from} ORDER BY ord DESC LIMIT $1::bigint OFFSET $2::bigint) page JOIN ${table} t ON t.ord = page.ord
  ) r ON true ORDER BY r.ord DESC`
  return { sql, values }
}

/** A text as it stands in a column that was made of a record. */
const columnText = (text: string): string => JSON.parse(toColumn(JSON.stringify(text)))

export async function find(
  database: Database,
  kind: FoundKind,
  query: RecordQuery,
  { signal }: CallContext,
): Promise<{ readonly rows: readonly (FoundRow & { readonly id: string })[]; readonly total: number }> {
  const { sql, values } = findSql(database.tables, kind, query)
  const rows = await database.ask<FoundRow>(signal, sql, values)
  return { total: Number(rows[0]?.total ?? 0), rows: rows.flatMap(({ id, ...row }) => (id === null ? [] : { ...row, id })) }
}

interface SumRow {
  /** Null: a failure. */
  readonly status: MigrationGroup['status'] | null
  readonly reason: MigrationGroup['reason']
  /** A text or null, as JSON. */
  readonly error: string
  readonly count: string
  readonly timed: string
  readonly duration_ms: number | null
  readonly savings_hour: number | null
  readonly savings_month: number | null
}

/** In one statement, so that all sums are of one moment. */
export async function sumMigrations(database: Database, { signal }: CallContext): Promise<MigrationSums> {
  const { migrations } = database.tables
  const sql = `
SELECT status, reason, 'null' AS error, count(*) AS count, count(duration_ms) AS timed, sum(duration_ms) AS duration_ms,
  sum(savings_eur_hour)::double precision AS savings_hour, sum(savings_eur_month)::double precision AS savings_month
FROM ${migrations} GROUP BY status, reason
UNION ALL (
  SELECT NULL, NULL, coalesce(to_json(error_message)::text, 'null'), count(*), 0, 0, 0, 0 FROM ${migrations} WHERE status = 'failed'
  GROUP BY error_message ORDER BY count(*) DESC LIMIT ${mostErrors}
)`
  const rows = await database.ask<SumRow>(signal, sql)
  return {
    groups: rows.flatMap(({ status, reason, count, timed, duration_ms, savings_hour, savings_month }) =>
      status === null
        ? []
        : {
            status,
            reason,
            count: Number(count),
            timed: Number(timed),
            durationMs: duration_ms ?? 0,
            savingsEurHour: savings_hour ?? 0,
            savingsEurMonth: savings_month ?? 0,
          },
    ),
    failures: rows.flatMap(({ status, error, count }) =>
      status === null ? { error: JSON.parse(fromColumn(error)) as string | null, count: Number(count) } : [],
    ),
  }
}
