import type { DetectPolicy } from '@pintail/core'
import { type Background, changes } from './path.ts'
import { usualRttMs } from './world.ts'

const yearMs = 31_557_600_000

/**
 * False `down` a server-year of `thresholds` at one vantage with packets sent one at a time: the hidden-Markov calculation
 * beside the simulation. Lost must be the steady packet, each dense one until the silence is long enough, and each that
 * could still have been answered while the last one was waited for.
 */
export function silenceRate({ checkIntervalMs, confirm }: DetectPolicy, background: Background, waitMs: number): number {
  const { goodLoss, badLoss, badShare } = background
  if (!confirm) return Number.NaN
  let [good, bad] = [(1 - badShare) * goodLoss, badShare * badLoss]
  let at = 0
  let decidedAt = Number.POSITIVE_INFINITY
  for (let gap = waitMs + confirm.intervalMs; at + gap + usualRttMs < decidedAt; gap = confirm.intervalMs) {
    at += gap
    const [toBad, toGood] = changes(background, gap)
    ;[good, bad] = [(good * (1 - toBad) + bad * toGood) * goodLoss, (good * toBad + bad * (1 - toGood)) * badLoss]
    if (at >= confirm.durationMs && decidedAt === Number.POSITIVE_INFINITY) decidedAt = at + 2 * waitMs
  }
  return ((good + bad) * yearMs) / checkIntervalMs
}

/** Lorden's bound: packets from the change to its detection, on average at least, for so many packets between false alarms. */
export function lordenBound(packetsBetween: number, bad: number, good: number): number {
  const divergence = bad * Math.log(bad / good) + (1 - bad) * Math.log((1 - bad) / (1 - good))
  return Math.log(packetsBetween) / divergence
}
