import type { PintailError } from './errors.ts'
import type {
  ConnectionId,
  Coordinates,
  DecisionRecord,
  Evacuation,
  EvacuationId,
  GuardCode,
  Incident,
  Json,
  JsonObject,
  Migration,
  MigrationId,
  MigrationReason,
  MigrationStatus,
  Mobility,
  Mode,
  Move,
  MoveRecord,
  Needs,
  OperatorWord,
  PendingRevoke,
  ProbeFailure,
  Server,
  ServerId,
  ServerStatus,
  Token,
  UnplacedCode,
  VerdictKind,
} from './vocabulary.ts'

/** The last parameter of every call to the outside: when to give up, and which trace the call belongs to. */
export interface CallContext {
  /** Fires on time-out, on `stop()` and when the lease is lost. */
  readonly signal: AbortSignal
  /** W3C Trace Context, where the host traces. */
  readonly traceparent?: string
}

/** One answer, or pages. */
export type Listing<T> = PromiseLike<readonly T[]> | AsyncIterable<readonly T[]>

// ---------------------------------------------------------------------------------------------------------- registry

/** A server as a registry tells it: plain rows, `null` or absent where nothing is known. */
export interface ServerInput {
  /** `"3"` and `3` are one id. */
  readonly id: string | number
  /** IPv4, IPv6 or a DNS name, without port. */
  readonly host: string
  readonly name?: string | null
  /** Default `online`. */
  readonly status?: ServerStatus | null
  /** The VPN's port, for probers that need one. */
  readonly port?: number | null
  readonly region?: string | null
  /** ISO 3166-1 alpha-2. */
  readonly country?: string | null
  readonly coordinates?: Coordinates | null
  readonly failureDomain?: string | null
  /** How many connections fit. Absent: `placement.defaultCapacity`. */
  readonly capacity?: number | null
  /** How many are there. Absent: counted while planning. */
  readonly load?: number | null
  /** How busy the machine is, percent, 0–100 each; absent or null: unknown. `placement.resourceLimits` goes by it. */
  readonly resources?: {
    readonly cpuPercent?: number | null
    readonly memoryPercent?: number | null
    readonly diskPercent?: number | null
  } | null
  readonly protocols?: readonly string[] | null
  readonly features?: readonly string[] | null
  readonly priceEurHour?: number | null
  /** The adapter's own, at most 1 KiB of JSON; handed back with each call, never logged or emitted. */
  readonly meta?: JsonObject | null
}

export interface ConnectionInput {
  /** The access (user and credential), not a session: it survives a move. */
  readonly id: string | number
  readonly userId?: string | number | null
  /** The region that the user is in; decides the audience. */
  readonly region?: string | null
  readonly needs?: Needs | null
  readonly mobility?: Mobility | null
  readonly tier?: number | null
  readonly preferredServer?: string | number | null
  readonly meta?: JsonObject | null
}

/**
 * Who is where: the host's database or panel. The minimal adapter has the first two methods.
 * Any throw means *unavailable*: the last known list is kept, marked stale, and nobody is judged by it.
 */
export interface ServerRegistry {
  /**
   * All servers, in any status. An empty list is believed only if it was empty before, one that has fallen by more than
   * half only the second time; a server is dropped when two lists in a row miss it. Abort: no effect to undo.
   */
  listServers(ctx: CallContext): Listing<ServerInput>
  /** Everybody assigned to this server, as the host's books say at the time of the call. Abort: no effect to undo. */
  listConnections(server: Server, ctx: CallContext): Listing<ConnectionInput>
  /** Whether `listConnections` lists everybody assigned (default) or only those active lately. */
  readonly coverage?: 'assigned' | 'active'
  /** Writes the status that the host's own code goes by. Abort does not undo: the next listing tells what holds. */
  setServerStatus?(server: Server, status: ServerStatus, ctx: CallContext): PromiseLike<unknown>
  /** Yields whenever the servers may have changed; Pintail lists again, at most once a second. */
  watch?(ctx: CallContext): AsyncIterable<unknown>
}

// ------------------------------------------------------------------------------------------------------------- mover

