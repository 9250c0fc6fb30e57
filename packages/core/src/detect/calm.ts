import type { DetectPolicy } from '../vocabulary.ts'

/**
 * A path that loses packets in bursts: Gilbert and Elliott's two states in continuous time (Gilbert, Capacity of a
 * burst-noise channel, 1960). 0.5 % loss in the good state, 80 % in the bad one, bad for a second on average, 5 % overall:
 * worse than most, so that a fleet of such paths is calm too.
 */
const loss = { good: 0.005, bad: 0.8 } as const
const badShare = (0.05 - loss.good) / (loss.bad - loss.good)
/** Changes of state a millisecond: out of the bad one, and into it. */
const leaves = 1 / 1000
const enters = (leaves * badShare) / (1 - badShare)
const yearMs = 31_557_600_000
const longestMs = 3_600_000
/** Of `confirm.durationMs`, where several vantages must be silent at the same time: 3 s of 7, by measurement. */
const severalShare = 3 / 7

/** How many healthy vantages look, and how many servers they look at. */
type Fleet = { readonly vantages: number; readonly servers: number }

/** Probabilities of being in the good and in the bad state and of having lost every packet so far. */
type Lost = readonly [good: number, bad: number]

/** One packet more is lost, `gapMs` after the last one. */
function loseAnother([good, bad]: Lost, gapMs: number): Lost {
  const mixed = 1 - Math.exp(-(enters + leaves) * gapMs)
  const [turnsBad, turnsGood] = [badShare * mixed, (1 - badShare) * mixed]
  return [(good * (1 - turnsBad) + bad * turnsGood) * loss.good, (good * turnsBad + bad * (1 - turnsGood)) * loss.bad]
}

/**
 * How long every answer must stay away before `down`, milliseconds, so that a fleet of bursty paths has at most
 * `falseEvacuationsPerMonth`: never under `confirm.durationMs` for one vantage or three sevenths of it for several, never
 * over an hour. (Chance falls by e each half second: two independent paths silent for half the time are as improbable as
 * one for all of it. What is common to both, next to the server, is why it never falls far below half.)
 *
 * A hidden-Markov calculation, exact for the model: checks a year × P(the check and each packet are lost until the last
 * one of the confirmation is given up). With several vantages also P(a second path is silent as long while the first one
 * is), at most: the others × the sum over the moments at which it may fall silent. The benchmark `detect` measures
 * half of this for one vantage, and about as much for three.
 */
export function confirmationMs(detect: DetectPolicy, { vantages, servers }: Fleet): number {
  const { confirm, falseEvacuationsPerMonth: allowed } = detect
  if (!confirm || allowed === null) return confirm?.durationMs ?? 0
  const stepMs = Math.min(confirm.intervalMs, detect.checkIntervalMs)
  let durationMs = vantages > 1 ? confirm.durationMs * severalShare : confirm.durationMs
  while (durationMs < longestMs && falseAlarmsPerYear(detect, durationMs, vantages) * servers > allowed * 12) durationMs += stepMs
  return Math.min(longestMs, Math.ceil(durationMs))
}

/** False `down` of one healthy server a year in the model, on bursty paths. */
export function falseAlarmsPerYear(detect: DetectPolicy, durationMs: number, vantages: number): number {
  const { confirm, checkIntervalMs, timeoutFloorMs } = detect
  if (!confirm) return 0
  const stepMs = Math.min(confirm.intervalMs, checkIntervalMs)
  const stationary: Lost = [(1 - badShare) * loss.good, badShare * loss.bad]
  // The first dense packet goes out when the first one is known to be lost: after a near server's wait.
  const firstGapMs = 2 * timeoutFloorMs + stepMs
  // While the last packet is waited for more are sent; the wait for a dense one is at least twice the floor.
  const wholeMs = durationMs + 2 * timeoutFloorMs - stepMs
  const silent = (firstMs: number, untilMs: number): number => {
    let lost = stationary
    for (let [atMs, gapMs] = [0, firstMs]; atMs < untilMs; atMs += gapMs, gapMs = stepMs) lost = loseAnother(lost, gapMs)
    return lost[0] + lost[1]
  }
  const one = (yearMs / checkIntervalMs) * silent(firstGapMs, wholeMs)
  if (vantages < 2) return one
  // Silent from the first moment, or answered once more at each later one and silent from there.
  const another = silent(stepMs, wholeMs)
  const begins = another - silent(stepMs, wholeMs + stepMs)
  return one * Math.min(1, (vantages - 1) * (another + ((2 * wholeMs) / stepMs) * begins))
}

/** The policy with a confirmation as long as `confirmationMs` says; where it is that already, the same object. */
export function calmed(detect: DetectPolicy, fleet: Fleet): DetectPolicy {
  const { confirm } = detect
  const durationMs = confirmationMs(detect, fleet)
  return !confirm || durationMs === confirm.durationMs ? detect : { ...detect, confirm: { ...confirm, durationMs } }
}
