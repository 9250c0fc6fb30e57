import { type CallContext, type Clock, PintailError, systemClock } from '@pintail/core'
import { ask, failure, type PgPool, StatementFailure, takeFrom } from '../postgres/pool.ts'
import { type Addresses, type AddressesOptions, checkConnection, checkRest } from './addresses.ts'
import { type AddressPool, exhausted } from './pool.ts'

export interface PostgresAddressesOptions extends Omit<AddressesOptions, 'pool'> {
  /** The addresses. */
  readonly addresses: AddressPool
  /** The host's own: `new Pool()` of `pg`. Nothing here ends it. */
  readonly pool: PgPool
  /** Default `pintail`. Letters a–z, digits and `_`, at most 40 characters. */
  readonly schema?: string
  /** How long a connection of the pool is waited for, milliseconds. Default 10 000. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

export interface PostgresAddresses extends Addresses {
  /** Makes the tables, if they are missing. Many at once wait for each other. */
  migrate(): Promise<void>
}

interface Names {
  readonly schema: string
  readonly addresses: string
  readonly pool: string
}

/** Any number that others are unlikely to use: "Pnta". */
const advisoryKey = 0x506e7461

/** As two calls for one connection at once: the second finds what the first has written. */
const mostTries = 10

/**
 * Addresses in PostgreSQL, for all servers and engines at once: a unique index lets no two connections have one address, and
 * no connection two. Each call is one to three statements of their own, fit for transaction pooling.
 * @throws PintailError `invalid_options`
 */
export function postgresAddresses(options: PostgresAddressesOptions): PostgresAddresses {
  const { addresses: pool, pool: connections, timeoutMs = 10_000, clock = systemClock } = options
  if (typeof connections?.connect !== 'function') throw new PintailError('invalid_options', 'postgresAddresses: pool must be a pool of pg')
  const restMs = checkRest(options.restMs ?? 86_400_000)
  const names = namesOf(options.schema ?? 'pintail')
  const query = <Row>(text: string, values: unknown[], { signal }: CallContext): Promise<readonly Row[]> =>
    ask<Row>(connections, text, values, { signal, clock, timeoutMs })
  const statements = statementsOf(names)
  const [lows, highs] = [pool.reserved.map(([low]) => low), pool.reserved.map(([, high]) => high)]
  let isChecked = false
  const check = async (ctx: CallContext): Promise<void> => {
    if (isChecked) return
    const begin = () => query<{ networks: string[]; next_slot: number }>(statements.begin, [beginnings(pool)], ctx)
    // Who is the second of two that begin at once does not see the row of the first yet.
    const [row] = [...(await begin()), ...(await begin())]
    refuseOther(pool, row?.networks ?? [], Number(row?.next_slot ?? 0))
    isChecked = true
  }
  /** One round; null: another call was faster, or nothing is free. */
  const allocate = async (connectionId: string, ctx: CallContext): Promise<number | null> => {
    for (const [text, values] of [
      [statements.own, [connectionId]],
      [statements.rested, [connectionId, restMs, lows, highs]],
      [statements.fresh, [connectionId, pool.last, lows, highs]],
    ] as const) {
      const [row] = await query<{ slot: number }>(text, [...values], ctx)
      if (row) return Number(row.slot)
    }
    return null
  }
  const guarded = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      throw failure(error)
    }
  }
  return {
    migrate: () => migrate(connections, names),
    of: (connectionId, ctx) =>
      guarded(async () => {
        checkConnection(connectionId)
        await check(ctx)
        for (let tries = 0; tries < mostTries; tries += 1) {
          try {
            const slot = await allocate(connectionId, ctx)
            if (slot !== null) return pool.at(slot)
            throw exhausted(pool)
          } catch (error) {
            // Another call for the same connection has given it an address meanwhile, or the server has undone one for another's sake.
            const isCrossed = error instanceof StatementFailure && ['23505', '40001', '40P01'].includes(error.sqlState ?? '')
            if (!isCrossed) throw error
          }
        }
        throw new PintailError('unavailable', `${mostTries} tries for an address were crossed by others`, { remedy: 'Try again.' })
      }),
    release: (connectionId, ctx) =>
      guarded(async () => {
        checkConnection(connectionId)
        await query(statements.release, [connectionId], ctx)
      }),
    figures: (ctx) =>
      guarded(async () => {
        const [row] = await query<{ allocated: string; resting: string }>(statements.figures, [], ctx)
        return { size: pool.size, allocated: Number(row?.allocated ?? 0), resting: Number(row?.resting ?? 0) }
      }),
  }
}

function namesOf(schema: string): Names {
  if (typeof schema !== 'string' || !/^[a-z_][a-z0-9_]{0,39}$/.test(schema))
    throw new PintailError('invalid_options', 'schema must be 1 to 40 of a–z, 0–9 and _, and begin with no digit')
  return { schema, addresses: `"${schema}"."wireguard_addresses"`, pool: `"${schema}"."wireguard_pool"` }
}

