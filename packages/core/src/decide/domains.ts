import type { VerdictKind } from '../vocabulary.ts'

/** A server that is meant to be in service, as domains look at it. */
export interface Member {
  readonly failureDomain: string | null
  readonly verdict: VerdictKind
}

/**
 * Whether a failure domain has failed as a whole: it has two servers at least, none of them lives, and servers of two
 * other domains do. Two, because with one other only it might as well be that one which is seen and all else which is not.
 */
export function hasFailed(domain: string, fleet: readonly Member[]): boolean {
  const members = fleet.filter(({ failureDomain }) => failureDomain === domain)
  if (members.length < 2 || members.some(({ verdict }) => verdict !== 'down')) return false
  const living = fleet.flatMap(({ failureDomain, verdict }) => (verdict === 'up' && failureDomain !== null ? failureDomain : []))
  return new Set(living).size >= 2
}
