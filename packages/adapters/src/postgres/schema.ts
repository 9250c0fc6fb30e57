import { PintailError } from '@pintail/core'
import { commitFunction } from './commitFunction.ts'

export interface PostgresNames {
  /** The schema that the tables are in. Default `pintail`. Letters a–z, digits and `_`, at most 40 characters. */
  readonly schema?: string
  /** Before the name of each table and index, for a schema that others use too. The same characters. Default none. */
  readonly tablePrefix?: string
}

/** One step of the schema: forward only, run once, in the order of the list. */
export interface PostgresMigration {
  readonly version: number
  /** Statements for one transaction. They note themselves in `schema_versions`. */
  readonly sql: string
}

/** Tables, and the function that commits. */
export type TableName = 'schema_versions' | 'state' | 'lease' | 'migrations' | 'moves' | 'records' | 'journal' | 'commit_batch' | 'posts'
export type Tables = { readonly [K in TableName]: string }

const names: readonly TableName[] = [
  'schema_versions',
  'state',
  'lease',
  'migrations',
  'moves',
  'records',
  'journal',
  'commit_batch',
  'posts',
]

/** Quoted and with their schema. Only names of plain characters come this far, so that none can end the quotes. */
export const tablesOf = (options: PostgresNames): Tables => qualified(names, options)

/** Each name, quoted, prefixed and with its schema. */
export function qualified<Name extends string>(all: readonly Name[], { schema = 'pintail', tablePrefix = '' }: PostgresNames) {
  const full = all.map((name) => [name, `"${identifier('schema', schema)}"."${prefixed(tablePrefix)}${name}"`])
  return Object.fromEntries(full) as { readonly [K in Name]: string }
}

function identifier(option: string, name: string): string {
  if (typeof name === 'string' && /^[a-z_][a-z0-9_]{0,39}$/.test(name)) return name
  throw new PintailError('invalid_options', `${option} must be 1 to 40 of a–z, 0–9 and _, and begin with no digit: ${JSON.stringify(name)}`)
}

export const prefixed = (tablePrefix: string): string => (tablePrefix === '' ? '' : identifier('tablePrefix', tablePrefix))

/**
 * The steps for a tool of the host's own. `migrate()` runs those that are missing.
 * @throws PintailError `invalid_options`
 */
export function postgresMigrations(options: PostgresNames & { readonly environment?: string } = {}): readonly PostgresMigration[] {
  const { schema = 'pintail', tablePrefix = '', environment = 'default' } = options
  const tables = tablesOf(options)
  return [
    { version: 1, sql: first(tables, schema, prefixed(tablePrefix), literal(environment)) },
    { version: 2, sql: `${commitFunction(tables)}\nINSERT INTO ${tables.schema_versions} (version) VALUES (2);\n` },
    { version: 3, sql: found(tables, prefixed(tablePrefix)) },
    { version: 4, sql: posts(tables) },
  ]
}

/**
 * All steps as one text, in one transaction, for an empty database: `psql -f`.
 * @throws PintailError `invalid_options`
 */
export function schemaSql(options: PostgresNames & { readonly environment?: string } = {}): string {
  return ['BEGIN;', ...postgresMigrations(options).map(({ sql }) => sql.trim()), 'COMMIT;', ''].join('\n')
}

function literal(text: string): string {
  if (text.length < 1 || text.length > 100 || /\p{Cc}/u.test(text))
    throw new PintailError('invalid_options', 'environment must have 1 to 100 characters, and no control characters')
  return `'${text.replaceAll("'", "''")}'`
}

/** Lost in a crash of the database, and not missed then: that saves its writing them twice. */
const posts = (t: Tables): string => `
-- What engines over these tables tell each other: the newest posts of each, in a ring.
CREATE UNLOGGED TABLE ${t.posts} (
  engine text NOT NULL,
  slot integer NOT NULL,
  number bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  body json NOT NULL,
  PRIMARY KEY (engine, slot)
) WITH (fillfactor = 50);

INSERT INTO ${t.schema_versions} (version) VALUES (4);
`