/** The tables, for a tool of the host's own. @throws PintailError `invalid_options` */
export function addressesSql({ schema = 'pintail' }: { readonly schema?: string } = {}): string {
  const names = namesOf(schema)
  return `DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '${schema}') THEN CREATE SCHEMA "${schema}"; END IF;
END $$;
-- One row: where the networks begin, and from which number on nobody has had one. Its lock puts new ones in a row.
CREATE TABLE IF NOT EXISTS ${names.pool} (
  id integer PRIMARY KEY CHECK (id = 1),
  networks text[] NOT NULL,
  next_slot integer NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS ${names.addresses} (
  slot integer PRIMARY KEY,
  connection_id text NOT NULL UNIQUE,
  allocated_at timestamptz NOT NULL DEFAULT now(),
  -- Not null: it was given back, and rests.
  released_at timestamptz
);
CREATE INDEX IF NOT EXISTS wireguard_addresses_resting ON ${names.addresses} (slot) WHERE released_at IS NOT NULL;
`
}

async function migrate(pool: PgPool, { schema }: Names): Promise<void> {
  const { client, give } = await takeFrom(pool).catch((error) => {
    throw failure(new StatementFailure(error, false))
  })
  let isDone = false
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [advisoryKey])
    await client.query(addressesSql({ schema }))
    await client.query('COMMIT')
    isDone = true
  } catch (error) {
    throw failure(new StatementFailure(error, true))
  } finally {
    // A connection in the middle of a transaction is nobody's.
    give(!isDone)
  }
}

/** Ranges come as two arrays, ordered and without overlaps. */
const isReserved = (slot: string, low: string, high: string): string =>
  `EXISTS (SELECT FROM unnest(${low}::int[], ${high}::int[]) AS reserved(low, high) WHERE ${slot} BETWEEN reserved.low AND reserved.high)`

const statementsOf = ({ addresses, pool }: Names) => ({
  begin: `WITH made AS (
      INSERT INTO ${pool} (id, networks) VALUES (1, $1) ON CONFLICT (id) DO NOTHING RETURNING networks, next_slot
    ) SELECT networks, next_slot FROM made UNION ALL SELECT networks, next_slot FROM ${pool} WHERE id = 1 LIMIT 1`,
  own: `UPDATE ${addresses} SET released_at = NULL WHERE connection_id = $1 RETURNING slot`,
  rested: `UPDATE ${addresses} SET connection_id = $1, allocated_at = now(), released_at = NULL WHERE slot = (
      SELECT slot FROM ${addresses} AS old WHERE released_at <= now() - $2 * interval '1 millisecond' AND NOT ${isReserved('old.slot', '$3', '$4')}
      ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING slot`,
  // The lowest number from next_slot on that is in no reserved range: itself, or just behind one of them.
  fresh: `WITH taken AS (
      UPDATE ${pool} AS pool SET next_slot = 1 + (${lowest('pool.next_slot', '$3', '$4')})
      WHERE id = 1 AND (${lowest('pool.next_slot', '$3', '$4')}) <= $2 RETURNING next_slot - 1 AS slot
    ) INSERT INTO ${addresses} (slot, connection_id) SELECT slot, $1 FROM taken RETURNING slot`,
  release: `UPDATE ${addresses} SET released_at = now() WHERE connection_id = $1 AND released_at IS NULL`,
  figures: `SELECT count(*) FILTER (WHERE released_at IS NULL) AS allocated, count(*) FILTER (WHERE released_at IS NOT NULL) AS resting FROM ${addresses}`,
})

const lowest = (from: string, low: string, high: string): string =>
  `SELECT min(candidate.slot) FROM (SELECT ${from} AS slot UNION ALL SELECT edge.high + 1 FROM unnest(${high}::int[]) AS edge(high) WHERE edge.high >= ${from})
    AS candidate WHERE NOT ${isReserved('candidate.slot', low, high)}`

const beginnings = (pool: AddressPool): string[] => pool.networks.map((one) => one.replace(/\/\d+$/, ''))

/** Numbers mean addresses only as long as the networks begin where they did. */
function refuseOther(pool: AddressPool, networks: readonly string[], next: number): void {
  const own = beginnings(pool)
  if (own.join() !== networks.join())
    throw new PintailError(
      'invalid_options',
      `the addresses in these tables are from networks that begin at ${networks.join(', ')}, not at ${own.join(', ')}`,
      {
        remedy: 'Keep where the networks begin; only their prefix may change. Or use another schema.',
      },
    )
  if (next > pool.last + 1)
    throw new PintailError('invalid_options', `the pool has ${pool.last + 1} numbers, and ${next} were given out already`, {
      remedy: 'Keep the wider network: somebody may have an address outside of this one.',
    })
}
