import { type PlacementOutput, place, roomOf } from '../decide/placement.ts'
import { compareIds, excludeTarget, type Target } from '../decide/ranking.ts'
import type { AdvicePolicy, Connection, ConnectionId, MigrationReason, PlacementPolicy, ServerId } from '../vocabulary.ts'

export type AdviceLimits = Pick<AdvicePolicy, 'minSavingsEurHour' | 'reserve' | 'margin' | 'rounds'>

export interface AdviceInput {
  readonly fleet: readonly Target[]
  readonly placement: PlacementPolicy
  readonly targetsPerConnection: number
  readonly limits: AdviceLimits
  /** Servers that are as good as given back: they get nobody, and their room counts for nothing. */
  readonly closed?: ReadonlySet<ServerId>
}

/** Who would go from the one server where. */
export type Moves = PlacementOutput['pieces']

/** A server that could be emptied and given back. */
export interface Consolidation {
  readonly serverId: ServerId
  /** Its price: four decimals. */
  readonly savingsEurHour: number
  /** The same for 730 hours: two decimals. */
  readonly savingsEurMonth: number
  /** Nobody: it is empty already. */
  readonly moves: Moves
  /** Share of the remaining capacity that would be free, 0–1. */
  readonly freeAfter: number
}

const hoursPerMonth = 730

export const savingsPerMonth = (eurHour: number): number => Math.round(eurHour * hoursPerMonth * 100) / 100

/** Where everybody of these moves would be. */
export function assignmentsOf(moves: Moves): Map<ConnectionId, ServerId> {
  return new Map(moves.flatMap(({ to, connections }) => connections.map(({ id }) => [id, to] as const)))
}

/**
 * Servers that may be worth giving back, the dearest first, by what is known without a list of connections.
 * @param spared servers that are not to be emptied now
 */
export function candidates(input: AdviceInput, spared: ReadonlySet<ServerId> = new Set()): readonly ServerId[] {
  const known = steady(input)
  if (known.length < 2) return []
  const total = totalOf(known)
  return known
    .filter((target) => !spared.has(target.server.id) && worth(target.server, input.limits) !== null)
    .filter((target) => freeWithout(total, target) >= input.limits.reserve)
    .sort((a, b) => priceOf(b) - priceOf(a) || (a.load ?? 0) - (b.load ?? 0) || compareIds(a.server.id, b.server.id))
    .map(({ server }) => server.id)
}

/** Whether no other server of its region is in service for the region's own users: then it matters whether somebody needs that. */
export function isLastOfItsRegion(input: AdviceInput, id: ServerId): boolean {
  const region = input.fleet.find(({ server }) => server.id === id)?.server.region ?? null
  return (
    region !== null && !steady(input).some(({ server, unfitFor }) => server.region === region && server.id !== id && !unfitFor?.get(region))
  )
}

/** Regions that these users live in or ask for. */
export function regionsOf(connections: readonly Connection[]): Set<string> {
  return new Set(connections.flatMap(({ region, needs }) => [...(region === null ? [] : [region]), ...(needs.regions ?? [])]))
}

/**
 * What giving back this server would mean: all its users have a place elsewhere below the fill limit, enough stays free, and
 * each region that users live in or ask for keeps a server. Nothing is remembered: whoever asks again after the load has
 * risen is told what is so then.
 * @param connections everybody on it
 * @param needed regions that users of the fleet live in or ask for; looked at only if it is the last of its region
 * @returns a text: why it cannot be given back
 */
export function emptied(
  input: AdviceInput,
  id: ServerId,
  connections: readonly Connection[],
  needed: ReadonlySet<string>,
): Consolidation | string {
  const known = steady(input)
  const target = known.find(({ server }) => server.id === id)
  if (!target) return `${id} is not in steady service`
  const price = worth(target.server, input.limits)
  if (price === null) return `${id} saves less than ${input.limits.minSavingsEurHour} EUR/h`
  const { region } = target.server
  if (known.length < 2) return 'no other server is in steady service'
  if (region !== null && needed.has(region) && isLastOfItsRegion(input, id)) return `${id} is the last server of region ${region}`
  const freeAfter = freeWithout(totalOf(known), target)
  if (freeAfter < input.limits.reserve)
    return `${percent(freeAfter)} of the rest would be free, less than the reserve of ${percent(input.limits.reserve)}`
  // A load that does not agree with the list may hide users for whom no place was looked for.
  if (target.load !== connections.length) return `${id} has a load of ${target.load}, and ${connections.length} are listed there`
  const { pieces, unplaced } = placed(input, target, connections, 'cost-optimization')
  if (unplaced[0]) return `${unplaced.length} of ${connections.length} users of ${id} would have no place: ${unplaced[0].message}`
  return {
    serverId: id,
    savingsEurHour: Math.round(price * 10_000) / 10_000,
    savingsEurMonth: savingsPerMonth(price),
    moves: pieces,
    freeAfter,
  }
}

/** Why those who were to go there cannot all go there within the fill limit any more; null: they can. */
export function whyNoRoom(input: AdviceInput, arriving: ReadonlyMap<ServerId, number>): string | null {
  for (const [id, count] of arriving) {
    const target = input.fleet.find(({ server }) => server.id === id)
    if (!target || input.closed?.has(id)) return `${id} takes nobody any more`
    const excluded = excludeTarget(target, { sources: new Set(), only: null })
    if (excluded) return `${id} is no target any more: ${excluded[1]}`
    const room = roomOf(target, input.placement.fillLimit, input.placement)
    if (room < count) return `${id} has room for ${Math.floor(room)} within its fill limit, and ${count} were to go there`
  }
  return null
}

