/**
 * The words of Pintail, as types. Imports nothing; everything else imports this.
 * Times are milliseconds since 1970 (`number`); `toWire` turns them into ISO 8601.
 */

declare const brand: unique symbol
/** A string that only a parser may mint, so that a server's id is never handed in where a connection's is meant. */
type Id<Kind extends string> = string & { readonly [brand]: Kind }

export type ServerId = Id<'server'>
export type ConnectionId = Id<'connection'>
export type IncidentId = Id<'incident'>
export type EvacuationId = Id<'evacuation'>
export type MigrationId = Id<'migration'>
export type DecisionId = Id<'decision'>
/** A store-wide rising number: the leader's sole right to act. A target with enforced fencing refuses a lower one. */
export type Token = number & { readonly [brand]: 'token' }

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

// ---------------------------------------------------------------------------------------------- servers, connections

/** The registry's word about a server; adapters map theirs onto it. */
export type ServerStatus = 'online' | 'offline' | 'maintenance'

/** Degrees. */
export interface Coordinates {
  readonly latitude: number
  readonly longitude: number
}

/** How busy a server's machine is, percent, 0–100 each; null: unknown. */
export interface Resources {
  readonly cpuPercent: number | null
  readonly memoryPercent: number | null
  readonly diskPercent: number | null
}

/** A VPN server, as parsed from a registry's row. */
export interface Server {
  readonly id: ServerId
  /** The id as the registry gave it (`3` and `"3"` are one server): for adapters whose own calls want a number. */
  readonly rawId: string | number
  /** A validated IPv4, IPv6 or DNS name. */
  readonly host: string
  readonly name: string
  readonly status: ServerStatus
  readonly port: number | null
  readonly region: string | null
  readonly country: string | null
  readonly coordinates: Coordinates | null
  /** What fails together: a rack, a data centre, a provider. */
  readonly failureDomain: string | null
  /** How many connections fit; null: unknown. */
  readonly capacity: number | null
  /** How many are there; null: Pintail counts them while planning. */
  readonly load: number | null
  readonly resources: Resources
  readonly protocols: readonly string[]
  /** What it can do beside that, in the host's own words: `p2p`, `ipv6`, `streaming` … */
  readonly features: readonly string[]
  readonly priceEurHour: number | null
  readonly meta: JsonObject | null
}

/** `free`: may be moved for any reason. `failure-only`: only off a server that is down. `pinned`: never. */
export type Mobility = 'free' | 'failure-only' | 'pinned'

/** What a connection needs of a server; an absent list means that anything will do, an empty one of countries or regions that none will. */
export interface Needs {
  /** All of these must be among the server's protocols. */
  readonly protocols?: readonly string[]
  /** All of these must be among the server's features. */
  readonly features?: readonly string[]
  /** The server's country must be one of these. */
  readonly countries?: readonly string[]
  /** The server's region must be one of these. */
  readonly regions?: readonly string[]
}

/** One user's assignment to a server: what is moved. Its id survives the move. */
export interface Connection {
  readonly id: ConnectionId
  readonly rawId: string | number
  readonly userId: string | null
  readonly region: string | null
  readonly needs: Needs
  readonly mobility: Mobility
  /** Higher tiers are placed first when room is short. Default 0. */
  readonly tier: number
  readonly preferredServer: ServerId | null
  readonly meta: JsonObject | null
}

// ---------------------------------------------------------------------------------------------------- probes, verdicts

/** Why a probe got no answer. Only these count against a server; a prober that could not try at all throws instead. */
export type ProbeFailureKind = 'no_reply' | 'refused' | 'unreachable' | 'wrong_answer' | 'too_slow'

export interface ProbeFailure {
  readonly kind: ProbeFailureKind
  /** The layer that failed, e.g. `icmp`, `tcp`, `tls`, `handshake`. */
  readonly layer: string
  readonly detail?: string
}

/** The raw outcome of one check: N packets of one prober from one vantage. */
export interface Sample {
  readonly serverId: ServerId
  readonly vantage: string
  readonly prober: string
  /** When the first packet was sent. */
  readonly sentAt: number
  readonly sent: number
  readonly received: number
  /** Round-trip times of the answers, milliseconds. */
  readonly rttMs: readonly number[]
  readonly failure: ProbeFailure | null
}

export type VerdictKind = 'up' | 'suspect' | 'down' | 'unknown'

export type ReasonCode =
  | 'not_probed_yet'
  | 'answers'
  | 'no_reply'
  | 'packet_loss'
  | 'latency'
  | 'recovering'
  | 'vantage_unhealthy'
  | 'prober_failed'
  | 'gone_from_registry'
  | 'quorum'
  | 'no_quorum'

/** One piece of evidence, for machines (`code`, `values`) and for people (`message`). */
export interface Reason {
  readonly code: ReasonCode
  readonly message: string
  readonly values?: Readonly<Record<string, number | string>>
}

/** One vantage's word about one server. `unknown` is no vote: it has no opinion, or is not healthy. */
export interface Vote {
  readonly vantage: string
  readonly verdict: VerdictKind
  readonly since: number
  /** By which checks, or why it abstains, for people. */
  readonly reason: string
}

/** What the samples mean. Judgements carry reasons. */
export interface Verdict {
  readonly verdict: VerdictKind
  readonly since: number
  readonly reasons: readonly [Reason, ...Reason[]]
  /** Where several vantages were asked: what each said. Absent: the engine's own vantage alone decides. */
  readonly votes?: readonly Vote[]
}

// ------------------------------------------------------------------------------------------------------------- guards

export type GuardCode =
  | 'no_control'
  | 'too_few_servers'
  | 'mass_failure'
  | 'all_down'
  | 'paused'
  | 'host'
  | 'cooldown'
  | 'source_busy'
  | 'registry_stale'
  | 'no_limit'
  | 'window'
  | 'scaling'
  | 'queue'

/** A rule that forbids acting now, with a reason. */
export interface GuardDenial {
  readonly guard: GuardCode
  readonly message: string
  readonly remedy: string
  readonly values?: Readonly<Record<string, number | string>>
}

