import { type Grouped, groupCohorts } from '../assign/cohorts.ts'
import { inOrder } from '../assign/order.ts'
import { Latencies } from '../figures/latency.ts'
import { type Stranded, shortfallsOf } from '../figures/shortfall.ts'
import type {
  CohortDecision,
  Connection,
  ConnectionId,
  MigrationReason,
  PlacementPolicy,
  ServerId,
  Shortfall,
  Unplaced,
  UnplacedCode,
} from '../vocabulary.ts'
import { Explainer, type Explanation } from './explain.ts'
import {
  type Cohort,
  compareIds,
  contributionsOf,
  excludeForCohort,
  excludeTarget,
  isPinned,
  type RankingContext,
  scoreWithout,
  type Target,
} from './ranking.ts'
import { type Portion, routes, type Seat } from './routes.ts'

export interface PlacementInput {
  readonly sources: readonly ServerId[]
  readonly sourceDomains: readonly string[]
  /** The only server that they may go to; null: any. */
  readonly only: ServerId | null
  readonly reason: MigrationReason
  readonly connections: readonly Connection[]
  /** Of each connection, the number of its source; those of one source are kept together. Absent: all are of one. */
  readonly from?: ArrayLike<number>
  /** How many this evacuation has brought to each target before: they count against the limit of arrivals. */
  readonly arrived?: ReadonlyMap<ServerId, number>
  /** Targets that have refused a connection before. */
  readonly refusals: ReadonlyMap<ConnectionId, ReadonlySet<ServerId>>
  /** Where a plan that somebody has looked at sends them: it stays so, as long as there is room for it. */
  readonly keep?: ReadonlyMap<ConnectionId, ServerId>
  readonly targets: readonly Target[]
  readonly policy: PlacementPolicy
  /**
   * They need not leave: whoever has no place that scores better by so much stays, as both are when this is asked. One source
   * only. Absent: everybody is to leave.
   */
  readonly minGain?: number
  readonly targetsPerConnection: number
}

export interface PlacementOutput {
  /** Who goes from which source (as in `from`) to which target; each pair once. */
  readonly pieces: readonly { readonly from: number; readonly to: ServerId; readonly connections: readonly Connection[] }[]
  readonly unplaced: readonly Unplaced[]
  readonly shortfalls: readonly Shortfall[]
  readonly cohorts: readonly CohortDecision[]
}

/** A cohort while it is being placed. */
interface Work {
  readonly cohort: Grouped
  readonly explanation: Explanation
  /** Where in the list of connections those are whose target is given, by target. */
  readonly kept: Map<ServerId, number[]>
  free: Int32Array
  /** How many of the free ones go where. */
  readonly portions: Portion[]
}

/**
 * Who goes where. Never above a target's room. What is best, and in which order, `routes` says: higher tiers first, nobody
 * stranded whom some assignment could place, least above the fill limit, highest score.
 *
 * `fillLimit` is hard for optional reasons and soft for failures.
 */
export function place(input: PlacementInput): PlacementOutput {
  const { policy, reason, connections } = input
  const order = inOrder(connections, input.from ?? { length: 0 })
  const grouped = groupCohorts(connections, order, input.refusals)
  const context = contextOf(input, new Set(input.sources), new Set(grouped.map(({ sample }) => sample.region)))
  const open = new Map(input.targets.flatMap((target) => (excludeTarget(target, context) ? [] : [[target.server.id, target] as const])))
  const explainer = new Explainer(input.targets, context)
  const works = grouped.map(
    (cohort): Work => ({ cohort, explanation: explainer.explain(cohort), kept: new Map(), free: cohort.places, portions: [] }),
  )
  // Higher tiers are the first to keep their places, too.
  works.sort((a, b) => b.cohort.sample.tier - a.cohort.sample.tier || compareIds(a.cohort.key, b.cohort.key))
  const taken = keep(works, input, open)
  const seats = [...open.values()].map((target): Seat => {
    const { id } = target.server
    const already = taken.get(id) ?? 0
    const upTo = (fill: number) =>
      Math.max(0, Math.min(connections.length, Math.floor(roomOf(target, fill, policy, input.arrived?.get(id)) - already)))
    return {
      target,
      load: Math.max(0, target.load ?? 0) + already,
      room: upTo(reason === 'server-down' ? 1 : policy.fillLimit),
      soft: upTo(policy.fillLimit),
    }
  })
  const rows = works.filter(({ cohort, free, explanation }) => free.length > 0 && explanation.accepted > 0 && !isFixed(cohort, input))
  const found = routes(
    rows.map(({ cohort, free }) => ({ cohort, count: free.length, ...stayingOf(cohort, input, context) })),
    seats.filter(({ room }) => room > 0),
    context,
    policy.weights,
  )
  for (const portion of found) rows[portion.row]?.portions.push(portion)
  return settle(works, input)
}

