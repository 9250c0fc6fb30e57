import type { Listing } from '@pintail/core'

/** All rows, whether they come in one answer or in pages. */
export async function collect<T>(listing: Listing<T>): Promise<readonly T[]> {
  if (!(Symbol.asyncIterator in listing)) return await listing
  const rows: T[] = []
  for await (const page of listing) rows.push(...page)
  return rows
}
