import { comparePairs, type Pair } from '../regions/messages.ts'
import type { AccessRow } from './book.ts'

/** Whether what is wanted would be older than the row: at the same pair a revoke is newer than a grant. */
export function isOlder(
  wanted: Pick<AccessRow, 'wanted' | 'token' | 'epoch'>,
  row: Pick<AccessRow, 'wanted' | 'token' | 'epoch'>,
): boolean {
  const order = comparePairs(wanted, row)
  return order < 0 || (order === 0 && wanted.wanted === 'granted' && row.wanted === 'revoked')
}

export const newerOf = (a: Pair, b: Pair): Pair => (comparePairs(a, b) >= 0 ? a : b)

/** A page is never larger, whatever is asked for. */
export const mostRows = 5000