/** What whoever need not move lacks of the best score where he is, his own place counted as free. */
function stayingOf(cohort: Cohort, { minGain, sources, targets }: PlacementInput, context: RankingContext): { readonly loss?: number } {
  const here = minGain === undefined ? undefined : targets.find(({ server }) => server.id === sources[0])
  if (!here || minGain === undefined) return {}
  const contributions = contributionsOf(cohort, here, 0, context)
  const best = contributions.some(({ weight }) => weight > 0) ? 1 : 0
  return { loss: best - scoreWithout(contributions, here, -1, context) - minGain }
}

/** Takes the places of those whose target is given. Returns how many arrive where by that. */
function keep(works: readonly Work[], input: PlacementInput, open: ReadonlyMap<ServerId, Target>): Map<ServerId, number> {
  const taken = new Map<ServerId, number>()
  if (!input.keep || input.keep.size === 0) return taken
  for (const work of works) {
    const { cohort, kept } = work
    if (isFixed(cohort, input)) continue
    work.free = cohort.places.filter((place) => {
      const id = input.keep?.get((input.connections[place] as Connection).id)
      const target = id === undefined ? undefined : open.get(id)
      if (!id || !target || excludeForCohort(cohort, target) !== null) return true
      const already = taken.get(id) ?? 0
      if (roomOf(target, 1, input.policy, input.arrived?.get(id)) <= already) return true
      taken.set(id, already + 1)
      const list = kept.get(id)
      if (list) list.push(place)
      else kept.set(id, [place])
      return false
    })
  }
  return taken
}

/** How many more connections a target takes: within its fill limit, its host's headroom and the limit of arrivals. */
export function roomOf(target: Target, fill: number, policy: PlacementPolicy, arrived = 0): number {
  const capacity = target.capacity === null ? Number.POSITIVE_INFINITY : Math.floor(target.capacity * fill + 1e-9) - policy.hostHeadroom
  return Math.max(0, Math.min(capacity - Math.max(0, target.load ?? 0), (policy.maxArrivals ?? Number.POSITIVE_INFINITY) - arrived))
}

/** Pinned to where it is, or refused by as many targets as a connection may try. */
function isFixed(cohort: Cohort, input: PlacementInput): boolean {
  return isPinned(cohort.sample, input.reason) || cohort.refusedBy.size >= input.targetsPerConnection
}

/** @param regions of the users that are ranked for; null: of some it is not known */
export function contextOf(
  input: Pick<PlacementInput, 'targets' | 'only' | 'sourceDomains' | 'policy' | 'reason'>,
  sources: ReadonlySet<ServerId>,
  regions: ReadonlySet<string | null>,
): RankingContext {
  const others = input.targets.filter((target) => !sources.has(target.server.id))
  // What is no number (a registry may say NaN) counts for nothing.
  const known = (value: number | null) => (value !== null && value > 0 ? value : 0)
  const loads = others.map((target) => known(target.load))
  return {
    sources,
    only: input.only,
    reason: input.reason,
    sourceDomains: new Set(input.sourceDomains),
    weights: input.policy.weights,
    maxPrice: others.reduce((most, { server }) => Math.max(most, known(server.priceEurHour)), 0),
    meanLoad: loads.length === 0 ? 0 : loads.reduce((sum, load) => sum + load, 0) / loads.length,
    latencies: new Latencies(input.targets, regions, input.policy.regionCoordinates),
    kinds: new Map(),
  }
}

