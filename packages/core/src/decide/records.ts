import { everybodyElse } from '../detect/votes.ts'
import type {
  Connection,
  DecisionId,
  DecisionRecord,
  Evacuation,
  EvacuationId,
  FleetStatus,
  GuardCode,
  GuardDenial,
  Incident,
  IncidentId,
  Migration,
  MigrationId,
  MigrationReason,
  Mode,
  MoveRecord,
  OperatorWord,
  PauseScope,
  Plan,
  Server,
  TriggeredBy,
  Verdict,
} from '../vocabulary.ts'
import { optionalReasons } from './guard.ts'

/** Records as they begin: everything that is not known yet is null or zero, version 1 is the first that is kept. */

export function newIncident(
  id: IncidentId,
  server: Server,
  verdict: Verdict,
  suspectedAt: number,
  now: number,
  known: Pick<Incident, 'audience' | 'failureDomain' | 'votes' | 'evidence' | 'control' | 'statusWrite'>,
): Incident {
  return {
    id,
    serverId: server.id,
    serverName: server.name,
    status: 'open',
    suspectedAt,
    openedAt: now,
    recoveredAt: null,
    reasons: verdict.reasons,
    heldBy: [],
    decisionId: null,
    evacuationId: null,
    acknowledgedAt: null,
    overrideUntil: null,
    failback: null,
    ...known,
    version: 0,
  }
}

export function newEvacuation(
  id: EvacuationId,
  decisionId: DecisionId,
  plan: Plan,
  mode: Mode,
  triggeredBy: TriggeredBy,
  incident: Incident | null,
  now: number,
): Evacuation {
  return {
    id,
    incidentId: incident?.id ?? null,
    audience: incident?.audience ?? null,
    decisionId,
    fromServerIds: plan.fromServerIds,
    onlyConnections: plan.onlyConnections,
    toServerId: plan.toServerId,
    reason: plan.reason,
    mode,
    status: mode === 'auto' ? 'running' : 'suggested',
    triggeredBy,
    notes: null,
    retryOf: null,
    createdAt: now,
    approvedAt: mode === 'auto' ? now : null,
    endedAt: null,
    cancelledWhy: null,
    connections: connectionsIn(plan),
    moved: 0,
    progress: 0,
    expectedEndAt: null,
    unplaced: plan.unplaced,
    emptyListings: 0,
    nextLookAt: now,
    version: 0,
  }
}

/** The guards that were asked before a decision: each allowed it, or was overridden by a person. */
export function askedGuards(
  reason: MigrationReason,
  isIncident: boolean,
  /** False: it goes on with an evacuation that was allowed to begin. */
  isFirst: boolean,
  hostHasGuards: boolean,
  /** What the mass-failure guard would have said, had the operator not overridden it. */
  overridden: GuardDenial | null,
): DecisionRecord['guards'] {
  const asked: GuardCode[] = ['paused', 'mass_failure', 'no_control', 'registry_stale']
  if (isIncident) asked.push('too_few_servers')
  if (hostHasGuards) asked.push('host')
  if (!isIncident && isFirst) asked.push('source_busy', ...(optionalReasons.includes(reason) ? (['cooldown'] as const) : []))
  return asked.map((guard) => ({ guard, denial: guard === 'mass_failure' ? overridden : null }))
}

export function newDecision(
  id: DecisionId,
  plan: Plan,
  mode: Mode,
  incident: Incident | null,
  evacuationId: EvacuationId | null,
  verdicts: DecisionRecord['verdicts'],
  policyVersion: number,
  guards: DecisionRecord['guards'],
  now: number,
): DecisionRecord {
  const connections = connectionsIn(plan)
  return {
    id,
    at: now,
    reason: plan.reason,
    mode,
    incidentId: incident?.id ?? null,
    evacuationId,
    fromServerIds: plan.fromServerIds,
    verdicts,
    evidence: incident?.evidence ?? [],
    control: incident?.control ?? null,
    guards,
    cohorts: plan.cohorts,
    connections,
    placed: connections - plan.unplaced.length,
    unplaced: plan.unplaced.length,
    coverage: plan.coverage,
    policyVersion,
    version: 1,
  }
}

