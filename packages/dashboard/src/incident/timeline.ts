import type { WireDecision, WireEvacuation, WireIncident, WireMigration } from '@pintail/core/wire'

/** The story of an incident, always in these five steps. */
export const stages = ['evidence', 'votes', 'decision', 'moves', 'outcome'] as const
export type Stage = (typeof stages)[number]

/** `trouble`: it waits for a person, or went wrong. `none`: it was not needed. */
export type StageState = 'done' | 'current' | 'waiting' | 'trouble' | 'none'

export interface Step {
  readonly stage: Stage
  readonly state: StageState
  /** ISO 8601, when it began or was reached; null: not yet, or it is not known. */
  readonly at: string | null
}

export interface Story {
  readonly incident: WireIncident
  /** Null: there is none, or it is too old to be known. */
  readonly evacuation: WireEvacuation | null
  readonly migrations: readonly WireMigration[]
  /** Null: not read yet, or none was made. */
  readonly decision: WireDecision | null
}

const isHeld = ({ status, held_by: heldBy }: WireIncident): boolean => status === 'open' && heldBy.length > 0

function decisionStep({ incident, decision }: Story): Omit<Step, 'stage'> {
  if (isHeld(incident)) return { state: 'trouble', at: null }
  if (incident.decision_id !== null) return { state: 'done', at: decision?.at ?? null }
  return { state: incident.status === 'open' ? 'current' : 'none', at: null }
}

function movesStep({ incident, evacuation, migrations }: Story): Omit<Step, 'stage'> {
  const begun = migrations.map(({ started_at: at }) => at).filter((at) => at !== null)
  const at = begun.length > 0 ? begun.reduce((first, one) => (one < first ? one : first)) : (evacuation?.approved_at ?? null)
  if (!evacuation) return { state: incident.evacuation_id !== null ? 'done' : incident.status === 'open' ? 'waiting' : 'none', at }
  if (evacuation.status === 'suggested') return { state: 'trouble', at: null }
  if (evacuation.status === 'cancelled') return { state: evacuation.moved > 0 ? 'done' : 'none', at }
  if (evacuation.unplaced_total > 0) return { state: 'trouble', at }
  return { state: evacuation.status === 'running' ? 'current' : 'done', at }
}

function outcomeStep({ incident }: Story): Omit<Step, 'stage'> {
  if (incident.status === 'open') return { state: 'waiting', at: null }
  // Only an operator can set back what was changed since by somebody else.
  const write = incident.status_write
  const left = write !== null && write.restored_at === null && incident.status === 'recovered'
  return { state: left ? 'trouble' : 'done', at: incident.recovered_at }
}

export function timeline(story: Story): readonly Step[] {
  const { incident } = story
  return [
    { stage: 'evidence', state: 'done', at: incident.suspected_at },
    { stage: 'votes', state: 'done', at: incident.opened_at },
    { stage: 'decision', ...decisionStep(story) },
    { stage: 'moves', ...movesStep(story) },
    { stage: 'outcome', ...outcomeStep(story) },
  ]
}

/** Those that go on first, and of these who waits for a person; then the newest. */
export function sortedIncidents(incidents: readonly WireIncident[]): readonly WireIncident[] {
  const rank = (one: WireIncident): number => (isHeld(one) ? 0 : one.status === 'open' ? 1 : 2)
  return [...incidents].sort((a, b) => rank(a) - rank(b) || (a.opened_at < b.opened_at ? 1 : a.opened_at > b.opened_at ? -1 : 0))
}
