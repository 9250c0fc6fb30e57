import type { MoveRecord, StoreBatch, StoreWrite } from '@pintail/core'
import { acts, places } from './commitFunction.ts'
import type { Tables } from './schema.ts'
import { toColumn } from './text.ts'

/** One call for the whole batch, and so one transaction and one round trip, through any proxy. */
export function commitOf(
  { commit_batch }: Tables,
  { token, batch, writes, journal }: StoreBatch,
  lockTimeout: string,
): { sql: string; values: unknown[] } {
  const counts: number[] = Array.from({ length: places.length * acts.length }, () => 0)
  const doing = writes.map((write) => {
    const index = whatOf(write)
    counts[index] = (counts[index] ?? 0) + 1
    return index
  })
  const values = [
    token,
    batch,
    lockTimeout,
    journal.map(({ at }) => at),
    journal.map(({ type }) => type),
    journal.map(({ data }) => toColumn(JSON.stringify(data))),
    counts,
    doing,
    writes.map(({ id }) => id),
    writes.map(({ expected }) => expected),
    writes.map(({ value }) => value?.version ?? 0),
    writes.map(({ value }) => toColumn(JSON.stringify(value))),
    writes.map(({ kind, value }) => (kind === 'move' && value ? (value as MoveRecord).migrationId : kind)),
  ]
  return { sql: `SELECT ${commit_batch}(${values.map((_, index) => `$${index + 1}`).join(', ')}) AS last_seq`, values }
}

function whatOf({ kind, expected, value }: StoreWrite): number {
  const place = places.indexOf(kind === 'migration' ? 'migrations' : kind === 'move' ? 'moves' : 'records')
  return place * acts.length + acts.indexOf(value === null ? 'delete' : expected > 0 ? 'update' : 'insert')
}
