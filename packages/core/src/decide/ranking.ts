import type { Cohort } from '../assign/cohorts.ts'
import { everybodyElse } from '../detect/votes.ts'
import type { Latencies, Reach } from '../figures/latency.ts'
import type {
  Candidate,
  Connection,
  Contribution,
  ExclusionCode,
  MigrationReason,
  RankingWeights,
  ResourceLimits,
  Server,
  ServerId,
  VerdictKind,
} from '../vocabulary.ts'

export type { Cohort }

/** A server as ranking sees it. */
export interface Target extends Reach {
  readonly verdict: VerdictKind
  readonly cordoned: boolean
  /** Left-over damping penalty as a share of the ceiling; 1 or more: damped. */
  readonly instability: number
  /** Connections there plus reservations; null: could not be counted. */
  readonly load: number | null
  /** Null: no limit is known and none assumed. */
  readonly capacity: number | null
  /** No room for one more beside the host's headroom. */
  readonly full: boolean
  /** False: capacity is unknown and policy gives no limit of arrivals either. */
  readonly limited: boolean
  /** What else makes it no target now (`unfitNow`); absent or null: nothing. */
  readonly unfit?: Unfit | null
  /** By audience, every region with a vantage among them: why it is none for its users; null: it may be. Absent: it is the same for all. */
  readonly unfitFor?: ReadonlyMap<string, Unfit | null> | null
}

/** Why a server is no target for anybody. */
export type Unfit = readonly [ExclusionCode, string]

export interface RankingContext {
  readonly sources: ReadonlySet<ServerId>
  /** The only server that was asked for; null: any. */
  readonly only: ServerId | null
  /** Why they are to leave. */
  readonly reason: MigrationReason
  readonly sourceDomains: ReadonlySet<string>
  readonly weights: RankingWeights
  /** Dearest price among the targets, EUR/h; 0: no prices known. */
  readonly maxPrice: number
  /** Mean load of the targets, for those without a capacity. */
  readonly meanLoad: number
  readonly latencies: Latencies
  /** What `kindOf` has said already. */
  readonly kinds: Map<ServerId, string>
}

/** Hard rules: why this server is no target for anybody; null: it may be one. */
export function excludeTarget(target: Target, context: Pick<RankingContext, 'sources' | 'only'>): Unfit | null {
  const { server } = target
  if (context.sources.has(server.id)) return ['is_source', 'it is the server being left']
  if (context.only !== null && context.only !== server.id) return ['not_asked_for', `only ${context.only} was asked for`]
  if (server.status === 'maintenance') return ['maintenance', 'it is in maintenance']
  if (server.status !== 'online') return ['not_online', `its status is ${server.status}`]
  if (target.cordoned) return ['cordoned', 'an operator has cordoned it']
  if (target.verdict !== 'up') return [target.verdict, `its verdict is ${target.verdict}`]
  if (target.instability >= 1) return ['damped', 'it has failed too often lately']
  if (target.unfit) return target.unfit
  if (!target.limited) return ['capacity_unknown', 'its capacity is unknown, and neither defaultCapacity nor maxArrivals is set']
  if (target.load === null || Number.isNaN(target.load)) return ['load_unknown', 'its connections could not be counted']
  if (target.full || (target.capacity !== null && !(target.capacity > Math.max(0, target.load))))
    return ['full', `${target.load} of ${target.capacity} taken`]
  return null
}

const resources = { cpuPercent: 'CPU', memoryPercent: 'memory', diskPercent: 'disk' } as const

/**
 * What can change from one server list to the next: whether it is named at all, and how busy its machine is.
 * @param missing server lists in a row that have not named it
 */
export function unfitNow(server: Server, missing: number, limits: ResourceLimits): Unfit | null {
  if (missing > 0) return ['not_listed', 'the newest server list does not name it']
  for (const key of ['cpuPercent', 'memoryPercent', 'diskPercent'] as const) {
    const used = server.resources[key]
    if (used !== null && used > limits[key]) return ['overloaded', `its ${resources[key]} is at ${used} % (limit ${limits[key]} %)`]
  }
  return null
}

