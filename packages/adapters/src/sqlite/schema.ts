/** Marks a file as ours, in its header: "Pntl". */
export const applicationId = 0x506e746c

/** One step of the schema: forward only, run once, in the order of the list. */
export interface SqliteMigration {
  readonly version: number
  readonly sql: string
}

const time = (column: string, field: string): string =>
  `${column} TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(record, '$.${field}') / 1000.0, 'unixepoch')) VIRTUAL`
const field = (column: string, type: string, name: string): string =>
  `${column} ${type} GENERATED ALWAYS AS (json_extract(record, '$.${name}')) VIRTUAL`

/** When a record was over, as `RecordQuery.since` says it; what is not over yet will be later than any time. */
const overOf = {
  migration:
    "CASE WHEN json_extract(record, '$.status') IN ('completed', 'failed', 'cancelled') THEN coalesce(json_extract(record, '$.completedAt'), 0) ELSE 9007199254740991 END",
  evacuation: "coalesce(json_extract(record, '$.endedAt'), 9007199254740991)",
  incident:
    "CASE WHEN json_extract(record, '$.status') = 'closed' AND coalesce(json_extract(record, '$.failback.state'), '') NOT IN ('waiting', 'running') THEN json_extract(record, '$.openedAt') ELSE 9007199254740991 END",
}

const milliseconds = (column: string, expression: string): string => `${column} REAL GENERATED ALWAYS AS (${expression}) VIRTUAL`

/** A row that somebody has spoilt spoils no index. As long as nobody knows better it is not over: who looks for that is told. */
const ifValid = (column: string, type: string, expression: string, otherwise = 'NULL'): string =>
  `${column} ${type} GENERATED ALWAYS AS (CASE WHEN json_valid(record) THEN ${expression} ELSE ${otherwise} END) VIRTUAL`

const notNull = (column: string): string => `${column} NOT NULL`

/**
 * The record is kept once, as JSON; what people ask for with SQL are columns that are made of it, so that the two cannot
 * disagree. Those of `migrations` are seed 004's.
 */
