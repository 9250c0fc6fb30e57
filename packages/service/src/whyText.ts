import type { Candidate, CohortDecision, Factor } from '@pintail/core'
import { clip, type Paint, table } from './terminal.ts'

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

const fewCandidates = 5
const fewExcluded = 8

export interface Why {
  readonly cohort: CohortDecision
  /** Where the user goes of whom it is; null: of all of the cohort. */
  readonly chosen: string | null
  readonly nameOf: (id: string) => string
  readonly columns: number
  readonly paint: Paint
}

/** The candidates with their points, what those of the chosen one rest on, and who was no target. */
export function whyText(why: Why): string {
  return [candidateTable(why), notes(why), excluded(why)].filter((part) => part !== '').join('')
}

const isScored = (one: Candidate): one is Scored => 'score' in one
const isExcluded = (one: Candidate): one is Excluded => 'excluded' in one

/** Points out of 100, so that a row adds up to its score. */
function pointsOf({ contributions }: Scored, name: Factor): number {
  const weights = contributions.reduce((sum, { weight }) => sum + weight, 0)
  const found = contributions.find(({ factor }) => factor === name)
  return found && weights > 0 ? (100 * found.value * found.weight) / weights : 0
}

function candidateTable({ cohort, chosen, nameOf, columns, paint }: Why): string {
  const scored = cohort.candidates.filter(isScored)
  if (scored.length === 0) return ''
  const users = new Map<string, number>(cohort.placed.map((one) => [one.serverId, one.connections]))
  const first = scored.slice(0, fewCandidates)
  // Whoever is chosen is shown, also where those before him are full.
  const shown = [...first, ...scored.slice(fewCandidates).filter(({ serverId }) => serverId === chosen)]
  const rows = shown.map((candidate) => {
    const { serverId, score } = candidate
    const taken = users.get(serverId)
    const isChosen = serverId === chosen
    const name = `${isChosen ? '→' : ' '} ${clip(nameOf(serverId), Math.max(10, columns - 66))}`
    return [
      isChosen ? paint.bold(name) : name,
      (100 * score).toFixed(1),
      ...factors.map(([factor]) => pointsOf(candidate, factor).toFixed(1)),
      taken === undefined ? '–' : paint.green(String(taken)),
    ]
  })
  const head = ['  candidate', 'score', ...factors.map(([, word]) => word), 'users']
  const more = scored.length > shown.length ? `  … and ${scored.length - shown.length} more candidates\n` : ''
  const [best] = scored
  const isLess = chosen !== null && best && best.serverId !== chosen
  const why = isLess ? `  ${paint.dim('Those above it are full, or score less once the others have come.')}\n` : ''
  return `${table({ head, rows, paint, right: head.map((_, index) => index).slice(1) })}${more}${why}`
}

/** What the points of the chosen one rest on. */
function notes({ cohort, chosen, nameOf, columns, paint }: Why): string {
  const candidate = cohort.candidates.filter(isScored).find(({ serverId }) => serverId === chosen)
  if (!candidate) return ''
  const lines = factors.flatMap(([factor, word]) => {
    const found = candidate.contributions.find((one) => one.factor === factor)
    if (!found || found.weight === 0) return []
    const points = `${pointsOf(candidate, factor).toFixed(1)} of ${most(candidate, factor)}`
    return `  ${word.padEnd(7)}${points.padStart(13)}  ${clip(found.note, columns - 24)}\n`
  })
  return `${paint.dim(`What the points of ${nameOf(candidate.serverId)} rest on`)}\n${lines.join('')}`
}

function most({ contributions }: Scored, name: Factor): string {
  const weights = contributions.reduce((sum, { weight }) => sum + weight, 0)
  const weight = contributions.find(({ factor }) => factor === name)?.weight ?? 0
  return String(Math.round((1000 * weight) / weights) / 10)
}

/** Servers that could not take this user, each with the reason; of many how many there are by reason. */
function excluded({ cohort, nameOf, columns, paint }: Why): string {
  const named = cohort.candidates.filter(isExcluded).slice(0, fewExcluded)
  const all = Object.values(cohort.exclusions).reduce((sum, count) => sum + count, 0)
  if (all === 0) return ''
  const wide = Math.min(24, Math.max(0, ...named.map(({ serverId }) => [...nameOf(serverId)].length)))
  const lines = named.map(
    ({ serverId, message }) => `  ${clip(nameOf(serverId), wide).padEnd(wide)}  ${clip(message, columns - wide - 4)}\n`,
  )
  const rest = new Map<string, number>(Object.entries(cohort.exclusions))
  for (const { excluded: code } of named) rest.set(code, (rest.get(code) ?? 0) - 1)
  const others = [...rest].filter(([, count]) => count > 0).map(([code, count]) => `${count} ${code.replaceAll('_', ' ')}`)
  const more = others.length > 0 ? `  ${named.length > 0 ? '… and ' : ''}${others.join(', ')}\n` : ''
  return `${paint.dim('No target')}\n${lines.join('')}${more}`
}
