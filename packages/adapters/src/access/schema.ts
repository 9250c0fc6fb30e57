import { type PostgresMigration, type PostgresNames, prefixed, qualified } from '../postgres/schema.ts'

const names = [
  'access_versions',
  'access_state',
  'access_servers',
  'access_connections',
  'access_grants',
  'access_want',
  'access_set_home',
  'access_assign',
] as const

/** Tables, and the functions that change them. */
export type AccessTables = { readonly [K in (typeof names)[number]]: string }

/** @throws PintailError `invalid_options` */
export const accessTablesOf = (options: PostgresNames): AccessTables => qualified(names, options)

/**
 * The steps of the books for a tool of the host's own. `migrate()` runs those that are missing.
 * @throws PintailError `invalid_options`
 */
export function accessMigrations(options: PostgresNames = {}): readonly PostgresMigration[] {
  const tables = accessTablesOf(options)
  const { schema = 'pintail', tablePrefix = '' } = options
  return [{ version: 1, sql: [first(tables, schema, prefixed(tablePrefix)), want(tables), setHome(tables), assign(tables)].join('\n') }]
}

/**
 * All steps as one text, in one transaction: `psql -f`.
 * @throws PintailError `invalid_options`
 */
export function accessSchemaSql(options: PostgresNames = {}): string {
  return ['BEGIN;', ...accessMigrations(options).map(({ sql }) => sql.trim()), 'COMMIT;', ''].join('\n')
}

const first = (t: AccessTables, schema: string, prefix: string): string => `
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '${schema}') THEN CREATE SCHEMA "${schema}"; END IF;
END $$;

CREATE TABLE ${t.access_versions} (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());

-- The lowest token that may still change anything.
CREATE TABLE ${t.access_state} (id integer PRIMARY KEY CHECK (id = 1), token bigint NOT NULL DEFAULT 0);
INSERT INTO ${t.access_state} (id) VALUES (1);

CREATE TABLE ${t.access_servers} (
  id text COLLATE "C" PRIMARY KEY,
  ord bigint GENERATED ALWAYS AS IDENTITY,
  status text,
  region text,
  row json NOT NULL
);

-- (token, epoch) is the newest that was seen for it; its row's lock puts all that concerns it in a row.
CREATE TABLE ${t.access_connections} (
  id text COLLATE "C" PRIMARY KEY,
  home text COLLATE "C" NOT NULL,
  token bigint NOT NULL DEFAULT 0,
  epoch bigint NOT NULL DEFAULT 0,
  keys text[] NOT NULL DEFAULT '{}',
  row json NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX "${prefix}access_connections_home" ON ${t.access_connections} (home, id);

-- Who is to have access where; a revoked one stays until its worker has said that it is gone.
CREATE TABLE ${t.access_grants} (
  server_id text COLLATE "C" NOT NULL,
  connection_id text COLLATE "C" NOT NULL REFERENCES ${t.access_connections} (id) ON DELETE CASCADE,
  wanted text NOT NULL CHECK (wanted IN ('granted', 'revoked')),
  tentative boolean NOT NULL,
  token bigint NOT NULL,
  epoch bigint NOT NULL,
  payload json NOT NULL,
  PRIMARY KEY (server_id, connection_id)
) WITH (fillfactor = 85);
CREATE INDEX "${prefix}access_grants_connection" ON ${t.access_grants} (connection_id);

INSERT INTO ${t.access_versions} (version) VALUES (1);
`

// Functions, because what is read must be what is true once the connection's row is locked: one statement sees the tables
// as they were when it began. A call is still one statement for the client, so that a proxy may stand between.

