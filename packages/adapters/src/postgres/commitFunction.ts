/** What a batch does, in the order of `counts`: in each table changes, new rows, deletions. */
export const places = ['migrations', 'moves', 'records'] as const
export const acts = ['update', 'insert', 'delete'] as const
export type Place = (typeof places)[number]
export type Act = (typeof acts)[number]

type Named = Readonly<Record<Place | 'state' | 'journal' | 'commit_batch', string>>

/** What tells the rows of a table apart, beside their id. */
const own: Readonly<Record<Place, string | null>> = { migrations: null, moves: 'migration_id', records: 'kind' }

/**
 * A batch as a function of the server's, because its statements are planned once a connection and not with each commit,
 * which cost more than the commit itself. `doing` has the place of each write's act in `counts`.
 * It takes the lock of the state's row first: whoever is too late finds that the row does not fit, and gets null. A write
 * that finds no row of its version makes the count differ, and fails all of it.
 */
export const commitFunction = (t: Named): string => `
CREATE FUNCTION ${t.commit_batch} (
  to_token bigint, to_batch bigint, patience text,
  at double precision[], types text[], data json[],
  counts int[], doing int[], ids text[], expected bigint[], versions bigint[], records json[], marks text[]
) RETURNS bigint LANGUAGE plpgsql
-- A plan that was made while a table was small must not read all of it when it is large.
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  entries CONSTANT int := cardinality($4);
  newest bigint;
  written int;
BEGIN
  PERFORM set_config('lock_timeout', patience, true);
  UPDATE ${t.state} s SET token = to_token, batch = to_batch, last_seq = s.last_seq + entries
  WHERE s.id = 1 AND (s.token < to_token OR (s.token = to_token AND s.batch < to_batch))
  RETURNING s.last_seq INTO newest;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF entries > 0 THEN
    INSERT INTO ${t.journal} (seq, at, type, data)
    SELECT newest - entries + e.ord, e.at, e.type, e.data
    FROM unnest($4, $5, $6) WITH ORDINALITY AS e (at, type, data, ord);
  END IF;
${places.flatMap((place, p) => acts.map((act, a) => part(t, place, act, p * acts.length + a))).join('')}
  RETURN newest;
END $$;
`

function part(t: Named, place: Place, act: Act, index: number): string {
  return `  IF counts[${index + 1}] > 0 THEN
    ${writeOf(t, place, act, index)};
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> counts[${index + 1}] THEN RAISE EXCEPTION 'pintail_conflict %', newest USING ERRCODE = '22P02'; END IF;
  END IF;
`
}

function writeOf(t: Named, place: Place, act: Act, index: number): string {
  const table = t[place]
  const extra = own[place]
  const given = `unnest($8, $9, $10, $11, $12, $13)
    WITH ORDINALITY AS e (doing, id, expected, version, record, mark, ord)`
  const isSame = `e.doing = ${index} AND t.id = e.id ${place === 'records' ? 'AND t.kind = e.mark ' : ''}AND t.version = e.expected`
  if (act === 'delete') return `DELETE FROM ${table} t USING ${given} WHERE ${isSame}`
  if (act === 'update') return `UPDATE ${table} t SET version = e.version, record = e.record FROM ${given} WHERE ${isSame}`
  return `INSERT INTO ${table} (id, version, record${extra ? `, ${extra}` : ''})
    SELECT e.id, e.version, e.record${extra ? ', e.mark' : ''} FROM ${given} WHERE e.doing = ${index} ORDER BY e.ord ON CONFLICT DO NOTHING`
}
