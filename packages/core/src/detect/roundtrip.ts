/** What a path's answers have told of its round trip. */
export interface RoundTrip {
  readonly smoothedMs: number
  readonly variationMs: number
}

/** RFC 6298 §2: a first measurement sets both, each later one moves them by 1/8 and 1/4. */
export function measure(before: RoundTrip | null, rttMs: readonly number[]): RoundTrip | null {
  let known = before
  for (const ms of rttMs) {
    const offMs = known ? ms - known.smoothedMs : 0
    const variationMs = known ? known.variationMs + (Math.abs(offMs) - known.variationMs) / 4 : ms / 2
    known = { smoothedMs: known ? known.smoothedMs + offMs / 8 : ms, variationMs }
  }
  return known
}

/**
 * How long to wait for an answer, whole milliseconds: RFC 6298's smoothed round trip and four times its variation, where
 * that margin is at least the floor (as in Linux). A second of it at least, as the RFC has it, is for what resends;
 * a probe that gives up early costs one more probe.
 * @param backOff the RFC's doubling after a loss, so that a path that has become slower is not taken for a dead one
 */
export function waitFor(known: RoundTrip | null, floorMs: number, mostMs: number, backOff = 1): number {
  if (!known) return mostMs
  const waitMs = known.smoothedMs + Math.max(floorMs, 4 * known.variationMs)
  return Math.min(mostMs, Math.ceil(waitMs * backOff))
}
