import { addOutage, penaltyAt, undamped } from '../../packages/core/src/decide/damping.ts'
import { controlFreshMs, massFailure, noControl } from '../../packages/core/src/decide/guard.ts'
import { resolvePolicy } from '../../packages/core/src/options.ts'
import type { Background } from './path.ts'
import { type Contender, fleet } from './policies.ts'
import { type Fault, usualRttMs, World } from './world.ts'

const { guards, failback } = resolvePolicy().policy
const minute = 60_000
const hour = 60 * minute

/** From the beginning of the world on: a dead server, a lossy one, a slow one. */
export const faults: Readonly<Record<string, Fault>> = {
  outage: { loss: () => 1, extraMs: 0 },
  loss50: { loss: () => 0.5, extraMs: 0 },
  loss30: { loss: () => 0.3, extraMs: 0 },
  slow400: { loss: () => 0, extraMs: 400 - usualRttMs },
}

export interface Detection {
  /** Milliseconds from the beginning of the fault to `down`, of those trials that came to it. */
  readonly times: readonly number[]
  /** Packets that all vantages sent meanwhile, on average. */
  readonly packets: number
  readonly trials: number
  readonly horizonMs: number
}

/** The world begins with the fault, and nothing gathered before; where in the interval is spread evenly over the trials. */
export function detect(
  { detect: policy, vantages }: Contender,
  background: Background,
  fault: Fault,
  random: () => number,
  trials: number,
): Detection {
  const horizonMs = Math.max(hour, 72 * policy.checkIntervalMs)
  const setting = { detect: policy, vantages, background, random, fault }
  const times: number[] = []
  let packets = 0
  for (let trial = 0; trial < trials; trial++) {
    const world = new World(setting, (trial + random()) / trials)
    while (world.verdict !== 'down' && world.now < horizonMs) world.advance()
    if (world.verdict !== 'down') continue
    times.push(world.now)
    packets += world.packets
  }
  return { times, packets: packets / Math.max(1, times.length), trials, horizonMs }
}

/**
 * Whether users of another region are moved while one region's paths are blocked: one vantage's verdict is everybody's;
 * where each region has its own, that of the others' vantages, whose paths are well, is theirs.
 */
export function movesOfOthers(one: Contender, background: Background, random: () => number): number {
  const own = one.vantages > 1
  const fault: Fault = { loss: () => (own ? 0 : 1), extraMs: 0 }
  const world = new World({ detect: one.detect, vantages: one.vantages, background, random, fault }, random())
  while (world.verdict !== 'down' && world.now < hour) world.advance()
  return world.verdict === 'down' ? 1 : 0
}

/**
 * Evacuations in an hour in which the server is dead for one minute of each six. Users come home when it has answered
 * for `failback.stableMs` and is not damped; with a contender that has no guards, as soon as it answers.
 */
export function flapMoves({ detect: policy, vantages, isGuarded }: Contender, background: Background, random: () => number): number {
  const loss = (now: number): number => (now < hour && now % (6 * minute) < minute ? 1 : 0)
  const world = new World({ detect: policy, vantages, background, random, fault: { loss, extraMs: 0 } }, random())
  let moves = 0
  let isHome = true
  let upSince: number | null = 0
  let damping = undamped
  while (world.now < hour) {
    const before = world.verdict
    world.advance()
    const { now, verdict } = world
    if (verdict === 'down' && before !== 'down') {
      damping = addOutage(damping, now, guards.dampingHalfLifeMs)
      if (isHome) moves++
      isHome = false
    }
    upSince = verdict === 'up' ? (upSince ?? now) : null
    const isFit = !isGuarded || penaltyAt(damping, now, guards.dampingHalfLifeMs) < guards.dampingCeiling
    if (!isHome && upSince !== null && isFit && now - upSince >= (isGuarded ? failback.stableMs : 0)) isHome = true
  }
  return moves
}

/**
 * Servers evacuated because one vantage loses its network for ten minutes, out of a fleet of ten that are all well. Each
 * `down` passes the engine's own guards, each time its check fails again, as the engine asks them.
 */
export function partitionMoves({ detect: policy, vantages, isGuarded }: Contender, background: Background, random: () => number): number {
  const begin = minute
  const end = begin + Math.max(10 * minute, 8 * policy.checkIntervalMs)
  const fault: Fault = { loss: (now, vantage) => (vantage === 0 && now >= begin && now < end ? 1 : 0), extraMs: 0 }
  const answers = new Map<number, number>()
  const worlds = Array.from({ length: fleet }, (_, server) => {
    // Of the vantage that will be cut off: a server's own answer is no control for it.
    const control = (): number => Math.max(-1, ...[...answers].filter(([other]) => other !== server).map(([, at]) => at))
    return new World({ detect: policy, vantages, background, random, fault, control }, random())
  })
  const evacuated = new Set<number>()
  const next = worlds.map(({ now }, server) => ({ now, server }))
  while (true) {
    const turn = next.reduce((first, one) => (one.now < first.now ? one : first))
    if (turn.now > end + minute) return evacuated.size
    const world = worlds[turn.server] as World
    const judged = world.advance()
    turn.now = world.now
    if (judged?.answered && judged.vantage === 0) answers.set(turn.server, judged.sentAt)
    if (world.verdict !== 'down' || !judged || judged.answered || evacuated.has(turn.server)) continue
    if (isGuarded && isHeld(worlds, judged.state.suspectedAt ?? 0, judged.sentAt, judged.control, policy)) continue
    evacuated.add(turn.server)
  }
}

function isHeld(worlds: readonly World[], suspectedAt: number, sentAt: number, control: number, policy: Contender['detect']): boolean {
  const count = (kind: World['verdict']): number => worlds.filter(({ verdict }) => verdict === kind).length
  const census = { servers: fleet, down: count('down'), suspect: count('suspect'), up: count('up') }
  const answer = control < 0 ? null : { at: control }
  return massFailure(census, guards.massFailureRatio) !== null || noControl(suspectedAt, sentAt, answer, controlFreshMs(policy)) !== null
}