export type Located = 'on_target' | 'on_source' | 'on_both' | 'absent'
export type MoveOutcome = { readonly ok: true } | { readonly ok: false; readonly error: PintailError }

/**
 * Brings a connection to another server. `move` alone is enough; `npm run docs:mover` prints what each other one buys.
 *
 * Errors: `PintailError('rejected')` is permanent for this move; `'unavailable'` means that nothing happened and it
 * may be tried again; any other throw, an abort or a time-out is ambiguous: Pintail asks `locate`, or else repeats the
 * call with the same key.
 */
export interface ConnectionMover {
  /**
   * Gives the connection its access on `move.to`, so that the host's books name it as home. Must have one effect for
   * one `move.key`, however often it is called, and resolving must be true: if the host has moved the user back in the
   * meantime, a repeated key neither moves him again nor resolves. Abort does not undo what has reached the panel.
   */
  move(move: Move, ctx: CallContext): PromiseLike<unknown>
  /** Many at once: one outcome for each move, in order. Throwing means that all are ambiguous. */
  moveMany?(moves: readonly Move[], ctx: CallContext): PromiseLike<readonly MoveOutcome[]>
  /** Before the first move of a migration: make the target ready. Must be repeatable. */
  prepare?(from: Server, to: Server, ctx: CallContext): PromiseLike<unknown>
  /** After a confirmed move: take back the grant on the source. Must be repeatable. Failing never undoes the move. */
  complete?(move: Move, ctx: CallContext): PromiseLike<unknown>
  /** Where the connection is now. `absent` is an answer; not knowing is a throw. */
  locate?(move: Move, ctx: CallContext): PromiseLike<Located>
  /** True if the connection is usable on the target. */
  verify?(move: Move, ctx: CallContext): PromiseLike<boolean>
  /**
   * Takes back the grant on `move.to`, of a move that failed or whose target failed. Resolving means that it is gone.
   * Whom the books name on `move.to` goes to `move.from`; whom they name elsewhere stays there. Must be repeatable.
   * `move.from` is where the user belongs: the source, or the server to which he has been moved since.
   */
  rollback?(move: Move, ctx: CallContext): PromiseLike<unknown>
  /** `server`: the panel can only move everybody at once, or not say whom it moved where. Default `connection`. */
  readonly granularity?: 'connection' | 'server'
  /** What a resolved `move` means: taken on, in force on the server, or used by the client. Default `accepted`. */
  readonly confirmation?: 'accepted' | 'applied' | 'seen'
  /**
   * `enforced`: targets refuse with `PintailError('fenced')` a fencing token lower than one they have seen, and a call
   * for a connection whose (`fencingToken`, `epoch`) is lower than the newest that they have seen for it. Pintail tries
   * again with a newer epoch: what it was refused for may have been its own. Default `none`: then a call without an
   * answer is looked after once more when it can no longer take effect.
   */
  readonly fencing?: 'enforced' | 'none'
}

// ------------------------------------------------------------------------------------------------------------ probers

/** What a prober is to test. `host` has been validated: it is an IP address or a DNS name, and never starts with `-`. */
export interface ProbeTarget {
  readonly serverId: ServerId
  readonly host: string
  readonly port: number | null
  /** How many packets, 1..100. */
  readonly packets: number
  /** How long to wait for the answer to each packet, milliseconds. */
  readonly timeoutMs: number
}

export interface ProbeResult {
  readonly sent: number
  readonly received: number
  /** Round-trip times of the answers, milliseconds. */
  readonly rttMs: readonly number[]
  readonly failure?: ProbeFailure | null
}

/**
 * A way to test a server. A resolved result is evidence, good or bad. A throw is none: `prober_unavailable` (no such
 * binary, no permission), `unknown_host` (the name does not resolve), or anything else; no server is judged by it.
 */