const field = (column: string, name: string): string => `${column} text GENERATED ALWAYS AS (record ->> '${name}') STORED`
const number = (column: string, type: string, name: string): string =>
  `${column} ${type} GENERATED ALWAYS AS ((record ->> '${name}')::${type}) STORED`
const time = (column: string, name: string): string =>
  `${column} timestamptz GENERATED ALWAYS AS (to_timestamp((record ->> '${name}')::double precision / 1000)) STORED`

const notNull = (column: string): string => `${column} NOT NULL`

/**
 * The record is kept once, as `json` (text, as it was written); what people ask for with SQL are columns that are made of
 * it, so that the two cannot disagree. Those of `migrations` are seed 004's.
 */
const first = (t: Tables, schema: string, prefix: string, environment: string): string => `
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '${schema}') THEN CREATE SCHEMA "${schema}"; END IF;
END $$;

CREATE TABLE ${t.schema_versions} (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());

-- The highest token that has committed, its last batch, and the newest number of the journal: one row, whose lock puts
-- all commits in a row.
CREATE TABLE ${t.state} (
  id integer PRIMARY KEY CHECK (id = 1),
  environment text NOT NULL,
  token bigint NOT NULL DEFAULT 0,
  batch bigint NOT NULL DEFAULT 0,
  last_seq bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO ${t.state} (id, environment) VALUES (1, ${environment});

CREATE TABLE ${t.lease} (
  id integer PRIMARY KEY CHECK (id = 1),
  token bigint NOT NULL DEFAULT 0,
  holder text,
  until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 10);
INSERT INTO ${t.lease} (id) VALUES (1);

CREATE TABLE ${t.migrations} (
  ord bigint GENERATED ALWAYS AS IDENTITY,
  id text PRIMARY KEY,
  version bigint NOT NULL,
  record json NOT NULL,
  ${[
    field('evacuation_id', 'evacuationId'),
    notNull(field('server_id', 'fromServerId')),
    field('server_name', 'fromServerName'),
    notNull(field('from_node_id', 'fromServerId')),
    field('from_node_name', 'fromServerName'),
    notNull(field('to_node_id', 'toServerId')),
    field('to_node_name', 'toServerName'),
    notNull(field('status', 'status')),
    notNull(field('reason', 'reason')),
    number('savings_eur_hour', 'numeric', 'savingsEurHour'),
    number('savings_eur_month', 'numeric', 'savingsEurMonth'),
    notNull(time('created_at', 'createdAt')),
    time('approved_at', 'approvedAt'),
    time('scheduled_at', 'scheduledAt'),
    time('started_at', 'startedAt'),
    time('completed_at', 'completedAt'),
    number('player_count_at_start', 'integer', 'connectionCountAtStart'),
    number('data_sync_progress', 'double precision', 'progress'),
    number('connections_moved', 'integer', 'connectionsMoved'),
    number('connections_failed', 'integer', 'connectionsFailed'),
    field('error_message', 'errorMessage'),
    number('retry_count', 'integer', 'retryCount'),
    number('max_retries', 'integer', 'maxRetries'),
    field('triggered_by', 'triggeredBy'),
    field('notes', 'notes'),
  ].join(',\n  ')}
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX "${prefix}idx_migrations_ord" ON ${t.migrations} (ord);
CREATE INDEX "${prefix}idx_migrations_server_id" ON ${t.migrations} (server_id);
CREATE INDEX "${prefix}idx_migrations_status" ON ${t.migrations} (status);
CREATE INDEX "${prefix}idx_migrations_created_at" ON ${t.migrations} (created_at);

CREATE TABLE ${t.moves} (
  ord bigint GENERATED ALWAYS AS IDENTITY,
  id text PRIMARY KEY,
  migration_id text NOT NULL,
  version bigint NOT NULL,
  record json NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX "${prefix}idx_moves_ord" ON ${t.moves} (ord);
CREATE INDEX "${prefix}idx_moves_migration_id" ON ${t.moves} (migration_id, ord);

-- Incidents, evacuations, decisions, pending revokes, the operator's words, cursors.
CREATE TABLE ${t.records} (
  ord bigint GENERATED ALWAYS AS IDENTITY,
  kind text NOT NULL,
  id text NOT NULL,
  version bigint NOT NULL,
  record json NOT NULL,
  PRIMARY KEY (kind, id)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX "${prefix}idx_records_kind" ON ${t.records} (kind, ord);

CREATE TABLE ${t.journal} (
  seq bigint PRIMARY KEY,
  at double precision NOT NULL,
  type text NOT NULL,
  data json NOT NULL
);

INSERT INTO ${t.schema_versions} (version) VALUES (1);
`

