import type { Candidate, CohortDecision, Factor, Plan, ServerReport } from '@pintail/core'
import { count, type Paint, table } from './terminal.ts'

interface Shown {
  readonly plan: Plan
  readonly servers: readonly ServerReport[]
  /** Names every user, not the first few of each group. */
  readonly all: boolean
  readonly paint: Paint
}

type Scored = Extract<Candidate, { readonly score: number }>
type Excluded = Extract<Candidate, { readonly excluded: string }>

const factors: readonly (readonly [Factor, string])[] = [
  ['headroom', 'room'],
  ['latency', 'rtt'],
  ['stability', 'stable'],
  ['region', 'region'],
  ['failure_domain', 'domain'],
  ['cost', 'price'],
  ['preference', 'wish'],
]

const fewUsers = 8
const fewCandidates = 5

/** Who would go where, why, who would not, and which servers were no targets. */
export function planText(shown: Shown): string {
  const parts = [headline(shown), where(shown), ...shown.plan.cohorts.map((cohort) => why(cohort, shown)), excluded(shown), stranded(shown)]
  const end = shown.paint.dim(`Nothing was changed. Fingerprint of this plan: ${shown.plan.fingerprint}`)
  return `${[...parts, end].filter((part) => part !== '').join('\n')}\n`
}

function headline({ plan, servers, paint }: Shown): string {
  const placed = plan.placements.reduce((sum, { connections }) => sum + connections.length, 0)
  const sources = plan.fromServerIds.map((id) => nameOf(id, servers)).join(', ')
  const listed = plan.coverage.kind === 'active' ? ', as far as the database lists them (only those active lately)' : ''
  const total = placed + plan.unplaced.length
  const rest = plan.unplaced.length === 0 ? '' : paint.red(`, ${plan.unplaced.length} would stay without a place`)
  if (total === 0) return `${paint.bold(`Drain of ${sources}`)}: nobody is there${listed}.\n`
  return `${paint.bold(`Drain of ${sources}`)}: ${count(total, 'user')} there${listed}; ${placed} would be moved${rest}.\n`
}

/** The id, and the name where there is one. */
function nameOf(id: string, servers: readonly ServerReport[]): string {
  const name = servers.find(({ serverId }) => serverId === id)?.name
  return name === undefined || name === id ? id : `${id} (${name})`
}

function where({ plan, servers, all, paint }: Shown): string {
  if (plan.placements.length === 0) return ''
  const rows = plan.placements.map(({ toServerId, connections, loadBefore, loadAfter, capacity }) => [
    nameOf(toServerId, servers),
    String(connections.length),
    String(loadBefore),
    String(loadAfter),
    capacity === null ? 'unknown' : String(capacity),
    userList(
      connections.map(({ id }) => id),
      all,
    ),
  ])
  return table({ head: ['target', 'users', 'load now', 'then', 'capacity', 'who'], rows, paint, right: [1, 2, 3, 4] })
}

const userList = (ids: readonly string[], all: boolean): string =>
  all || ids.length <= fewUsers ? ids.join(' ') : `${ids.slice(0, fewUsers).join(' ')} … and ${ids.length - fewUsers} more (--all)`

function why({ region, connections, candidates, placed }: CohortDecision, { servers, paint }: Shown): string {
  const scored = candidates.filter((one): one is Scored => 'score' in one)
  if (scored.length === 0) return ''
  const users = new Map(placed.map((one) => [one.serverId, one.connections]))
  const rows = scored.slice(0, fewCandidates).map((candidate) => {
    const weights = candidate.contributions.reduce((sum, { weight }) => sum + weight, 0)
    const points = (name: Factor): string => {
      const found = candidate.contributions.find(({ factor }) => factor === name)
      return found && weights > 0 ? ((100 * found.value * found.weight) / weights).toFixed(1) : '0.0'
    }
    const taken = users.get(candidate.serverId)
    return [
      nameOf(candidate.serverId, servers),
      (100 * candidate.score).toFixed(1),
      ...factors.map(([factor]) => points(factor)),
      taken === undefined ? '–' : paint.green(String(taken)),
    ]
  })
  const whom = region === null ? count(connections, 'user') : `${count(connections, 'user')} of region ${region}`
  const more = scored.length > fewCandidates ? `  … and ${scored.length - fewCandidates} more candidates\n` : ''
  const head = ['candidate', 'score', ...factors.map(([, word]) => word), 'users']
  const shown = table({ head, rows, paint, right: head.map((_, index) => index).slice(1) })
  return `${paint.bold('Why')}  ${whom}; points out of 100\n${shown}${more}`
}

/** Servers that could take nobody, each once with the reason. */
function excluded({ plan, servers, paint }: Shown): string {
  const sources = new Set<string>(plan.fromServerIds)
  const reasons = new Map<string, string>()
  for (const { candidates } of plan.cohorts)
    for (const one of candidates.filter((candidate): candidate is Excluded => 'excluded' in candidate))
      if (!sources.has(one.serverId)) reasons.set(one.serverId, one.message)
  if (reasons.size === 0) return ''
  return `${paint.bold('No target')}\n${[...reasons].map(([id, message]) => `  ${nameOf(id, servers)}: ${message}`).join('\n')}\n`
}

function stranded({ plan, all, paint }: Shown): string {
  if (plan.unplaced.length === 0) return ''
  const byReason = Map.groupBy(plan.unplaced, ({ code, message }) => `${code}: ${message}`)
  const lines = [...byReason].map(
    ([reason, some]) =>
      `  ${count(some.length, 'user')}, ${reason}\n    ${userList(
        some.map(({ connectionId }) => connectionId),
        all,
      )}`,
  )
  return `${paint.bold(paint.red('Without a place'))}\n${lines.join('\n')}\n`
}
