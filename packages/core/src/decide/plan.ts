import { audienceOf } from '../detect/votes.ts'
import { scheduleOf } from '../figures/schedule.ts'
import type {
  Connection,
  ConnectionId,
  Coverage,
  MigrationId,
  MigrationReason,
  Plan,
  PlannedMigration,
  Policy,
  Server,
  ServerId,
  Unplaced,
  Utilisation,
} from '../vocabulary.ts'
import { place } from './placement.ts'
import { compareIds, type Target } from './ranking.ts'

/** Who goes where. */
export type Assignments = ReadonlyMap<ConnectionId, ServerId>

/** What is kept of a plan that was looked at, so that exactly that can be carried out. */
export interface Looked {
  readonly basis: Plan['basis']
  readonly assignments: Assignments
}

export const lookedAt = ({ basis, placements }: Pick<Plan, 'basis' | 'placements'>): Looked => ({
  basis,
  assignments: assignmentsOf(placements),
})

function assignmentsOf(placements: Plan['placements']): Assignments {
  const assignments = new Map<ConnectionId, ServerId>()
  for (const { toServerId, connections } of placements) for (const { id } of connections) assignments.set(id, toServerId)
  return assignments
}

/** A server that is to be left, and who is there. */
export interface Source {
  readonly server: Server
  readonly isDown: boolean
  readonly connections: readonly Connection[]
}

/** What narrows a plan, and what an evacuation has learned before it. */
export interface PlanScope {
  /** By whom users were refused already, so that they are not sent there again. */
  readonly refusals?: ReadonlyMap<ConnectionId, ReadonlySet<ServerId>>
  readonly onlyConnections?: readonly ConnectionId[] | null
  /** Only users of this audience; null: of any, also those whose region is not known. */
  readonly audience?: string | null
  readonly toServerId?: ServerId | null
  /** What somebody has looked at already: whoever is in it still goes where it says. */
  readonly keep?: Assignments
  /** Who needs no plan any more. */
  readonly settled?: ReadonlySet<ConnectionId>
  /** How many each target has got from this evacuation already. */
  readonly arrived?: ReadonlyMap<ServerId, number>
}

/** What a plan rests on. */
export interface PlanWorld {
  readonly now: number
  readonly sources: readonly Source[]
  readonly coverage: Coverage
  readonly targets: readonly Target[]
  readonly policy: Policy
  readonly policyVersion: number
  /** Who is being moved already, and by which migration. */
  readonly claims: ReadonlyMap<ConnectionId, MigrationId>
  /** A hash that nobody can find a second input for, in URL-safe characters. */
  readonly digest: (value: unknown) => string
  /** Regions that have a vantage of their own. */
  readonly regions: ReadonlySet<string>
  /** How long a move has taken lately, milliseconds; null: none was seen. */
  readonly moveMs: number | null
}

export function makePlan(world: PlanWorld, reason: MigrationReason, scope: PlanScope = {}): Plan {
  const {
    onlyConnections = null,
    audience = null,
    toServerId = null,
    settled = new Set(),
    refusals = new Map(),
    arrived = new Map(),
    keep = new Map(),
  } = scope
  const { sources, policy, now, coverage } = world
  const wanted = onlyConnections && new Set(onlyConnections)
  const fromServerIds = [...new Set(sources.map(({ server }) => server.id))]
  // By id, so that the order of the sources changes nothing.
  const numbers = new Map(fromServerIds.toSorted(compareIds).map((id, number) => [id, number]))
  const moving: Unplaced[] = []
  const seen = new Set<ConnectionId>()
  // As long as it may become: a list that grows to a million is copied again and again.
  const most = sources.reduce((sum, { connections: listed }) => sum + listed.length, 0)
  const connections = new Array<Connection>(most)
  const from = new Int32Array(most)
  let count = 0
  const isPlain = settled.size === 0 && wanted === null && world.claims.size === 0 && audience === null
  for (const { server, connections: listed } of sources) {
    const number = numbers.get(server.id) as number
    // By index, as in `assign/order.ts`.
    for (let at = 0; at < listed.length; at++) {
      const connection = listed[at] as Connection
      if (!isPlain) {
        const { id } = connection
        if (settled.has(id) || wanted?.has(id) === false || seen.has(id)) continue
        if (audience !== null && audienceOf(connection.region, world.regions) !== audience) continue
        const claim = world.claims.get(id)
        if (claim !== undefined) {
          seen.add(id)
          moving.push({ connectionId: id, code: 'being_moved', message: `being moved already, by migration ${claim}` })
          continue
        }
      }
      from[count] = number
      connections[count++] = connection
    }
  }
  connections.length = count
  const { pieces, unplaced, shortfalls, cohorts } = place({
    sources: fromServerIds,
    sourceDomains: sources.flatMap(({ server }) => server.failureDomain ?? []),
    only: toServerId,
    reason,
    connections,
    from: from.subarray(0, count),
    refusals,
    arrived,
    keep,
    targets: world.targets,
    policy: policy.placement,
    targetsPerConnection: policy.migration.targetsPerConnection,
  })
  const byId = new Map(world.targets.map((target) => [target.server.id, target]))
  const arrivals = new Map<ServerId, number>()
  for (const { to, connections: some } of pieces) arrivals.set(to, (arrivals.get(to) ?? 0) + some.length)
  const bySource = [...numbers.keys()]
  const placements = pieces.map((piece): PlannedMigration => {
    const { load, capacity = null } = byId.get(piece.to) ?? {}
    const loadBefore = load ?? 0
    const ends = { fromServerId: bySource[piece.from] as ServerId, toServerId: piece.to }
    return { ...ends, connections: piece.connections, loadBefore, loadAfter: loadBefore + (arrivals.get(piece.to) ?? 0), capacity }
  })
  placements.sort((a, b) => compareIds(a.fromServerId, b.fromServerId) || compareIds(a.toServerId, b.toServerId))
  const basis = {
    asked: `for ${wanted ? `${wanted.size} named (${world.digest([...wanted].sort()).slice(0, 8)})` : 'everybody'}, to ${toServerId ?? 'the best'}`,
    ...basisOf(
      world,
      placements.map((placement) => placement.toServerId),
      unplaced,
    ),
  }
  return {
    fingerprint: world.digest(Object.entries(basis).sort((a, b) => compareIds(a[0], b[0]))).slice(0, 22),
    createdAt: now,
    reason,
    fromServerIds,
    onlyConnections,
    toServerId,
    placements,
    unplaced: [...unplaced, ...moving],
    cohorts,
    schedule: scheduleOf(
      placements.map(({ fromServerId, toServerId: to, connections: { length } }) => ({ from: fromServerId, to, count: length })),
      policy.migration,
      world.moveMs,
    ),
    utilisation: utilisationOf(placements, world),
    shortfalls,
    coverage,
    basis,
  }
}

