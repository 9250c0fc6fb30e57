/** A penalty that halves over time; each outage adds one. */
export interface Damping {
  readonly penalty: number
  readonly at: number
}

export const undamped: Damping = { penalty: 0, at: 0 }

/** The penalty that is left now. */
export function penaltyAt(damping: Damping, now: number, halfLifeMs: number): number {
  return damping.penalty * 2 ** (-Math.max(0, now - damping.at) / halfLifeMs)
}

export function addOutage(damping: Damping, now: number, halfLifeMs: number): Damping {
  return { penalty: penaltyAt(damping, now, halfLifeMs) + 1, at: now }
}
