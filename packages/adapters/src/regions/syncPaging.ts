import { randomUUID } from 'node:crypto'
import { type Json, PintailError } from '@pintail/core'
import { limits, type SyncEntry, type SyncPage, size } from './messages.ts'

/** Room for the entries of one page, bytes: what is around them needs the rest. */
const pageBytes = limits.messageBytes - 32 * 1024

/**
 * Everybody who is wanted, and whom to leave, on as few pages as they fit on; at least one.
 * @throws PintailError `invalid_argument`: more than a sync can carry, or a payload that is too large
 */
export function pagesOf(entries: readonly SyncEntry[], leave: readonly string[], syncId: string = randomUUID()): readonly SyncPage[] {
  if (entries.length > limits.syncEntries)
    throw new PintailError('invalid_argument', `a sync carries ${limits.syncEntries} connections, not ${entries.length}`)
  const pages: { entries: SyncEntry[]; leave: string[] }[] = [{ entries: [], leave: [] }]
  let room = pageBytes
  const at = (bytes: number) => {
    if (bytes > room) {
      pages.push({ entries: [], leave: [] })
      room = pageBytes
    }
    room -= bytes
    return pages.at(-1) as (typeof pages)[number]
  }
  for (const entry of entries) {
    const bytes = size(entry as unknown as Json) + 1
    if (size(entry.payload) > limits.payloadBytes)
      throw new PintailError('invalid_argument', `the payload of ${entry.connectionId} has more than ${limits.payloadBytes} bytes`)
    at(bytes).entries.push(entry)
  }
  for (const id of leave) at(size(id) + 1).leave.push(id)
  if (pages.length > limits.syncPages)
    throw new PintailError('invalid_argument', `a sync has at most ${limits.syncPages} pages, not ${pages.length}`)
  return pages.map((page, index) => ({ syncId, page: index, pages: pages.length, ...page }))
}
