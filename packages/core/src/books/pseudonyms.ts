import type { ConnectionId, Evacuation, Migration } from '../vocabulary.ts'

/** Stands for a connection where nobody needs to know any more which one it was. */
export type Pseudonym = (id: ConnectionId) => ConnectionId

export const isPseudonym = (id: string): boolean => id === 'forgotten' || /^hmac:[0-9a-f]{32}$/.test(id)

/** Null: it names nobody. */
export function withoutUsers(record: Evacuation, pseudonym: Pseudonym): Evacuation | null {
  const { unplaced, onlyConnections } = record
  const named = [...unplaced.map(({ connectionId }) => connectionId), ...(onlyConnections ?? [])]
  if (named.every(isPseudonym)) return null
  return {
    ...record,
    unplaced: unplaced.map((one) => ({ ...one, connectionId: pseudonym(one.connectionId) })),
    onlyConnections: onlyConnections?.map(pseudonym) ?? null,
    version: record.version + 1,
  }
}

/** Null: it names nobody. */
export function withoutResidue(record: Migration, pseudonym: Pseudonym): Migration | null {
  if (record.residue.every(isPseudonym)) return null
  return { ...record, residue: record.residue.map(pseudonym), version: record.version + 1 }
}