/** How far Pintail goes by itself: decide and journal; propose and wait for a person; act. Seed 004's levels 0, 1, 2. */
export type Mode = 'observe' | 'suggest' | 'auto'

// --------------------------------------------------------------------------------------------------- ranking, placement

export type Factor = 'headroom' | 'latency' | 'stability' | 'region' | 'failure_domain' | 'cost' | 'preference'

/** One factor's part in a score: `value` 0..1 times `weight`. `note` says what the value rests on. */
export interface Contribution {
  readonly factor: Factor
  readonly value: number
  readonly weight: number
  readonly note: string
}

export type ExclusionCode =
  | 'is_source'
  | 'not_asked_for'
  | 'not_online'
  | 'maintenance'
  | 'cordoned'
  | 'down'
  | 'suspect'
  | 'unknown'
  | 'damped'
  | 'protocol_missing'
  | 'feature_missing'
  | 'pinned'
  | 'country_not_allowed'
  | 'region_not_allowed'
  | 'full'
  | 'capacity_unknown'
  | 'load_unknown'
  | 'refused_before'
  | 'overloaded'
  | 'not_listed'
  | 'down_for_audience'
  | 'failing_domain'

/** A server as a target for one cohort: either its score with all contributions, or why it is none. */
export type Candidate =
  | { readonly serverId: ServerId; readonly score: number; readonly contributions: readonly Contribution[] }
  | { readonly serverId: ServerId; readonly excluded: ExclusionCode; readonly message: string }

/**
 * `no_gain`: it need not move, and no place is better by `placement.minGain`. `being_moved`: a move of this connection is open already, in another evacuation; it is looked at
 * again when that one has settled.
 */
export type UnplacedCode = 'pinned' | 'no_gain' | 'no_capacity' | 'no_candidate' | 'refused_everywhere' | 'being_moved'

export interface Unplaced {
  readonly connectionId: ConnectionId
  readonly code: UnplacedCode
  readonly message: string
}

/** Connections with identical needs, ranked and placed together. */
export interface CohortDecision {
  readonly cohort: string
  readonly region: string | null
  readonly connections: number
  /** The twenty best, best first. */
  readonly candidates: readonly Candidate[]
  /** How many servers were excluded, by reason. */
  readonly exclusions: Readonly<Partial<Record<ExclusionCode, number>>>
  readonly placed: readonly { readonly serverId: ServerId; readonly connections: number }[]
  readonly unplaced: Readonly<Partial<Record<UnplacedCode, number>>>
}

// ---------------------------------------------------------------------------------------------------------- the records

export type MigrationReason =
  | 'server-down'
  | 'degraded'
  | 'cost-optimization'
  | 'manual'
  | 'rebalancing'
  | 'maintenance'
  | 'failback'
  | 'user-request'

export type TriggeredBy = 'system' | 'admin' | 'user'

export type MigrationStatus =
  | 'suggested'
  | 'approved'
  | 'scheduled'
  | 'preparing'
  | 'transferring'
  | 'completing'
  | 'completed'
  | 'failed'
  | 'cancelled'

/** A group of connections going from one server to one other: seed 004's record, in camel case. */
export interface Migration {
  readonly id: MigrationId
  readonly evacuationId: EvacuationId
  readonly decisionId: DecisionId
  readonly fromServerId: ServerId
  readonly fromServerName: string
  readonly toServerId: ServerId
  readonly toServerName: string
  readonly status: MigrationStatus
  readonly reason: MigrationReason
  readonly triggeredBy: TriggeredBy
  /** Free text of whoever asked for it, at most 2 000 characters. */
  readonly notes: string | null
  /** Its part, by users, of what giving back the source saves: EUR/h with four decimals; null: it is not made of such advice. */
  readonly savingsEurHour: number | null
  /** The same for 730 hours, two decimals. */
  readonly savingsEurMonth: number | null
  readonly createdAt: number
  readonly approvedAt: number | null
  readonly scheduledAt: number | null
  readonly startedAt: number | null
  readonly completedAt: number | null
  /** Not started before then: the pause before a retry, or the time that a person chose. Null: at once, or started already. */
  readonly notBefore: number | null
  /** Why it is being cancelled; set as soon as nothing more is started, while what is under way still settles. */
  readonly cancelledWhy: string | null
  readonly connectionCountAtStart: number
  readonly connectionsMoved: number
  readonly connectionsFailed: number
  /** Connections that needed no move any more: deleted or moved by the host, or spared by a recovery. */
  readonly connectionsSkipped: number
  /** 0..100. */
  readonly progress: number
  /** When its last move is likely to be over, by the pace seen and the configured rates; null: it moves nobody now, is held, or too little was seen. A live figure: null in the store. */
  readonly expectedEndAt: number | null
  readonly retryCount: number
  readonly maxRetries: number
  /** The ended migration that an operator asked to be tried again by this one. */
  readonly retryOf: MigrationId | null
  readonly errorMessage: string | null
  /** What happened, not what was hoped: null while there was nothing to roll back. */
  readonly rollbackSuccess: boolean | null
  /** Connections that may hold a grant on the target after a failed migration. */
  readonly residue: readonly ConnectionId[]
  readonly warnings: readonly string[]
  readonly version: number
}

/** Seed 004's figures over migrations. */
export interface MigrationStats {
  readonly total: number
  readonly byStatus: Readonly<Record<MigrationStatus, number>>
  /** Completed ones as a share of those that completed or failed, 0..1; null: none has. */
  readonly successRate: number | null
  /** From start to completion, mean of the completed ones; null: none has. */
  readonly averageDurationSeconds: number | null
  /** Of the completed ones that have such a figure. */
  readonly totalSavingsEurHour: number
  readonly totalSavingsEurMonth: number
  /** Failed ones by what they were made for. */
  readonly failuresByReason: Readonly<Partial<Record<MigrationReason, number>>>
  /** Failed ones by why they failed, the most frequent twenty. */
  readonly failures: readonly { readonly error: string; readonly count: number }[]
}

