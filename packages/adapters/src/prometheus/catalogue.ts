import type {
  CallOutcome,
  GuardCode,
  MetricLabels,
  MetricName,
  MigrationReason,
  MigrationStatus,
  Mode,
  PintailEvents,
  UnplacedCode,
  VerdictKind,
} from '@pintail/core'

type Values<L> = { readonly [K in keyof L]: readonly L[K][] | Open }

/** The values of this label are not known beforehand; they are few all the same, for the reason given. */
export interface Open {
  readonly open: string
}

/** What Prometheus has to know of a figure. `zero`: all its series are there from the start, so that a rate has a beginning. */
export interface MetricSpec<L = Readonly<Record<string, string>>> {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: Values<L>
  readonly buckets?: readonly number[]
  readonly zero?: true
  /** Only where `perServer` is more than 0. */
  readonly perServer?: true
}

/** Every value of a union, which the compiler counts. */
const all = <T extends string>(values: Readonly<Record<T, 1>>): readonly T[] => Object.keys(values) as T[]

const reasons = all<MigrationReason | 'unknown'>({
  'server-down': 1,
  degraded: 1,
  'cost-optimization': 1,
  manual: 1,
  rebalancing: 1,
  maintenance: 1,
  failback: 1,
  'user-request': 1,
  unknown: 1,
})
const statuses = all<MigrationStatus>({
  suggested: 1,
  approved: 1,
  scheduled: 1,
  preparing: 1,
  transferring: 1,
  completing: 1,
  completed: 1,
  failed: 1,
  cancelled: 1,
})
const openStatuses = all<MetricLabels['pintail_moves_open']['status']>({
  suggested: 1,
  approved: 1,
  scheduled: 1,
  preparing: 1,
  transferring: 1,
  completing: 1,
})
const guards = all<GuardCode>({
  no_control: 1,
  too_few_servers: 1,
  mass_failure: 1,
  all_down: 1,
  paused: 1,
  host: 1,
  cooldown: 1,
  source_busy: 1,
  registry_stale: 1,
  no_limit: 1,
  queue: 1,
  scaling: 1,
  window: 1,
})
const verdicts = all<VerdictKind>({ up: 1, suspect: 1, down: 1, unknown: 1 })
const modes = all<Mode>({ observe: 1, suggest: 1, auto: 1 })
const unplaced = all<UnplacedCode>({ pinned: 1, no_capacity: 1, no_candidate: 1, refused_everywhere: 1, being_moved: 1, no_gain: 1 })
const outcomes = all<CallOutcome>({ ok: 1, rejected: 1, unavailable: 1, timeout: 1, aborted: 1, fenced: 1, conflict: 1, error: 1 })
const warnings = all<PintailEvents['warning']['code']>({
  aborted: 1,
  already_started: 1,
  conflict: 1,
  events_lagged: 1,
  fenced: 1,
  guard_denied: 1,
  illegal_transition: 1,
  internal: 1,
  invalid_argument: 1,
  invalid_host: 1,
  invalid_options: 1,
  invalid_row: 1,
  not_found: 1,
  not_leader: 1,
  not_started: 1,
  nothing_to_move: 1,
  plan_stale: 1,
  policy_stale: 1,
  prober_unavailable: 1,
  rejected: 1,
  stopped: 1,
  target_full: 1,
  timeout: 1,
  unavailable: 1,
  unknown_host: 1,
  unsupported: 1,
  listener_failed: 1,
  sink_failed: 1,
  capability_missing: 1,
  registry_stale: 1,
  advice: 1,
})
const scopes = ['all', 'audience'] as const
const truths = ['true', 'false'] as const

const probers: Open = { open: 'the names of your probers, at most 16' }
const ids: Open = { open: 'ids of servers, at most `perServer`' }

const seconds = {
  calls: [0.001, 0.005, 0.025, 0.1, 0.25, 1, 2.5, 5, 10, 20, 60],
  rtt: [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 3],
}
const slow = [1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 14_400]

