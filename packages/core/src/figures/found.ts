import type { Found, FoundKind, MigrationGroup, MigrationSums, RecordQuery, StoreRecords } from '../ports.ts'
import type { Evacuation, Incident, Migration } from '../vocabulary.ts'

/** Texts of failures that are told one by one. */
const mostErrors = 20

/** What each kind says to a query. */
interface Facts {
  readonly servers: readonly (string | null)[]
  readonly reason: string | null
  readonly of: string | null
  /** Null: it is not over. */
  readonly overAt: number | null
}

const factsOf: { readonly [K in FoundKind]: (record: StoreRecords[K]) => Facts } = {
  migration: ({ fromServerId, toServerId, reason, evacuationId, status, completedAt }: Migration) => {
    const isOver = status === 'completed' || status === 'failed' || status === 'cancelled'
    return { servers: [fromServerId, toServerId], reason, of: evacuationId, overAt: isOver ? (completedAt ?? 0) : null }
  },
  evacuation: ({ fromServerIds, toServerId, reason, incidentId, endedAt }: Evacuation) => ({
    servers: [...fromServerIds, toServerId],
    reason,
    of: incidentId,
    overAt: endedAt,
  }),
  incident: ({ serverId, status, failback, openedAt }: Incident) => {
    const isOver = status === 'closed' && failback?.state !== 'waiting' && failback?.state !== 'running'
    return { servers: [serverId], reason: null, of: null, overAt: isOver ? openedAt : null }
  },
}

/** Whether a record is asked for: what `MigrationStore.find` says of each filter. */
function asks<K extends FoundKind>(kind: K, query: Omit<RecordQuery, 'limit' | 'offset'>): (record: StoreRecords[K]) => boolean {
  const { serverId, reason, since } = query
  const [ids, status, of] = [query.ids, query.status, query.of].map((list) => list && new Set<string | null>(list))
  const isPlain = serverId === undefined && reason === undefined && !of && since === undefined
  return (record) => {
    if ((ids && !ids.has(record.id)) || (status && !status.has(record.status))) return false
    if (isPlain) return true
    const facts = factsOf[kind](record)
    return (
      (serverId === undefined || facts.servers.includes(serverId)) &&
      (reason === undefined || facts.reason === reason) &&
      (!of || (facts.of !== null && of.has(facts.of))) &&
      (since === undefined || facts.overAt === null || facts.overAt >= since)
    )
  }
}

/** The page of all records of a kind, oldest first, that a query asks for. */
export function foundIn<K extends FoundKind>(kind: K, all: readonly StoreRecords[K][], query: RecordQuery): Found<StoreRecords[K]> {
  const matching = all.filter(asks(kind, query))
  const end = Math.max(0, matching.length - query.offset)
  return { records: matching.slice(Math.max(0, end - query.limit), end).reverse(), total: matching.length }
}

type Sum = { -readonly [key in keyof MigrationGroup]: MigrationGroup[key] }

export function sumsOf(migrations: Iterable<Migration>): MigrationSums {
  const groups = new Map<string, Sum>()
  const errors = new Map<string | null, number>()
  for (const { status, reason, startedAt, completedAt, savingsEurHour, savingsEurMonth, errorMessage } of migrations) {
    const key = `${status} ${reason}`
    const sum = groups.get(key) ?? { status, reason, count: 0, timed: 0, durationMs: 0, savingsEurHour: 0, savingsEurMonth: 0 }
    groups.set(key, sum)
    sum.count++
    sum.savingsEurHour += savingsEurHour ?? 0
    sum.savingsEurMonth += savingsEurMonth ?? 0
    if (startedAt !== null && completedAt !== null) {
      sum.timed++
      sum.durationMs += completedAt - startedAt
    }
    if (status === 'failed') errors.set(errorMessage, (errors.get(errorMessage) ?? 0) + 1)
  }
  const failures = [...errors].map(([error, count]) => ({ error, count })).sort((a, b) => b.count - a.count)
  return { groups: [...groups.values()], failures: failures.slice(0, mostErrors) }
}