/** States own their data. `moving` and `undoing` are written before the effect, the others after it. */
export type MoveState =
  | { readonly state: 'pending' }
  | { readonly state: 'moving'; readonly token: Token; readonly since: number }
  /** `undelivered`: the notifier could not tell the user. */
  | { readonly state: 'moved'; readonly at: number; readonly startedAt: number; readonly undelivered?: true }
  /** Being brought back to a living source, because the target failed. */
  | { readonly state: 'undoing'; readonly since: number; readonly startedAt: number; readonly why: string; readonly undelivered?: true }
  /** `residue`: it is not known to be undone, and may have left something on the target, or the user himself. */
  | { readonly state: 'failed'; readonly at: number; readonly permanent: boolean; readonly error: string; readonly residue?: true }
  | { readonly state: 'skipped'; readonly at: number; readonly why: string }

/** One connection's part of a migration; it settles singly. */
export interface MoveRecord {
  /** `migration/connection`: the record's id. The key handed to the mover adds the attempt. */
  readonly id: string
  readonly migrationId: MigrationId
  readonly connection: Connection
  /** Rises only after a confirmed rollback, so that a repeated call carries the same key. */
  readonly attempt: number
  readonly state: MoveState
  readonly version: number
}

export type EvacuationStatus = 'suggested' | 'running' | 'completed' | 'cancelled'

/** All migrations of one incident, drain or request. */
export interface Evacuation {
  readonly id: EvacuationId
  readonly incidentId: IncidentId | null
  /** Only users of this audience are to move (`Incident.audience`); null: of any. Absent in records of older versions: null. */
  readonly audience?: string | null
  readonly decisionId: DecisionId
  readonly fromServerIds: readonly ServerId[]
  /** Only these are to move; null: everybody on the sources. */
  readonly onlyConnections: readonly ConnectionId[] | null
  /** The only server that they may go to; null: whichever is best. */
  readonly toServerId: ServerId | null
  readonly reason: MigrationReason
  readonly mode: Mode
  readonly status: EvacuationStatus
  readonly triggeredBy: TriggeredBy
  /** Kept on each of its migrations. */
  readonly notes: string | null
  /** The ended migration that this one tries again. */
  readonly retryOf: MigrationId | null
  readonly createdAt: number
  readonly approvedAt: number | null
  readonly endedAt: number | null
  /** Why it was cancelled; set as soon as nothing more is started, while what is under way still settles. */
  readonly cancelledWhy: string | null
  readonly connections: number
  /** While it runs, the figure of this moment. */
  readonly moved: number
  /** 0..100: the share that has moved; 100 once it is completed. */
  readonly progress: number
  /** When the last of its migrations is likely to end; null: it is not known of all of them. A live figure: null in the store. */
  readonly expectedEndAt: number | null
  readonly unplaced: readonly Unplaced[]
  /** Listings of the source in a row that found nobody left to plan; two end the evacuation. */
  readonly emptyListings: number
  /** Not listed and planned again before then. */
  readonly nextLookAt: number
  readonly version: number
}

/** What to plan: whole servers, or some connections of one. */
export interface PlanRequest {
  readonly drain: readonly (string | number)[]
  /** Only these of their connections. Default: all. */
  readonly connections?: readonly (string | number)[]
  /** The only server that they may go to. Default: whichever is best. */
  readonly to?: string | number
  /** Default `manual`. */
  readonly reason?: MigrationReason
}

export type IncidentStatus = 'open' | 'recovered' | 'closed'

/** A status that we wrote into the registry: restored only if nobody changed it since. */
export interface StatusWrite {
  readonly status: ServerStatus
  readonly previous: ServerStatus
  readonly at: number
  /** False between the intent and the registry's answer. */
  readonly confirmed: boolean
  /** When the registry was first seen to show it; null: not yet. */
  readonly seenAt: number | null
  /** When the registry was first seen to show something else after that: then it is not ours any more. */
  readonly changedAt: number | null
  readonly restoredAt: number | null
}

/** `waiting` for the server to be stable; `running`: a batch is under way, or the next one waits for its time. */
export type FailbackState = 'waiting' | 'running' | 'done' | 'abandoned'

/** Bringing home those whom an incident's evacuation had moved off its server. */
export interface Failback {
  readonly state: FailbackState
  /** Of the last change. */
  readonly since: number
  /** The evacuation that brings the present batch home, until it has been judged; null: none. */
  readonly evacuationId: EvacuationId | null
  /** Batches decided so far. */
  readonly batches: number
  /** Connections a batch has, once the first is decided; null before, and where all go at once. */
  readonly batchSize: number | null
  /** Connections brought home so far. */
  readonly moved: number
  /** The next batch is not decided before. */
  readonly nextAt: number
  /** Why it ended, or waits again. */
  readonly why: string | null
}

/** From a confirmed `down` to the confirmed recovery of a server, or of a server for one audience. */
export interface Incident {
  readonly id: IncidentId
  readonly serverId: ServerId
  readonly serverName: string
  /**
   * The users for whom it is down: those of this region, or `*`: of all regions without a vantage of their own. Such an
   * incident never sets the server's status. Null: it is down for everybody. Absent in records of older versions: null.
   */
  readonly audience?: string | null
  /** The failure domain that has failed as a whole, this server with it; null or absent: none has. */
  readonly failureDomain?: string | null
  readonly status: IncidentStatus
  /** When the first check failed. */
  readonly suspectedAt: number
  readonly openedAt: number
  readonly recoveredAt: number | null
  readonly reasons: readonly [Reason, ...Reason[]]
  /** What each vantage said when it was opened; absent: the engine's own alone decided. */
  readonly votes?: readonly Vote[]
  /** The last samples before the verdict. */
  readonly evidence: readonly Sample[]
  /** The host that answered since the suspicion began, so that the prober is not the broken one. */
  readonly control: { readonly host: string; readonly at: number } | null
  /** Why nothing is done now; empty: nothing forbids it. */
  readonly heldBy: readonly GuardDenial[]
  /** The answer to why; null until the guards allowed a decision. */
  readonly decisionId: DecisionId | null
  readonly evacuationId: EvacuationId | null
  readonly statusWrite: StatusWrite | null
  /** Who was moved away may go home; null: nobody does. */
  readonly failback: Failback | null
  readonly acknowledgedAt: number | null
  /** The operator's explicit leave to act against the mass-failure guard, until then. */
  readonly overrideUntil: number | null
  readonly version: number
}

