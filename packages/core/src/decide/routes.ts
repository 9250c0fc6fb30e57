import { cheapestFlow } from '../assign/flow.ts'
import { Arcs } from '../assign/network.ts'
import { type Places, Pools } from '../assign/places.ts'
import { shares } from '../assign/shares.ts'
import type { Contribution, PlacementPolicy, ServerId } from '../vocabulary.ts'
import {
  type Cohort,
  compareIds,
  excludeForCohort,
  forAnybody,
  forRegion,
  kindOf,
  needsKey,
  type RankingContext,
  type Target,
} from './ranking.ts'

/** A cohort that is to be placed, and how many of it. */
export interface Row {
  readonly cohort: Cohort
  readonly count: number
  /** They may stay where they are, and lack this much of the best score there, their margin taken off. Absent: they are to leave. */
  readonly loss?: number
}

/** A target with room. */
export interface Seat {
  readonly target: Target
  /** Who is there before the first of these comes: load, and those whose place is given. */
  readonly load: number
  /** Places up to the hard limit, and how many of these are within the fill limit. */
  readonly room: number
  readonly soft: number
}

/** How many of a row go to a server. */
export interface Portion {
  readonly row: number
  readonly serverId: ServerId
  readonly count: number
}

/** Scores are made whole numbers by at least so many steps from 0 to 1 for each place of the largest server. */
const stepsPerPlace = 2 ** 16
/** Sums of costs stay below this, where whole numbers are exact. */
const largest = 2 ** 52

/**
 * How many of each row go where. In this order: the number placed of the highest tier is the most there can be, then that of
 * the next; then as few as can be are placed above a fill limit; then the sum of the scores, each taken at the load that a
 * newcomer finds, is the highest there can be. The first rule includes that nobody is stranded whom some assignment could
 * place: sets of users that can be placed together form a matroid, so that taking the higher tiers first never costs a place.
 *
 * All of it is one cheapest flow: row → class, to whose rows all servers are the same → kinds of servers → servers. Its size is that of
 * the rows, plus classes times kinds, plus the servers. To stay costs more the higher the tier.
 */
export function routes(
  rows: readonly Row[],
  seats: readonly Seat[],
  context: RankingContext,
  weights: PlacementPolicy['weights'],
): Portion[] {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0)
  const share = (weight: number) => (total > 0 ? weight / total : 0)
  const kinds = kindsOf(rows, seats, context)
  const needs = byNeeds(rows)
  const tiers = [...new Set(rows.map(({ cohort }) => cohort.sample.tier))].sort((a, b) => a - b)
  // A way passes a row and a class at most once, and no arc costs more than 1: so much less than this, whatever the way.
  const over = 4 * (rows.length + needs.length + 2)
  const stay = new Map(tiers.map((tier, rank) => [tier, 4 * over * (rank + 1)]))
  const places = seats.reduce((most, { target }) => Math.max(most, target.capacity ?? 0), 1)
  const unit = 2 ** Math.floor(Math.log2(Math.min(stepsPerPlace * places, 2 ** 36, largest / (8 * over * (tiers.length + 1)))))

  const costOf = costsBy(kinds, context, (parts) => Math.round(unit * lossOf(parts, total)))
  const classes = classesOf(rows, needs, kinds, costOf)
  const arcs = new Arcs()
  const firstKind = rows.length + classes.length
  const pools: Seat[][] = kinds.map(({ together }) => together)
  const nodeOf = new Map<ServerId, number>()
  const kindAt = new Map<ServerId, number>()
  for (const [index, { apart }] of kinds.entries())
    for (const seat of apart) {
      kindAt.set(seat.target.server.id, index)
      nodeOf.set(seat.target.server.id, firstKind + kinds.length + pools.length)
      pools.push([seat])
    }
  const firstPool = firstKind + kinds.length
  for (const [index, { apart }] of kinds.entries()) {
    arcs.add(firstKind + index, firstPool + index, 0)
    for (const { target } of apart) arcs.add(firstKind + index, nodeOf.get(target.server.id) as number, 0)
  }
  const preference = Math.round(unit * share(weights.preference))
  for (const [index, { members, refusedBy, ways }] of classes.entries()) {
    const node = rows.length + index
    for (const row of members) arcs.add(row, node, 0)
    for (const { at, cost } of ways) {
      const { apart } = kinds[at] as Kind
      if (!apart.some(({ target }) => refusedBy.has(target.server.id))) arcs.add(node, firstKind + at, cost + preference)
      else {
        arcs.add(node, firstPool + at, cost + preference)
        for (const { target } of apart)
          if (!refusedBy.has(target.server.id)) arcs.add(node, nodeOf.get(target.server.id) as number, cost + preference)
      }
    }
  }
  for (const [row, { cohort }] of rows.entries()) {
    const preferred = cohort.sample.preferredServer
    if (preferred === null || cohort.refusedBy.has(preferred)) continue
    const node = nodeOf.get(preferred)
    const at = kindAt.get(preferred)
    if (node === undefined || at === undefined || !accepts(cohort, kinds[at] as Kind)) continue
    arcs.add(row, node, costOf(cohort, at))
  }

  const nodes = firstPool + pools.length
  const supply = new Float64Array(nodes)
  const filled: Places[][] = Array.from({ length: nodes }, () => [])
  for (const [row, { cohort, count, loss }] of rows.entries()) {
    supply[row] = count
    const base = loss === undefined ? unit * (stay.get(cohort.sample.tier) as number) : Math.max(0, Math.ceil(unit * loss))
    filled[row] = [{ room: count, soft: count, over: 0, base, rise: { kind: 'even', step: 0 } }]
  }
  for (const [index, pool] of pools.entries())
    filled[firstPool + index] = pool.map((seat) => placesOf(seat, unit, unit * over, share(weights.headroom), total, context))
  const net = arcs.network(nodes)
  const open = new Pools(filled)
  const halls = Array.from(classes, (_, index) => rows.length + index)
  const flow = cheapestFlow(net, open, supply, halls)
  return shares(net, open, supply, flow)
    .filter(({ node }) => node >= firstPool)
    .map(({ start, node, server, count }) => {
      const seat = pools[node - firstPool]?.[server] as Seat
      return { row: start, serverId: seat.target.server.id, count }
    })
}

