/** Numbers from 0 to 1, the same ones for the same seed (Mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A path between a vantage and a healthy server: Gilbert and Elliott's two states in continuous time; loss is by packet. */
export interface Background {
  readonly name: string
  readonly goodLoss: number
  readonly badLoss: number
  /** Share of time in the bad state, and how long it is bad at a time, milliseconds. */
  readonly badShare: number
  readonly badMs: number
}

const even = (name: string, loss: number): Background => ({ name, goodLoss: loss, badLoss: loss, badShare: 0, badMs: 1000 })

/** 5 % overall: the share of bad time follows. */
const bursty = { goodLoss: 0.005, badLoss: 0.8, overall: 0.05 }

export const backgrounds: readonly Background[] = [
  even('clean', 0),
  even('even2', 0.02),
  {
    name: 'bursty5',
    goodLoss: bursty.goodLoss,
    badLoss: bursty.badLoss,
    badShare: (bursty.overall - bursty.goodLoss) / (bursty.badLoss - bursty.goodLoss),
    badMs: 1000,
  },
]

/** Probabilities of a change of state within `gapMs`: from good to bad, and from bad to good. */
export function changes({ badShare, badMs }: Background, gapMs: number): readonly [number, number] {
  const leaves = 1 / badMs
  const enters = (leaves * badShare) / (1 - badShare)
  const mixed = 1 - Math.exp(-(enters + leaves) * gapMs)
  return [badShare * mixed, (1 - badShare) * mixed]
}

/** Where a path is: what it was at `at` decides, with its background, what it may be later. */
export interface PathState {
  bad: boolean
  at: number
}

export function newPath({ badShare }: Background, random: () => number): PathState {
  return { bad: random() < badShare, at: 0 }
}

/** Whether a packet sent now is lost on the way. */
export function loses(path: PathState, background: Background, now: number, random: () => number): boolean {
  if (background.badShare > 0 && now > path.at) {
    const [toBad, toGood] = changes(background, now - path.at)
    if (random() < (path.bad ? toGood : toBad)) path.bad = !path.bad
    path.at = now
  }
  return random() < (path.bad ? background.badLoss : background.goodLoss)
}

/** Of the logarithm of a round trip: one in a thousand is twice the median. */
const spread = 0.22

/** Log-normal jitter around the median. */
export function roundTripMs(medianMs: number, random: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return medianMs * Math.exp(spread * normal)
}

/** Probability of a round trip above `limitMs`, at most (the tail of the normal distribution). */
export function lateness(medianMs: number, limitMs: number): number {
  const deviations = Math.log(limitMs / medianMs) / spread
  return deviations <= 0 ? 1 : Math.exp(-(deviations ** 2) / 2)
}
