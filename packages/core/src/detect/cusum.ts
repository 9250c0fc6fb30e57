import type { CusumPolicy, DetectPolicy, Reason, Sample } from '../vocabulary.ts'

const yearMs = 31_557_600_000
/** An answer is slow only if it is this much above the usual, milliseconds: twice of very little is still nothing. */
const leastExtraMs = 100
/** Answers before the usual round trip is known well enough to call one slow. */
const leastLearnt = 10
/** The usual round trip follows a lasting change over about so many answers: an hour at the default pace. */
const memory = 720

/** The evidence for one kind of failure since it last was nil. */
export interface Evidence {
  /** Sum of log-likelihood ratios, never below 0, capped at the alarm. */
  readonly score: number
  /** When the first packet of it was sent; null: there is none. */
  readonly since: number | null
  readonly bad: number
  readonly packets: number
}

/** What `cusum` remembers of one server from one vantage. */
export interface Grey {
  readonly loss: Evidence
  readonly slow: Evidence
  /** When the newest packet that counted was sent. */
  readonly countedAt: number
  /** The round trip that is usual here, milliseconds, and from how many answers it was learnt. */
  readonly usualMs: number
  readonly learnt: number
}

const none: Evidence = { score: 0, since: null, bad: 0, packets: 0 }

/** No evidence of anything; what was learnt of the path stays. */
export function clean(grey: Grey | null): Grey {
  return { loss: none, slow: none, countedAt: 0, usualMs: grey?.usualMs ?? 0, learnt: grey?.learnt ?? 0 }
}

/**
 * The score at which a failure is certain enough. Wald's and Lorden's inequality: packets between false alarms ≥ e^h as
 * long as packets are lost independently at `goodLossPercent`, so h = ln(packets a year ÷ false alarms a year). (Page,
 * Continuous inspection schemes, 1954; Lorden, Procedures for reacting to a change in distribution, 1971.)
 */
export function alarmAt({ checkIntervalMs, cusum }: DetectPolicy): number {
  return Math.max(3, Math.log(yearMs / checkIntervalMs / cusum.falseAlarmsPerYear))
}

/**
 * Counts a check. Its packets travel together and meet the same moment of the path, so they weigh as one; a check less
 * than three quarters of `cusum.intervalMs` after the last one tells of the same burst and does not count at all.
 * @param learning whether its round trips are usual ones: not while the server is under suspicion
 */
export function weigh(grey: Grey, sample: Sample, policy: DetectPolicy, learning: boolean): Grey {
  const { cusum } = policy
  const gapMs = Math.min(cusum.intervalMs, policy.checkIntervalMs) * 0.75
  if (sample.sent === 0 || (grey.countedAt > 0 && sample.sentAt - grey.countedAt < gapMs)) return grey
  const limit = alarmAt(policy)
  const slowMs = grey.learnt < leastLearnt ? Number.POSITIVE_INFINITY : slowAbove(grey, cusum)
  const slow = sample.rttMs.filter((ms) => ms > slowMs).length
  const counted: Grey = {
    ...grey,
    countedAt: sample.sentAt,
    loss: add(grey.loss, sample.sent - sample.received, sample.sent, sample.sentAt, cusum, limit),
    slow: add(grey.slow, slow, sample.rttMs.length, sample.sentAt, cusum, limit),
  }
  if (!learning) return counted
  let { learnt, usualMs } = counted
  for (const ms of sample.rttMs) {
    learnt = Math.min(learnt + 1, memory)
    usualMs += (ms - usualMs) / learnt
  }
  return { ...counted, learnt, usualMs }
}

function slowAbove({ usualMs }: Grey, { slowFactor }: CusumPolicy): number {
  return Math.max(usualMs * slowFactor, usualMs + leastExtraMs)
}

function add(before: Evidence, bad: number, packets: number, sentAt: number, policy: CusumPolicy, limit: number): Evidence {
  if (packets === 0) return before
  const [good, worse] = [policy.goodLossPercent / 100, policy.badLossPercent / 100]
  const ratio = (bad * Math.log(worse / good) + (packets - bad) * Math.log((1 - worse) / (1 - good))) / packets
  const score = Math.min(limit, before.score + ratio)
  if (score <= 0) return none
  return { score, since: before.since ?? sentAt, bad: before.bad + bad, packets: before.packets + packets }
}

/** The stronger of both kinds of evidence, in words; null: there is none. */
export function greyReason(grey: Grey, policy: DetectPolicy): Reason | null {
  const { loss, slow } = grey
  const isLoss = loss.score >= slow.score
  const { bad, packets, since, score } = isLoss ? loss : slow
  if (since === null) return null
  const { goodLossPercent } = policy.cusum
  const limitMs = Math.round(slowAbove(grey, policy.cusum))
  const what = isLoss
    ? `${bad} of ${packets} packets lost since ${timeOfDay(since)}; ${goodLossPercent} % would be usual`
    : `${bad} of ${packets} answers above ${limitMs} ms since ${timeOfDay(since)}; ${Math.round(grey.usualMs)} ms is usual here`
  const values = { lost: isLoss ? bad : 0, slow: isLoss ? 0 : bad, packets, since, score: round(score), alarm: round(alarmAt(policy)) }
  return { code: isLoss ? 'packet_loss' : 'latency', message: what, values }
}

/** Hours and minutes of UTC: decide/ knows no time zone. */
function timeOfDay(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  const two = (value: number): string => `${value}`.padStart(2, '0')
  return `${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)} UTC`
}

const round = (value: number): number => Math.round(value * 10) / 10
