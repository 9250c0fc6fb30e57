import type { PintailClient } from '@pintail/client'
import type { WireMigration } from '@pintail/core/wire'
import { isEnded } from '../session/model.ts'
import { type Filter, matches } from './filter.ts'

/** Migrations on one page. */
export const pageSize = 25
/** A text is looked for by reading: so many records at once, so many pages of them, until so many were found. */
const scanned = { limit: 200, pages: 5 }
const mostFound = 50

const endedStates = ['completed', 'failed', 'cancelled'] as const

export interface FinishedPage {
  readonly migrations: readonly WireMigration[]
  /** How many match; null: not known, because a text is looked for. */
  readonly total: number | null
  /** How many were read so far to find a text. */
  readonly scanned: number
  /** True: older ones may match too. */
  readonly hasMore: boolean
}

/** True: nothing that is over can match. */
const excludesFinished = ({ state }: Filter): boolean => state !== '' && !isEnded({ status: state })

const none: FinishedPage = { migrations: [], total: 0, scanned: 0, hasMore: false }

/**
 * One page of what is over, from the API. With a text, which the API cannot look for, it reads back in time until a page is full or
 * enough was read.
 * @throws ApiError
 */
export async function readFinished(
  client: Pick<PintailClient, 'migrations'>,
  filter: Filter,
  page: number,
  signal: AbortSignal,
): Promise<FinishedPage> {
  if (excludesFinished(filter)) return none
  const { state, server, reason, text } = filter
  const query = {
    status: state === '' ? endedStates : [state],
    ...(server !== '' && { server_id: server }),
    ...(reason !== '' && { reason }),
  }
  if (text.trim() === '') {
    const { migrations, total } = await client.migrations.list({ ...query, limit: pageSize, offset: page * pageSize }, { signal })
    return { migrations, total, scanned: 0, hasMore: (page + 1) * pageSize < total }
  }
  const found: WireMigration[] = []
  let offset = 0
  for (let reads = 0; reads < scanned.pages; reads++) {
    const { migrations, total } = await client.migrations.list({ ...query, limit: scanned.limit, offset }, { signal })
    const known = new Set(found.map(({ id }) => id))
    // What has ended meanwhile shifts the pages: some come twice.
    found.push(...migrations.filter((one) => !known.has(one.id) && matches(one, filter)))
    offset += migrations.length
    if (migrations.length === 0 || offset >= total) return { migrations: found, total: null, scanned: offset, hasMore: false }
    if (found.length >= mostFound) return { migrations: found, total: null, scanned: offset, hasMore: true }
  }
  return { migrations: found, total: null, scanned: offset, hasMore: true }
}
