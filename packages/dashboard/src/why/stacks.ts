import type { WireDecision } from '@pintail/core/wire'

export type Cohort = WireDecision['cohorts'][number]
type Candidate = Cohort['candidates'][number]
type Scored = Extract<Candidate, { readonly score: number }>
export type Factor = Scored['contributions'][number]['factor']

/** One factor's part of a bar. */
export interface Segment {
  readonly factor: Factor
  /** 0–1, how good it is by this factor. */
  readonly value: number
  readonly weight: number
  /** What it adds to the score: all of a stack add up to it. */
  readonly points: number
  /** Where it begins on a scale of 0–1. */
  readonly from: number
  /** What the value rests on. */
  readonly note: string
}

export interface Stack {
  readonly serverId: string
  readonly score: number
  readonly segments: readonly Segment[]
  /** How many of this cohort go there. */
  readonly gets: number
}

const isScored = (one: Candidate): one is Scored => 'score' in one

/** A server as a target: its score, as the stacked parts that it is the weighted mean of. */
function stackOf({ server_id: serverId, score, contributions }: Scored, gets: number): Stack {
  const weights = contributions.reduce((sum, { weight }) => sum + weight, 0)
  let from = 0
  const segments = contributions.map(({ factor, value, weight, note }) => {
    const points = weights > 0 ? (value * weight) / weights : 0
    const segment = { factor, value, weight, points, from, note }
    from += points
    return segment
  })
  return { serverId, score, segments, gets }
}

/** Best first, as the engine has ranked them; those that get somebody are never left out. */
export function stacksOf({ candidates, placed }: Cohort): readonly Stack[] {
  const gets = new Map(placed.map(({ server_id: id, connections }) => [id, connections]))
  return candidates.filter(isScored).map((one) => stackOf(one, gets.get(one.server_id) ?? 0))
}

export interface Exclusion {
  readonly code: string
  readonly total: number
  /** Those that are named, with the engine's own words. */
  readonly named: readonly { readonly serverId: string; readonly message: string }[]
}

/** Why servers were no targets: the most frequent reason first, all of them counted, some named. */
export function exclusionsOf({ candidates, exclusions }: Cohort): readonly Exclusion[] {
  const named = new Map<string, { serverId: string; message: string }[]>()
  for (const one of candidates) {
    if (isScored(one)) continue
    const list = named.get(one.excluded) ?? []
    list.push({ serverId: one.server_id, message: one.message })
    named.set(one.excluded, list)
  }
  const codes = new Set([...Object.keys(exclusions), ...named.keys()])
  return [...codes]
    .map((code) => {
      const list = named.get(code) ?? []
      return { code, total: Math.max(exclusions[code as keyof typeof exclusions] ?? 0, list.length), named: list }
    })
    .filter(({ total }) => total > 0)
    .sort((a, b) => b.total - a.total || (a.code < b.code ? -1 : 1))
}

/** The factors that any of these stacks has, in their order: the legend. */
export function factorsOf(stacks: readonly Stack[]): readonly Factor[] {
  return [...new Set(stacks.flatMap(({ segments }) => segments.filter(({ weight }) => weight > 0).map(({ factor }) => factor)))]
}

/** The largest group first: it is what most people ask about. */
export const cohortsOf = ({ cohorts }: WireDecision): readonly Cohort[] => [...cohorts].sort((a, b) => b.connections - a.connections)
