import type {
  CohortDecision,
  Connection,
  ConnectionId,
  ExclusionCode,
  MigrationReason,
  PlacementPolicy,
  ServerId,
  Unplaced,
  UnplacedCode,
} from '../vocabulary.ts'
import {
  type Cohort,
  compareIds,
  contributionsOf,
  excludeForCohort,
  excludeTarget,
  type RankingContext,
  rank,
  scoreWithout,
  type Target,
} from './ranking.ts'

export interface PlacementInput {
  readonly sources: readonly ServerId[]
  readonly sourceDomains: readonly string[]
  /** The only server that they may go to; null: any. */
  readonly only: ServerId | null
  readonly reason: MigrationReason
  readonly connections: readonly Connection[]
  /** How many this evacuation has brought to each target before: they count against the limit of arrivals. */
  readonly arrived?: ReadonlyMap<ServerId, number>
  /** Targets that have refused a connection before. */
  readonly refusals: ReadonlyMap<ConnectionId, ReadonlySet<ServerId>>
  /** Where a plan that somebody has looked at sends them: it stays so, as long as there is room for it. */
  readonly keep?: ReadonlyMap<ConnectionId, ServerId>
  readonly targets: readonly Target[]
  readonly policy: PlacementPolicy
  readonly targetsPerConnection: number
}

export interface PlacementOutput {
  readonly placed: ReadonlyMap<ServerId, readonly Connection[]>
  readonly unplaced: readonly Unplaced[]
  readonly cohorts: readonly CohortDecision[]
}

/** How many of the best candidates a decision keeps. */
const keptCandidates = 20

/** A cohort while it is being placed: how many of it go where. */
interface Work {
  readonly cohort: Cohort
  readonly targets: readonly Target[]
  /** Whose target is given, and is not found anew. */
  readonly kept: Map<ServerId, Connection[]>
  readonly free: Connection[]
  readonly flow: Map<ServerId, number>
  left: number
}

/**
 * Who goes where. Never above a target's room; strands nobody whom some assignment could place: what the greedy pass
 * leaves over is placed along augmenting paths (Ford and Fulkerson), which move earlier cohorts aside but never out,
 * so that higher tiers, which go first, keep their places.
 *
 * `fillLimit` is hard for optional reasons; for failures a second pass goes up to capacity.
 */
export function place(input: PlacementInput): PlacementOutput {
  const { policy, reason } = input
  const sources = new Set(input.sources)
  const context = contextOf(input, sources)
  const open = input.targets.filter((target) => excludeTarget(target, context) === null)
  const works = group(input).map((cohort): Work => {
    const targets = isFixed(cohort, input) ? [] : open.filter((target) => excludeForCohort(cohort, target) === null)
    return { cohort, targets, kept: new Map(), free: [], flow: new Map(), left: 0 }
  })
  const arrivals = keep(works, input)
  // Higher tiers first; within a tier those with the fewest choices, so that others do not take them away.
  works.sort(
    (a, b) => b.cohort.sample.tier - a.cohort.sample.tier || a.targets.length - b.targets.length || compareIds(a.cohort.key, b.cohort.key),
  )
  const limits = reason === 'server-down' ? [policy.fillLimit, 1] : [policy.fillLimit]
  for (const fill of limits) {
    const room = new Map(
      open.map((target) => [
        target.server.id,
        roomOf(target, fill, policy, input.arrived?.get(target.server.id)) - (arrivals.get(target.server.id) ?? 0),
      ]),
    )
    for (const work of works) {
      pour(work, room, arrivals, context)
      while (work.left > 0 && augment(work, works, room, arrivals)) {}
    }
  }
  return settle(works, input, context)
}

/** Takes the places of those whose target is given. Returns how many arrive where by that. */
function keep(works: readonly Work[], input: PlacementInput): Map<ServerId, number> {
  const arrivals = new Map<ServerId, number>()
  for (const work of works) {
    const byId = new Map(work.targets.map((target) => [target.server.id, target]))
    for (const connection of work.cohort.connections) {
      const target = byId.get(input.keep?.get(connection.id) ?? ('' as ServerId))
      const id = target?.server.id
      const taken = (id && arrivals.get(id)) ?? 0
      if (target && id && roomOf(target, 1, input.policy, input.arrived?.get(id)) > taken) {
        arrivals.set(id, taken + 1)
        const list = work.kept.get(id)
        if (list) list.push(connection)
        else work.kept.set(id, [connection])
      } else work.free.push(connection)
    }
    work.left = work.free.length
  }
  return arrivals
}