const want = (t: AccessTables): string => `
CREATE FUNCTION ${t.access_want} (
  patience text, connection text, server text, how text, to_token bigint, to_epoch bigint, content json
) RETURNS text LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  one record;
  old record;
  has_old boolean;
  inherited json;
BEGIN
  PERFORM set_config('lock_timeout', patience, true);
  PERFORM FROM ${t.access_state} s WHERE s.id = 1 AND s.token <= to_token FOR SHARE;
  IF NOT FOUND THEN RETURN 'fenced'; END IF;
  SELECT c.home, c.token, c.epoch INTO one FROM ${t.access_connections} c WHERE c.id = connection FOR UPDATE;
  IF NOT FOUND THEN RETURN 'no_connection'; END IF;
  IF NOT EXISTS (SELECT FROM ${t.access_servers} s WHERE s.id = server) THEN RETURN 'no_server'; END IF;
  IF (to_token, to_epoch) < (one.token, one.epoch) THEN RETURN 'fenced'; END IF;
  SELECT g.* INTO old FROM ${t.access_grants} g WHERE g.server_id = server AND g.connection_id = connection FOR UPDATE;
  has_old := FOUND;
  IF has_old AND (old.token, old.epoch) = (to_token, to_epoch) AND old.wanted = 'revoked' AND how = 'granted' THEN RETURN 'fenced'; END IF;
  IF how = 'revoked' AND one.home = server THEN RETURN 'home'; END IF;
  SELECT g.payload INTO inherited FROM ${t.access_grants} g WHERE g.server_id = one.home AND g.connection_id = connection;
  UPDATE ${t.access_connections} c SET token = to_token, epoch = to_epoch
  WHERE c.id = connection AND (c.token, c.epoch) <> (to_token, to_epoch);
  INSERT INTO ${t.access_grants} AS g (server_id, connection_id, wanted, tentative, token, epoch, payload)
  VALUES (
    server, connection, how,
    how = 'granted' AND one.home <> server AND (NOT has_old OR old.wanted <> 'granted' OR old.tentative),
    to_token, to_epoch,
    coalesce(content, CASE WHEN has_old THEN old.payload END, inherited, 'null')
  )
  ON CONFLICT (server_id, connection_id) DO UPDATE
  SET wanted = excluded.wanted, tentative = excluded.tentative, token = excluded.token, epoch = excluded.epoch, payload = excluded.payload;
  RETURN 'kept';
END $$;
`

const setHome = (t: AccessTables): string => `
CREATE FUNCTION ${t.access_set_home} (
  patience text, connection text, source text, target text, to_token bigint, to_epoch bigint,
  grant_token bigint, grant_epoch bigint, leaves text, move_key text, kept_keys int
) RETURNS text LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  one record;
BEGIN
  PERFORM set_config('lock_timeout', patience, true);
  PERFORM FROM ${t.access_state} s WHERE s.id = 1 AND s.token <= to_token FOR SHARE;
  IF NOT FOUND THEN RETURN 'fenced'; END IF;
  SELECT c.home, c.token, c.epoch INTO one FROM ${t.access_connections} c WHERE c.id = connection FOR UPDATE;
  IF NOT FOUND OR one.home NOT IN (source, target) THEN RETURN 'elsewhere'; END IF;
  IF (to_token, to_epoch) < (one.token, one.epoch) THEN RETURN 'fenced'; END IF;
  UPDATE ${t.access_grants} g SET tentative = false
  WHERE g.server_id = target AND g.connection_id = connection AND g.wanted = 'granted' AND (g.token, g.epoch) = (grant_token, grant_epoch);
  IF NOT FOUND THEN RETURN 'fenced'; END IF;
  UPDATE ${t.access_grants} g SET wanted = 'revoked', tentative = false, token = to_token, epoch = to_epoch
  WHERE leaves = 'revoked' AND source <> target AND g.server_id = source AND g.connection_id = connection;
  UPDATE ${t.access_connections} c SET home = target, token = to_token, epoch = to_epoch,
    keys = CASE WHEN move_key IS NULL THEN c.keys ELSE (array_prepend(move_key, array_remove(c.keys, move_key)))[1:kept_keys] END
  WHERE c.id = connection;
  RETURN 'set';
END $$;
`

const assign = (t: AccessTables): string => `
CREATE FUNCTION ${t.access_assign} (patience text, connection text, server text, input json, content json)
RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  one record;
  had json;
BEGIN
  PERFORM set_config('lock_timeout', patience, true);
  IF NOT EXISTS (SELECT FROM ${t.access_servers} s WHERE s.id = server) THEN RETURN false; END IF;
  INSERT INTO ${t.access_connections} AS c (id, home, row) VALUES (connection, server, input)
  ON CONFLICT (id) DO UPDATE SET row = excluded.row;
  SELECT c.home, c.token, c.epoch INTO one FROM ${t.access_connections} c WHERE c.id = connection FOR UPDATE;
  SELECT g.payload INTO had FROM ${t.access_grants} g
  WHERE g.connection_id = connection AND g.server_id IN (server, one.home) ORDER BY g.server_id = server DESC LIMIT 1;
  UPDATE ${t.access_connections} c SET home = server WHERE c.id = connection AND c.home <> server;
  INSERT INTO ${t.access_grants} AS g (server_id, connection_id, wanted, tentative, token, epoch, payload)
  VALUES (server, connection, 'granted', false, one.token, one.epoch, coalesce(content, had, 'null'))
  ON CONFLICT (server_id, connection_id) DO UPDATE
  SET wanted = excluded.wanted, tentative = false, token = excluded.token, epoch = excluded.epoch, payload = excluded.payload;
  UPDATE ${t.access_grants} g SET wanted = 'revoked', tentative = false, token = one.token, epoch = one.epoch
  WHERE g.connection_id = connection AND g.server_id <> server;
  RETURN true;
END $$;
`
