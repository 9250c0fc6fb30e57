/** What a worker has counted since it started. Everything is a whole number that only rises, but `inFlight`. */
export interface WorkerFigures {
  /** Grants and revokes that had their effect. */
  readonly applied: number
  /** It was so already. */
  readonly noop: number
  /** Refused: older than what was seen for the connection. */
  readonly stale: number
  /** Refused: of a leader who has been replaced. */
  readonly fenced: number
  /** Refused: after its deadline. */
  readonly expired: number
  /** Refused by the handler, for good. */
  readonly rejected: number
  /** Did not work, and is tried again. */
  readonly failed: number
  /** Went to the dead letters. */
  readonly dead: number
  /** The same by reason: `MALFORMED`, `OVERSIZED`, `UNKNOWN_VERSION`, `FORGED`, `TOO_MANY_TRIES`. */
  readonly deadBy: Readonly<Record<string, number>>
  /** Came more than once. */
  readonly redelivered: number
  /** An effect that ended when the broker had given the message to another: a sync has to look after it. */
  readonly late: number
  /** Left alone for that reason before anything was done. */
  readonly left: number
  readonly checked: number
  readonly syncs: number
  readonly syncsHeld: number
  readonly syncsGivenUp: number
  /** Repaired by syncs: wanted and not there; there and not as wanted; there and not wanted. */
  readonly driftMissing: number
  readonly driftChanged: number
  readonly driftExtra: number
  /** Peers that the handler did not make, in the last sync of each server added up. */
  readonly foreign: number
  /** Commands that were taken and have not come to their end. */
  readonly inFlight: number
}

export type Tally = { -readonly [Name in keyof WorkerFigures]: Name extends 'deadBy' ? Record<string, number> : number }

export const tally = (): Tally => ({
  applied: 0,
  noop: 0,
  stale: 0,
  fenced: 0,
  expired: 0,
  rejected: 0,
  failed: 0,
  dead: 0,
  deadBy: {},
  redelivered: 0,
  late: 0,
  left: 0,
  checked: 0,
  syncs: 0,
  syncsHeld: 0,
  syncsGivenUp: 0,
  driftMissing: 0,
  driftChanged: 0,
  driftExtra: 0,
  foreign: 0,
  inFlight: 0,
})
