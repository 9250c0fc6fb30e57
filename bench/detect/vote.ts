import type { VerdictKind } from '@pintail/core'

/** What the vantages of one audience say together: more than half of those with an opinion, and two at least to condemn. */
export function vote(verdicts: readonly VerdictKind[]): VerdictKind {
  if (verdicts.length === 1) return verdicts[0] ?? 'unknown'
  const cast = verdicts.filter((verdict) => verdict !== 'unknown')
  const say = (kind: VerdictKind): number => cast.filter((verdict) => verdict === kind).length
  if (2 * say('down') > cast.length && say('down') >= 2) return 'down'
  return 2 * say('up') > cast.length ? 'up' : 'suspect'
}