const priceOf = ({ server }: Target): number => server.priceEurHour ?? 0

/** Its price, if that is enough. */
function worth({ priceEurHour: price }: Target['server'], { minSavingsEurHour }: AdviceLimits): number | null {
  return price !== null && price > 0 && price >= minSavingsEurHour ? price : null
}

/** In service, and nobody has said or seen anything against it. */
function isSteady({ server, verdict, cordoned, instability, unfit, load }: Target): boolean {
  return server.status === 'online' && verdict === 'up' && !cordoned && instability < 1 && !unfit && load !== null && load >= 0
}

const steady = ({ fleet, closed }: AdviceInput): Target[] => fleet.filter((target) => isSteady(target) && !closed?.has(target.server.id))

interface Total {
  readonly capacity: number
  readonly load: number
}

/** Of all servers with a capacity that is known. */
function totalOf(known: readonly Target[]): Total {
  let [capacity, load] = [0, 0]
  for (const target of known) {
    capacity += roomIn(target)
    load += roomIn(target) > 0 ? (target.load ?? 0) : 0
  }
  return { capacity, load }
}

const roomIn = ({ capacity }: Target): number => (capacity !== null && capacity > 0 ? capacity : 0)

/** What stays free of all known capacity without this one, when its users have gone to the others; 0 where none is known. */
function freeWithout({ capacity, load }: Total, leaving: Target): number {
  const left = capacity - roomIn(leaving)
  const there = roomIn(leaving) > 0 ? load : load + (leaving.load ?? 0)
  return left > 0 ? Math.max(0, 1 - there / left) : 0
}

const percent = (share: number): string => `${Math.floor(share * 1000) / 10} %`

function placed(input: AdviceInput, from: Target, connections: readonly Connection[], reason: MigrationReason): PlacementOutput {
  return place({
    sources: [from.server.id],
    sourceDomains: from.server.failureDomain === null ? [] : [from.server.failureDomain],
    only: null,
    reason,
    connections,
    refusals: new Map(),
    targets: input.fleet.filter(({ server }) => !input.closed?.has(server.id)),
    policy: input.placement,
    targetsPerConnection: input.targetsPerConnection,
    // Nobody is in need: a user goes only where it is better for him, too. A server that is given back is left by all.
    ...(reason === 'rebalancing' && { minGain: input.placement.minGain }),
  })
}

/** A server that is much fuller than it could be. */
export interface Rebalancing {
  readonly serverId: ServerId
  readonly moves: Moves
  /** How full it is, and how full it or the fullest of those that take somebody would be then: shares of capacity. */
  readonly fillNow: number
  readonly fillAfter: number
}

/** Which server was the hottest by more than the margin, and for how many rounds in a row. */
export interface Heat {
  readonly serverId: ServerId
  readonly rounds: number
}

const fill = ({ load, capacity }: Target, more: number): number => ((load ?? 0) + more) / (capacity as number)

/** The fullest server whose capacity is known; null: there is none. */
export function hottest(input: AdviceInput): ServerId | null {
  const [first] = steady(input)
    .filter(({ capacity }) => capacity !== null && capacity > 0)
    .sort((a, b) => fill(b, 0) - fill(a, 0) || compareIds(a.server.id, b.server.id))
  return first?.server.id ?? null
}

/**
 * The fewest users whose leaving lowers this server the most, without making another as hot; null: it would not be lowered
 * by more than the margin.
 * @param connections everybody on it
 */
export function relief(input: AdviceInput, id: ServerId, connections: readonly Connection[]): Rebalancing | null {
  const target = steady(input).find(({ server }) => server.id === id)
  if (!target || target.capacity === null || !(target.capacity > 0)) return null
  const known = new Map(input.fleet.map((one) => [one.server.id, one]))
  const free = connections.filter(({ mobility }) => mobility === 'free').sort((a, b) => a.tier - b.tier || compareIds(a.id, b.id))
  const look = (count: number) => {
    const { pieces } = placed(input, target, free.slice(0, count), 'rebalancing')
    const leaving = pieces.reduce((sum, { connections }) => sum + connections.length, 0)
    const fills = pieces.map(({ to, connections }) => {
      const other = known.get(to)
      return other && other.capacity !== null ? fill(other, connections.length) : 0
    })
    return { pieces, here: fill(target, -leaving), there: Math.max(0, ...fills) }
  }
  // The more leave, the cooler it is here and the hotter there: as many as leave this one still the hotter.
  let low = 0
  let high = free.length
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    const { here, there } = look(middle)
    if (here >= there) low = middle
    else high = middle - 1
  }
  const { pieces, here, there } = look(low)
  const [fillNow, fillAfter] = [fill(target, 0), Math.max(here, there)]
  return fillNow - fillAfter > input.limits.margin ? { serverId: id, moves: pieces, fillNow, fillAfter } : null
}

/**
 * One round: a server that is the hottest by more than the margin for `rounds` rounds in a row is to be relieved. Another hottest
 * server, or a gain within the margin, begins anew. It stays at `rounds` while that is still so.
 * @param heat what the round before has returned; null: there was none
 */
export function nextHeat(heat: Heat | null, found: Rebalancing | null, { rounds }: AdviceLimits): Heat | null {
  if (!found) return null
  const { serverId } = found
  return { serverId, rounds: heat?.serverId === serverId ? Math.min(heat.rounds + 1, rounds) : 1 }
}
