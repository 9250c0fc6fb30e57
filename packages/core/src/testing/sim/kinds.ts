/** Everything that can go wrong in a simulated world, by who does it. */
export const faultKinds = [
  'server.dies',
  'server.flaps',
  'server.slows',
  'server.loses_packets',
  'server.returns_empty',
  'server.blocked_for_a_region',
  'source.recovers',
  'target.dies',
  'prober.loses_network',
  'prober.loses_part',
  'prober.fails',
  'mover.refuses_a_user',
  'mover.is_unavailable',
  'mover.fails_unclearly',
  'mover.fails_halfway',
  'mover.times_out_after_success',
  'mover.hangs',
  'mover.arrives_late',
  'mover.duplicates',
  'mover.lies',
  'mover.fails_verify',
  'mover.fails_prepare',
  'mover.fails_complete',
  'mover.fails_rollback',
  'mover.fails_locate',
  'registry.is_stale',
  'registry.misses_servers',
  'registry.misses_connections',
  'registry.answers_nothing',
  'registry.fails',
  'registry.hangs',
  'registry.refuses_status',
  'host.adds_users',
  'host.removes_users',
  'host.moves_users',
  'host.lowers_capacity',
  'host.removes_a_server',
  'host.adds_a_server',
  'store.fails',
  'store.fails_after_writing',
  'store.stalls',
  'leases.fail',
  'leases.are_lost',
  'log.fails',
  'guards.forbid',
  'guards.fail',
  'notifier.fails',
  'engine.killed_before_a_call',
  'engine.killed_after_a_call',
  'engine.freezes',
  'engine.stops',
  'clock.jumps',
  'operator.cancels',
  'operator.approves',
  'operator.pauses',
  'operator.cordons',
  'operator.drains',
  'operator.executes_a_plan',
  'operator.retires',
  'operator.overrides_the_guard',
  'operator.acknowledges',
  'operator.creates_a_migration',
  'operator.moves_one_user',
  'operator.schedules',
  'operator.retries',
  'operator.cancels_all',
  'vantage.loses_network',
  'vantage.falls_silent',
  'observations.fail',
  'observations.are_late',
  'observations.are_duplicated',
] as const

export type FaultKind = (typeof faultKinds)[number]

/** Where a world's engine is when a fault strikes; `recovering`: between a recovery and the restored status. */
export const phases = ['quiet', 'suggested', 'scheduled', 'preparing', 'transferring', 'completing', 'recovering'] as const
export type Phase = (typeof phases)[number]

/** One fault of a history. */
export interface Step {
  /** Milliseconds after the start, from which on it may strike. */
  readonly at: number
  /** Strikes at the next entry into this phase; null: at its time. */
  readonly phase: Phase | null
  readonly kind: FaultKind
  /** What it strikes is picked by this number among what is there: 0 ≤ pick < 1. */
  readonly pick: number
  /** How long it lasts, milliseconds. */
  readonly lastsMs: number
}

/**
 * The invariants of the design, and two more. `progress`: when all faults are over, what is to be done gets done. `advice`: a
 * server has one open suggestion, and none is begun that leaves too little.
 */
export type Invariant =
  | 'I1'
  | 'I2'
  | 'I3'
  | 'I4'
  | 'I5'
  | 'I6'
  | 'I7'
  | 'I8'
  | 'I9'
  | 'I10'
  | 'I11'
  | 'I12'
  | 'I13'
  | 'I14'
  | 'progress'
  | 'advice'

export interface Violation {
  readonly invariant: Invariant
  /** Milliseconds after the start. */
  readonly at: number
  readonly message: string
}