function settle(works: readonly Work[], input: PlacementInput): PlacementOutput {
  const { connections, from } = input
  const pieces = new Pieces()
  const unplaced: Unplaced[] = []
  const stranded: Stranded[] = []
  const cohorts: CohortDecision[] = []
  for (const work of works) {
    const { cohort, explanation, free, kept, portions } = work
    const counts = new Map<ServerId, number>()
    const put = (id: ServerId, places: ArrayLike<number>) => {
      counts.set(id, (counts.get(id) ?? 0) + places.length)
      // Those of one source stand together.
      for (let begin = 0, end = 0; begin < places.length; begin = end) {
        const source = from?.[places[begin] as number] ?? 0
        while (end < places.length && (from?.[places[end] as number] ?? 0) === source) end++
        const some = new Array<Connection>(end - begin)
        for (let at = begin; at < end; at++) some[at - begin] = connections[places[at] as number] as Connection
        pieces.add(source, id, some)
      }
    }
    for (const [id, places] of kept) put(id, places)
    let next = 0
    for (const { serverId, count } of portions) {
      put(serverId, free.subarray(next, next + count))
      next += count
    }
    const left = free.subarray(next)
    const [code, message] = left.length > 0 ? whyUnplaced(work, input) : (['no_capacity', ''] as const)
    // No room helps where the only server that was asked for would take nobody.
    if (left.length > 0 && wantsRoom.includes(code) && (input.only === null || explanation.accepted > 0))
      stranded.push({ cohort, count: left.length })
    for (const place of left) unplaced.push({ connectionId: (connections[place] as Connection).id, code, message })
    cohorts.push({
      cohort: cohort.key,
      region: cohort.sample.region,
      connections: cohort.places.length,
      candidates: explanation.candidates,
      exclusions: explanation.exclusions,
      placed: [...counts].sort(([a], [b]) => compareIds(a, b)).map(([serverId, count]) => ({ serverId, connections: count })),
      unplaced: left.length > 0 ? { [code]: left.length } : {},
    })
  }
  const { fillLimit } = input.policy
  const shortfalls = shortfallsOf(stranded, input.only, input.reason === 'server-down' || fillLimit === 1 ? null : fillLimit)
  return { pieces: pieces.list, unplaced, shortfalls, cohorts }
}

const wantsRoom: readonly UnplacedCode[] = ['no_capacity', 'no_candidate']

/** Who goes from one source to one target. */
class Pieces {
  readonly list: { from: number; to: ServerId; connections: Connection[] }[] = []
  readonly #known = new Map<ServerId, Map<number, Connection[]>>()

  add(from: number, to: ServerId, some: Connection[]): void {
    const ways = this.#known.get(to) ?? new Map<number, Connection[]>()
    this.#known.set(to, ways)
    const known = ways.get(from)
    // Mostly there is only one: it stays as it is, as long as it must be and no longer.
    if (known) for (const connection of some) known.push(connection)
    else {
      ways.set(from, some)
      this.list.push({ from, to, connections: some })
    }
  }
}

function whyUnplaced({ cohort, explanation }: Work, input: PlacementInput): [UnplacedCode, string] {
  const { accepted, exclusions } = explanation
  if (isPinned(cohort.sample, input.reason)) return ['pinned', `its mobility is ${cohort.sample.mobility}`]
  if (cohort.refusedBy.size >= input.targetsPerConnection || (cohort.refusedBy.size > 0 && accepted === 0))
    return ['refused_everywhere', `refused by ${[...cohort.refusedBy].sort().join(', ')}`]
  if (accepted > 0 && input.minGain !== undefined) return ['no_gain', `no place with room is better by ${input.minGain} than where it is`]
  if (accepted > 0) return ['no_capacity', `no room left on ${accepted} possible target${accepted === 1 ? '' : 's'}`]
  const counts = Object.entries(exclusions).map(([code, count]) => `${count} ${code}`)
  return ['no_candidate', `no server is a target: ${counts.join(', ') || 'there is none'}`]
}