/** When a record was over, as `RecordQuery.since` says it; what is not over yet will be later than any time. */
const overOf = {
  migration:
    "CASE WHEN record ->> 'status' IN ('completed', 'failed', 'cancelled') THEN coalesce((record ->> 'completedAt')::double precision, 0) ELSE 9007199254740991 END",
  evacuation: "coalesce((record ->> 'endedAt')::double precision, 9007199254740991)",
  incident:
    "CASE WHEN record ->> 'status' = 'closed' AND coalesce(record -> 'failback' ->> 'state', '') NOT IN ('waiting', 'running') THEN (record ->> 'openedAt')::double precision ELSE 9007199254740991 END",
}

/** An index is in the schema of its table. */
const indexOf = (table: string, index: string): string => `${table.slice(0, table.indexOf('.'))}."${index}"`

const milliseconds = (column: string, expression: string): string => `${column} double precision GENERATED ALWAYS AS (${expression}) STORED`

/** What a query looks for has an index, so that a page of a list costs what is in it. The columns are made by writing the tables anew. */
const found = (t: Tables, prefix: string): string => `
ALTER TABLE ${t.migrations}
  ADD COLUMN ${milliseconds('over_ms', overOf.migration)},
  ADD COLUMN ${milliseconds('duration_ms', "(record ->> 'completedAt')::double precision - (record ->> 'startedAt')::double precision")};
DROP INDEX ${indexOf(t.migrations, `${prefix}idx_migrations_status`)};
CREATE INDEX "${prefix}idx_migrations_status" ON ${t.migrations} (status, ord);
CREATE INDEX "${prefix}idx_migrations_to_node_id" ON ${t.migrations} (to_node_id);
CREATE INDEX "${prefix}idx_migrations_evacuation_id" ON ${t.migrations} (evacuation_id);
CREATE INDEX "${prefix}idx_migrations_reason" ON ${t.migrations} (reason, ord);
CREATE INDEX "${prefix}idx_migrations_over_ms" ON ${t.migrations} (over_ms);
CREATE INDEX "${prefix}idx_migrations_sums" ON ${t.migrations} (status, reason) INCLUDE (duration_ms, savings_eur_hour, savings_eur_month);
CREATE INDEX "${prefix}idx_migrations_failures" ON ${t.migrations} (ord) WHERE status = 'failed';

ALTER TABLE ${t.records}
  ADD COLUMN ${field('status', 'status')},
  ADD COLUMN ${field('reason', 'reason')},
  ADD COLUMN ${field('server_id', 'serverId')},
  ADD COLUMN ${field('incident_id', 'incidentId')},
  ADD COLUMN ${milliseconds('over_ms', `CASE kind WHEN 'evacuation' THEN ${overOf.evacuation} WHEN 'incident' THEN ${overOf.incident} END`)};
CREATE INDEX "${prefix}idx_evacuations_status" ON ${t.records} (status) WHERE kind = 'evacuation';
CREATE INDEX "${prefix}idx_evacuations_reason" ON ${t.records} (reason) WHERE kind = 'evacuation';
CREATE INDEX "${prefix}idx_evacuations_incident_id" ON ${t.records} (incident_id) WHERE kind = 'evacuation';
CREATE INDEX "${prefix}idx_evacuations_over_ms" ON ${t.records} (over_ms) WHERE kind = 'evacuation';
CREATE INDEX "${prefix}idx_incidents_status" ON ${t.records} (status) WHERE kind = 'incident';
CREATE INDEX "${prefix}idx_incidents_server_id" ON ${t.records} (server_id) WHERE kind = 'incident';
CREATE INDEX "${prefix}idx_incidents_over_ms" ON ${t.records} (over_ms) WHERE kind = 'incident';

INSERT INTO ${t.schema_versions} (version) VALUES (3);
`