export const sqliteMigrations: readonly SqliteMigration[] = [
  {
    version: 1,
    sql: `
CREATE TABLE state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  environment TEXT NOT NULL,
  -- The highest token that has committed, and its last batch.
  token INTEGER NOT NULL DEFAULT 0,
  batch INTEGER NOT NULL DEFAULT 0,
  last_seq INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE lease (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  token INTEGER NOT NULL DEFAULT 0,
  holder TEXT,
  -- Milliseconds of the machine's steady clock: when it was acquired or renewed, and how long it holds from then.
  since REAL NOT NULL DEFAULT 0,
  ttl_ms REAL NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE migrations (
  ord INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  record TEXT NOT NULL,
  ${[
    field('evacuation_id', 'TEXT', 'evacuationId'),
    notNull(field('server_id', 'TEXT', 'fromServerId')),
    field('server_name', 'TEXT', 'fromServerName'),
    notNull(field('from_node_id', 'TEXT', 'fromServerId')),
    field('from_node_name', 'TEXT', 'fromServerName'),
    notNull(field('to_node_id', 'TEXT', 'toServerId')),
    field('to_node_name', 'TEXT', 'toServerName'),
    notNull(field('status', 'TEXT', 'status')),
    notNull(field('reason', 'TEXT', 'reason')),
    field('savings_eur_hour', 'REAL', 'savingsEurHour'),
    field('savings_eur_month', 'REAL', 'savingsEurMonth'),
    notNull(time('created_at', 'createdAt')),
    time('approved_at', 'approvedAt'),
    time('scheduled_at', 'scheduledAt'),
    time('started_at', 'startedAt'),
    time('completed_at', 'completedAt'),
    field('player_count_at_start', 'INTEGER', 'connectionCountAtStart'),
    field('data_sync_progress', 'REAL', 'progress'),
    field('connections_moved', 'INTEGER', 'connectionsMoved'),
    field('connections_failed', 'INTEGER', 'connectionsFailed'),
    field('error_message', 'TEXT', 'errorMessage'),
    field('retry_count', 'INTEGER', 'retryCount'),
    field('max_retries', 'INTEGER', 'maxRetries'),
    field('triggered_by', 'TEXT', 'triggeredBy'),
    field('notes', 'TEXT', 'notes'),
  ].join(',\n  ')}
) STRICT;
CREATE INDEX idx_migrations_server_id ON migrations (server_id);
CREATE INDEX idx_migrations_status ON migrations (status);
CREATE INDEX idx_migrations_created_at ON migrations (created_at);

CREATE TABLE moves (
  ord INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  migration_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  record TEXT NOT NULL,
  ${field('connection_id', 'TEXT', 'connection.id')},
  ${field('state', 'TEXT', 'state.state')}
) STRICT;
CREATE INDEX idx_moves_migration_id ON moves (migration_id, ord);

-- Incidents, evacuations, decisions, pending revokes, the operator's words, cursors.
CREATE TABLE records (
  ord INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  record TEXT NOT NULL,
  UNIQUE (kind, id)
) STRICT;
CREATE INDEX idx_records_kind ON records (kind, ord);

CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  type TEXT NOT NULL,
  data TEXT NOT NULL
) STRICT;
`,
  },
  {
    // What is searched by has an index, so that a page of a list costs what is in it.
    version: 2,
    sql: `
ALTER TABLE migrations ADD COLUMN ${milliseconds('over_ms', overOf.migration)};
ALTER TABLE migrations ADD COLUMN ${milliseconds('duration_ms', "json_extract(record, '$.completedAt') - json_extract(record, '$.startedAt')")};
CREATE INDEX idx_migrations_ord ON migrations (ord);
-- With what may be looked at beside it, so that no record is parsed for what is not wanted.
DROP INDEX idx_migrations_server_id;
CREATE INDEX idx_migrations_server_id ON migrations (server_id, status, reason, over_ms);
CREATE INDEX idx_migrations_to_node_id ON migrations (to_node_id, status, reason, over_ms);
CREATE INDEX idx_migrations_reason ON migrations (reason, status, over_ms);
CREATE INDEX idx_migrations_over_ms ON migrations (over_ms, status, reason);
CREATE INDEX idx_migrations_evacuation_id ON migrations (evacuation_id);
CREATE INDEX idx_migrations_sums ON migrations (status, reason, duration_ms, savings_eur_hour, savings_eur_month);
CREATE INDEX idx_migrations_failures ON migrations (record -> '$.errorMessage') WHERE status = 'failed';

ALTER TABLE records ADD COLUMN ${ifValid('status', 'TEXT', "json_extract(record, '$.status')")};
ALTER TABLE records ADD COLUMN ${ifValid('reason', 'TEXT', "json_extract(record, '$.reason')")};
ALTER TABLE records ADD COLUMN ${ifValid('server_id', 'TEXT', "json_extract(record, '$.serverId')")};
ALTER TABLE records ADD COLUMN ${ifValid('incident_id', 'TEXT', "json_extract(record, '$.incidentId')")};
ALTER TABLE records ADD COLUMN ${ifValid('over_ms', 'REAL', `CASE kind WHEN 'evacuation' THEN ${overOf.evacuation} WHEN 'incident' THEN ${overOf.incident} END`, '9007199254740991')};
CREATE INDEX idx_evacuations_status ON records (status, over_ms) WHERE kind = 'evacuation';
CREATE INDEX idx_evacuations_reason ON records (reason, status, over_ms) WHERE kind = 'evacuation';
CREATE INDEX idx_evacuations_incident_id ON records (incident_id) WHERE kind = 'evacuation';
CREATE INDEX idx_evacuations_over_ms ON records (over_ms, status, reason) WHERE kind = 'evacuation';
CREATE INDEX idx_incidents_status ON records (status, over_ms) WHERE kind = 'incident';
CREATE INDEX idx_incidents_server_id ON records (server_id, status, over_ms) WHERE kind = 'incident';
CREATE INDEX idx_incidents_over_ms ON records (over_ms, status) WHERE kind = 'incident';
`,
  },
  {
    version: 3,
    sql: `
-- What engines over this file tell each other: the newest posts of each, in a ring.
CREATE TABLE posts (
  engine TEXT NOT NULL,
  slot INTEGER NOT NULL,
  number INTEGER NOT NULL,
  -- Milliseconds of the machine's steady clock.
  at REAL NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (engine, slot)
) STRICT;
`,
  },
]
