import type {
  Connection,
  ConnectionId,
  Evacuation,
  EvacuationId,
  Failback,
  FailbackPolicy,
  Incident,
  Migration,
  Mode,
  MoveRecord,
  PlacementPolicy,
  Plan,
  ServerId,
  ServerStatus,
  VerdictKind,
} from '../vocabulary.ts'
import { contextOf, roomOf } from './placement.ts'
import { type Cohort, compareIds, contributionsOf, scoreWithout, type Target } from './ranking.ts'

/** A user is brought home to one server at most once in this time, milliseconds: I10 holds for every policy. */
export const homeOnceMs = 86_400_000
/** A failback that finds no moment beyond its `stableMs` in this time is abandoned, milliseconds: it must not wait for ever. */
export const giveUpMs = 7 * 86_400_000
/** Why a person's word ended something; it is kept in the record, and nothing is started again against it. */
export const byOperator = 'cancelled by an operator'

export function newFailback(now: number): Failback {
  return { state: 'waiting', since: now, evacuationId: null, batches: 0, batchSize: null, moved: 0, nextAt: now, why: null }
}

export function isOpen(failback: Failback | null | undefined): failback is Failback {
  return failback?.state === 'waiting' || failback?.state === 'running'
}

/** What a home is seen to be. */
export interface Home {
  readonly name: string
  readonly verdict: VerdictKind
  readonly status: ServerStatus
  readonly cordoned: boolean
  readonly damped: boolean
  readonly hasIncident: boolean
  /** Somebody is being moved off it. */
  readonly isLeft: boolean
}

/** Why nobody goes home to this server now; null: it is fit. */
export function unfitHome(home: Home | null): string | null {
  if (!home) return 'the server is not in the registry'
  const { name, verdict, status } = home
  if (home.hasIncident || verdict === 'down') return `${name} has failed again`
  if (home.cordoned) return `${name} was cordoned`
  if (status !== 'online') return `${name} is ${status}`
  if (home.isLeft) return `${name} is being evacuated`
  if (home.damped) return `${name} has failed too often lately`
  return verdict === 'up' ? null : `${name} is ${verdict}`
}

export type FailbackStep =
  | { readonly do: 'nothing' }
  /** The batch under way starts nothing more. */
  | { readonly do: 'stop'; readonly batch: Evacuation; readonly why: string }
  /** The batch has ended: what became of it decides what is next. */
  | { readonly do: 'judge'; readonly batch: EvacuationId }
  | { readonly do: 'keep'; readonly failback: Failback }
  | { readonly do: 'go' }

export function nextFailback(input: {
  readonly failback: Failback
  readonly policy: FailbackPolicy
  readonly home: Home | null
  /** Since when the home has been fit without a break; null: it is not. */
  readonly fitSince: number | null
  /** Why nothing may move to it now; null: it may. */
  readonly forbidden: string | null
  /** True once enough server lists in a row have not named it. */
  readonly isGone: boolean
  /** The evacuation of the batch under way, as far as it has not ended. */
  readonly batch: Evacuation | null
  readonly now: number
}): FailbackStep {
  const { failback, policy, home, batch, fitSince, now } = input
  const unfit = unfitHome(home)
  if (batch) {
    // While it is only suspect, or missed by one list, the migrator starts nothing anyway; that may be over in a moment.
    const isDoubt = home ? home.verdict === 'suspect' || home.verdict === 'unknown' : !input.isGone
    return unfit === null || isDoubt ? { do: 'nothing' } : { do: 'stop', batch, why: unfit }
  }
  if (failback.evacuationId !== null) return { do: 'judge', batch: failback.evacuationId }
  const abandon = (why: string): FailbackStep => ({ do: 'keep', failback: { ...failback, state: 'abandoned', since: now, why } })
  if (input.isGone) return abandon('gone from the registry')
  if (policy.strategy === 'never') return abandon('the policy says that nobody goes home')
  if (now - failback.since > policy.stableMs + giveUpMs) return abandon('there was no moment for it in a week')
  if (fitSince === null || now - fitSince < policy.stableMs || now < failback.nextAt || input.forbidden !== null) return { do: 'nothing' }
  return { do: 'go' }
}