/** How many more connections a target takes: within its fill limit, its host's headroom and the limit of arrivals. */
export function roomOf(target: Target, fill: number, policy: PlacementPolicy, arrived = 0): number {
  const capacity = target.capacity === null ? Number.POSITIVE_INFINITY : Math.floor(target.capacity * fill + 1e-9) - policy.hostHeadroom
  return Math.max(0, Math.min(capacity - (target.load ?? 0), (policy.maxArrivals ?? Number.POSITIVE_INFINITY) - arrived))
}

/** Pinned to where it is, or refused by as many targets as a connection may try. */
function isFixed(cohort: Cohort, input: PlacementInput): boolean {
  return isPinned(cohort.sample, input.reason) || cohort.refusedBy.size >= input.targetsPerConnection
}

/** Its owner does not want it moved for this reason. */
export function isPinned(connection: Connection, reason: MigrationReason): boolean {
  return connection.mobility === 'pinned' || (connection.mobility === 'failure-only' && reason !== 'server-down')
}

export function contextOf(
  input: Pick<PlacementInput, 'targets' | 'only' | 'sourceDomains' | 'policy'>,
  sources: ReadonlySet<ServerId>,
): RankingContext {
  const others = input.targets.filter((target) => !sources.has(target.server.id))
  const loads = others.map((target) => target.load ?? 0)
  return {
    sources,
    only: input.only,
    sourceDomains: new Set(input.sourceDomains),
    weights: input.policy.weights,
    maxPrice: others.reduce((most, { server }) => Math.max(most, server.priceEurHour ?? 0), 0),
    meanLoad: loads.length === 0 ? 0 : loads.reduce((sum, load) => sum + load, 0) / loads.length,
  }
}

function group(input: PlacementInput): Cohort[] {
  const cohorts = new Map<string, { connections: Connection[]; refusedBy: ReadonlySet<ServerId> }>()
  const nobody: ReadonlySet<ServerId> = new Set()
  for (const connection of input.connections) {
    const refusedBy = input.refusals.get(connection.id) ?? nobody
    const { region, needs, mobility, tier, preferredServer } = connection
    const key = JSON.stringify([
      region,
      needs.protocols,
      needs.countries,
      needs.regions,
      mobility,
      tier,
      preferredServer,
      ...[...refusedBy].sort(),
    ])
    const cohort = cohorts.get(key)
    if (cohort) cohort.connections.push(connection)
    else cohorts.set(key, { connections: [connection], refusedBy })
  }
  return [...cohorts].map(([key, { connections, refusedBy }]) => {
    // By id, so that the order of the registry's rows changes nothing.
    connections.sort((a, b) => compareIds(a.id, b.id))
    return { key, connections, refusedBy, sample: connections[0] as Connection }
  })
}

/** Fills the best target, a little at a time, because each arrival makes it less good. */
function pour(work: Work, room: Map<ServerId, number>, arrivals: Map<ServerId, number>, context: RankingContext): void {
  const seats = work.targets.map((target) => {
    const contributions = contributionsOf(work.cohort, target, 0, context)
    const score = () => scoreWithout(contributions, target, arrivals.get(target.server.id) ?? 0, context)
    return { target, score, now: score() }
  })
  const chunk = Math.max(1, Math.ceil(work.left / Math.max(256, seats.length * 4)))
  while (work.left > 0) {
    let best: (typeof seats)[number] | undefined
    for (const seat of seats) {
      if ((room.get(seat.target.server.id) ?? 0) < 1) continue
      if (!best || seat.now > best.now || (seat.now === best.now && compareIds(seat.target.server.id, best.target.server.id) < 0))
        best = seat
    }
    if (!best) return
    put(work, best.target.server.id, Math.min(chunk, work.left, room.get(best.target.server.id) ?? 0), room, arrivals)
    best.now = best.score()
  }
}

function put(work: Work, id: ServerId, count: number, room: Map<ServerId, number>, arrivals: Map<ServerId, number>): void {
  work.left -= count
  work.flow.set(id, (work.flow.get(id) ?? 0) + count)
  room.set(id, (room.get(id) ?? 0) - count)
  arrivals.set(id, (arrivals.get(id) ?? 0) + count)
}