/** Hard rules: why this server is no target for this cohort. */
export function excludeForCohort(cohort: Cohort, { server, unfitFor }: Pick<Target, 'server' | 'unfitFor'>): Unfit | null {
  const { needs, region } = cohort.sample
  const unfit = region === null ? null : unfitFor?.get(unfitFor.has(region) ? region : everybodyElse)
  if (unfit) return unfit
  const missing = needs.protocols?.filter((protocol) => !server.protocols.includes(protocol)) ?? []
  if (missing.length > 0) return ['protocol_missing', `it does not speak ${missing.join(', ')}`]
  const lacking = needs.features?.filter((feature) => !server.features.includes(feature)) ?? []
  if (lacking.length > 0) return ['feature_missing', `it does not have ${lacking.join(', ')}`]
  if (needs.countries && !needs.countries.includes(server.country ?? ''))
    return ['country_not_allowed', `its country ${server.country ?? '(unknown)'} is not allowed`]
  if (needs.regions && !needs.regions.includes(server.region ?? ''))
    return ['region_not_allowed', `its region ${server.region ?? '(unknown)'} is not allowed`]
  if (cohort.refusedBy.has(server.id)) return ['refused_before', 'it has refused these connections before']
  return null
}

/** Its owner does not want it moved for this reason. */
export function isPinned(connection: Pick<Connection, 'mobility'>, reason: MigrationReason): boolean {
  return connection.mobility === 'pinned' || (connection.mobility === 'failure-only' && reason !== 'server-down')
}

/** Why no server at all is a target for this cohort; null: some may be. */
export function excludePinned({ sample }: Pick<Cohort, 'sample'>, { reason }: Pick<RankingContext, 'reason'>): Unfit | null {
  return isPinned(sample, reason) ? ['pinned', `its mobility is ${sample.mobility}`] : null
}

/**
 * Servers with the same text are the same to `excludeForCohort`, in their region, and in what of their latency depends on the
 * user: whatever these look at belongs into it.
 */
export function kindOf(target: Target, { latencies, kinds }: Pick<RankingContext, 'latencies' | 'kinds'>): string {
  const { id, protocols, features, country, region } = target.server
  const known = kinds.get(id)
  if (known !== undefined) return known
  const audiences = [...(target.unfitFor ?? [])].sort(([a], [b]) => compareIds(a, b))
  const words = (list: readonly string[]) => (list.length > 1 ? [...new Set(list)].sort() : list)
  const kind = JSON.stringify([region, country, words(protocols), words(features), audiences, latencies.keyOf(target)])
  kinds.set(id, kind)
  return kind
}

/** The same for cohorts that no server tells apart. */
export function needsKey({ sample: { region, needs }, refusedBy }: Cohort): string {
  return JSON.stringify([region, needs.protocols, needs.features, needs.countries, needs.regions, ...[...refusedBy].sort()])
}

/** Room as a share: 1 for an empty server, 0 for a full one; against the mean where no capacity is known. */
function headroom(target: Target, arriving: number, context: RankingContext): Contribution {
  const load = (target.load ?? 0) + arriving
  if (target.capacity === null) {
    const mean = context.meanLoad + 1
    return part('headroom', mean / (mean + Math.max(0, load)), context, `${load} connections, capacity unknown`)
  }
  return part('headroom', target.capacity === 0 ? 0 : 1 - load / target.capacity, context, `${load} of ${target.capacity} taken`)
}

/** As the users of a region see it: the vantages there, else the distance, else vantages of no region. */
function latencyPart(region: string | null, target: Target, context: RankingContext): Contribution {
  const known = context.latencies.of(region, target)
  const value = known && context.latencies.shareOf(region, target)
  return known && value !== null
    ? part('latency', value, context, known.note)
    : neutral('latency', context, 'not measured, no distance known')
}

function regionPart(region: string | null, target: Target, context: RankingContext): Contribution {
  const there = target.server.region
  if (region === null || there === null) return regionUnknown(region === null ? target : { unfitFor: null }, context)
  const isSame = there === region
  return part('region', isSame ? 1 : 0, context, isSame ? `same region ${there}` : `${there}, not ${region}`)
}

function stabilityPart({ instability }: Target, context: RankingContext): Contribution {
  const note = instability === 0 ? 'no outage lately' : `damping at ${Math.round(instability * 100)} % of the ceiling`
  return part('stability', 1 - instability, context, note)
}

function domainPart({ server: { failureDomain: domain } }: Target, context: RankingContext): Contribution {
  if (domain === null || context.sourceDomains.size === 0) return neutral('failure_domain', context, 'failure domain unknown')
  const isShared = context.sourceDomains.has(domain)
  const note = isShared ? `shares ${domain} with the failing server` : `in ${domain}`
  return part('failure_domain', isShared ? 0 : 1, context, note)
}

