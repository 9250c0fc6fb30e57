import type { ServerInput } from '../../ports.ts'
import type { Mobility, PolicyInput } from '../../vocabulary.ts'
import { seededRandom } from '../random.ts'
import { type FaultKind, faultKinds, type Phase, phases, type Step } from './kinds.ts'
import type { Script } from './script.ts'

/** Stands in the adapter's own JSON and must never be seen anywhere else. */
export const secret = 'hunter2'

export interface SimUser {
  readonly id: string
  readonly server: string
  readonly mobility: Mobility
  readonly region: string | null
  /** Servers that he prefers, one after the other: the next one when he has moved, or when a script lets him never get there. */
  readonly prefers?: readonly string[]
}

/** A world before anything has gone wrong in it. Plain JSON: with the steps it is the whole of a history. */
export interface Setup {
  readonly seed: number
  readonly servers: readonly (ServerInput & { readonly capacity: number })[]
  readonly users: readonly SimUser[]
  readonly policy: PolicyInput
  readonly panel: {
    /** How long a call takes at most, milliseconds. */
    readonly latencyMs: number
    readonly fencing: 'enforced' | 'none'
    readonly confirmation: 'accepted' | 'applied' | 'seen'
    /** Optional methods that this panel has. */
    readonly has: readonly ('prepare' | 'complete' | 'locate' | 'verify' | 'rollback')[]
  }
  readonly registry: {
    readonly tellsLoad: boolean
    readonly setsStatus: boolean
    /** A database driver that gives `3` in one answer and `"3"` in the next. */
    readonly mixesIds: boolean
    /** `active`: its lists of connections name who was active within an hour, also those who have left since. */
    readonly coverage?: 'active'
  }
  /** Vantages elsewhere: for whom they see, and how often they look. The engine's own has no region. */
  readonly vantages?: readonly { readonly name: string; readonly region: string | null; readonly everyMs: number }[]
  /** A guard of the host that can forbid, for those that have one. */
  readonly guards: boolean
  /** Somebody tells the users where they are now. */
  readonly notifier: boolean
  readonly engines: number
  /** Listeners that throw and reject. */
  readonly rudeListeners: boolean
  /** Faults strike for this long, milliseconds; then all is healed. */
  readonly troubleMs: number
  /** How long the world is watched after that, milliseconds. */
  readonly calmMs: number
}

export interface History {
  readonly setup: Setup
  readonly steps: readonly Step[]
  /** What happens at which time, as it was recorded somewhere: then nothing else does, and nothing is healed in the end. */
  readonly script?: Script
}

const minute = 60_000

/**
 * The world and the faults of one seed. Each seed begins with one cell of faults × phases in turn, so that a campaign
 * of a few hundred seeds meets them all; the rest is drawn.
 */
