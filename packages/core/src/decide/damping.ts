import type { ServerId } from '../vocabulary.ts'

/** A penalty that halves over time; each outage adds one. */
export interface Damping {
  readonly penalty: number
  readonly at: number
  /** Outages of the hour before `at`, at most a hundred. */
  readonly recent: readonly number[]
}

const hour = 3_600_000

export const undamped: Damping = { penalty: 0, at: 0, recent: [] }

/** The penalty that is left now. */
export function penaltyAt(damping: Damping, now: number, halfLifeMs: number): number {
  return damping.penalty * 2 ** (-Math.max(0, now - damping.at) / halfLifeMs)
}

export function addOutage(damping: Damping, now: number, halfLifeMs: number): Damping {
  const recent = [...damping.recent.slice(-99).filter((at) => at > now - hour), now]
  return { penalty: penaltyAt(damping, now, halfLifeMs) + 1, at: now, recent }
}

/** When the penalty will have fallen below the ceiling, if nothing happens until then. */
function dampedUntil(damping: Damping, ceiling: number, halfLifeMs: number): number {
  return damping.at + Math.max(0, Math.log2(damping.penalty / ceiling)) * halfLifeMs
}

/** What there is to tell of a server that has just failed once too often. */
export function dampedNews(serverId: ServerId, damping: Damping, ceiling: number, halfLifeMs: number) {
  const until = Math.round(dampedUntil(damping, ceiling, halfLifeMs))
  const { length } = damping.recent
  const message = `${serverId} is flapping: ${length} outages in the last hour; damped for about ${Math.ceil((until - damping.at) / 60_000)} minutes`
  return { serverId, outagesLastHour: length, until, message }
}
