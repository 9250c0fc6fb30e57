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
 * the state's row first: whoever is too late finds that the row does not fit, and then nothing else of it runs. A write
 * that finds no row of its version makes the count differ, and the statement fails on purpose.
 */
export function commitOf(
  tables: Tables,
  { token, batch, writes, journal }: StoreBatch,
  lockTimeout: string,
): { sql: string; values: unknown[] } {
  const groups = new Map<`${Place}.${Act}`, string[]>()
  for (const one of writes) {
    const key = `${placeOf(one)}.${actOf(one)}` as const
    const rows = groups.get(key) ?? []
    groups.set(key, rows)
    rows.push(rowOf(one))
  }
  const shape = places.flatMap((place) => acts.map((act) => `${place}.${act}` as const)).filter((key) => groups.has(key))
  const known = texts.get(tables) ?? new Map<string, string>()
  texts.set(tables, known)
  const name = shape.join(' ')
  const sql = known.get(name) ?? textOf(tables, shape)
  known.set(name, sql)
  const entries = journal.map(({ at, type, data }) => `[${at},${JSON.stringify(type)},${toColumn(JSON.stringify(data))}]`)
  const rows = shape.map((key) => `[${groups.get(key)?.join()}]`)
  return { sql, values: [token, batch, journal.length, `[${entries.join()}]`, lockTimeout, writes.length, ...rows] }
}

/** Its id, the version that must be there, the new one, the record, and what its table tells it apart by. */
function rowOf({ kind, id, expected, value }: StoreWrite): string {
  const mark = kind === 'move' && value ? (value as MoveRecord).migrationId : kind
  return `[${JSON.stringify(id)},${expected},${value?.version ?? 0},${toColumn(JSON.stringify(value))},${JSON.stringify(mark)}]`
}

const placeOf = ({ kind }: StoreWrite): Place => (kind === 'migration' ? 'migrations' : kind === 'move' ? 'moves' : 'records')
const actOf = ({ expected, value }: StoreWrite): Act => (value === null ? 'delete' : expected > 0 ? 'update' : 'insert')

/** What tells the rows of a table apart, beside their id. */
const own: Readonly<Record<Place, string | null>> = { migrations: null, moves: 'migration_id', records: 'kind' }

function textOf(tables: Tables, shape: readonly `${Place}.${Act}`[]): string {
  const parts = shape.map((key, index) => {
    const [place, act] = key.split('.') as [Place, Act]
    return `w${index} AS (${writeOf(tables, place, act, `json_array_elements($${index + 7}::json)`)})`
  })
  const written = shape.map((_, index) => `(SELECT count(*) FROM w${index})`).join(' + ') || '0'
  return `
WITH fence AS (
  UPDATE ${tables.state} s SET token = $1::bigint, batch = $2::bigint, last_seq = s.last_seq + $3::int
  FROM (SELECT set_config('lock_timeout', $5::text, true)) AS patience
  WHERE s.token < $1::bigint OR (s.token = $1::bigint AND s.batch < $2::bigint)
  RETURNING s.last_seq
), told AS (
  INSERT INTO ${tables.journal} (seq, at, type, data)
  SELECT f.last_seq - $3::int + e.ord, (e.one ->> 0)::double precision, e.one ->> 1, e.one -> 2
  FROM fence f, json_array_elements($4::json) WITH ORDINALITY AS e (one, ord)
)${parts.map((part) => `, ${part}`).join('')}
SELECT f.last_seq, CASE WHEN ${written} = $6::int THEN 0 ELSE ('pintail_conflict ' || f.last_seq)::int END AS differs FROM fence f`
}

function writeOf(tables: Tables, place: Place, act: Act, rows: string): string {
  const table = tables[place]
  const extra = own[place]
  const isSame = `t.id = e.one ->> 0 ${place === 'records' ? 'AND t.kind = e.one ->> 4' : ''} AND t.version = (e.one ->> 1)::bigint`
  if (act === 'delete') return `DELETE FROM ${table} t USING fence f, ${rows} AS e (one) WHERE ${isSame} RETURNING 1`
  if (act === 'update')
    return `UPDATE ${table} t SET version = (e.one ->> 2)::bigint, record = e.one -> 3 FROM fence f, ${rows} AS e (one) WHERE ${isSame} RETURNING 1`
  return `INSERT INTO ${table} (id, version, record${extra ? `, ${extra}` : ''})
    SELECT e.one ->> 0, (e.one ->> 2)::bigint, e.one -> 3${extra ? ', e.one ->> 4' : ''}
    FROM fence f, ${rows} WITH ORDINALITY AS e (one, ord) ORDER BY e.ord ON CONFLICT DO NOTHING RETURNING 1`
}