/** The record of why: one an incident and plan. */
export interface DecisionRecord {
  readonly id: DecisionId
  readonly at: number
  readonly reason: MigrationReason
  readonly mode: Mode
  readonly incidentId: IncidentId | null
  readonly evacuationId: EvacuationId | null
  readonly fromServerIds: readonly ServerId[]
  readonly verdicts: readonly { readonly serverId: ServerId; readonly verdict: Verdict }[]
  readonly evidence: readonly Sample[]
  readonly control: { readonly host: string; readonly at: number } | null
  /** What was asked and what it answered: null means that it allowed. */
  readonly guards: readonly { readonly guard: GuardCode; readonly denial: GuardDenial | null }[]
  readonly cohorts: readonly CohortDecision[]
  readonly connections: number
  readonly placed: number
  readonly unplaced: number
  readonly coverage: Coverage
  readonly policyVersion: number
  readonly version: number
}

/** What a list of connections covers: everybody assigned, or only those seen lately; as of when. */
export interface Coverage {
  readonly kind: 'assigned' | 'active'
  readonly asOf: number
  /** True if the list was kept from before the failure because the registry did not answer. */
  readonly remembered: boolean
}

/** A grant that still has to be taken back: a durable obligation, also toward a dead server. */
export interface PendingRevoke {
  readonly id: string
  readonly migrationId: MigrationId
  /**
   * `complete`: the old grant on the source of a move. `rollback`: what a failed move has left, or may still leave, on
   * its target; then `move.from` is where the user belongs by our books: the source, or where he was moved since.
   * Absent in records of older versions: `complete`.
   */
  readonly effect?: 'complete' | 'rollback'
  /** The server whose grant it is. */
  readonly serverId: ServerId
  readonly move: Move
  /** The notifier has told the user about this grant, so it tells him too when it is taken back. */
  readonly wasTold?: true
  readonly createdAt: number
  /**
   * Not before. `complete`: now for a dead source, after the grace for a living one whose user may not have followed
   * yet. `rollback`: when the next try is due, or when a call that was given up can no longer take effect.
   */
  readonly dueAt: number
  readonly tries: number
  readonly lastError: string | null
  readonly version: number
}

/** What the operator said; it outlives restarts. */
export type OperatorWord =
  | { readonly kind: 'cordon'; readonly serverId: ServerId; readonly at: number; readonly version: number }
  | {
      readonly kind: 'pause'
      readonly scope: PauseScope
      readonly reason: string | null
      readonly at: number
      readonly until: number | null
      readonly version: number
    }
  | { readonly kind: 'policy'; readonly patch: JsonObject; readonly at: number; readonly version: number }

/** Everything, one server as the source of moves, one evacuation, or one migration. */
export type PauseScope =
  | 'all'
  | { readonly serverId: ServerId }
  | { readonly evacuationId: EvacuationId }
  | { readonly migrationId: MigrationId }

/** What the mover is asked to do: bring one connection from one server to another. */
export interface Move {
  /** `migration/connection/attempt`: the same key never has more than one effect. */
  readonly key: string
  readonly connection: Connection
  readonly from: Server
  readonly to: Server
  readonly reason: MigrationReason
  readonly attempt: number
  readonly fencingToken: Token
  /**
   * Rises with every call that changes something (`move`, each repetition of it, `rollback`, `complete`) within one
   * fencing token. Newer is who is higher in (`fencingToken`, `epoch`), compared in this order. A target that remembers
   * the newest pair of each connection can refuse what is older with `fenced`: then a grant that was held up in the
   * network and arrives after its own rollback changes nothing. No epoch is kept, because tokens rise store-wide.
   */
  readonly epoch: number
  readonly sourceAlive: boolean
}

// ----------------------------------------------------------------------------------------------------------------- plan

/** Which connection goes where, and why. A plan is a value: `execute` refuses it when the world has changed. */
export interface Plan {
  readonly fingerprint: string
  readonly createdAt: number
  readonly reason: MigrationReason
  readonly fromServerIds: readonly ServerId[]
  /** Only these were planned; null: everybody on the sources. */
  readonly onlyConnections: readonly ConnectionId[] | null
  /** The only server that they may go to; null: whichever is best. */
  readonly toServerId: ServerId | null
  readonly placements: readonly PlannedMigration[]
  readonly unplaced: readonly Unplaced[]
  readonly cohorts: readonly CohortDecision[]
  /** When they can start, by the rate budgets and the pace seen. */
  readonly schedule: PlanSchedule
  /** Every server that is left or gets somebody, by id. */
  readonly utilisation: readonly Utilisation[]
  /** Free places that would be enough for all who found no room: as many as they are, and none could be spared. */
  readonly shortfalls: readonly Shortfall[]
  readonly coverage: Coverage
  /** What the fingerprint was made of: `execute` compares piece by piece and names what differs. */
  readonly basis: Readonly<Record<string, string>>
}

export interface PlannedMigration {
  readonly fromServerId: ServerId
  readonly toServerId: ServerId
  readonly connections: readonly Connection[]
  /** Connections on the target before and after, and how many fit (null: unknown). */
  readonly loadBefore: number
  readonly loadAfter: number
  readonly capacity: number | null
}

/** Moves that start in the same stretch of time. */
export interface PlannedWave {
  /** Since the beginning of the evacuation, milliseconds: when it begins, and when the last of its moves has started. */
  readonly startsAfterMs: number
  readonly endsAfterMs: number
  readonly connections: number
  /** How many servers they go to. */
  readonly targets: number
}

