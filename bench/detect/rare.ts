import { type Setting, World } from './world.ts'

/** How often something happens that hardly ever does, a year. */
export interface Rarity {
  readonly perYear: number
  /** Upper end of a 95 % interval; where nothing was seen at all, the bound that this gives. */
  readonly highPerYear: number
  readonly isBound: boolean
  readonly packetsPerMinute: number
}

const yearMs = 31_557_600_000
/** Student's t for 95 % of both sides, of eight batches. */
const batches = 8
const t95 = 2.365

/** How hard to look. */
export interface Effort {
  /** Suspicions to begin with in a batch, and trials from each level to the next. */
  readonly trials: number
  /** Checks of a healthy server in a batch, at most. */
  readonly mostChecks: number
  readonly levels: number
}

const usual: Effort = { trials: 600, mostChecks: 150_000, levels: 40 }

/**
 * Fixed-effort multilevel splitting (Garvels, The splitting method in rare event simulation, 2000): a healthy server is
 * watched until there were enough suspicions; from those, trials are run that reach the next level of nearness or end in
 * peace; from those that reached it, the next ones. The rate is that of suspicions times the shares. Each step is the
 * engine's own code; only how often a promising moment is tried is ours, so the estimate is right on average whatever
 * the levels are. The interval comes from independent batches.
 */
export function falseDownRate(setting: Setting, effort: Effort = usual): Rarity {
  const found = Array.from({ length: batches }, () => batch(setting, effort))
  const rates = found.map(({ rate }) => rate)
  const packetsPerMinute = mean(found.map(({ packets, ms }) => (packets * 60_000) / ms))
  const perYear = mean(rates)
  if (perYear === 0) {
    // Rule of three: none in n trials of one level is at most 3/n.
    const bound = mean(found.map(({ bound }) => bound))
    return { perYear: 0, highPerYear: bound, isBound: true, packetsPerMinute }
  }
  const deviation = Math.sqrt(rates.reduce((sum, rate) => sum + (rate - perYear) ** 2, 0) / (batches - 1) / batches)
  return { perYear, highPerYear: perYear + t95 * deviation, isBound: false, packetsPerMinute }
}

interface Batch {
  readonly rate: number
  readonly bound: number
  readonly packets: number
  readonly ms: number
}

function batch(setting: Setting, { trials, mostChecks, levels }: Effort): Batch {
  const { random } = setting
  const watched = new World(setting, random())
  let pool: World[] = []
  let wasQuiet = true
  for (let checks = 0; checks < mostChecks && pool.length < trials; checks++) {
    watched.advance()
    const isNear = watched.nearness > 0
    if (wasQuiet && isNear) pool.push(new World(setting, watched))
    wasQuiet = wasQuiet ? !isNear : watched.isQuiet
  }
  const { packets, now: ms } = watched
  let rate = (Math.max(pool.length, 0) * yearMs) / ms
  if (pool.length === 0) return { rate: 0, bound: (3 * yearMs) / ms, packets, ms }
  for (let level = 1; level <= levels; level++) {
    const next: World[] = []
    for (let trial = 0; trial < trials; trial++) {
      const origin = pool[Math.floor(random() * pool.length)] as World
      const reached = climb(new World(setting, origin), level / levels)
      if (reached) next.push(reached)
    }
    if (next.length === 0) return { rate: 0, bound: (rate * 3) / trials, packets, ms }
    rate *= next.length / trials
    pool = next
  }
  return { rate, bound: rate, packets, ms }
}

/** On until it is that near, or nobody suspects anything any more. */
function climb(world: World, level: number): World | null {
  while (world.nearness < level) {
    world.advance()
    if (world.isQuiet) return null
  }
  return world
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