export interface Prober {
  readonly name: string
  /** One check. Must settle when `signal` fires; a result after that is ignored. */
  probe(target: ProbeTarget, ctx: CallContext): PromiseLike<ProbeResult>
  /**
   * Large fleets: results as they come, in any order; a target without a result counts as not probed. Where this is there,
   * `probe` is not called. A batch has each server once; steady checks come in batches of at most 1,024, suspects in
   * their own of at most 32, and several batches may be under way. The signal fires at the bound of the whole batch: packets ×
   * (time-out + 1 s) + 5 s, and 10 ms for each target. A throw loses only the targets that had no result yet.
   */
  probeMany?(
    targets: readonly ProbeTarget[],
    ctx: CallContext,
  ): AsyncIterable<{ readonly target: ProbeTarget; readonly result: ProbeResult }>
}

/**
 * A sample from elsewhere: a remote vantage, a webhook, the host's own monitoring. What cannot be believed is counted and
 * told once, and changes nothing: an unknown vantage or server, one of the engine's own vantage, impossible figures, and a
 * `sentAt` more than 5 s ahead or 2 min old. One that is not newer than the last of its server and vantage is ignored.
 */
export interface SampleInput {
  /** A server's id, or `canary:<host>`: a host that this vantage knows to be reachable. While none of its canaries answers its word counts for nothing. */
  readonly serverId: string | number
  /** A name of `policy.detect.vantages`. Passive samples may carry the engine's own. */
  readonly vantage: string
  /**
   * What tested it. `passive:…` (a webhook, ages of handshakes, a fall of live connections): such a sample starts a
   * confirmation and is no vote; failing ones of the last minute count as evidence beside one vote.
   */
  readonly prober: string
  /** Milliseconds since 1970, by the clock of the vantage. */
  readonly sentAt: number
  /** 1–10 000. */
  readonly sent: number
  /** 0 to `sent`. */
  readonly received: number
  /** Milliseconds, at most one for each answer. */
  readonly rttMs?: readonly number[]
  readonly failure?: ProbeFailure | null
}

export interface ObservationSource {
  /**
   * Yields samples until the signal fires. Asked by whoever leads; when it throws or ends it is asked again, with pauses
   * that grow from one second to a minute.
   */
  samples(ctx: CallContext): AsyncIterable<SampleInput>
}

// ------------------------------------------------------------------------------------------- log, guards, notifier, metrics

/** One line of the audit trail. `id` is stable: the same entry may be written twice, never with another id. */
export interface LogEntry {
  readonly id: string
  readonly at: number
  readonly type: string
  readonly connectionId: ConnectionId | null
  readonly fromServerId: ServerId | null
  readonly toServerId: ServerId | null
  readonly reason: MigrationReason | null
  /** For outcomes of moves; null for everything else. */
  readonly success: boolean | null
  readonly data: Json
}

/** The audit trail, fed from the journal in its order, at least once. A throw is retried, with growing pauses. */
export interface LogSink {
  write(entry: LogEntry, ctx: CallContext): PromiseLike<unknown> | undefined
}

/** What the host knows and Pintail cannot: a scaling event, a full queue, an idle hour, a maintenance window. */
export interface GuardState {
  readonly name: string
  /**
   * The reasons it forbids; absent: the optional ones (`rebalancing`, `cost-optimization`, `maintenance`, `failback`).
   * `server-down` here holds the evacuation of dead servers.
   */
  readonly forbids?: readonly MigrationReason[] | null
  /** The servers that nobody is moved off; absent: all. */
  readonly servers?: readonly (string | number)[] | null
  readonly active: boolean
  /** For people, at most 300 characters. */
  readonly message: string
  readonly remedy?: string | null
}

export interface GuardSource {
  /**
   * What holds now; at most 1 000 states. Asked before a person's plan is executed, when a server becomes suspect, and
   * again every `guards.recheckMs` while something waits or moves; one question at a time, each for at most 10 s.
   * A throw, a time-out or an answer that is not understood counts as forbidding the optional reasons, and never the
   * evacuation of a dead server. A state with the name `scaling` also keeps cost advice quiet for `advice.afterScalingMs`.
   */
  current(ctx: CallContext): PromiseLike<readonly GuardState[]>
}

/**
 * Hands the user the new access: after the grant is confirmed (and verified), before the old one is taken back. A throw
 * or a time-out (`migration.timeoutMs`) is tried again, `migration.moveTries` times in all; failing never undoes a move.
 * At least once: after a crash it may be called again for the same `move.key`.
 */