export interface PlanSchedule {
  /**
   * How long all of it is expected to take, milliseconds, if nothing is held and nothing else moves; null: there is no rate budget, and no
   * move was seen yet whose pace could be taken.
   */
  readonly expectedMs: number | null
  /** How long one move has taken lately, milliseconds; null: none was seen since this engine leads, and the rates alone are counted. */
  readonly callMs: number | null
  /** About twenty; one where nothing limits them. */
  readonly waves: readonly PlannedWave[]
}

/** How full a server is, reservations included, and how full it would be. Null: not known. */
export interface Utilisation {
  readonly serverId: ServerId
  readonly loadBefore: number | null
  readonly loadAfter: number | null
  readonly capacity: number | null
  /** Load as a share of capacity: 1 is full, more is too full. */
  readonly shareBefore: number | null
  readonly shareAfter: number | null
}

/** Room that is missing for users with the same needs. */
export interface Shortfall {
  /** Free places, within the fill limit where that is hard. */
  readonly places: number
  /** What a server must offer; it must also be fit to be a target. */
  readonly needs: Needs
  /** Servers that have refused these users: elsewhere. */
  readonly notOn: readonly ServerId[]
  /** Only there; null: on any server. */
  readonly onlyOn: ServerId | null
  /** The same in words: `3 more places on any server in region eu that speaks wireguard`. */
  readonly message: string
}

// --------------------------------------------------------------------------------------------------------------- policy

export type DetectPreset = 'default' | 'seed-budget' | 'seed'

/** Fast confirmation: from the first failing check on, dense checks of one packet until cleared or confirmed. */
export interface ConfirmPolicy {
  /** Milliseconds between dense checks, 20–60 000. Default 200. */
  readonly intervalMs: number
  /** How long every answer must stay away before `down`, milliseconds, 0–3 600 000. Default 7 000; three sevenths of it for several vantages. */
  readonly durationMs: number
  /** The longest wait for the answer to a dense check, milliseconds, 20–60 000. Default 1 000. */
  readonly timeoutMs: number
}

/** For servers that answer, but badly: loss or slowness that is too much to be chance. */
export interface CusumPolicy {
  /** Loss (and share of slow answers) that is still usual, percent, 0.1–20. Default 5: a path with bursts is no failure. */
  readonly goodLossPercent: number
  /** Loss (and share of slow answers) that must be found, percent, 21–99. Default 30: above it calls break up. */
  readonly badLossPercent: number
  /**
   * Milliseconds between packets while there is evidence, 100–60 000. Default 2 000: packets closer together meet the
   * same burst of loss. Closer ones do not count, and none is sent before the last one was answered or given up.
   */
  readonly intervalMs: number
  /** False alarms that are accepted, a server and year, at `goodLossPercent`, 0.000001–100. Default 0.005. */
  readonly falseAlarmsPerYear: number
  /** An answer is slow above this multiple of the server's own usual round trip, and 100 ms above it, 1.1–100. Default 2. */
  readonly slowFactor: number
}

/** Other thresholds for some servers or some probers; a later one wins over an earlier one. */
export interface DetectOverride {
  /** Ids; without it: all servers. At most 200. */
  readonly servers?: readonly string[]
  /** Names; without it: all probers. At most 16. */
  readonly probers?: readonly string[]
  readonly detector?: DetectPolicy['detector']
  readonly checkIntervalMs?: number
  readonly migrationThreshold?: number
  readonly recoveryThreshold?: number
  readonly pingCount?: number
  readonly pingTimeoutMs?: number
  readonly packetLossThresholdPercent?: number
  readonly latencyThresholdMs?: number
}

export interface DetectPolicy {
  readonly preset: DetectPreset
  /**
   * `thresholds` (default): seed 000's rule, a server is down when its checks fail in a row. `cusum`: also when too many
   * packets are lost, or too many answers are slow by its own measure (`cusum`), and not by `latencyThresholdMs` and
   * `packetLossThresholdPercent`.
   */
  readonly detector: 'thresholds' | 'cusum'
  readonly cusum: CusumPolicy
  /** Pause between the checks of a server, milliseconds, 50–86 400 000. Default 5 000; seed 000's CHECK_INTERVAL. */
  readonly checkIntervalMs: number
  /** Failing checks in a row before `down`, 1–100. Default 3; seed 000's MIGRATION_THRESHOLD. */
  readonly migrationThreshold: number
  /** Passing checks in a row before a `down` server is `up`, 1–100. Default 2. */
  readonly recoveryThreshold: number
  /** Packets a check, 1–100. Default 1 (preset `seed`: 5); seed 000's PING_COUNT. */
  readonly pingCount: number
  /**
   * How long to wait for each answer, milliseconds, 20–60 000. Default 3 000; seed 000's PING_TIMEOUT. With fast
   * confirmation it is the most: once a path's round trip is known, the wait is learnt from it.
   */
  readonly pingTimeoutMs: number
  /** A learnt wait is at least this much above the usual round trip, milliseconds, 20–60 000. Default 200: Linux's TCP_RTO_MIN. */
  readonly timeoutFloorMs: number
  /** A check fails at this loss or more, percent, 0–100. Default 50: seed 000's PACKET_LOSS_THRESHOLD. */
  readonly packetLossThresholdPercent: number
  /** A check fails above this mean round trip, milliseconds, 1–60 000. Default 300: calls stay intelligible below it. */
  readonly latencyThresholdMs: number
  /** Each check is moved by up to this share of the interval, 0–0.5, so that a fleet is not probed in bursts. Default 0.1. */
  readonly jitter: number
  /**
   * A server that has been down for long is checked more seldom: after each hundredth of the time it has been down, at
   * most this, milliseconds, 50–86 400 000. Default 60 000. Never more often than `checkIntervalMs`.
   */
  readonly deadIntervalMs: number
  /** Null: no fast confirmation, exactly seed 000. */
  readonly confirm: ConfirmPolicy | null
  /**
   * Confirmation is as long as it must be for the whole fleet to stay at or under so many false evacuations a month,
   * 0.001–10 000. Null: exactly `confirm.durationMs`. Default 1; null where `confirm.durationMs` is given explicitly.
   */
  readonly falseEvacuationsPerMonth: number | null
  /** Other thresholds for some servers or probers. At most 50. Default none. */
  readonly overrides: readonly DetectOverride[]
  /** Hosts known to be reachable; while all of them fail, this prober is the broken one. At most 16. */
  readonly canaries: readonly { readonly host: string; readonly port?: number }[]
  /**
   * Vantages elsewhere, by name (letters, digits, `.`, `_`, `-`; at most 64 of them), whose samples come through the option
   * `observations` or `observe()`. One with a `region` votes for the users of that region, one without for those of all
   * regions that have no vantage. An entry with the engine's own name only gives that a region. Default none.
   */
  readonly vantages: Readonly<Record<string, { readonly region?: string }>>
  /** Votes without which no audience is called down, 1–64; one is enough beside fresh passive evidence. Default 2. */
  readonly minAudienceVantages: number
  /**
   * Targets being probed at once, also in batches of `probeMany`, 1–10 000. Default 256. A quarter is kept for suspects. A
   * fleet needs about (checks a second) × (seconds until an answer) × 4/3; with less its pace is slower.
   */
  readonly maxConcurrentProbes: number
}

