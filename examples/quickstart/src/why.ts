/** "Why this target": one decision of Pintail as a table of candidates, their points and the exclusions. */
import { type Candidate, type CohortDecision, type ConnectionInput, cohortOf, type DecisionRecord, type Factor } from '@pintail/core'
import { clip, count, fit, type Line, type Span } from './text.ts'

type Scored = Extract<Candidate, { readonly score: number }>
const factors: readonly (readonly [Factor, string])[] = [
  ['headroom', 'room'],
  ['latency', 'rtt'],
  ['stability', 'stable'],
  ['region', 'region'],
  ['failure_domain', 'domain'],
  ['cost', 'price'],
  ['preference', 'wish'],
]

/** Points out of 100, so that a row adds up to its score. */
function points(candidate: Scored): ReadonlyMap<Factor, number> {
  const weights = candidate.contributions.reduce((sum, { weight }) => sum + weight, 0)
  return new Map(candidate.contributions.map(({ factor, value, weight }) => [factor, weights === 0 ? 0 : (100 * value * weight) / weights]))
}

/** The cohort that says most: the largest one. */
function mainCohort(decision: DecisionRecord): CohortDecision | undefined {
  return decision.cohorts.toSorted((a, b) => b.connections - a.connections)[0]
}

const scored = (cohort: CohortDecision): Scored[] => cohort.candidates.filter((candidate) => 'score' in candidate)

/** The first user who has moved, and where to. */
export interface Mover {
  readonly user: ConnectionInput
  readonly to: string
}

/** The whole why of one user: the candidates of his group, what the points of his new server rest on, and who was no target. */
export function whyUser(decision: DecisionRecord, { user, to }: Mover, columns: number): Line[] {
  const cohort = cohortOf(decision, user)
  if (!cohort) return []
  const others = cohort.connections > 1 ? `one of ${cohort.connections} users with these needs` : 'the only one with these needs'
  const needs = user.needs?.protocols ? `, needs ${user.needs.protocols.join(' and ')}` : ''
  const title: Line = [[`Why ${user.id} has moved to ${to}`, 'strong']]
  const whom: Line = [[`  region ${user.region ?? 'unknown'}${needs}; ${others}`, 'quiet']]
  const isFirst = scored(cohort)[0]?.serverId === to
  const above: Line[] = isFirst ? [] : [[['  Those above it are full, or score less once the others have come.', 'quiet']]]
  const rests: Line = [[`  what the points of ${to} rest on`, 'quiet']]
  const lines = [title, whom, ...cohortTable(cohort, 5, to), ...above, rests, ...restsOn(cohort, to), ...notFor(cohort)]
  return lines.map((line) => clip(line, columns))
}

/** What the points of a candidate rest on, in the engine's own notes. */
function restsOn(cohort: CohortDecision, server: string): Line[] {
  const candidate = scored(cohort).find(({ serverId }) => serverId === server)
  if (!candidate) return []
  const parts = points(candidate)
  const weights = candidate.contributions.reduce((sum, { weight }) => sum + weight, 0)
  return factors.flatMap(([factor, word]): Line[] => {
    const found = candidate.contributions.find((one) => one.factor === factor)
    if (!found || found.weight === 0) return []
    const most = Math.round((1000 * found.weight) / weights) / 10
    return [['  ', ...fit([word], 8), ...fit([(parts.get(factor) ?? 0).toFixed(1)], -6), ...fit([` of ${most}`], 8), [found.note, 'quiet']]]
  })
}

function notFor(cohort: CohortDecision): Line[] {
  return cohort.candidates.flatMap((one): Line[] =>
    'excluded' in one ? [['  ', ...fit([one.serverId], 8), [` no target: ${one.message}`, 'quiet']]] : [],
  )
}

/** Whom the table is about. */
export function whyFor(decision: DecisionRecord): string {
  const cohort = mainCohort(decision)
  if (!cohort) return 'nobody was there to be moved'
  const others = decision.cohorts.length - 1
  const of = `${count(cohort.connections, 'user')} of region ${cohort.region ?? 'unknown'}`
  return others > 0 ? `${of}, the largest of ${decision.cohorts.length} groups` : of
}