export interface ClientNotifier {
  /**
   * `access` is what `mover.move` resolved with, if that is plain JSON of at most 64 KiB; otherwise null. Pintail never
   * keeps, logs or emits it. When a user is brought back to where he was, he is told of a move the other way, with
   * access null and a key of its own (`…/undo`): he stays with the access that he had.
   */
  deliver(move: Move, access: Json, ctx: CallContext): PromiseLike<unknown>
}

/**
 * A small port for figures; `@pintail/adapters/prometheus` fills it. Names and labels are those of `MetricLabels`; units are
 * in the name. No label ever holds a user or an address. A throw is logged once and hurts nobody.
 */
export interface Metrics {
  /** Adds `by`, at least 0, to a counter. */
  count(name: string, labels: Readonly<Record<string, string>>, by: number): void
  /** Sets a gauge. */
  gauge(name: string, labels: Readonly<Record<string, string>>, value: number): void
  /** One value of a distribution. */
  observe(name: string, labels: Readonly<Record<string, string>>, value: number): void
  /**
   * Runs `sample`, which sets the gauges, before each reading; dispose to end that. Without this method gauges are set
   * every ten seconds while the engine runs. Sampling is bounded to once a second, however often it is asked for.
   */
  collecting?(sample: () => void): Disposable
  /** Forgets one series of a gauge: its server is gone. Needed where `perServer` is more than 0. */
  forget?(name: string, labels: Readonly<Record<string, string>>): void
  /** How many servers at most get series of their own (`pintail_server_…`), lowest ids first; 0–10 000. Default 0. */
  readonly perServer?: number
}

/** How a call to a port ended: by itself, or by the code of its `PintailError`; `error`: any other throw. */
export type CallOutcome = 'ok' | 'rejected' | 'unavailable' | 'timeout' | 'aborted' | 'fenced' | 'conflict' | 'error'

/** Every figure that the engine tells, and its labels. `_total` are counters. What each means: docs/metrics.md. */
export interface MetricLabels {
  // Who leads, and whether anybody looks.
  pintail_leading: Unlabelled
  pintail_leader_changes_total: { readonly change: 'acquired' | 'lost' }
  pintail_last_cycle_timestamp_seconds: Unlabelled
  // What is seen.
  pintail_servers: { readonly verdict: VerdictKind }
  pintail_verdict_changes_total: { readonly verdict: VerdictKind; readonly scope: 'all' | 'audience' }
  pintail_vantages: { readonly state: 'healthy' | 'lost' }
  pintail_observations_total: { readonly result: 'taken' | 'refused' }
  pintail_probes_total: { readonly prober: string; readonly outcome: 'answered' | 'silent' | 'error' }
  pintail_probe_packets_total: { readonly prober: string; readonly result: 'received' | 'lost' }
  pintail_probe_rtt_seconds: { readonly prober: string }
  pintail_registry_list_timestamp_seconds: Unlabelled
  pintail_registry_skipped_rows: Unlabelled
  // What follows from it.
  pintail_incidents_open: Unlabelled
  pintail_incidents_opened_total: { readonly scope: 'all' | 'audience' }
  pintail_incidents_ended_total: { readonly how: 'recovered' | 'closed' }
  pintail_detection_seconds: Unlabelled
  pintail_incident_duration_seconds: Unlabelled
  pintail_failing_domains: Unlabelled
  pintail_guard_denials_total: { readonly guard: GuardCode }
  pintail_guard_held_servers: { readonly guard: GuardCode }
  pintail_pauses: Unlabelled
  // What is done.
  pintail_decisions_total: { readonly reason: MigrationReason; readonly mode: Mode }
  pintail_evacuations_total: { readonly event: 'created' | 'completed' | 'cancelled' }
  pintail_evacuation_duration_seconds: Unlabelled
  pintail_migrations_total: { readonly status: MigrationStatus; readonly reason: MigrationReason | 'unknown' }
  pintail_migrations_open: { readonly status: OpenStatus }
  pintail_migration_duration_seconds: { readonly reason: MigrationReason | 'unknown' }
  pintail_migration_failures_total: {
    readonly reason: MigrationReason | 'unknown'
    readonly rollback: 'done' | 'incomplete' | 'none'
  }
  pintail_migration_savings_eur_per_hour: Unlabelled
  pintail_moves_total: { readonly outcome: 'moved' | 'failed' | 'skipped' }
  pintail_move_failures_total: { readonly permanent: 'true' | 'false'; readonly rolled_back: 'true' | 'false' }
  pintail_moves_open: { readonly status: OpenStatus }
  pintail_unplaced_total: { readonly code: UnplacedCode }
  pintail_undelivered_total: Unlabelled
  pintail_pending_revokes: Unlabelled
  // What it leans on.
  pintail_call_duration_seconds: { readonly port: string; readonly method: string; readonly outcome: CallOutcome }
  pintail_store_writable: Unlabelled
  pintail_journal_last_seq: Unlabelled
  pintail_warnings_total: { readonly code: string }
  // One series a server, only where `perServer` asks for it.
  pintail_server_up: { readonly server_id: string }
  pintail_server_rtt_seconds: { readonly server_id: string }
  pintail_server_packet_loss_ratio: { readonly server_id: string }
  pintail_server_connections: { readonly server_id: string }
  pintail_servers_without_series: Unlabelled
}