export interface GuardPolicy {
  /** At most this share of the fleet may be down or suspect while Pintail acts, 0–1: `max(1, floor(p·N))`. Default 0.3. */
  readonly massFailureRatio: number
  /** `auto` needs at least this many servers or a canary, 1–1 000. Default 3: one alone cannot doubt itself. */
  readonly minServers: number
  /** Pause between looks at what is held or waiting, milliseconds, 50–3 600 000. Default 1 000. */
  readonly recheckMs: number
  /** Damping: the penalty of one outage halves in this time, milliseconds. Default 1 800 000. */
  readonly dampingHalfLifeMs: number
  /** Above this sum of penalties (each outage adds 1) a server is no target, 1–100. Default 3. */
  readonly dampingCeiling: number
}

export type ResourceLimits = Readonly<Record<keyof Resources, number>>

export type RankingWeights = Readonly<Record<Factor, number>>

export interface PlacementPolicy {
  /** Targets are filled up to this share of their capacity, 0.01–1; hard for optional moves, soft for failures. Default 0.9. */
  readonly fillLimit: number
  /** For servers without `capacity`; null: no limit is assumed. 0–10 000 000. Default null. */
  readonly defaultCapacity: number | null
  /** Most arrivals of one evacuation on one target, 1–10 000 000; required in `auto` where capacity is unknown. Default null. */
  readonly maxArrivals: number | null
  /** Slots kept free for the host's own users on each target, 0–1 000 000. Default 0. */
  readonly hostHeadroom: number
  /** A server above one of these is no target, percent, 0–100. Defaults: CPU 90, memory 90, disk 95. Unknown is no reason. */
  readonly resourceLimits: ResourceLimits
  /**
   * Where regions are, for the distance to servers of which no vantage of the region has measured the round trip. Default: each in
   * the middle of its servers' coordinates. At most 1 000.
   */
  readonly regionCoordinates: Readonly<Record<string, Coordinates>>
  /** By how much a place must score better for a user who need not move, as in rebalancing, 0–1 as scores are. Default 0.05. */
  readonly minGain: number
  /** Weights of the ranking factors, 0–100 each; only their ratios matter. All zero: no server is better than another. */
  readonly weights: RankingWeights
}

/**
 * At most `burst` moves at once and `perSecond` on average: in every window of w seconds at most `burst + perSecond·w`.
 * A leader begins with nothing saved, so that restarts add nothing.
 */
export interface Rate {
  /** 0.001–10 000. */
  readonly perSecond: number
  /** Whole, 1–10 000. */
  readonly burst: number
}

/** How fast moves are handed to the mover; null: no limit but the concurrency. Each default: null. */
export interface RatesPolicy {
  readonly overall: Rate | null
  /** Arrivals on each target. */
  readonly perTarget: Rate | null
  /** Departures from each source. */
  readonly perSource: Rate | null
}

export interface MigrationPolicy {
  /** Calls of the mover in flight at once, 1–10 000. Default 100. */
  readonly concurrency: number
  /** The same for one target, 1–10 000. Default 100. */
  readonly concurrencyPerTarget: number
  /** Rate budgets; a move starts when all three have a token for it. */
  readonly rates: RatesPolicy
  /** For each call of the mover, milliseconds, 10–3 600 000. Default 20 000 (VPN Duck's). */
  readonly timeoutMs: number
  /** Tries of one move within one run of its migration, 1–20. Default 3. */
  readonly moveTries: number
  /** Retries of a whole migration, 0–20. Default 3: seed 004's max_retries. */
  readonly maxRetries: number
  /** First pause before a retry, milliseconds, 1–3 600 000; doubles each time, ± half at random. Default 1 000. */
  readonly backoffMs: number
  /** Longest pause before a retry, milliseconds. Default 60 000. */
  readonly backoffMaxMs: number
  /** Targets tried for one connection before it is reported as refused everywhere, 1–100. Default 3. */
  readonly targetsPerConnection: number
  /** Quiet time between optional moves of one server, milliseconds. Default 1 800 000: seed 004's 30 minutes. */
  readonly cooldownMs: number
  /** A grant on a living source is taken back this long after the move, unless the mover has seen the user arrive. Default 86 400 000. */
  readonly revokeGraceMs: number
  /** Pause between looks for room for users who found none, milliseconds, 50–86 400 000. Default 30 000. */
  readonly retryUnplacedMs: number
}