function costPart({ server: { priceEurHour: price } }: Target, context: RankingContext): Contribution {
  if (price === null || context.maxPrice === 0) return neutral('cost', context, 'price unknown')
  return part('cost', 1 - price / context.maxPrice, context, `${price} EUR/h`)
}

/**
 * Soft rules: each factor 0..1 times its weight, and what it rests on. Unknown is neutral (0.5) and says so.
 * @param arriving how many connections the plan has already put there
 */
export function contributionsOf(cohort: Cohort, target: Target, arriving: number, context: RankingContext): Contribution[] {
  const { region, preferredServer } = cohort.sample
  const isPreferred = preferredServer === target.server.id
  return [
    headroom(target, arriving, context),
    latencyPart(region, target, context),
    stabilityPart(target, context),
    regionPart(region, target, context),
    domainPart(target, context),
    costPart(target, context),
    part('preference', isPreferred ? 1 : 0, context, isPreferred ? "the user's preferred server" : 'no preference for it'),
  ]
}

/** What of a server's worth depends on the user: the same for all servers of one kind. */
export function forRegion(region: string | null, target: Target, context: RankingContext): Contribution[] {
  const parts = [regionPart(region, target, context)]
  if (context.latencies.keyOf(target) !== null) parts.push(latencyPart(region, target, context))
  return parts
}

/** What does not, except for its headroom. */
export function forAnybody(target: Target, context: RankingContext): Contribution[] {
  const parts = [stabilityPart(target, context), domainPart(target, context), costPart(target, context)]
  if (context.latencies.keyOf(target) === null) parts.push(latencyPart(null, target, context))
  return parts
}

/** Weighted mean, 0..1. All weights zero: 0 for everybody, and the order is by id. */
export function scoreOf(contributions: readonly Contribution[]): number {
  const weights = contributions.reduce((sum, { weight }) => sum + weight, 0)
  return weights === 0 ? 0 : contributions.reduce((sum, { value, weight }) => sum + value * weight, 0) / weights
}

/** The order of servers of one kind: the same for everybody. */
export function worthInKind(target: Target, context: RankingContext): number {
  const parts = [headroom(target, 0, context), ...forAnybody(target, context)]
  return parts.reduce((sum, { value, weight }) => sum + value * weight, 0)
}

/** How much one more arrival lowers the score: only headroom depends on it. */
export function scoreWithout(contributions: readonly Contribution[], target: Target, arriving: number, context: RankingContext): number {
  return scoreOf([headroom(target, arriving, context), ...contributions.slice(1)])
}

/** Every server: its score with all contributions, or why it is no target. Best first, the excluded last. */
export function rank(cohort: Cohort, targets: readonly Target[], context: RankingContext): Candidate[] {
  const candidates = targets.map((target): Candidate => {
    const excluded = excludeTarget(target, context) ?? excludePinned(cohort, context) ?? excludeForCohort(cohort, target)
    if (excluded) return { serverId: target.server.id, excluded: excluded[0], message: excluded[1] }
    const contributions = contributionsOf(cohort, target, 0, context)
    return { serverId: target.server.id, score: scoreOf(contributions), contributions }
  })
  const score = (candidate: Candidate): number => ('score' in candidate ? candidate.score : -1)
  return candidates.sort((a, b) => score(b) - score(a) || compareIds(a.serverId, b.serverId))
}

export const compareIds = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** What cannot be computed (a registry or a prober said NaN) is neutral: no score is ever NaN. */
function part(factor: Contribution['factor'], value: number, context: RankingContext, note: string): Contribution {
  if (Number.isNaN(value)) return { factor, value: 0.5, weight: context.weights[factor], note: `${note}: neutral` }
  return { factor, value: Math.min(1, Math.max(0, value)), weight: context.weights[factor], note }
}

/** He may be one of those for whom it is down. */
function regionUnknown({ unfitFor }: Pick<Target, 'unfitFor'>, context: RankingContext): Contribution {
  const audiences = [...(unfitFor?.values() ?? [])]
  const barred = audiences.filter((unfit) => unfit !== null)
  if (!barred[0]) return neutral('region', context, 'region unknown')
  return part('region', 0.5 * (1 - barred.length / audiences.length), context, `region unknown; ${barred[0][1]}`)
}

function neutral(factor: Contribution['factor'], context: RankingContext, note: string): Contribution {
  return part(factor, 0.5, context, `${note}: neutral`)
}