export type MetricName = keyof MetricLabels
type Unlabelled = Readonly<Record<never, string>>
type OpenStatus = Exclude<MigrationStatus, 'completed' | 'failed' | 'cancelled'>

/**
 * One call to a mover, a notifier or a registry that belongs to an evacuation, as published on the diagnostics channels
 * `tracing:pintail.call:start` and `tracing:pintail.call:asyncEnd` (the same object). `pintail.event` has each event.
 * `@pintail/adapters/opentelemetry` makes spans of them. What a call resolved with is never in it.
 */
export interface TracedCall {
  readonly port: 'mover' | 'notifier' | 'registry'
  /** As `move` or `prepare`. */
  readonly method: string
  /** Null: the evacuation is not known, or over. */
  readonly evacuationId: EvacuationId | null
  readonly migrationId: MigrationId | null
  /** Holds the user's references and the servers' addresses: a subscriber keeps those to itself. */
  readonly move: Move | null
  readonly serverId: ServerId | null
  /** By the engine's clock, milliseconds. */
  readonly startedAt: number
  endedAt: number | null
  /** What it threw, or why it was given up; null: it has succeeded, or goes on. */
  failure: unknown
  /** A subscriber of the start may set it: the port gets it as `ctx.traceparent`. */
  traceparent?: string
  /** A subscriber of the start may set it: runs the call, once and at once, with its own context active. */
  within?: <T>(call: () => T) => T
}

/** pino's shape; silent by default. */
export interface Logger {
  debug(data: object, message: string): void
  info(data: object, message: string): void
  warn(data: object, message: string): void
  error(data: object, message: string): void
}

// --------------------------------------------------------------------------------------------------------- store, leases

/** Everything that is kept, by kind. */
export interface StoreRecords {
  incident: Incident
  evacuation: Evacuation
  migration: Migration
  move: MoveRecord
  decision: DecisionRecord
  revoke: PendingRevoke
  word: OperatorWord
  cursor: Cursor
}

/**
 * How far a reader of the journal has come, so that it goes on there after a restart. What the engine notes for itself has
 * a slash in its name and reads nothing: it holds no entry back from `prune`.
 */
export interface Cursor {
  readonly name: string
  readonly seq: number
  readonly version: number
}
export type StoreKind = keyof StoreRecords

/** `expected` is the version that must be there: 0 for a record that must not exist yet. A null value deletes. */
export type StoreWrite = {
  [K in StoreKind]: {
    readonly kind: K
    readonly id: string
    readonly expected: number
    readonly value: StoreRecords[K] | null
  }
}[StoreKind]

export interface JournalDraft {
  readonly at: number
  readonly type: string
  readonly data: object
}