/** Every figure that the engine tells, in the order of docs/metrics.md. */
export const catalogue: { readonly [K in MetricName]: MetricSpec<MetricLabels[K]> } = {
  pintail_leading: { type: 'gauge', help: '1 while this engine leads, 0 while it stands by or is stopped', labels: {} },
  pintail_leader_changes_total: {
    type: 'counter',
    help: 'Times that this engine got the lead, and lost it to another or to a silent store',
    labels: { change: ['acquired', 'lost'] },
    zero: true,
  },
  pintail_last_cycle_timestamp_seconds: {
    type: 'gauge',
    help: "When the last check of a server came back, Unix time; 0: none has. The dead man's switch: alert when the newest of all engines is old",
    labels: {},
  },
  pintail_servers: { type: 'gauge', help: 'Servers by verdict', labels: { verdict: verdicts } },
  pintail_verdict_changes_total: {
    type: 'counter',
    help: 'Verdicts that changed to this one, for everybody or for the users of one region',
    labels: { verdict: verdicts, scope: scopes },
    zero: true,
  },
  pintail_vantages: { type: 'gauge', help: 'Places that probe, by whether their word counts', labels: { state: ['healthy', 'lost'] } },
  pintail_observations_total: {
    type: 'counter',
    help: 'Samples from elsewhere, by whether they could be believed',
    labels: { result: ['taken', 'refused'] },
    zero: true,
  },
  pintail_probes_total: {
    type: 'counter',
    help: 'Checks: something came back, nothing did, or the prober itself failed, which is evidence against nobody',
    labels: { prober: probers, outcome: ['answered', 'silent', 'error'] },
  },
  pintail_probe_packets_total: {
    type: 'counter',
    help: 'Packets of checks, by what became of them',
    labels: { prober: probers, result: ['received', 'lost'] },
  },
  pintail_probe_rtt_seconds: {
    type: 'histogram',
    help: 'Round-trip time of each answer to a probe',
    labels: { prober: probers },
    buckets: seconds.rtt,
  },
  pintail_registry_list_timestamp_seconds: {
    type: 'gauge',
    help: 'When the list of servers was last read and believed, Unix time; 0: never',
    labels: {},
  },
  pintail_registry_skipped_rows: { type: 'gauge', help: 'Rows of the last list of servers that could not be understood', labels: {} },
  pintail_incidents_open: { type: 'gauge', help: 'Open incidents', labels: {} },
  pintail_incidents_opened_total: { type: 'counter', help: 'Incidents that were opened', labels: { scope: scopes }, zero: true },
  pintail_incidents_ended_total: {
    type: 'counter',
    help: 'Incidents that ended, with a recovery or without one',
    labels: { how: ['recovered', 'closed'] },
    zero: true,
  },
  pintail_detection_seconds: {
    type: 'histogram',
    help: 'From the first failing check of an outage to its incident',
    labels: {},
    buckets: slow,
  },
  pintail_incident_duration_seconds: { type: 'histogram', help: 'How long incidents lasted that recovered', labels: {}, buckets: slow },
  pintail_failing_domains: { type: 'gauge', help: 'Failure domains that are down as a whole', labels: {} },
  pintail_guard_denials_total: {
    type: 'counter',
    help: 'Times that a guard began to forbid acting',
    labels: { guard: guards },
    zero: true,
  },
  pintail_guard_held_servers: {
    type: 'gauge',
    help: 'Servers that a guard keeps from being acted on now',
    labels: { guard: guards },
    zero: true,
  },
  pintail_pauses: { type: 'gauge', help: "An operator's pauses that hold now", labels: {} },
  pintail_decisions_total: {
    type: 'counter',
    help: 'Decisions, by reason and by how far Pintail may go by itself',
    labels: { reason: reasons.filter((one) => one !== 'unknown'), mode: modes },
    zero: true,
  },
  pintail_evacuations_total: {
    type: 'counter',
    help: 'Evacuations that were created, completed and cancelled',
    labels: { event: ['created', 'completed', 'cancelled'] },
    zero: true,
  },
  pintail_evacuation_duration_seconds: {
    type: 'histogram',
    help: 'How long evacuations took that were completed',
    labels: {},
    buckets: slow,
  },
  pintail_migrations_total: {
    type: 'counter',
    help: 'Migrations that came into this status',
    labels: { status: statuses, reason: reasons },
    zero: true,
  },
  pintail_migrations_open: { type: 'gauge', help: 'Open migrations by status: the queue', labels: { status: openStatuses } },
  pintail_migration_duration_seconds: {
    type: 'histogram',
    help: 'From start to completion of a migration',
    labels: { reason: reasons },
    buckets: slow,
  },
  pintail_migration_failures_total: {
    type: 'counter',
    help: 'Migrations that failed, by why they were made and by what the rollback came to',
    labels: { reason: reasons, rollback: ['done', 'incomplete', 'none'] },
    zero: true,
  },
  pintail_migration_savings_eur_per_hour: {
    type: 'gauge',
    help: 'Sum of what the migrations save that were completed since the start of this process; negative: they cost more',
    labels: {},
  },
  pintail_moves_total: {
    type: 'counter',
    help: 'Connections that were moved, could not be moved, or needed no move any more',
    labels: { outcome: ['moved', 'failed', 'skipped'] },
    zero: true,
  },
  pintail_move_failures_total: {
    type: 'counter',
    help: 'Connections that could not be moved: for good or not, and with a grant taken back or not',
    labels: { permanent: truths, rolled_back: truths },
    zero: true,
  },
  pintail_moves_open: {
    type: 'gauge',
    help: 'Connections of open migrations that are still to be moved',
    labels: { status: openStatuses },
  },
  pintail_unplaced_total: { type: 'counter', help: 'Connections that no target could take', labels: { code: unplaced }, zero: true },
  pintail_undelivered_total: { type: 'counter', help: 'Users who could not be told where they are now', labels: {} },
  pintail_pending_revokes: { type: 'gauge', help: 'Old grants that are still to be taken back', labels: {} },
  pintail_call_duration_seconds: {
    type: 'histogram',
    help: 'Calls to registry, mover, store, leases, log, guards and notifier, by how they ended; a time-out counts when it is given up',
    labels: {
      port: { open: 'the seven ports' },
      method: { open: "the ports' methods" },
      outcome: outcomes,
    },
    buckets: seconds.calls,
  },
  pintail_store_writable: { type: 'gauge', help: '0 while nothing can be written, and so nothing moved', labels: {} },
  pintail_journal_last_seq: { type: 'gauge', help: 'Number of the newest entry of the journal', labels: {} },
  pintail_warnings_total: { type: 'counter', help: 'Warnings, by code', labels: { code: warnings }, zero: true },
  pintail_server_up: { type: 'gauge', help: '1 while this server is up, else 0', labels: { server_id: ids }, perServer: true },
  pintail_server_rtt_seconds: {
    type: 'gauge',
    help: 'Smoothed round-trip time to this server',
    labels: { server_id: ids },
    perServer: true,
  },
  pintail_server_packet_loss_ratio: {
    type: 'gauge',
    help: 'Lost packets of the last check of this server, 0 to 1',
    labels: { server_id: ids },
    perServer: true,
  },
  pintail_server_connections: {
    type: 'gauge',
    help: 'Connections on this server, reservations included',
    labels: { server_id: ids },
    perServer: true,
  },
  pintail_servers_without_series: {
    type: 'gauge',
    help: 'Servers beyond `perServer`, which have no series of their own',
    labels: {},
    perServer: true,
  },
}