export function newMigration(
  id: MigrationId,
  evacuation: Evacuation,
  decisionId: DecisionId,
  [from, to]: readonly [Server, Server],
  connections: number,
  maxRetries: number,
  now: number,
): Migration {
  const status = evacuation.status === 'running' ? 'scheduled' : 'suggested'
  return {
    id,
    evacuationId: evacuation.id,
    decisionId,
    fromServerId: from.id,
    fromServerName: from.name,
    toServerId: to.id,
    toServerName: to.name,
    status,
    reason: evacuation.reason,
    triggeredBy: evacuation.triggeredBy,
    notes: evacuation.notes,
    savingsEurHour: null,
    savingsEurMonth: null,
    createdAt: now,
    approvedAt: null,
    scheduledAt: status === 'scheduled' ? now : null,
    startedAt: null,
    completedAt: null,
    notBefore: null,
    cancelledWhy: null,
    connectionCountAtStart: connections,
    connectionsMoved: 0,
    connectionsFailed: 0,
    connectionsSkipped: 0,
    progress: 0,
    expectedEndAt: null,
    retryCount: 0,
    maxRetries,
    retryOf: evacuation.retryOf,
    errorMessage: null,
    rollbackSuccess: null,
    residue: [],
    warnings: [],
    version: 1,
  }
}

export function newMove(migrationId: MigrationId, connection: Connection): MoveRecord {
  const id = `${migrationId}/${connection.id}`
  return { id, migrationId, connection, attempt: 1, state: { state: 'pending' }, version: 1 }
}

export function skippedMove(move: MoveRecord, at: number, why: string): MoveRecord {
  return { ...move, state: { state: 'skipped', at, why }, version: move.version + 1 }
}

function connectionsIn(plan: Plan): number {
  return plan.placements.reduce((sum, part) => sum + part.connections.length, 0) + plan.unplaced.length
}

/** What an engine has to tell that does not lead: nothing but its state. */
export const idleStatus: FleetStatus = {
  state: 'idle',
  at: 0,
  leader: null,
  servers: [],
  vantages: [],
  observations: { taken: 0, refused: {} },
  failingDomains: [],
  counts: { up: 0, suspect: 0, down: 0, unknown: 0 },
  incidents: [],
  evacuations: [],
  migrations: [],
  guards: [],
  pauses: [],
  registry: { listedAt: null, stale: false, skippedRows: 0 },
  storeTrouble: null,
  lastCheckAt: null,
  pendingRevokes: 0,
  lastSeq: 0,
}

/** Where the word about a pause is kept: one a scope, the newest wins. */
export function pauseKey(scope: PauseScope): string {
  if (scope === 'all') return 'pause/all'
  const [[kind, id]] = Object.entries(scope) as [[string, string]]
  return `pause/${kind}/${id}`
}

/** Where an operator's word is kept: one a scope, the newest wins. */
export function wordKey(word: OperatorWord): string {
  if (word.kind === 'cordon') return `cordon/${word.serverId}`
  if (word.kind === 'pause') return pauseKey(word.scope)
  return 'policy'
}

/** The key that makes a repeated call harmless: it changes only after a confirmed rollback. */
export function keyOf(record: MoveRecord): string {
  return `${record.id}/${record.attempt}`
}

/** What a guard has kept from happening, in words. @param users null: nobody has counted them */
export function wouldHave(server: string, audience: string | null, users: number | null): string {
  const whose = audience === null ? '' : audience === everybodyElse ? ' of other regions' : ` of region ${audience}`
  const many = users === null ? 'the users' : `${users} user${users === 1 ? '' : 's'}`
  return `would have moved ${many}${whose} off ${server}`
}