/** Every server that is left or gets somebody. */
function utilisationOf(placements: readonly PlannedMigration[], { sources, targets }: PlanWorld): Utilisation[] {
  const change = new Map<ServerId, number>(sources.map(({ server }) => [server.id, 0]))
  for (const { fromServerId, toServerId, connections } of placements) {
    change.set(fromServerId, (change.get(fromServerId) ?? 0) - connections.length)
    change.set(toServerId, (change.get(toServerId) ?? 0) + connections.length)
  }
  const known = new Map(targets.map((one) => [one.server.id, one]))
  const share = (load: number | null, capacity: number | null) =>
    load === null || capacity === null || capacity === 0 ? null : load / capacity
  return [...change]
    .sort(([a], [b]) => compareIds(a, b))
    .map(([serverId, by]) => {
      const { load = null, capacity = null } = known.get(serverId) ?? {}
      const loadAfter = load === null ? null : Math.max(0, load + by)
      return { serverId, loadBefore: load, loadAfter, capacity, shareBefore: share(load, capacity), shareAfter: share(loadAfter, capacity) }
    })
}

const source = 'source '
const target = 'target '
const room = 'room'
const forAll = 'for everybody'

/**
 * What the plan rests on, piece by piece: a changed world is told by the name of what changed. Counts of users are no part
 * of it: whoever leaves is skipped, and whoever comes is planned beside, as long as there is room.
 */
function basisOf(world: PlanWorld, targets: readonly ServerId[], unplaced: readonly Unplaced[]): Record<string, string> {
  const basis: Record<string, string> = { policy: `version ${world.policyVersion}` }
  for (const { server, isDown } of world.sources) basis[source + server.id] = isDown ? 'down' : 'not down'
  const known = new Map(world.targets.map((one) => [one.server.id, one]))
  for (const id of new Set(targets)) basis[target + id] = textOf(known.get(id))
  basis[room] = unplaced.every(({ code }) => code === 'pinned') ? forAll : 'not for everybody'
  return basis
}

function textOf(found: Target | undefined): string {
  if (!found) return 'gone'
  const { server, verdict, cordoned, capacity } = found
  return [
    server.status === 'online' ? verdict : server.status,
    cordoned ? 'cordoned' : 'not cordoned',
    `capacity ${capacity ?? 'unknown'}`,
  ].join(', ')
}

/**
 * What has changed for a plan, in words: its own targets are looked at, not those that newcomers would get, and whether all
 * those in it that are still there can still go where it says.
 */
export function changesSince(planned: Looked, fresh: Plan, world: PlanWorld): string[] {
  const { basis, assignments } = planned
  const known = new Map(world.targets.map((one) => [one.server.id as string, one]))
  const isNow = (key: string): string | undefined =>
    key.startsWith(target) ? textOf(known.get(key.slice(target.length))) : fresh.basis[key]
  const keys = [...Object.keys(basis), ...Object.keys(fresh.basis).filter((key) => key.startsWith(source))]
  const changes = [...new Set(keys)]
    .filter((key) => key !== room && basis[key] !== isNow(key))
    .sort()
    .map((key) => `${key}: was ${basis[key] ?? 'not in the plan'}, is ${isNow(key) ?? 'not in the plan'}`)
  const now = lookedAt(fresh).assignments
  const left = new Set(fresh.unplaced.flatMap(({ connectionId, code }) => (code === 'being_moved' ? [] : connectionId)))
  const moved = new Map<ServerId, number>()
  for (const [id, to] of assignments) if (left.has(id) || (now.has(id) && now.get(id) !== to)) moved.set(to, (moved.get(to) ?? 0) + 1)
  for (const [id, count] of moved) changes.push(`room on ${id}: ${count} of those planned for it would have no place there now`)
  return changes
}
