import { PintailError } from '../errors.ts'
import { foundIn, sumsOf } from '../figures/found.ts'
import type { JournalEntry, MemberPost, MigrationStore, StoreKind, StoreRecords } from '../ports.ts'
import type { Evacuation, Migration } from '../vocabulary.ts'

export interface MemoryStoreOptions {
  /** Journal entries kept, 1 000–100 000 000; the oldest go first. Default 1 000 000. */
  readonly journalLimit?: number
}

/**
 * Everything in memory, gone with the process. Records are frozen by agreement: they are replaced, never changed.
 * @throws PintailError `invalid_argument`
 */
export function memoryStore({ journalLimit = 1_000_000 }: MemoryStoreOptions = {}): MigrationStore {
  if (!Number.isInteger(journalLimit) || journalLimit < 1000 || journalLimit > 100_000_000)
    throw new PintailError('invalid_argument', `journalLimit must be a whole number from 1000 to 100000000, not ${journalLimit}`)
  const tables = new Map<StoreKind, Map<string, StoreRecords[StoreKind]>>()
  // Moves are asked for by their migration; a scan over all of them would grow with history.
  const movesOf = new Map<string, Set<string>>()
  const posts = new Map<string, readonly MemberPost[]>()
  let journal: JournalEntry[] = []
  let dropped = 0
  let highest = 0
  let newest = 0

  const table = <K extends StoreKind>(kind: K): Map<string, StoreRecords[K]> => {
    const found = tables.get(kind) ?? new Map()
    tables.set(kind, found)
    return found as Map<string, StoreRecords[K]>
  }

  const isOver = (migrationId: string, before: number): boolean => {
    const evacuation = table('evacuation').get((table('migration').get(migrationId) as Migration | undefined)?.evacuationId ?? '') as
      | Evacuation
      | undefined
    const incident = table('incident').get(evacuation?.incidentId ?? '')
    if (incident && (incident.status !== 'closed' || ['waiting', 'running'].includes(incident.failback?.state ?? ''))) return false
    return !evacuation || (evacuation.endedAt !== null && evacuation.endedAt < before)
  }

  return {
    name: 'memory',
    async commit({ token, batch, writes, journal: drafts }) {
      if (token < highest) throw new PintailError('fenced', `token ${token} is older than ${highest}`)
      if (token === highest && batch <= newest) return { lastSeq: dropped + journal.length }
      for (const { kind, id, expected } of writes) {
        const version = table(kind).get(id)?.version ?? 0
        if (version !== expected) throw new PintailError('conflict', `${kind} ${id} is at version ${version}, not ${expected}`)
      }
      highest = token
      newest = batch
      for (const { kind, id, expected, value } of writes) {
        if (kind === 'move' && (expected === 0 || value === null)) {
          const owner = id.slice(0, id.indexOf('/'))
          const siblings = movesOf.get(owner) ?? new Set()
          movesOf.set(owner, siblings)
          if (value === null) siblings.delete(id)
          else siblings.add(id)
          if (siblings.size === 0) movesOf.delete(owner)
        }
        if (value === null) table(kind).delete(id)
        else table(kind).set(id, value)
      }
      for (const draft of drafts) journal.push({ ...draft, seq: dropped + journal.length + 1 })
      // In large steps, because shifting one by one would copy the array each time.
      if (journal.length > journalLimit * 1.25) {
        dropped += journal.length - journalLimit
        journal = journal.slice(-journalLimit)
      }
      return { lastSeq: dropped + journal.length }
    },
    async get(kind, id) {
      return table(kind).get(id) ?? null
    },
    async list(kind, { migrationId }) {
      if (kind !== 'move' || migrationId === undefined) return [...table(kind).values()]
      return [...(movesOf.get(migrationId) ?? [])].flatMap((id) => table(kind).get(id) ?? [])
    },
    async readJournal({ after, limit }) {
      const from = Math.max(0, after - dropped)
      return { entries: journal.slice(from, from + limit), oldestSeq: dropped + 1, lastSeq: dropped + journal.length }
    },
    async prune({ movesBefore, journalBefore, limit }) {
      let moves = 0
      for (const [migrationId, ids] of movesOf) {
        if (moves >= limit || !isOver(migrationId, movesBefore)) continue
        for (const id of [...ids].slice(0, limit - moves)) {
          table('move').delete(id)
          ids.delete(id)
          moves++
        }
        if (ids.size === 0) movesOf.delete(migrationId)
      }
      const readers = [...table('cursor').values()].filter(({ name }) => !name.includes('/'))
      const slowest = readers.reduce<(typeof readers)[number] | null>((least, one) => (least && least.seq <= one.seq ? least : one), null)
      const old = journal.findIndex(({ at }) => at >= journalBefore)
      const unread = slowest ? Math.max(0, slowest.seq - dropped) : journal.length
      const entries = Math.min(limit, unread, old < 0 ? journal.length : old)
      journal = journal.slice(entries)
      dropped += entries
      const heldBy = (old < 0 ? journal.length + entries : old) > unread ? (slowest?.name ?? null) : null
      return { moves, entries, more: moves === limit || entries === limit, heldBy }
    },
    async post(post) {
      const kept = (posts.get(post.from) ?? []).filter(({ number }) => number !== post.number)
      // Put anew, so that the first name is that of whoever has been silent for longest.
      posts.delete(post.from)
      posts.set(post.from, [...kept, structuredClone(post)].slice(-postsKept))
      for (const from of [...posts.keys()].slice(0, -membersKept)) posts.delete(from)
    },
    async posts(after) {
      return [...posts].flatMap(([from, all]) => all.filter(({ number }) => number > (Object.hasOwn(after, from) ? (after[from] ?? 0) : 0)))
    },
    find: async (kind, query) => foundIn(kind, [...table(kind).values()], query),
    sumMigrations: async () => sumsOf(table('migration').values()),
  }
}

/** Posts of each engine, and engines. */
const postsKept = 16
const membersKept = 100