/** The candidates of the largest group, at most `rows` of them: 73 columns wide. */
export function whyTable(decision: DecisionRecord, rows: number): Line[] {
  const cohort = mainCohort(decision)
  return cohort ? cohortTable(cohort, rows, null) : []
}

function cohortTable(cohort: CohortDecision, rows: number, chosen: string | null): Line[] {
  const lines: Line[] = []
  const taken = new Map(cohort.placed.map(({ serverId, connections }) => [serverId, connections]))
  const head = ['  ', 'target'.padEnd(8), 'score'.padStart(6), ...factors.map(([, word]) => word.padStart(7)), 'users'.padStart(8)]
  lines.push([[head.join(''), 'quiet']])
  const all = scored(cohort)
  // Whoever was chosen is shown, also where those before him were full.
  for (const candidate of all.filter(({ serverId }, index) => index < rows || serverId === chosen)) {
    const parts = points(candidate)
    const users = taken.get(candidate.serverId) ?? 0
    const row: Span[] = [
      candidate.serverId === chosen ? '→ ' : '  ',
      ...fit([candidate.serverId], 8),
      ...fit([[(100 * candidate.score).toFixed(1), 'strong']], -6),
    ]
    for (const [factor] of factors) row.push(...fit([(parts.get(factor) ?? 0).toFixed(1)], -7))
    row.push(...fit([users > 0 ? [String(users), 'good'] : ['–', 'quiet']], -8))
    lines.push(row)
  }
  return lines
}

/** Who was no target, and why: for anybody, or for some groups only. */
export function exclusions(decision: DecisionRecord): Line[] {
  const reasons = new Map<string, { users: number; message: string; server: string }>()
  for (const { candidates, connections } of decision.cohorts)
    for (const candidate of candidates)
      if ('excluded' in candidate) {
        const key = `${candidate.serverId} ${candidate.excluded}`
        const users = (reasons.get(key)?.users ?? 0) + connections
        reasons.set(key, { users, message: candidate.message, server: candidate.serverId })
      }
  return [...reasons.values()].map(({ users, message, server }) => {
    const whom = users === decision.connections ? '' : ` (for ${count(users, 'user')})`
    return ['  ', ...fit([server], 8), [` no target: ${message}${whom}`, 'quiet']]
  })
}

/** Targets that this decision fills up to the limit, so that the next best ones take the rest. */
export function filled(decision: DecisionRecord, capacities: ReadonlyMap<string, number>, fillLimit: number): string[] {
  const full: string[] = []
  const arrivals = new Map<string, number>()
  for (const { placed } of decision.cohorts)
    for (const { serverId, connections } of placed) arrivals.set(serverId, (arrivals.get(serverId) ?? 0) + connections)
  for (const [id, arriving] of arrivals) {
    const capacity = capacities.get(id) ?? 0
    const found = decision.cohorts.flatMap(scored).find(({ serverId }) => serverId === id)
    const free = found?.contributions.find(({ factor }) => factor === 'headroom')?.value ?? 1
    // The contribution is the free share before anybody arrives.
    if (Math.round(capacity * (1 - free)) + arriving >= Math.floor(capacity * fillLimit)) full.push(id)
  }
  return full
}

/** The reason in half a sentence: in what the best target with room is ahead of the others, in the engine's own notes. */
export function whyShort(decision: DecisionRecord): string | null {
  const cohort = mainCohort(decision)
  if (!cohort) return null
  const candidates = scored(cohort)
  // A better one may be full already.
  const best = candidates.find(({ serverId }) => cohort.placed.some((part) => part.serverId === serverId)) ?? candidates[0]
  if (!best) return null
  const others = candidates.filter((candidate) => candidate !== best)
  const lead = new Map(points(best))
  for (const other of others) for (const [factor, value] of points(other)) lead.set(factor, (lead.get(factor) ?? 0) - value / others.length)
  const notes = best.contributions
    .filter(({ factor }) => (lead.get(factor) ?? 0) >= 1)
    .sort((a, b) => (lead.get(b.factor) ?? 0) - (lead.get(a.factor) ?? 0))
    .slice(0, 2)
    .map(({ note }) => note)
  const score = `${best.serverId} is best with ${Math.round(100 * best.score)} of 100 points`
  return notes.length === 0 ? score : `${score}: ${notes.join(', ')}`
}
