import { statesOf } from '../decide/states.ts'
import { PintailError } from '../errors.ts'
import type { Found, FoundKind, RecordQuery, StoreRecords } from '../ports.ts'
import { type ServerRef, serverId, shorten } from '../rows.ts'
import { notOver, type Records } from './records.ts'

/** What any list can be narrowed by; each kind has its own part of it. */
type Filter = Partial<Omit<RecordQuery, 'serverId' | 'of' | 'since'>> & {
  readonly open?: boolean
  readonly serverId?: ServerRef
  readonly evacuationId?: string
  readonly incidentId?: string
}

/**
 * A page of what is kept. The newest figures take the place of kept ones, except where the record would then not be what was
 * asked for: what is ahead of the store by a moment is told as it is kept.
 * @throws PintailError `invalid_argument`
 */
export async function pageOf<K extends FoundKind>(
  records: Records,
  kind: K,
  filter: Filter,
  live: (record: StoreRecords[K]) => StoreRecords[K],
): Promise<Found<StoreRecords[K]> & Pick<RecordQuery, 'limit' | 'offset'>> {
  const { limit = 50, offset = 0, ids, reason } = filter
  whole('limit', limit, 1, 200)
  whole('offset', offset, 0, notOver)
  if (ids) whole('the number of ids', ids.length, 0, 200)
  const parent = filter.evacuationId ?? filter.incidentId
  const status = statesOf(kind, filter)
  // Nothing is one of none.
  if (status?.length === 0 || ids?.length === 0) return { records: [], total: 0, limit, offset }
  const found = await records.page(kind, {
    limit,
    offset,
    ...(ids && { ids }),
    ...(status && { status }),
    ...(reason !== undefined && { reason }),
    ...(filter.serverId !== undefined && { serverId: serverId(filter.serverId) }),
    ...(parent !== undefined && { of: [parent] }),
  })
  const newest = (kept: StoreRecords[K]): StoreRecords[K] => {
    const now = live(kept)
    return status && !status.includes(now.status) ? kept : now
  }
  return { records: found.records.map(newest), total: found.total, limit, offset }
}

function whole(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  const upTo = most === notOver ? '' : ` to ${most}`
  throw new PintailError('invalid_argument', `${what} must be a whole number from ${least}${upTo}, not ${shorten(value)}`)
}
