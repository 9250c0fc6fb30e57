import type { Cohort } from '../assign/cohorts.ts'
import { everybodyElse } from '../detect/votes.ts'
import type {
  Candidate,
  Contribution,
  ExclusionCode,
  RankingWeights,
  ResourceLimits,
  Server,
  ServerId,
  VerdictKind,
} from '../vocabulary.ts'

export type { Cohort }

/** A server as ranking sees it. */
export interface Target {
  readonly server: Server
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
  /** Smoothed round trip from the vantage; null: not measured. */
  readonly rttMs: number | null
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
  readonly sourceDomains: ReadonlySet<string>
  readonly weights: RankingWeights
  /** Dearest price among the targets, EUR/h; 0: no prices known. */
  readonly maxPrice: number
  /** Mean load of the targets, for those without a capacity. */
  readonly meanLoad: number
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
  if (needs.countries && !needs.countries.includes(server.country ?? ''))
    return ['country_not_allowed', `its country ${server.country ?? '(unknown)'} is not allowed`]
  if (needs.regions && !needs.regions.includes(server.region ?? ''))
    return ['region_not_allowed', `its region ${server.region ?? '(unknown)'} is not allowed`]
  if (cohort.refusedBy.has(server.id)) return ['refused_before', 'it has refused these connections before']
  return null
}

/** Servers with the same text are the same to `excludeForCohort` and in their region: whatever these look at belongs into it. */
export function kindOf({ server, unfitFor }: Pick<Target, 'server' | 'unfitFor'>): string {
  const { protocols, country, region } = server
  const audiences = [...(unfitFor ?? [])].sort(([a], [b]) => compareIds(a, b))
  return JSON.stringify([region, country, [...new Set(protocols)].sort(), audiences])
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

/**
 * Soft rules: each factor 0..1 times its weight, and what it rests on. Unknown is neutral (0.5) and says so.
 * @param arriving how many connections the plan has already put there
 */
export function contributionsOf(cohort: Cohort, target: Target, arriving: number, context: RankingContext): Contribution[] {
  const { sample } = cohort
  const { server, rttMs } = target
  const latency =
    rttMs === null
      ? neutral('latency', context, 'not measured')
      : part('latency', 1 - rttMs / 300, context, `${Math.round(rttMs * 10) / 10} ms from the prober`)
  const region =
    sample.region === null || server.region === null
      ? regionUnknown(sample.region === null ? target : { unfitFor: null }, context)
      : part(
          'region',
          server.region === sample.region ? 1 : 0,
          context,
          server.region === sample.region ? `same region ${server.region}` : `${server.region}, not ${sample.region}`,
        )
  const domain = server.failureDomain
  const failureDomain =
    domain === null || context.sourceDomains.size === 0
      ? neutral('failure_domain', context, 'failure domain unknown')
      : part(
          'failure_domain',
          context.sourceDomains.has(domain) ? 0 : 1,
          context,
          context.sourceDomains.has(domain) ? `shares ${domain} with the failing server` : `in ${domain}`,
        )
  const cost =
    server.priceEurHour === null || context.maxPrice === 0
      ? neutral('cost', context, 'price unknown')
      : part('cost', 1 - server.priceEurHour / context.maxPrice, context, `${server.priceEurHour} EUR/h`)
  const preferred = sample.preferredServer === server.id
  return [
    headroom(target, arriving, context),
    latency,
    part(
      'stability',
      1 - target.instability,
      context,
      target.instability === 0 ? 'no outage lately' : `damping at ${Math.round(target.instability * 100)} % of the ceiling`,
    ),
    region,
    failureDomain,
    cost,
    part('preference', preferred ? 1 : 0, context, preferred ? "the user's preferred server" : 'no preference for it'),
  ]
}

/** Weighted mean, 0..1. All weights zero: 0 for everybody, and the order is by id. */
export function scoreOf(contributions: readonly Contribution[]): number {
  const weights = contributions.reduce((sum, { weight }) => sum + weight, 0)
  return weights === 0 ? 0 : contributions.reduce((sum, { value, weight }) => sum + value * weight, 0) / weights
}

const anybody: Cohort = {
  key: '',
  sample: { region: null, preferredServer: null } as Cohort['sample'],
  refusedBy: new Set(),
}

/** What a server is worth to somebody of whom nothing is known. */
export const partsForAnybody = (target: Target, context: RankingContext): Contribution[] => contributionsOf(anybody, target, 0, context)
export const scoreForAnybody = (target: Target, context: RankingContext): number => scoreOf(partsForAnybody(target, context))

/** How much one more arrival lowers the score: only headroom depends on it. */
export function scoreWithout(contributions: readonly Contribution[], target: Target, arriving: number, context: RankingContext): number {
  return scoreOf([headroom(target, arriving, context), ...contributions.slice(1)])
}

/** Every server: its score with all contributions, or why it is no target. Best first, the excluded last. */
export function rank(cohort: Cohort, targets: readonly Target[], context: RankingContext): Candidate[] {
  const candidates = targets.map((target): Candidate => {
    const excluded = excludeTarget(target, context) ?? excludeForCohort(cohort, target)
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