/** One augmenting path: a full target, somebody on it who could go elsewhere, and so on to a target with room. */
function augment(work: Work, works: readonly Work[], room: Map<ServerId, number>, arrivals: Map<ServerId, number>): boolean {
  interface Step {
    readonly id: ServerId
    /** Who would come to `id`, and from where. */
    readonly mover: Work
    readonly before: Step | null
  }
  const seen = new Set<ServerId>()
  const queue: Step[] = []
  const visit = (mover: Work, before: Step | null): void => {
    for (const { server } of mover.targets) {
      if (seen.has(server.id)) continue
      seen.add(server.id)
      queue.push({ id: server.id, mover, before })
    }
  }
  visit(work, null)
  for (let next = queue.shift(); next; next = queue.shift()) {
    if ((room.get(next.id) ?? 0) >= 1) {
      let count = Math.min(work.left, room.get(next.id) ?? 0)
      for (let step: Step = next; step.before; step = step.before) count = Math.min(count, step.mover.flow.get(step.before.id) ?? 0)
      room.set(next.id, (room.get(next.id) ?? 0) - count)
      arrivals.set(next.id, (arrivals.get(next.id) ?? 0) + count)
      for (let step: Step | null = next; step; step = step.before) {
        step.mover.flow.set(step.id, (step.mover.flow.get(step.id) ?? 0) + count)
        if (step.before) step.mover.flow.set(step.before.id, (step.mover.flow.get(step.before.id) ?? 0) - count)
      }
      work.left -= count
      return true
    }
    for (const other of works) if ((other.flow.get(next.id) ?? 0) > 0) visit(other, next)
  }
  return false
}

function settle(works: readonly Work[], input: PlacementInput, context: RankingContext): PlacementOutput {
  const placed = new Map<ServerId, Connection[]>()
  const unplaced: Unplaced[] = []
  const cohorts: CohortDecision[] = []
  for (const work of works) {
    const { cohort, flow } = work
    let from = 0
    const shares: (readonly [ServerId, number])[] = []
    for (const id of [...new Set([...flow.keys(), ...work.kept.keys()])].sort(compareIds)) {
      const found = work.free.slice(from, from + (flow.get(id) ?? 0))
      from += found.length
      const arriving = [...(work.kept.get(id) ?? []), ...found]
      if (arriving.length === 0) continue
      shares.push([id, arriving.length])
      const list = placed.get(id) ?? []
      for (const connection of arriving) list.push(connection)
      placed.set(id, list)
    }
    const candidates = rank(cohort, input.targets, context)
    const exclusions: Partial<Record<ExclusionCode, number>> = {}
    for (const candidate of candidates)
      if ('excluded' in candidate) exclusions[candidate.excluded] = (exclusions[candidate.excluded] ?? 0) + 1
    const left = work.free.slice(from)
    const [code, message] = whyUnplaced(work, input, exclusions)
    for (const connection of left) unplaced.push({ connectionId: connection.id, code, message })
    cohorts.push({
      cohort: cohort.key,
      region: cohort.sample.region,
      connections: cohort.connections.length,
      candidates: candidates.slice(0, keptCandidates),
      exclusions,
      placed: shares.map(([serverId, connections]) => ({ serverId, connections })),
      unplaced: left.length > 0 ? { [code]: left.length } : {},
    })
  }
  return { placed, unplaced, cohorts }
}

function whyUnplaced(
  work: Work,
  input: PlacementInput,
  exclusions: Readonly<Partial<Record<ExclusionCode, number>>>,
): [UnplacedCode, string] {
  const { cohort, targets } = work
  if (isPinned(cohort.sample, input.reason)) return ['pinned', `its mobility is ${cohort.sample.mobility}`]
  if (cohort.refusedBy.size >= input.targetsPerConnection || (cohort.refusedBy.size > 0 && targets.length === 0))
    return ['refused_everywhere', `refused by ${[...cohort.refusedBy].sort().join(', ')}`]
  if (targets.length > 0) return ['no_capacity', `no room left on ${targets.length} possible target${targets.length === 1 ? '' : 's'}`]
  const counts = Object.entries(exclusions).map(([code, count]) => `${count} ${code}`)
  return ['no_candidate', `no server is a target: ${counts.join(', ') || 'there is none'}`]
}
