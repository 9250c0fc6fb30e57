import { type PlacementOutput, place } from '../decide/placement.ts'
import { compareIds, type Target } from '../decide/ranking.ts'
import type { Connection, MigrationReason, PlacementPolicy, ServerId } from '../vocabulary.ts'

/** A server and who is on it. */
export interface Resident {
  readonly target: Target
  readonly connections: readonly Connection[]
}

/** What advice goes by. */
export interface AdviceLimits {
  /** Least that a consolidation must save, EUR/h. Default 0.1: PayPerPlay's. */
  readonly minSavingsEurHour: number
  /** Share of the capacity that stays free afterwards, over all servers in service, 0–1. Default 0.3: PayPerPlay's. */
  readonly reserve: number
  /** How much fuller the hottest server must be than it could be, as a share of its capacity, 0–1. Default 0.1. */
  readonly margin: number
  /** Rounds in a row in which that must be so. Default 3. */
  readonly rounds: number
}

export const adviceLimits: AdviceLimits = { minSavingsEurHour: 0.1, reserve: 0.3, margin: 0.1, rounds: 3 }

export interface AdviceInput {
  readonly fleet: readonly Resident[]
  readonly placement: PlacementPolicy
  readonly targetsPerConnection: number
  readonly limits: AdviceLimits
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

/**
 * The dearest server that can be given back: all its users have a place elsewhere below the fill limit, enough stays free,
 * and each region that users live in or ask for keeps a server. Null: there is none. Nothing is remembered: whoever asks
 * again after the load has risen is told what is so then.
 */
export function consolidation(input: AdviceInput): Consolidation | null {
  const { fleet, limits } = input
  const needed = new Set(fleet.flatMap(({ connections }) => connections.flatMap(({ region, needs }) => [region, ...(needs.regions ?? [])])))
  const steady = fleet.filter(({ target }) => isSteady(target))
  const dearest = steady
    .flatMap((resident) => {
      const { id, priceEurHour } = resident.target.server
      return priceEurHour !== null && priceEurHour >= limits.minSavingsEurHour ? [{ resident, id, price: priceEurHour }] : []
    })
    .sort((a, b) => b.price - a.price || a.resident.connections.length - b.resident.connections.length || compareIds(a.id, b.id))
  for (const { resident, id, price } of dearest) {
    const others = steady.filter((one) => one !== resident).map(({ target }) => target)
    const { region } = resident.target.server
    if (others.length === 0 || (region !== null && needed.has(region) && !others.some(({ server }) => server.region === region))) continue
    const freeAfter = shareFree(others, resident.connections.length)
    if (freeAfter < limits.reserve) continue
    // A load that does not agree with the list may hide users for whom no place was looked for.
    if (resident.target.load !== resident.connections.length) continue
    const { pieces, unplaced } = placed(input, id, resident.connections, 'cost-optimization')
    if (unplaced.length > 0) continue
    const savingsEurHour = Math.round(price * 10_000) / 10_000
    return { serverId: id, savingsEurHour, savingsEurMonth: savingsPerMonth(price), moves: pieces, freeAfter }
  }
  return null
}

/** In service, and nobody has said or seen anything against it. */
function isSteady({ server, verdict, cordoned, instability, unfit, load }: Target): boolean {
  return server.status === 'online' && verdict === 'up' && !cordoned && instability < 1 && !unfit && load !== null && load >= 0
}

/** What stays free of all known capacity when so many more have come; 0 where none is known. */
function shareFree(targets: readonly Target[], arriving: number): number {
  const known = targets.filter(({ capacity }) => capacity !== null && capacity > 0)
  const capacity = known.reduce((sum, target) => sum + (target.capacity ?? 0), 0)
  const load = known.reduce((sum, target) => sum + (target.load ?? 0), arriving)
  return capacity > 0 ? Math.max(0, 1 - load / capacity) : 0
}

function placed(input: AdviceInput, from: ServerId, connections: readonly Connection[], reason: MigrationReason): PlacementOutput {
  return place({
    sources: [from],
    sourceDomains: [],
    only: null,
    reason,
    connections,
    refusals: new Map(),
    targets: input.fleet.map(({ target }) => target),
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

/**
 * One round: a server that is the hottest by more than the margin for so many rounds in a row is to be relieved. Another hottest
 * server, or a gain within the margin, begins anew. Advice is given again in each further round in which it still holds.
 * @param heat what the round before has returned; null: there was none
 */
export function rebalancing(heat: Heat | null, input: AdviceInput): { readonly heat: Heat | null; readonly advice: Rebalancing | null } {
  const found = relief(input)
  if (!found || !(found.fillNow - found.fillAfter > input.limits.margin)) return { heat: null, advice: null }
  const { serverId } = found
  const rounds = heat?.serverId === serverId ? Math.min(heat.rounds + 1, input.limits.rounds) : 1
  return { heat: { serverId, rounds }, advice: rounds >= input.limits.rounds ? found : null }
}

/** The fewest users whose leaving lowers the hottest server the most, without making another as hot. */
function relief(input: AdviceInput): Rebalancing | null {
  const fill = ({ load, capacity }: Target, more: number) => ((load ?? 0) + more) / (capacity as number)
  const [hottest] = input.fleet
    .filter(({ target }) => isSteady(target) && target.capacity !== null && target.capacity > 0)
    .sort((a, b) => fill(b.target, 0) - fill(a.target, 0) || compareIds(a.target.server.id, b.target.server.id))
  if (!hottest) return null
  const { target } = hottest
  const known = new Map(input.fleet.map((one) => [one.target.server.id, one.target]))
  const free = hottest.connections.filter(({ mobility }) => mobility === 'free').sort((a, b) => a.tier - b.tier || compareIds(a.id, b.id))
  const look = (count: number) => {
    const { pieces } = placed(input, target.server.id, free.slice(0, count), 'rebalancing')
    const leaving = pieces.reduce((sum, { connections }) => sum + connections.length, 0)
    const fills = pieces.map(({ to, connections }) => {
      const other = known.get(to)
      return other && other.capacity !== null ? fill(other, connections.length) : 0
    })
    const here = fill(target, -leaving)
    return { pieces, here, there: Math.max(0, ...fills) }
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
  return { serverId: target.server.id, moves: pieces, fillNow: fill(target, 0), fillAfter: Math.max(here, there) }
}