interface Kind {
  readonly sample: Target
  /** Servers that nobody tells apart, and those that somebody prefers or that have refused somebody. */
  readonly together: Seat[]
  readonly apart: Seat[]
}

function kindsOf(rows: readonly Row[], seats: readonly Seat[], context: RankingContext): Kind[] {
  const told = new Set<ServerId>()
  for (const { cohort } of rows) {
    if (cohort.sample.preferredServer !== null) told.add(cohort.sample.preferredServer)
    for (const id of cohort.refusedBy) told.add(id)
  }
  const kinds = new Map<string, Kind>()
  for (const seat of seats.toSorted((a, b) => compareIds(a.target.server.id, b.target.server.id))) {
    const key = kindOf(seat.target, context)
    const kind = kinds.get(key) ?? { sample: seat.target, together: [], apart: [] }
    kinds.set(key, kind)
    if (told.has(seat.target.server.id)) kind.apart.push(seat)
    else kind.together.push(seat)
  }
  return [...kinds].sort(([a], [b]) => compareIds(a, b)).map(([, kind]) => kind)
}

/** The rows that ask for the same, by what they ask for. */
function byNeeds(rows: readonly Row[]): number[][] {
  const found = new Map<string, number[]>()
  for (const [row, { cohort }] of rows.entries()) {
    const key = needsKey(cohort)
    const some = found.get(key)
    if (some) some.push(row)
    else found.set(key, [row])
  }
  return [...found.values()]
}

/** Rows to which the servers are the same, whatever they ask for, and which kinds of servers these are. */
interface Class {
  readonly members: number[]
  readonly refusedBy: ReadonlySet<ServerId>
  readonly ways: readonly { readonly at: number; readonly cost: number }[]
}

function classesOf(
  rows: readonly Row[],
  needs: readonly (readonly number[])[],
  kinds: readonly Kind[],
  costOf: (cohort: Cohort, at: number) => number,
): Class[] {
  const found = new Map<string, Class>()
  for (const some of needs) {
    const { cohort } = rows[some[0] as number] as Row
    const { refusedBy } = cohort
    const plain = { ...cohort, refusedBy: nobody }
    const ways: { at: number; cost: number }[] = []
    let key = JSON.stringify([...refusedBy].sort())
    for (const [at, { sample }] of kinds.entries()) {
      if (excludeForCohort(plain, sample) !== null) continue
      const cost = costOf(cohort, at)
      ways.push({ at, cost })
      key += `,${at}:${cost}`
    }
    const known = found.get(key)
    if (known) for (const row of some) known.members.push(row)
    else found.set(key, { members: [...some], refusedBy, ways })
  }
  return [...found.values()]
}

const nobody: ReadonlySet<ServerId> = new Set()
/** Whether servers of this kind take the cohort, but for those that have refused it. */
const accepts = (cohort: Cohort, kind: Kind): boolean => excludeForCohort({ ...cohort, refusedBy: nobody }, kind.sample) === null

/** What these factors lack of their best, as a share of all weights. */
function lossOf(contributions: readonly Contribution[], total: number): number {
  return total <= 0 ? 0 : contributions.reduce((sum, { value, weight }) => sum + (1 - value) * weight, 0) / total
}

/** What a kind of servers costs the users of a region: looked up once, as many cohorts are of one region. */
function costsBy(kinds: readonly Kind[], context: RankingContext, costOf: (parts: readonly Contribution[]) => number) {
  const known = new Map<string | null, Float64Array>()
  return ({ sample: { region } }: Cohort, at: number): number => {
    let costs = known.get(region)
    if (!costs) {
      costs = Float64Array.from(kinds, (kind) => costOf(forRegion(region, kind.sample, context)))
      known.set(region, costs)
    }
    return costs[at] as number
  }
}

function placesOf(seat: Seat, unit: number, over: number, headroom: number, total: number, context: RankingContext): Places {
  const { target, load, room, soft } = seat
  const fixed = lossOf(forAnybody(target, context), total)
  const base = Math.round(unit * fixed)
  const weight = unit * headroom
  if (target.capacity === null) {
    const mean = context.meanLoad + 1
    return { room, soft, over, base, rise: { kind: 'levelling', mean, load, weight } }
  }
  const step = Math.round(weight / target.capacity)
  return { room, soft, over, base: base + Math.round((weight * load) / target.capacity), rise: { kind: 'even', step } }
}
