import type { Candidate, ExclusionCode, ServerId } from '../vocabulary.ts'
import {
  type Cohort,
  compareIds,
  contributionsOf,
  excludeForCohort,
  excludePinned,
  excludeTarget,
  forRegion,
  kindOf,
  needsKey,
  type RankingContext,
  scoreOf,
  type Target,
  type Unfit,
  worthInKind,
} from './ranking.ts'

/** How many of the best candidates a decision keeps. */
const keptCandidates = 20

type Exclusions = Readonly<Partial<Record<ExclusionCode, number>>>
type Scored = Extract<Candidate, { readonly score: number }>

/** What is said of a cohort. */
export interface Explanation {
  /** Best first, the excluded last. */
  readonly candidates: readonly Candidate[]
  readonly exclusions: Exclusions
  /** How many servers accept it, with or without room. */
  readonly accepted: number
}

/** What a decision says of a cohort: as `rank` would, without looking at each pair of cohort and server. */
export class Explainer {
  readonly #byId: readonly Target[]
  readonly #context: RankingContext
  readonly #general = new Map<ServerId, Unfit>()
  readonly #open = new Map<ServerId, { readonly target: Target; readonly kind: readonly Weighed[] }>()
  /** What kinds are worth to the users of a region, by region: the sum of value times weight. */
  readonly #forRegion = new Map<string | null, readonly number[]>()
  /** Open targets that are the same to every rule for cohorts, best first. */
  readonly #kinds: readonly (readonly Weighed[])[]
  readonly #known = new Map<string, Explanation>()
  readonly #alike = new Map<string, Explanation>()

