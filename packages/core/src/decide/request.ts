import type {
  Connection,
  ConnectionId,
  Evacuation,
  ExclusionCode,
  Migration,
  MigrationReason,
  MoveRecord,
  Plan,
  ServerId,
  Unplaced,
  UnplacedCode,
} from '../vocabulary.ts'
import { excludeTarget, isPinned, type Target } from './ranking.ts'

/** What a person asks for, parsed. */
export interface Asked {
  readonly serverId: ServerId
  readonly toServerId: ServerId | null
  readonly connectionIds: readonly ConnectionId[] | null
  readonly reason: MigrationReason
  readonly notes: string | null
  readonly autoApprove: boolean
  readonly fingerprint: string | null
  readonly triggeredBy: 'admin' | 'user'
}

export interface RequestProblem {
  readonly path: string
  readonly message: string
  readonly remedy?: string
}

/** So many ids are named in one message, and how many more there are. */
const named = 20

/**
 * What is wrong with a request in the world as it is, all at once; empty: nothing. Ids that could not be parsed are
 * empty and have been complained about already.
 * @param present who is on the source; null: it does not matter
 */
export function requestProblems(asked: Asked, targets: readonly Target[], present: readonly Connection[] | null): RequestProblem[] {
  const { serverId, toServerId, connectionIds, reason } = asked
  const problems: RequestProblem[] = []
  const servers = new Map(targets.map((target) => [target.server.id, target]))
  const unknown = (id: ServerId) => ({ message: `there is no server ${id}`, remedy: 'List the servers to see which there are.' })
  if (serverId !== '' && !servers.has(serverId)) problems.push({ path: 'serverId', ...unknown(serverId) })
  const target = toServerId && servers.get(toServerId)
  if (toServerId && toServerId === serverId) problems.push({ path: 'toServerId', message: `${toServerId} is the server to be left itself` })
  else if (toServerId && !target) problems.push({ path: 'toServerId', ...unknown(toServerId) })
  const excluded = target && toServerId !== serverId && excludeTarget(target, { sources: new Set(), only: null })
  if (excluded)
    problems.push({
      path: 'toServerId',
      message: `${toServerId} is no target now: ${excluded[1]} (${excluded[0]})`,
      remedy: 'Name another target, or none: then the plan chooses.',
    })
  if (connectionIds && present && servers.has(serverId)) {
    const here = new Map(present.map((connection) => [connection.id, connection]))
    const gone = connectionIds.filter((id) => !here.has(id))
    if (gone.length > 0) problems.push({ path: 'connectionIds', message: `not on ${serverId}: ${list(gone)}` })
    const fixed = connectionIds.filter((id) => isPinned(here.get(id) ?? anybody, reason))
    if (fixed.length > 0)
      problems.push({ path: 'connectionIds', message: `not to be moved for ${reason} by their mobility: ${list(fixed)}` })
  }
  return problems
}

const anybody = { mobility: 'free' } as Connection

function list(ids: readonly string[]): string {
  const more = ids.length - named
  return ids.slice(0, named).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** Why a plan places nobody, in figures: who is left by what, and which servers are no target by what. */
export function whyNobody({ fromServerIds, onlyConnections, unplaced, cohorts }: Plan): string {
  const from = fromServerIds.join(', ')
  if (unplaced.length === 0) return onlyConnections ? `nobody of those who were to be moved is on ${from} any more` : `nobody is on ${from}`
  const left: Partial<Record<UnplacedCode, number>> = {}
  for (const { code } of unplaced) left[code] = (left[code] ?? 0) + 1
  const servers: Partial<Record<ExclusionCode, number>> = {}
  for (const { exclusions } of cohorts)
    for (const [code, count] of Object.entries(exclusions) as [ExclusionCode, number][]) servers[code] = Math.max(servers[code] ?? 0, count)
  const counts = (of: object): string =>
    Object.entries(of)
      .map(([code, count]) => `${count} ${code}`)
      .join(', ')
  const targets = Object.keys(servers).length > 0 ? `; servers that are no target: ${counts(servers)}` : ''
  return `nobody on ${from} finds a place: ${counts(left)}${targets}`
}

/** Why an ended migration is not to be retried now; null: nothing is in the way. */
export function whyNotRetry({ id, evacuationId }: Migration, evacuations: readonly Evacuation[]): string | null {
  const open = evacuations.filter(({ endedAt }) => endedAt === null)
  const again = open.find(({ retryOf }) => retryOf === id)
  if (again) return `migration ${id} is being retried already, by evacuation ${again.id}`
  const own = open.some((evacuation) => evacuation.id === evacuationId)
  return own ? `evacuation ${evacuationId} of migration ${id} still runs, and plans anew by itself whom it may` : null
}

/** A retry is the same request for those who have not moved. */
export function askedAgain({ fromServerId, toServerId, reason, notes }: Migration, moves: readonly MoveRecord[]): Asked {
  const connectionIds = moves.flatMap(({ connection, state }) => (state.state === 'moved' ? [] : connection.id))
  return { serverId: fromServerId, toServerId, connectionIds, reason, notes, autoApprove: true, fingerprint: null, triggeredBy: 'admin' }
}

/** Those of them who only wait until a move elsewhere has settled. */
export function beingMoved(unplaced: readonly Unplaced[]): readonly Unplaced[] {
  return unplaced.filter(({ code }) => code === 'being_moved')
}