export interface FailbackPolicy {
  /**
   * Whether users go home after their server's recovery: all at once, in batches, or only those for whom home scores
   * better than where they are now. At most once a day for each user and server. Counts for incidents that recover under
   * it; `mode.failback` says whether they are moved, suggested or only decided. Default `never`.
   */
  readonly strategy: 'never' | 'gradual' | 'immediate' | 'best-score'
  /**
   * How long the server must have been up, online, not cordoned, not damped and without an incident, without a break,
   * milliseconds, 0–604 800 000. Default 900 000. Begins anew when the engine starts.
   */
  readonly stableMs: number
  /** `gradual`: this share of those to bring home goes at once, percent, 1–100; at least one user. Default 10. */
  readonly batchPercent: number
  /** `gradual`: pause between the end of a batch and the next one, milliseconds, 0–604 800 000. Default 600 000. */
  readonly batchIntervalMs: number
  /** `best-score`: by how much home must score better, 0–1 as scores are. Default 0.05. */
  readonly minGain: number
  /**
   * Set servers online that recover although we did not set them offline, and those that are `offline` in the registry
   * and have been up for `stableMs`. What must stay out of service is cordoned, or in `maintenance`. Default false: it is advice.
   */
  readonly adoptInactive: boolean
}

/** A time of each day, UTC; `to` before `from`: over midnight. */
export interface DailyWindow {
  /** `HH:MM`, 00:00–23:59. */
  readonly from: string
  /** `HH:MM`; not within the window itself. */
  readonly to: string
}

/**
 * Advice of the engine's own accord: which server could be emptied and given back (`cost-optimization`), and which is too hot
 * (`rebalancing`). `mode` says for each of the two reasons what becomes of it, as seed 004's levels: `observe` (0) only tells it,
 * `suggest` (1) makes migrations that wait for approval, `auto` (2) begins them.
 */
export interface AdvicePolicy {
  /**
   * Whether advice is made by itself, round by round. `advice()` answers also without it. None is made with a registry whose
   * `coverage` is `active`: its lists hide some users and name others who have left. Default false.
   */
  readonly enabled: boolean
  /** Pause between the rounds, milliseconds, 1 000–86 400 000. Default 300 000. */
  readonly intervalMs: number
  /** Least that giving back a server must save, EUR/h, 0–10 000. Default 0.1. */
  readonly minSavingsEurHour: number
  /** Share of the capacity of all servers in service that stays free without that server, 0–1. Default 0.3. */
  readonly reserve: number
  /** How much fuller the hottest server must be than it could be, as a share of its capacity, 0–1. Default 0.1. */
  readonly margin: number
  /** Rounds in a row in which that must be so, 1–100. Default 3. */
  readonly rounds: number
  /**
   * No server is proposed to be given back so long after a scaling: after a server came or went, after a host's guard named
   * `scaling` was active, and after this engine began to lead, as it knows of nothing before. Milliseconds, 0–2 592 000 000.
   * Default 7 200 000: two hours.
   */
  readonly afterScalingMs: number
  /** What a person has cancelled is not proposed again for so long, milliseconds, 0–31 536 000 000. Default 86 400 000. */
  readonly declinedMs: number
  /**
   * When users may be moved to save money (`cost-optimization`), at most 24. Empty: at any time that the host's guards allow; but
   * with neither windows nor guards nobody says when users are idle, and `auto` only suggests. Default none.
   */
  readonly windows: readonly DailyWindow[]
}

/** How long a store with `prune` keeps what is over. The leader has it forget the rest, a bounded piece at a time. */
export interface RetentionPolicy {
  /** Pause between two rounds, milliseconds, 60 000–86 400 000. Default 3 600 000. */
  readonly pruneIntervalMs: number
  /**
   * How long the moves of an evacuation that has ended are kept, which name users, milliseconds, 86 400 000–315 360 000 000. Default
   * 86 400 000. Those that an open incident or a failback may still need stay longer. Counts, decisions and migrations stay.
   */
  readonly movesMs: number
  /**
   * How long entries of the journal are kept, milliseconds, 86 400 000–315 360 000 000; null: for good. Default 2 592 000 000, 30 days. None is
   * forgotten that a reader with a cursor, as the audit trail is, has still to read.
   */
  readonly journalMs: number | null
}

/** Plain JSON: defaults ← preset ← code or file ← the operator's stored patch. */
export interface Policy {
  readonly mode: Readonly<Record<MigrationReason, Mode>>
  /** Pause between `start()` and the first check, milliseconds, 0–3 600 000. Default 0 (presets of seed 000: 30 000). */
  readonly startupDelayMs: number
  /** Pause between readings of the server list, milliseconds, 50–86 400 000. Default 15 000. */
  readonly registryRefreshMs: number
  readonly detect: DetectPolicy
  readonly guards: GuardPolicy
  readonly placement: PlacementPolicy
  readonly migration: MigrationPolicy
  readonly failback: FailbackPolicy
  readonly advice: AdvicePolicy
  readonly retention: RetentionPolicy
}

type Loose<T> = { readonly [K in keyof T]?: T[K] }

/** What code, file or patch may say: any part of the policy. `mode` may be one word, or one a reason with a `default`. */
export interface PolicyInput {
  readonly mode?: Mode | ({ readonly default?: Mode } & Loose<Policy['mode']>)
  readonly startupDelayMs?: number
  readonly registryRefreshMs?: number
  readonly detect?: Loose<Omit<DetectPolicy, 'confirm' | 'cusum'>> & {
    readonly confirm?: Loose<ConfirmPolicy> | null
    readonly cusum?: Loose<CusumPolicy>
  }
  readonly guards?: Loose<GuardPolicy>
  readonly placement?: Loose<Omit<PlacementPolicy, 'weights' | 'resourceLimits'>> & {
    readonly weights?: Loose<RankingWeights>
    readonly resourceLimits?: Loose<ResourceLimits>
  }
  readonly migration?: Loose<Omit<MigrationPolicy, 'rates'>> & { readonly rates?: Loose<RatesPolicy> }
  readonly failback?: Loose<FailbackPolicy>
  readonly advice?: Loose<AdvicePolicy>
  readonly retention?: Loose<RetentionPolicy>
}