export function historyOf(seed: number): History {
  const random = seededRandom(seed * 7919 + 17)
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1))
  const one = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  const chance = (p: number): boolean => random() < p

  const cells = faultKinds.length * phases.length
  const cell = ((seed % cells) + cells) % cells
  const first = { kind: faultKinds[cell % faultKinds.length] as FaultKind, phase: phases[Math.floor(cell / faultKinds.length)] as Phase }

  const count = between(3, 9)
  const perServer = one([3, 6, 12, 25])
  // Hardly more room than the users of one server need: there every place counts.
  const isTight = chance(0.35)
  const room = (): number => (isTight ? between(0, Math.ceil((1.2 * perServer) / count)) : between(0, perServer))
  const regions = ['eu', 'us', null]
  const servers = Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    host: `10.0.0.${index + 1}`,
    region: one(regions),
    failureDomain: chance(0.3) ? one(['rack-a', 'rack-b']) : null,
    capacity: perServer + room(),
    priceEurHour: chance(0.5) ? between(1, 9) / 100 : null,
  }))
  const users = servers.flatMap(({ id }) =>
    Array.from({ length: isTight ? between(Math.ceil(perServer * 0.7), perServer) : between(0, perServer) }, (_, index) => ({
      id: `u${id}-${index}`,
      server: String(id),
      mobility: chance(0.08) ? ('pinned' as const) : chance(0.1) ? ('failure-only' as const) : ('free' as const),
      region: one(regions),
    })),
  )
  const optional = ['prepare', 'complete', 'locate', 'verify', 'rollback'] as const
  const vantages = vantagesOf(seed, first.kind)
  const advice = adviceOf(seed)
  const suggests = first.phase === 'suggested' || chance(0.15)
  const troubleMs = between(6, 25) * minute
  const timeoutMs = one([2000, 5000, 10_000])
  // A target that fails while many are still on their way to it from a dead server.
  const isRuin = seed % 8 === 5
  const isSlow = chance(0.3) || isRuin
  const setup: Setup = {
    seed,
    servers,
    users,
    policy: {
      mode: suggests ? 'suggest' : 'auto',
      registryRefreshMs: one([3000, 15_000]),
      detect: {
        checkIntervalMs: one([5000, 10_000]),
        confirm: chance(0.2) ? null : { intervalMs: 500, durationMs: one([3000, 7000]), timeoutMs: 1000 },
        canaries: chance(0.3) ? [{ host: '192.0.2.1' }] : [],
        ...(vantages.length > 0 && { vantages: policyOf(vantages) }),
      },
      guards: { massFailureRatio: one([0.3, 0.5, 0.7]), recheckMs: one([1000, 3000]), minServers: 3 },
      placement: { hostHeadroom: one([0, 0, 1]), fillLimit: one([0.9, 1]) },
      migration: {
        timeoutMs,
        concurrency: isSlow ? 2 : one([1, 3, 100]),
        concurrencyPerTarget: one([1, 2, 100]),
        revokeGraceMs: one([0, minute, 60 * minute, 24 * 60 * minute]),
        cooldownMs: one([0, 5 * minute]),
        backoffMs: one([200, 1000]),
        backoffMaxMs: 20_000,
        retryUnplacedMs: one([5000, 30_000]),
        rates: {
          overall: chance(0.15) ? { perSecond: one([1, 5]), burst: one([1, 5]) } : null,
          perTarget: chance(0.2) ? { perSecond: one([0.5, 2]), burst: one([1, 3]) } : null,
          perSource: chance(0.1) ? { perSecond: one([1, 3]), burst: one([1, 3]) } : null,
        },
      },
      failback: {
        strategy: one(['never', 'never', 'immediate', 'gradual', 'best-score']),
        stableMs: one([20_000, 2 * minute]),
        batchIntervalMs: one([10_000, minute]),
        batchPercent: one([10, 50]),
        adoptInactive: chance(0.1),
      },
      ...(advice && { advice }),
    },
    panel: {
      latencyMs: isSlow ? 1500 : one([100, 500, 1500]),
      fencing: one(['enforced', 'none']),
      confirmation: one(['accepted', 'applied', 'seen']),
      has: chance(0.5) || isRuin ? optional : optional.filter(() => chance(0.6)),
    },
    registry: { tellsLoad: chance(0.7), setsStatus: chance(0.8), mixesIds: chance(0.4), ...(seed % 13 === 0 && { coverage: 'active' }) },
    ...(vantages.length > 0 && { vantages }),
    guards: chance(0.4) || first.kind.startsWith('guards.'),
    notifier: chance(0.3) || first.kind.startsWith('notifier.'),
    engines: one([1, 1, 2, 3]),
    rudeListeners: chance(0.2),
    troubleMs,
    calmMs: 12 * minute,
  }
  const drawn = (kind: FaultKind, phase: Phase | null, from: number): Step => ({
    at: from + Math.floor(random() * troubleMs * 0.6),
    phase,
    kind,
    pick: random(),
    lastsMs: Math.round(1000 * 2 ** (random() * 8)),
  })
  const often = one(['server.dies', 'server.dies', 'operator.drains', 'server.flaps'] as const)
  const something: Step = {
    ...drawn(isSlow ? 'server.dies' : often, null, 0),
    at: between(20, 60) * 1000,
  }
  const steps = [something, { ...drawn(first.kind, first.phase, 0), at: 0 }]
  const many = between(2, 9)
  for (let index = 0; index < many; index++)
    steps.push(drawn(one(faultKinds), chance(0.6) ? one(phases.filter((phase) => phase !== 'quiet')) : null, 10_000))
  if (isSlow) steps.push({ ...drawn('target.dies', 'transferring', 0), at: 0, lastsMs: 180_000 })
  if (chance(0.1)) {
    // Somebody takes a server out of service by hand while it is down, and then it comes back.
    const at = between(60, 300) * 1000
    steps.push(
      { ...drawn('server.dies', null, 0), at, pick: 0.2, lastsMs: 90_000 },
      { ...drawn('operator.retires', null, 0), at: at + 40_000, pick: 0.01 },
    )
  }
  // Something must be moved for a fault to strike a move.
  if (chance(0.5)) steps.push(drawn(one(['server.dies', 'operator.drains']), null, 2 * minute))
  if (suggests || chance(0.1)) for (let index = 0; index < 3; index++) steps.push({ ...drawn('operator.approves', null, 30_000) })
  steps.push(...blocksOf(seed, vantages), ...doubtsOf(seed, setup))
  return { setup, steps: steps.sort((a, b) => a.at - b.at) }
}