export interface JournalEntry extends JournalDraft {
  /** Rises by one from 1, without gaps. */
  readonly seq: number
}

export interface JournalPage {
  readonly entries: readonly JournalEntry[]
  /** The oldest entry still kept; a cursor before it has missed something. */
  readonly oldestSeq: number
  readonly lastSeq: number
}

export interface StoreBatch {
  readonly token: Token
  /** Rises by one with each batch of a token, from 1. */
  readonly batch: number
  readonly writes: readonly StoreWrite[]
  readonly journal: readonly JournalDraft[]
}

/**
 * Where the state and the journal live.
 * `commit` is atomic: all writes and all entries, or none. It rejects with `conflict` if a version does not match,
 * with `fenced` if a higher token has committed, with `unavailable` if nothing was written; any other throw is
 * ambiguous, and the same batch comes again. Records are plain JSON, are never changed in place, and come back equal
 * (`-0` may come back as `0`).
 */
export interface MigrationStore {
  readonly name: string
  /**
   * A batch that is not newer than the last one kept, by its token and then its number, is there already: nothing is
   * written a second time, however late it comes, and the answer is as for the first time.
   */
  commit(batch: StoreBatch, ctx: CallContext): PromiseLike<{ readonly lastSeq: number }>
  get<K extends StoreKind>(kind: K, id: string, ctx: CallContext): PromiseLike<StoreRecords[K] | null>
  /** All records of a kind, oldest first; of moves only those of one migration where `migrationId` is given. */
  list<K extends StoreKind>(kind: K, filter: { readonly migrationId?: string }, ctx: CallContext): Listing<StoreRecords[K]>
  /**
   * The entries after a number, in order, up to the newest that nothing older can follow any more: whoever goes on after
   * the last one of a page misses nothing. A page may be shorter than `limit`, and is empty only at the end.
   */
  readJournal(query: { readonly after: number; readonly limit: number }, ctx: CallContext): PromiseLike<JournalPage>
  /**
   * Forgets what is over; a store without it keeps everything. What it removes is removed whole, in the order of age, and
   * may be asked for by anybody, leader or not.
   * Moves: of evacuations that ended before `movesBefore`, but none of an incident that is not closed, or whose failback
   * is `waiting` or `running`: they say whom to bring home. Migrations and evacuations stay, with their counts.
   * Entries: the oldest ones, up to the first that is not older than `journalBefore`, and none that a reader has not
   * read by its cursor. The newest number stays known.
   */
  prune?(query: PruneQuery, ctx: CallContext): PromiseLike<Pruned>
  /**
   * Where engines over one store meet: leaves a post for the others, in the place of the same engine's post with the same
   * `number`. The newest 16 of each engine are there to be read; older ones may be gone, and so may all of an engine that
   * has posted nothing for an hour, or after a crash of the store. Posts are no part of the state: no version, no journal.
   * Without `post` and `posts` only the leader probes.
   */
  post?(post: MemberPost, ctx: CallContext): PromiseLike<unknown>
  /** The posts with a higher number than `after` says for their engine, each engine's in order; all of one that it does not name. */
  posts?(after: Readonly<Record<string, number>>, ctx: CallContext): PromiseLike<readonly MemberPost[]>
  /**
   * A page of the records of a kind, newest first, and how many match in all: what lists, looks back and takeovers are made of.
   * A store without it is asked for the whole `list` each time. A change does not alter the order. Page and total are
   * of one moment. Wants indexes: what a page costs must not depend on how many records do not match.
   */
  find?<K extends FoundKind>(kind: K, query: RecordQuery, ctx: CallContext): PromiseLike<Found<StoreRecords[K]>>
  /** Sums over all migrations that are kept, of one moment. Without it `list` is read. Wants an index that covers it. */
  sumMigrations?(ctx: CallContext): PromiseLike<MigrationSums>
}

/** What one engine has to tell the others over the same store. */
export interface MemberPost {
  /** The engine, as it is named in the lease; at most 200 characters. */
  readonly from: string
  /** Rises by one with each post of that engine, from 1. */
  readonly number: number
  /** Plain JSON, as a rule some kilobytes a second for a thousand servers. */
  readonly body: object
}