/** Where a value of the policy comes from. */
export type PolicySource = 'default' | 'preset' | 'code' | 'patch'

export interface PolicyView {
  readonly policy: Policy
  /** By dotted path, e.g. `detect.pingCount`. */
  readonly sources: Readonly<Record<string, PolicySource>>
  /** Rises with each stored patch; hand it back as `ifVersion`. */
  readonly version: number
}

// --------------------------------------------------------------------------------------------------------------- advice

/** What both kinds of advice say. */
interface Proposal {
  /** The server to be left. */
  readonly serverId: ServerId
  /** How many would leave it. 0: it is empty already. */
  readonly connections: number
  /** Where they would go, by id. */
  readonly placements: readonly { readonly serverId: ServerId; readonly connections: number }[]
  /** The open evacuation that was made of it; null: none. */
  readonly evacuationId: EvacuationId | null
  /** Why the engine would not begin it by itself now; empty: nothing is in the way. */
  readonly heldBy: readonly GuardDenial[]
}

/** A server that could be emptied and given back. */
export interface ConsolidationAdvice extends Proposal {
  /** Its price: four decimals. */
  readonly savingsEurHour: number
  /** The same for 730 hours: two decimals. */
  readonly savingsEurMonth: number
  /** Share of the remaining capacity that would be free, 0–1. */
  readonly freeAfter: number
}

/** A server that is much fuller than it could be. */
export interface RebalancingAdvice extends Proposal {
  /** How full it is, and how full it or the fullest of those that take somebody would be then: shares of capacity. */
  readonly fillNow: number
  readonly fillAfter: number
  /** In how many rounds in a row this was so; at `advice.rounds` it is acted on. 0 while no rounds are made. */
  readonly rounds: number
}

/** What could be cheaper or better balanced, as things are now. */
export interface Advice {
  readonly at: number
  /** Of the servers that could be given back, the one that saves the most; null: none. */
  readonly consolidation: ConsolidationAdvice | null
  /** The hottest server, if it is hotter than it could be by more than `advice.margin`; null: none. */
  readonly rebalancing: RebalancingAdvice | null
}

// --------------------------------------------------------------------------------------------------------------- status

/** `idle` before `start()`, `standby` while another engine leads or nobody can be asked who does. */
export type EngineState = 'idle' | 'standby' | 'leading' | 'stopping' | 'stopped'

export interface ServerReport {
  readonly serverId: ServerId
  readonly name: string
  readonly host: string
  readonly region: string | null
  readonly status: ServerStatus
  /** For everybody: `up` while it is up for any audience. */
  readonly verdict: Verdict
  /** Audiences that vantages have an opinion for; for all others `verdict` holds. */
  readonly audiences: readonly { readonly audience: string; readonly verdict: Verdict; readonly incidentId: IncidentId | null }[]
  /** The newest of each vantage elsewhere: with `lastSample`, what the votes rest on. */
  readonly samples: readonly Sample[]
  readonly cordoned: boolean
  /** Connections there, reservations included; null: not counted. */
  readonly load: number | null
  readonly reserved: number
  readonly capacity: number | null
  /** Smoothed round trip, milliseconds. */
  readonly rttMs: number | null
  readonly lastSample: Sample | null
  readonly incidentId: IncidentId | null
  /** Left-over damping penalty; at `guards.dampingCeiling` the server is no target. */
  readonly penalty: number
}

/** A place that probes, and whether its word counts. */
export interface VantageReport {
  readonly name: string
  readonly region: string | null
  /** True: the engine's own. */
  readonly isOwn: boolean
  readonly healthy: boolean
  /** Why its word does not count; null: it does. */
  readonly why: string | null
  /** When something last came from there; null: nothing has. */
  readonly heardAt: number | null
  /** Its usual pause between the checks of one server, milliseconds. */
  readonly usualMs: number
  /** Samples taken since this engine leads. */
  readonly samples: number
}

/** What is so now, in one look. Plain data. */
export interface FleetStatus {
  readonly state: EngineState
  readonly at: number
  readonly leader: { readonly holder: string; readonly token: Token; readonly since: number } | null
  readonly servers: readonly ServerReport[]
  readonly vantages: readonly VantageReport[]
  /** Samples from elsewhere that were taken, and those that were not, by why, since this engine leads. */
  readonly observations: { readonly taken: number; readonly refused: Readonly<Record<string, number>> }
  /** Failure domains that have failed as a whole. */
  readonly failingDomains: readonly {
    readonly failureDomain: string
    readonly audience: string | null
    readonly since: number
    readonly servers: readonly ServerId[]
  }[]
  readonly counts: Readonly<Record<VerdictKind, number>>
  readonly incidents: readonly Incident[]
  readonly evacuations: readonly Evacuation[]
  /** Open ones, with the figures of this moment. */
  readonly migrations: readonly Migration[]
  /** Guards that forbid something now, for which servers, and of incidents of one audience for which. */
  readonly guards: readonly { readonly guard: GuardCode; readonly audience?: string; readonly servers: readonly ServerId[] }[]
  readonly pauses: readonly {
    readonly scope: PauseScope
    readonly reason: string | null
    readonly until: number | null
  }[]
  readonly registry: { readonly listedAt: number | null; readonly stale: boolean; readonly skippedRows: number }
  /** Why nothing can be written, and so nothing moved; null: all is well. */
  readonly storeTrouble: string | null
  /** When the last check came back: the dead man's switch. */
  readonly lastCheckAt: number | null
  readonly pendingRevokes: number
  /** Of the newest journal entry; hand it to `events({ after })` to go on from this picture. */
  readonly lastSeq: number
}

/** Whether the engine is well: what `FleetStatus` says of it, at a cost that does not grow with the fleet. */
export interface EngineHealth
  extends Pick<FleetStatus, 'state' | 'at' | 'leader' | 'vantages' | 'registry' | 'storeTrouble' | 'lastCheckAt' | 'lastSeq'> {
  /** How many servers are watched. */
  readonly serverCount: number
}
