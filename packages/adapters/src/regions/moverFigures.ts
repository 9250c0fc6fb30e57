/** What a mover has counted since it was made. Whole numbers that only rise, but `waiting` and `silentServers`. */
export interface MoverFigures {
  /** Commands handed to the broker. */
  readonly published: number
  /** Answers to calls that waited for them. */
  readonly results: number
  /** Answers that nobody waited for any more. */
  readonly unasked: number
  /** Calls that ended as `fenced`: something newer was faster. */
  readonly fenced: number
  /** Calls that ended as `unavailable`: nothing happened. */
  readonly unavailable: number
  /** Calls that no worker answered in time. */
  readonly timeouts: number
  /** Full syncs that a worker has applied. */
  readonly syncs: number
  /** Full syncs that were not: not published, not answered, held by the worker, or done in part. */
  readonly syncsFailed: number
  /** What syncs have found: wanted and not there; there and not as wanted; there and not wanted. */
  readonly driftMissing: number
  readonly driftChanged: number
  readonly driftExtra: number
  /** Calls that wait for their answer now. */
  readonly waiting: number
  /** Servers whose worker did not answer when it was last asked. */
  readonly silentServers: number
}

export type MoverTally = { -readonly [K in Exclude<keyof MoverFigures, 'waiting' | 'silentServers'>]: number }

export const moverTally = (): MoverTally => ({
  published: 0,
  results: 0,
  unasked: 0,
  fenced: 0,
  unavailable: 0,
  timeouts: 0,
  syncs: 0,
  syncsFailed: 0,
  driftMissing: 0,
  driftChanged: 0,
  driftExtra: 0,
})
