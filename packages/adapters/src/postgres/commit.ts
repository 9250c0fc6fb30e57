import type { MoveRecord, StoreBatch, StoreWrite } from '@pintail/core'
import type { Tables } from './schema.ts'
import { toColumn } from './text.ts'

type Place = 'migrations' | 'moves' | 'records'
type Act = 'insert' | 'update' | 'delete'

const places: readonly Place[] = ['migrations', 'moves', 'records']
const acts: readonly Act[] = ['update', 'insert', 'delete']

/** By table prefix and shape: what a batch does is one of a few hundred things. */
const texts = new WeakMap<Tables, Map<string, string>>()

/**
 * One statement for the whole batch, and so one transaction and one round trip, through any proxy. It takes the lock of
 * the state's row first (by its id, so that the planner knows that it is one): whoever is too late finds that the row does not fit, and then nothing else of it runs. A write
 * that finds no row of its version makes the count differ, and the statement fails on purpose.
 */
export function commitOf(
  tables: Tables,
  { token, batch, writes, journal }: StoreBatch,
  lockTimeout: string,
): { sql: string; values: unknown[] } {
  const groups = new Map<`${Place}.${Act}`, StoreWrite[]>()
  for (const one of writes) {
    const key = `${placeOf(one)}.${actOf(one)}` as const
    const group = groups.get(key)
    if (group) group.push(one)
    else groups.set(key, [one])
  }
  const shape = keys.filter((key) => groups.has(key))
  const known = texts.get(tables) ?? new Map<string, string>()
  texts.set(tables, known)
  const name = shape.join(' ')
  const sql = known.get(name) ?? textOf(tables, shape)
  known.set(name, sql)
  const entries = [journal.map(({ at }) => at), journal.map(({ type }) => type), journal.map(({ data }) => toColumn(JSON.stringify(data)))]
  const columns = shape.flatMap((key) => columnsOf(groups.get(key) ?? []))
  return { sql, values: [token, batch, journal.length, lockTimeout, writes.length, ...entries, ...columns] }
}

const placeOf = ({ kind }: StoreWrite): Place => (kind === 'migration' ? 'migrations' : kind === 'move' ? 'moves' : 'records')
const actOf = ({ expected, value }: StoreWrite): Act => (value === null ? 'delete' : expected > 0 ? 'update' : 'insert')
const keys = places.flatMap((place) => acts.map((act) => `${place}.${act}` as const))

/** Ids, the versions that must be there, the new ones, the records, and what their table tells them apart by. */
function columnsOf(writes: readonly StoreWrite[]): unknown[] {
  return [
    writes.map(({ id }) => id),
    writes.map(({ expected }) => expected),
    writes.map(({ value }) => value?.version ?? 0),
    writes.map(({ value }) => toColumn(JSON.stringify(value))),
    writes.map(({ kind, value }) => (kind === 'move' && value ? (value as MoveRecord).migrationId : kind)),
  ]
}

/** What tells the rows of a table apart, beside their id. */
const own: Readonly<Record<Place, string | null>> = { migrations: null, moves: 'migration_id', records: 'kind' }

function textOf(tables: Tables, shape: readonly `${Place}.${Act}`[]): string {
  const parts = shape.map((key, index) => {
    const [place, act] = key.split('.') as [Place, Act]
    const from = 9 + index * 5
    // Arrays, because the planner sees how long they are: of JSON it expects a hundred rows, and reads the whole table.
    const rows = `unnest($${from}::text[], $${from + 1}::bigint[], $${from + 2}::bigint[], $${from + 3}::json[], $${from + 4}::text[])`
    return `w${index} AS (${writeOf(tables, place, act, rows)})`
  })
  const written = shape.map((_, index) => `(SELECT count(*) FROM w${index})`).join(' + ') || '0'
  return `
WITH fence AS (
  UPDATE ${tables.state} s SET token = $1::bigint, batch = $2::bigint, last_seq = s.last_seq + $3::int
  FROM (SELECT set_config('lock_timeout', $4::text, true)) AS patience
  WHERE s.id = 1 AND (s.token < $1::bigint OR (s.token = $1::bigint AND s.batch < $2::bigint))
  RETURNING s.last_seq
), told AS (
  INSERT INTO ${tables.journal} (seq, at, type, data)
  SELECT f.last_seq - $3::int + e.ord, e.at, e.type, e.data
  FROM fence f, unnest($6::double precision[], $7::text[], $8::json[]) WITH ORDINALITY AS e (at, type, data, ord)
)${parts.map((part) => `, ${part}`).join('')}
SELECT f.last_seq, CASE WHEN ${written} = $5::int THEN 0 ELSE ('pintail_conflict ' || f.last_seq)::int END AS differs FROM fence f`
}

function writeOf(tables: Tables, place: Place, act: Act, rows: string): string {
  const table = tables[place]
  const extra = own[place]
  const given = `fence f, ${rows} WITH ORDINALITY AS e (id, expected, version, record, mark, ord)`
  const isSame = `t.id = e.id ${place === 'records' ? 'AND t.kind = e.mark' : ''} AND t.version = e.expected`
  if (act === 'delete') return `DELETE FROM ${table} t USING ${given} WHERE ${isSame} RETURNING 1`
  if (act === 'update') return `UPDATE ${table} t SET version = e.version, record = e.record FROM ${given} WHERE ${isSame} RETURNING 1`
  return `INSERT INTO ${table} (id, version, record${extra ? `, ${extra}` : ''})
    SELECT e.id, e.version, e.record${extra ? ', e.mark' : ''} FROM ${given} ORDER BY e.ord ON CONFLICT DO NOTHING RETURNING 1`
}