export interface PruneQuery {
  /** Milliseconds since 1970. Not later than 24 hours ago: a failback looks that far back. */
  readonly movesBefore: number
  /** Milliseconds since 1970. */
  readonly journalBefore: number
  /** At most so many moves and so many entries in this call, 1–100 000, so that it is short. */
  readonly limit: number
}

export interface Pruned {
  readonly moves: number
  readonly entries: number
  /** The limit was met, so there may be more: call again. */
  readonly more: boolean
  /** The reader for whom entries are kept that are old enough; null: none are. One that is gone for good must lose its cursor. */
  readonly heldBy: string | null
}

export interface Lease {
  readonly token: Token
  readonly holder: string
  /** How long it holds from the time of the call, milliseconds. */
  readonly ttlMs: number
}

/** The leader's sole right to act. */
export interface LeaseStore {
  /** The lease, with a token higher than any before; null while somebody else holds it. */
  acquire(holder: string, ttlMs: number, ctx: CallContext): PromiseLike<Lease | null>
  /** False: it is lost, for good. */
  renew(lease: Lease, ctx: CallContext): PromiseLike<boolean>
  release(lease: Lease, ctx: CallContext): PromiseLike<unknown>
}

// ---------------------------------------------------------------------------------------------------- clock, randomness

/** Cancels a timer; twice is harmless. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds since 1970; must never run backwards within a process. */
  now(): number
  setTimeout(callback: () => void, delayMs: number): Timer
  /** Runs the callback after everything that is ready now, before time passes. Default: `setImmediate`. */
  defer?(callback: () => void): void
}

/** Uniform in [0, 1). */
export type Random = () => number

// ------------------------------------------------------------------------------------------------- finding in a store

/** Kinds of which there may be very many, and which are looked through. */
export type FoundKind = 'incident' | 'evacuation' | 'migration'

/** What a record must be, all of it at once; what is absent narrows nothing. Texts are compared exactly. */
export interface RecordQuery {
  /** One of these, 1–1 000. */
  readonly ids?: readonly string[]
  /** In one of these states, at least one. */
  readonly status?: readonly string[]
  /** Migrations: source or target. Evacuations: one of the sources, or the only target. Incidents: their server. */
  readonly serverId?: string
  /** Incidents have none: then nothing matches. */
  readonly reason?: MigrationReason
  /**
   * What belongs to one of these, 1–1 000: migrations to their evacuation, evacuations to their incident. Incidents belong
   * to nothing: then nothing matches.
   */
  readonly of?: readonly string[]
  /**
   * Only what is not over, and what was over at this time or later, milliseconds since 1970. Migrations are over when they
   * are completed, failed or cancelled, at `completedAt` (null: 0). Evacuations at `endedAt`, if it is not null. Incidents when they are
   * `closed` and have no failback that is `waiting` or `running`; of these `openedAt` counts.
   */
  readonly since?: number
  /** 1–1 000. */
  readonly limit: number
  /** How many of the newest to pass over. A page behind the last one is empty, and has the total all the same. */
  readonly offset: number
}

export interface Found<T> {
  /** Newest first: `list` backwards. */
  readonly records: readonly T[]
  /** How many match in all. */
  readonly total: number
}

/** Sums over all migrations. A mean, a share or a total that somebody wants is made of them by the engine. */
export interface MigrationSums {
  /** One for each status and reason that there is a migration of, in any order. */
  readonly groups: readonly MigrationGroup[]
  /** Failed ones by their `errorMessage`: the most frequent twenty, the most frequent first; which of equals, does not matter. */
  readonly failures: readonly { readonly error: string | null; readonly count: number }[]
}

/** Migrations of one status and reason. Sums are of those that have the figure: 0 if none has. */
export interface MigrationGroup {
  readonly status: MigrationStatus
  readonly reason: MigrationReason
  readonly count: number
  /** How many have both `startedAt` and `completedAt`, and the sum of the time between, milliseconds. */
  readonly timed: number
  readonly durationMs: number
  readonly savingsEurHour: number
  readonly savingsEurMonth: number
}