/** What becomes of a failback when one of its batches has ended. */
export function afterBatch(
  failback: Failback,
  batch: Evacuation,
  history: readonly Migration[],
  { strategy, batchIntervalMs }: FailbackPolicy,
  now: number,
): Failback {
  const migrations = history.filter(({ evacuationId }) => evacuationId === batch.id)
  const sum = (count: (migration: Migration) => number) => migrations.reduce((total, migration) => total + count(migration), 0)
  const moved = failback.moved + sum(({ connectionsMoved }) => connectionsMoved)
  const failed = sum(({ status, connectionsFailed, connectionCountAtStart, connectionsMoved }) =>
    status === 'failed' ? connectionCountAtStart - connectionsMoved : connectionsFailed,
  )
  const next: Failback = { ...failback, moved, evacuationId: null, since: now, why: null }
  const cancelled = migrations.filter(({ status }) => status === 'cancelled')
  // I14: nobody is brought home around a person's word.
  if (batch.cancelledWhy === byOperator || cancelled.some(({ errorMessage }) => errorMessage === byOperator))
    return { ...next, state: 'abandoned', why: byOperator }
  const interrupted = batch.cancelledWhy ?? cancelled[0]?.errorMessage
  if (interrupted) return { ...next, state: 'waiting', why: interrupted }
  const why = `${failed} could not be brought home`
  if (failed > 0) return { ...next, state: strategy === 'gradual' ? 'abandoned' : 'done', why }
  return { ...next, state: 'running', nextAt: strategy === 'gradual' ? now + batchIntervalMs : now }
}

/** A failback whose next batch has been decided. */
export function afterDecision(failback: Failback, mode: Mode, batch: EvacuationId, batchSize: number | null, now: number): Failback {
  const next = { ...failback, batches: failback.batches + 1, batchSize, since: now }
  if (mode === 'observe') return { ...next, state: 'done', why: 'mode observe: decided only' }
  return { ...next, state: 'running', evacuationId: batch, why: null }
}

/** What there is to tell of a failback; null: between two batches there is nothing. */
export function failbackNews({ id, serverId, serverName, failback }: Incident, connections: number) {
  if (!failback || (failback.state === 'running' && connections === 0)) return null
  const { state, evacuationId, moved, why } = failback
  const now = connections > 0 ? `${connections} now, ` : ''
  const message = `failback to ${serverName} ${state}: ${now}${moved} brought home${why ? `; ${why}` : ''}`
  return { incidentId: id, serverId, state, evacuationId, connections, moved, message }
}

/** The connections that a plan has a place for. */
export function placedIn({ placements }: Plan): ConnectionId[] {
  return placements.flatMap(({ connections }) => connections.map(({ id }) => id))
}

/**
 * Who was moved away by an incident's evacuation, and to where: without those who have come home within a day already.
 * @param went the moves of that evacuation, by where they went
 * @param cameHome the moves of earlier failbacks to the same server
 * @param residue whom these migrations list as possibly there still: a move that was skipped at its second try is no news of its first
 */
export function movedAway(
  went: readonly { readonly to: ServerId; readonly moves: readonly MoveRecord[] }[],
  cameHome: readonly MoveRecord[],
  residue: readonly ConnectionId[],
  now: number,
): Map<ConnectionId, ServerId> {
  const away = new Map<ConnectionId, ServerId>()
  for (const { to, moves } of went) for (const { connection, state } of moves) if (state.state === 'moved') away.set(connection.id, to)
  for (const { connection, state } of cameHome) {
    // Whoever may have got there after all is not brought there a second time either.
    const came = state.state === 'moved' || (state.state === 'failed' && state.residue)
    if (came && state.at > now - homeOnceMs) away.delete(connection.id)
  }
  for (const id of residue) away.delete(id)
  return away
}

