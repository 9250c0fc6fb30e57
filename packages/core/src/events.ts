import type { ErrorCode } from './errors.ts'
import type {
  ConnectionId,
  DecisionId,
  EvacuationId,
  EvacuationStatus,
  FailbackState,
  GuardDenial,
  IncidentId,
  MigrationId,
  MigrationReason,
  MigrationStatus,
  Mode,
  PauseScope,
  Reason,
  ServerId,
  ServerStatus,
  Token,
  UnplacedCode,
  VerdictKind,
  Vote,
} from './vocabulary.ts'

/**
 * Every event and its payload. Names are past tense and the same on the wire; payloads are camel case here and snake
 * case there (`toWire`). All but `warning`, `migration.progress` and `leader.lost` are journalled first and told afterwards: what a
 * listener hears has happened, and `events({ after })` replays it.
 */
export interface PintailEvents {
  'server.added': { readonly serverId: ServerId; readonly name: string }
  'server.removed': { readonly serverId: ServerId; readonly name: string }
  'server.verdict_changed': {
    readonly serverId: ServerId
    /** For whom: the users of this region, or `*`: of all regions without a vantage of their own. Null: for everybody. */
    readonly audience: string | null
    readonly verdict: VerdictKind
    readonly previous: VerdictKind
    readonly reasons: readonly [Reason, ...Reason[]]
    /** Where several vantages were asked. */
    readonly votes?: readonly Vote[]
  }
  /** A vantage elsewhere does not count any more: silent, its canaries fail, or no host answers there. It abstains. */
  'vantage.lost': { readonly vantage: string; readonly region: string | null; readonly why: string }
  /** Its word counts again, from fresh samples on. */
  'vantage.returned': { readonly vantage: string; readonly region: string | null }
  /** All servers of a failure domain are down, and others are not: one cause, one thing to look at. It gets nobody. */
  'domain.failed': {
    readonly failureDomain: string
    readonly audience: string | null
    readonly servers: readonly ServerId[]
    readonly incidentIds: readonly IncidentId[]
    readonly message: string
  }
  /** None of its servers has an open incident any more. */
  'domain.recovered': { readonly failureDomain: string; readonly audience: string | null }
  'server.status_set': {
    readonly serverId: ServerId
    readonly status: ServerStatus
    readonly previous: ServerStatus
    /** Null: it was offline without an incident of ours, and `failback.adoptInactive` is on. */
    readonly incidentId: IncidentId | null
  }
  /** It has failed too often lately: it is no target and gets nobody home. Told again at most once an hour while it goes on. */
  'server.damped': { readonly serverId: ServerId; readonly outagesLastHour: number; readonly until: number; readonly message: string }
  /** Its penalty has fallen below the ceiling again. */
  'server.undamped': { readonly serverId: ServerId; readonly verdict: VerdictKind }
  'server.cordoned': { readonly serverId: ServerId }
  'server.uncordoned': { readonly serverId: ServerId }
  'incident.opened': {
    readonly incidentId: IncidentId
    readonly serverId: ServerId
    readonly suspectedAt: number
    readonly reasons: readonly [Reason, ...Reason[]]
    /** As in the record. */
    readonly audience: string | null
    readonly votes?: readonly Vote[]
  }
  /** A guard forbids acting on this incident; told again only when the reasons change. */
  'incident.held': {
    readonly incidentId: IncidentId
    readonly serverId: ServerId
    readonly guards: readonly GuardDenial[]
    readonly audience: string | null
    /** What would have happened. */
    readonly wouldHave: string
  }
  'incident.released': { readonly incidentId: IncidentId; readonly serverId: ServerId }
  'incident.acknowledged': { readonly incidentId: IncidentId; readonly serverId: ServerId }
  'incident.recovered': {
    readonly incidentId: IncidentId
    readonly serverId: ServerId
    readonly durationMs: number
    readonly audience: string | null
    /** True if we set the status back; false if it is the operator's to do, and then `advice` says why. */
    readonly statusRestored: boolean
    readonly advice: string | null
  }
  /** It ended without a recovery: the server is gone from the registry, or down for everybody, by another incident. */
  'incident.closed': {
    readonly incidentId: IncidentId
    readonly serverId: ServerId
    readonly audience: string | null
    readonly advice: string
  }
  /** Users go home, or do not: each batch that is decided, and how it ended. */
  'failback.changed': {
    readonly incidentId: IncidentId
    readonly serverId: ServerId
    readonly state: FailbackState
    /** Of the batch; null where nothing is carried out. */
    readonly evacuationId: EvacuationId | null
    /** Connections of the batch that was just decided. */
    readonly connections: number
    /** Brought home so far. */
    readonly moved: number
    readonly message: string
  }
  /** A rule forbade acting, with what would have happened. Loud on purpose. */
  'guard.denied': GuardDenial & {
    readonly serverId: ServerId | null
    readonly incidentId: IncidentId | null
    readonly audience: string | null
    /** As `would have moved 120 users off de-1`. */
    readonly wouldHave: string
  }
  'guard.overridden': { readonly incidentId: IncidentId; readonly until: number }
  'decision.made': {
    readonly decisionId: DecisionId
    readonly incidentId: IncidentId | null
    readonly reason: MigrationReason
    readonly mode: Mode
    readonly connections: number
    readonly placed: number
    readonly unplaced: number
  }
  'evacuation.created': {
    readonly evacuationId: EvacuationId
    readonly incidentId: IncidentId | null
    readonly fromServerIds: readonly ServerId[]
    readonly status: EvacuationStatus
    readonly connections: number
    readonly migrations: number
    readonly unplaced: number
  }
  'evacuation.approved': { readonly evacuationId: EvacuationId }
  'evacuation.completed': {
    readonly evacuationId: EvacuationId
    readonly moved: number
    readonly unplaced: number
    readonly durationMs: number
  }
  'evacuation.cancelled': { readonly evacuationId: EvacuationId; readonly moved: number; readonly why: string }
  'migration.created': {
    readonly id: MigrationId
    readonly serverId: ServerId
    readonly status: MigrationStatus
    readonly fromServerId: ServerId
    readonly toServerId: ServerId
    readonly savingsEurHour: number | null
    readonly evacuationId: EvacuationId
    readonly reason: MigrationReason
    readonly connections: number
  }
  'migration.status_changed': {
    readonly id: MigrationId
    readonly oldStatus: MigrationStatus
    readonly newStatus: MigrationStatus
  }
  /** A person has set when it may start at the earliest. */
  'migration.rescheduled': { readonly id: MigrationId; readonly notBefore: number }
  /** At most ten a second for one migration, and always one at the end of a phase. */
  'migration.progress': {
    readonly id: MigrationId
    readonly status: MigrationStatus
    readonly progress: number
    readonly message: string
    readonly moved: number
    readonly failed: number
    readonly total: number
    /** As in the record. */
    readonly expectedEndAt: number | null
  }
  'migration.completed': {
    readonly id: MigrationId
    readonly durationSeconds: number
    readonly connectionsMoved: number
    readonly connectionsFailed: number
    readonly success: true
  }
  'migration.failed': {
    readonly id: MigrationId
    readonly error: string
    readonly rollbackSuccess: boolean | null
    readonly residue: readonly ConnectionId[]
  }
  'migration.cancelled': { readonly id: MigrationId; readonly connectionsMoved: number; readonly why: string }
  'migration.deleted': { readonly id: MigrationId }
  'move.started': {
    readonly key: string
    readonly migrationId: MigrationId
    readonly connectionId: ConnectionId
    readonly fromServerId: ServerId
    readonly toServerId: ServerId
    readonly fencingToken: Token
  }
  'connection.moved': {
    readonly key: string
    readonly migrationId: MigrationId
    readonly connectionId: ConnectionId
    readonly fromServerId: ServerId
    readonly toServerId: ServerId
    readonly reason: MigrationReason
  }
  'connection.move_failed': {
    readonly key: string
    readonly migrationId: MigrationId
    readonly connectionId: ConnectionId
    readonly fromServerId: ServerId
    readonly toServerId: ServerId
    readonly reason: MigrationReason
    readonly permanent: boolean
    /** Whether a grant on the target was taken back again. */
    readonly rolledBack: boolean
    readonly error: string
  }
  /** The notifier could not tell the user where he is now; the move stands, and a living source keeps its grant for the whole grace. */
  'connection.undelivered': {
    readonly migrationId: MigrationId
    readonly connectionId: ConnectionId
    /** Where the user is now. */
    readonly serverId: ServerId
    readonly error: string
  }
  'connection.skipped': { readonly migrationId: MigrationId; readonly connectionId: ConnectionId; readonly why: string }
  'connection.unplaced': {
    readonly connectionId: ConnectionId
    readonly serverId: ServerId
    readonly code: UnplacedCode
    readonly message: string
    readonly evacuationId: EvacuationId | null
  }
  'revoke.pending': { readonly serverId: ServerId; readonly connectionId: ConnectionId; readonly error: string }
  'revoke.settled': { readonly serverId: ServerId; readonly connectionId: ConnectionId }
  /**
   * The engine's own advice, by the level that `mode` gives it: told only, suggested, or begun. Told again when it is
   * another server's, or when it had expired.
   */
  'advice.given': {
    readonly reason: 'cost-optimization' | 'rebalancing'
    /** The server to be left. */
    readonly serverId: ServerId
    readonly mode: Mode
    /** What was made of it; null: nothing, because nobody is to be moved or the mode is `observe`. */
    readonly evacuationId: EvacuationId | null
    readonly connections: number
    readonly savingsEurHour: number | null
    readonly savingsEurMonth: number | null
    readonly message: string
  }
  /** It holds no longer: its evacuation starts nothing more. */
  'advice.expired': {
    readonly reason: 'cost-optimization' | 'rebalancing'
    readonly serverId: ServerId
    readonly evacuationId: EvacuationId
    readonly why: string
  }
  'pause.set': { readonly scope: PauseScope; readonly reason: string | null; readonly until: number | null }
  'pause.lifted': { readonly scope: PauseScope }
  'policy.changed': { readonly version: number }
  'leader.acquired': { readonly token: Token; readonly holder: string }
  'leader.lost': { readonly token: Token; readonly holder: string }
  /** Something is wrong that stopped nothing: a malformed row, a throwing listener, a missing prober. */
  warning: {
    readonly code: ErrorCode | 'listener_failed' | 'sink_failed' | 'capability_missing' | 'registry_stale' | 'advice'
    readonly message: string
    readonly remedy?: string
    readonly serverId?: ServerId
    /** How often since the start, for warnings that repeat. */
    readonly count?: number
  }
}

export type EventType = keyof PintailEvents

/** Told as they happen and never replayed: they carry no sequence number. */
export type TransientEventType = 'warning' | 'migration.progress' | 'leader.lost'

/** One event with its place in the journal. `seq` is 0 for transient ones. */
export type PintailEvent = {
  [T in EventType]: { readonly seq: number; readonly type: T; readonly at: number; readonly data: PintailEvents[T] }
}[EventType]

/** An event before the journal has given it its number. */
export type EventDraft = {
  [T in EventType]: { readonly type: T; readonly at: number; readonly data: PintailEvents[T] }
}[EventType]