  constructor(targets: readonly Target[], context: RankingContext) {
    this.#byId = targets.toSorted((a, b) => compareIds(a.server.id, b.server.id))
    this.#context = context
    const kinds = new Map<string, Weighed[]>()
    for (const target of this.#byId) {
      const excluded = excludeTarget(target, context)
      if (excluded) {
        this.#general.set(target.server.id, excluded)
        continue
      }
      const one = { target, worth: worthInKind(target, context) }
      const key = kindOf(target, context)
      const kind = kinds.get(key)
      if (kind) kind.push(one)
      else kinds.set(key, [one])
    }
    this.#kinds = [...kinds.values()].map((some) => some.sort((a, b) => b.worth - a.worth))
    for (const kind of this.#kinds) for (const { target } of kind) this.#open.set(target.server.id, { target, kind })
  }

  explain(cohort: Cohort): Explanation {
    const { preferredServer } = cohort.sample
    if (excludePinned(cohort, this.#context)) return this.#pinned(cohort)
    // Cohorts that differ in tier, mobility or preference alone share what is said.
    const key = needsKey(cohort)
    const found = this.#known.get(key) ?? this.#look({ ...cohort, sample: { ...cohort.sample, preferredServer: null } })
    this.#known.set(key, found)
    const preferred = preferredServer === null ? undefined : this.#open.get(preferredServer)
    if (!preferred || excludeForCohort(cohort, preferred.target)) return found
    const others = found.candidates.filter(({ serverId }) => serverId !== preferredServer)
    const scored = others.filter((one): one is Scored => 'score' in one)
    const excluded = others.filter((one) => 'excluded' in one)
    const candidates = [...[this.#score(cohort, preferred.target), ...scored].sort(better), ...excluded].slice(0, keptCandidates)
    return { ...found, candidates }
  }

  /** Whoever stays where he is has no target at all. */
  #pinned(cohort: Cohort): Explanation {
    const general: Partial<Record<ExclusionCode, number>> = {}
    for (const [code] of this.#general.values()) general[code] = (general[code] ?? 0) + 1
    if (this.#open.size > 0) general.pinned = this.#open.size
    return { candidates: this.#excluded(cohort, keptCandidates), exclusions: general, accepted: 0 }
  }

  #look(cohort: Cohort): Explanation {
    const exclusions: Partial<Record<ExclusionCode, number>> = {}
    const count = (code: ExclusionCode, by: number) => {
      if (by > 0) exclusions[code] = (exclusions[code] ?? 0) + by
    }
    const plain = { ...cohort, refusedBy: new Set<ServerId>() }
    const whys = this.#kinds.map((kind) => excludeForCohort(plain, (kind[0] as Weighed).target))
    // Many cohorts differ in words that tell no two servers apart: while no exclusion is quoted, all that is said is the same.
    const alike = JSON.stringify([cohort.sample.region, whys.map((why) => why?.[0]), ...[...cohort.refusedBy].sort()])
    const said = this.#alike.get(alike)
    if (said) return said
    for (const [code] of this.#general.values()) count(code, 1)
    const worths = this.#worthsFor(cohort.sample.region)
    const takers: { readonly kind: readonly Weighed[]; readonly more: number; readonly worth: number; readonly count: number }[] = []
    let accepted = 0
    for (const [index, kind] of this.#kinds.entries()) {
      const why = whys[index]
      if (why) {
        count(why[0], kind.length)
        continue
      }
      const refused = [...cohort.refusedBy].filter((id) => this.#open.get(id)?.kind === kind).length
      count('refused_before', refused)
      accepted += kind.length - refused
      const first = kind.find(({ target }) => !cohort.refusedBy.has(target.server.id))
      const more = worths[index] as number
      if (first) takers.push({ kind, more, worth: first.worth + more, count: keptCandidates + refused })
    }
    // Whoever is among the best is of one of the kinds whose best are.
    const best = mostWorth(takers).flatMap(({ kind, more, count: most }) =>
      kind.slice(0, most).flatMap(({ target, worth }) => (cohort.refusedBy.has(target.server.id) ? [] : [{ target, worth: worth + more }])),
    )
    const scored = mostWorth(best)
      .map(({ target }) => this.#score(cohort, target))
      .sort(better)
    const candidates = [...scored.slice(0, keptCandidates), ...this.#excluded(cohort, keptCandidates - scored.length)]
    const explanation = { candidates, exclusions, accepted }
    if (scored.length >= keptCandidates) this.#alike.set(alike, explanation)
    return explanation
  }

  #worthsFor(region: string | null): readonly number[] {
    let worths = this.#forRegion.get(region)
    if (!worths) {
      const sum = (kind: readonly Weighed[]) => forRegion(region, (kind[0] as Weighed).target, this.#context)
      worths = this.#kinds.map((kind) => sum(kind).reduce((total, { value, weight }) => total + value * weight, 0))
      this.#forRegion.set(region, worths)
    }
    return worths
  }

  #score(cohort: Cohort, target: Target): Scored {
    const contributions = contributionsOf(cohort, target, 0, this.#context)
    return { serverId: target.server.id, score: scoreOf(contributions), contributions }
  }

  /** The first so many that are excluded, by id. */
  #excluded(cohort: Cohort, wanted: number): Candidate[] {
    const found: Candidate[] = []
    for (const target of wanted > 0 ? this.#byId : []) {
      const { id } = target.server
      const why = this.#general.get(id) ?? excludePinned(cohort, this.#context) ?? excludeForCohort(cohort, target)
      if (why) found.push({ serverId: id, excluded: why[0], message: why[1] })
      if (found.length === wanted) break
    }
    return found
  }
}

/** A target, and what it is worth as far as that is known without looking at each user: the same order, up to rounding. */
interface Weighed {
  readonly target: Target
  readonly worth: number
}

/** All that may be among the best: to say in full what thousands of candidates are worth would take longer than to place. */
function mostWorth<T extends { readonly worth: number }>(best: readonly T[]): readonly T[] {
  if (best.length <= keptCandidates) return best
  const least = best.map(({ worth }) => worth).sort((a, b) => b - a)[keptCandidates - 1] as number
  return best.filter(({ worth }) => worth >= least - 1e-6)
}

const better = (a: Scored, b: Scored): number => b.score - a.score || compareIds(a.serverId, b.serverId)