/** Whether optional moves leave this source alone: it had a migration lately, other than of users on this way home. */
export function isCooling(source: ServerId, home: ServerId, migrations: readonly Migration[], cooldownMs: number, now: number): boolean {
  return migrations.some(
    ({ fromServerId, toServerId, reason, connectionsMoved, completedAt }) =>
      fromServerId === source &&
      connectionsMoved > 0 &&
      !(reason === 'failback' && toServerId === home) &&
      (completedAt ?? now) + cooldownMs > now,
  )
}

export interface Homecoming {
  /** May go home now or later. */
  readonly candidates: readonly ConnectionId[]
  /** Go now. */
  readonly go: readonly ConnectionId[]
  /** How many a batch has from now on. */
  readonly batchSize: number | null
}

/** Who goes home in the next batch: only who is still where we put him, is free to be moved, and finds room at home. */
export function homecoming(input: {
  readonly failback: Failback
  readonly policy: FailbackPolicy
  readonly placement: PlacementPolicy
  readonly away: ReadonlyMap<ConnectionId, ServerId>
  readonly listed: readonly { readonly serverId: ServerId; readonly connections: readonly Connection[] }[]
  /** Who is at home as of the newest listing. */
  readonly atHome: readonly Connection[]
  readonly targets: readonly Target[]
  readonly home: ServerId
  /** Places at home that are reserved for others. */
  readonly reserved: number
}): Homecoming {
  const { failback, policy, placement, away, targets } = input
  const none = { candidates: [], go: [], batchSize: failback.batchSize }
  const home = targets.find(({ server }) => server.id === input.home)
  if (!home) return none
  const there = new Set(input.atHome.map(({ id }) => id))
  const present = input.listed
    .flatMap(({ serverId, connections }) => connections.map((connection) => ({ connection, at: serverId })))
    .filter(({ connection, at }) => away.get(connection.id) === at && connection.mobility === 'free' && !there.has(connection.id))
    .sort((a, b) => compareIds(a.connection.id, b.connection.id))
  const worth = policy.strategy === 'best-score' ? gaining(present, home, input) : present
  const candidates = worth.map(({ connection }) => connection.id)
  const batchSize =
    policy.strategy === 'gradual' ? (failback.batchSize ?? Math.max(1, Math.ceil((candidates.length * policy.batchPercent) / 100))) : null
  // Those whom the host has assigned there meanwhile count, also where its server list does not say so yet.
  const load = Math.max(home.load ?? 0, there.size + input.reserved)
  const room = roomOf({ ...home, load }, placement.fillLimit, placement)
  return { candidates, go: candidates.slice(0, Math.min(room, batchSize ?? candidates.length)), batchSize }
}

type Present = { readonly connection: Connection; readonly at: ServerId }

/** For whom home scores better by `minGain`. Each who goes makes home fuller and the other place emptier for the next. */
function gaining(
  present: readonly Present[],
  home: Target,
  { policy, placement, targets }: { policy: FailbackPolicy; placement: PlacementPolicy; targets: readonly Target[] },
): Present[] {
  const regions = new Set(present.map(({ connection }) => connection.region))
  const context = contextOf({ targets, only: null, sourceDomains: [], policy: placement, reason: 'failback' }, new Set(), regions)
  const byId = new Map(targets.map((target) => [target.server.id, target]))
  const left = new Map<ServerId, number>()
  const score = (cohort: Cohort, target: Target, arriving: number) =>
    scoreWithout(contributionsOf(cohort, target, arriving, context), target, arriving, context)
  let arrived = 0
  return present.filter(({ connection, at }) => {
    const here = byId.get(at)
    if (!here) return false
    const cohort: Cohort = { key: '', sample: connection, refusedBy: new Set() }
    const gain = score(cohort, home, arrived + 1) - score(cohort, here, -(left.get(at) ?? 0))
    if (gain < policy.minGain) return false
    arrived++
    left.set(at, (left.get(at) ?? 0) + 1)
    return true
  })
}