/** Drawn by a number of its own, so that all else of a world stays what it is. */
function vantagesOf(seed: number, kind: FaultKind): NonNullable<Setup['vantages']> {
  const random = seededRandom(seed * 6007 + 5)
  const isAsked = /^(vantage|observations)\.|blocked_for_a_region/.test(kind)
  if (!isAsked && random() > 0.3) return []
  // Two of one region most often: fewer decide nothing.
  const regions = random() < 0.7 ? ['eu', 'eu', 'us', null] : [null, 'eu', null, 'us']
  const count = 1 + Math.floor(random() * 4)
  return regions.slice(0, Math.max(count, isAsked ? 2 : 1)).map((region, index) => {
    return { name: `v${index + 1}`, region, everyMs: [2000, 5000, 10_000][Math.floor(random() * 3)] as number }
  })
}

/** In a third of the worlds. Where the mode is `auto` it goes by itself if a guard or a window says when; else it is suggested. */
function adviceOf(seed: number): PolicyInput['advice'] | null {
  const random = seededRandom(seed * 5003 + 11)
  const one = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  if (random() > 0.35) return null
  return {
    enabled: true,
    intervalMs: one([5000, 20_000, minute]),
    minSavingsEurHour: one([0.01, 0.03]),
    reserve: one([0, 0.3, 0.7]),
    margin: one([0.05, 0.2]),
    rounds: one([1, 3]),
    afterScalingMs: one([0, 30_000]),
    declinedMs: one([0, 5 * minute]),
    // The whole day.
    windows: random() < 0.5 ? [{ from: '00:00', to: '00:00' }] : [],
  }
}

/** Where enough vantages see it, something is blocked for long enough that its users leave, and something else fails meanwhile. */
function blocksOf(seed: number, vantages: NonNullable<Setup['vantages']>): Step[] {
  const random = seededRandom(seed * 4001 + 3)
  const many = vantages.filter(({ region }) => region === 'eu').length
  if (many < 2 || random() < 0.2) return []
  const at = 30_000 + random() * 60_000
  const step = (kind: FaultKind, after: number, lastsMs: number): Step => ({ at: at + after, phase: null, kind, pick: random(), lastsMs })
  const block = { ...step('server.blocked_for_a_region', 0, 120_000 + random() * 300_000), pick: random() * 0.4 }
  const next = [
    'vantage.loses_network',
    'vantage.falls_silent',
    'server.dies',
    'prober.loses_network',
    'server.blocked_for_a_region',
  ] as const
  const also = step(next[Math.floor(random() * next.length)] as FaultKind, random() * 90_000, 60_000 + random() * 120_000)
  return random() < 0.6 ? [block, also] : [block]
}

/** Where there is a canary: the way to it fails together with that to one server, and everything else answers. */
function doubtsOf(seed: number, { policy }: Setup): Step[] {
  const random = seededRandom(seed * 3001 + 1)
  if ((policy.detect?.canaries ?? []).length === 0 || random() < 0.5) return []
  const lastsMs = 60_000 + random() * 120_000
  return [{ at: 60_000 + random() * 240_000, phase: null, kind: 'prober.loses_part', pick: 0.11 + random() * 0.03, lastsMs }]
}

export function policyOf(vantages: NonNullable<Setup['vantages']>): Record<string, { region?: string }> {
  return Object.fromEntries(vantages.map(({ name, region }) => [name, region === null ? {} : { region }]))
}
