import type { DetectPolicy, Reason, Sample, Verdict, VerdictKind } from '../vocabulary.ts'
import { alarmAt, clean, type Grey, greyReason, weigh } from './cusum.ts'
import { measure, type RoundTrip, waitFor } from './roundtrip.ts'

/** Clocks of vantages differ by at most this; a result from farther ahead is none, milliseconds. */
const skewMs = 60_000
/** A silence that nobody listened to is no evidence: a gap between two failing checks counts for at most this, milliseconds. */
const leastGapMs = 1000

/** What the detector remembers of one server from one vantage. */
export interface DetectorState {
  readonly verdict: VerdictKind
  readonly since: number
  /** Failing and passing checks in a row. */
  readonly failures: number
  readonly passes: number
  /** Probes in a row that could not be made at all. */
  readonly untested: number
  /** When the first of the failing checks was sent; null while nothing fails. */
  readonly suspectedAt: number | null
  /** For how long checks have failed, as far as somebody looked, milliseconds. */
  readonly failingMs: number
  /** When the newest counted check was sent: older and repeated results change nothing. */
  readonly lastSentAt: number
  /** Null: no answer has been timed yet. */
  readonly roundTrip: RoundTrip | null
  /** The detector `cusum` alone has it. */
  readonly grey: Grey | null
  readonly reasons: readonly [Reason, ...Reason[]]
}

/** What a server is checked with next. */
export interface Pace {
  readonly intervalMs: number
  readonly packets: number
  readonly timeoutMs: number
  /** Dense checks go ahead of everything else, and do not wait for each other. */
  readonly dense: boolean
}

const unsuspected = { failures: 0, failingMs: 0, passes: 0, suspectedAt: null } as const

export function newDetector(now: number): DetectorState {
  const reasons = [{ code: 'not_probed_yet', message: 'no check has come back yet' }] as const
  return { verdict: 'unknown', since: now, ...unsuspected, untested: 0, lastSentAt: 0, roundTrip: null, grey: null, reasons }
}

/**
 * Seed 000's rule for one check: it fails if nothing came back, at `packetLossThresholdPercent` or more loss, or above
 * `latencyThresholdMs` mean round trip. (VPN Duck: available = loss < threshold AND mean latency ≤ threshold.)
 */
export function judgeCheck(sample: Sample, policy: DetectPolicy): { readonly passed: boolean; readonly reason: Reason } {
  const rule = brokenBy(sample, policy)
  return { passed: rule === null, reason: rule === null ? answers(sample) : fails(rule, sample, policy) }
}

/** The rule that a check fails by; null: it passes. */
function brokenBy(sample: Sample, policy: DetectPolicy): 'no_reply' | 'packet_loss' | 'latency' | null {
  const { sent, received, rttMs } = sample
  if (received === 0) return 'no_reply'
  // Multiplied out, so that 50 % of any count is exactly 50 %.
  if ((sent - received) * 100 >= policy.packetLossThresholdPercent * sent) return 'packet_loss'
  return rttMs.length > 0 && meanOf(rttMs) > policy.latencyThresholdMs ? 'latency' : null
}

const meanOf = (rttMs: readonly number[]): number => rttMs.reduce((sum, ms) => sum + ms, 0) / rttMs.length

function fails(code: 'no_reply' | 'packet_loss' | 'latency', sample: Sample, policy: DetectPolicy): Reason {
  const { sent, received, rttMs, failure } = sample
  const lossPercent = sent === 0 ? 100 : ((sent - received) * 100) / sent
  const values = { sent, received, lossPercent: round(lossPercent), prober: sample.prober, vantage: sample.vantage }
  if (code === 'no_reply') {
    const why = failure ? `: ${failure.layer} ${failure.kind}${failure.detail ? ` (${failure.detail})` : ''}` : ''
    const told = failure ? { ...values, kind: failure.kind, layer: failure.layer } : values
    return { code, message: `no answer to ${count(sent, 'packet')}${why}`, values: told }
  }
  if (code === 'packet_loss')
    return { code, message: `${sent - received} of ${count(sent, 'packet')} lost (limit ${policy.packetLossThresholdPercent} %)`, values }
  const meanMs = round(meanOf(rttMs))
  return { code, message: `mean round trip ${meanMs} ms (limit ${policy.latencyThresholdMs} ms)`, values: { ...values, meanMs } }
}

function answers({ sent, received, rttMs, prober, vantage }: Sample): Reason {
  const time = rttMs.length === 0 ? '' : ` in ${round(meanOf(rttMs))} ms`
  const values = { sent, received, lossPercent: round(((sent - received) * 100) / sent), prober, vantage }
  return { code: 'answers', message: `${received} of ${count(sent, 'packet')} answered${time}`, values }
}

/**
 * What is known after one more check. Repeated, late and reordered results change nothing, nor does an impossible one.
 * The clock may jump: back, and the count starts anew; ahead, and the time nobody looked at does not count.
 */
export function step(state: DetectorState, sample: Sample, policy: DetectPolicy, now: number): DetectorState {
  const wentBack = state.lastSentAt > now + skewMs
  if (!isPossible(sample, now) || (sample.sentAt <= state.lastSentAt && !wentBack)) return state
  const known = wentBack ? { ...state, ...unsuspected, grey: state.grey && clean(state.grey) } : state
  const roundTrip = measure(state.roundTrip, sample.rttMs)
  const base = { ...known, lastSentAt: sample.sentAt, untested: 0, roundTrip }
  return policy.detector === 'cusum' ? cusum(known, base, sample, policy, now) : thresholds(known, base, sample, policy, now)
}

/**
 * `down` after `migrationThreshold` failing checks in a row, and with fast confirmation not before they have failed for
 * `confirm.durationMs`; `up` after `recoveryThreshold` passing ones.
 */
function thresholds(state: DetectorState, base: DetectorState, sample: Sample, policy: DetectPolicy, now: number): DetectorState {
  const rule = brokenBy(sample, policy)
  if (rule !== null) {
    const failed = oneMoreFailing(state, base, sample, policy)
    const verdict = state.verdict === 'down' || isEnough(failed, policy) ? 'down' : 'suspect'
    return { ...turn(failed, verdict, now), reasons: [tally(fails(rule, sample, policy), failed)] }
  }
  const passes = state.passes + 1
  // As well as before: what it said first still holds, and no text is made of it ten thousand times a second.
  if (state.verdict === 'up' && state.reasons[0].code === 'answers') return { ...base, ...unsuspected, passes }
  const reason = answers(sample)
  if (state.verdict === 'down' && passes < policy.recoveryThreshold)
    return { ...base, failures: 0, failingMs: 0, passes, reasons: [recovering(passes, policy), reason] }
  return { ...turn(base, 'up', now), ...unsuspected, passes, reasons: [reason] }
}

/**
 * Silence is judged as by `thresholds`, from the second silent check on; everything else by weight of evidence. Its alarm
 * decides by itself: dense packets would only meet one burst of loss again and again (docs/detection.md has the figures).
 * Half of the evidence makes a server suspect, so that controls are asked; and it must fall below that for `up`.
 */
function cusum(state: DetectorState, base: DetectorState, sample: Sample, policy: DetectPolicy, now: number): DetectorState {
  const grey = weigh(state.grey ?? clean(null), sample, policy, state.verdict !== 'suspect')
  const evidence = Math.max(grey.loss.score, grey.slow.score) / alarmAt(policy)
  const greyly = evidence > 0 ? greyReason(grey, policy) : null
  const since = Math.min(grey.loss.since ?? now, grey.slow.since ?? now)
  if (sample.received > 0) {
    const passes = evidence < 0.5 ? state.passes + 1 : 0
    const reason = greyly ?? answers(sample)
    const answered = { ...base, ...unsuspected, grey, passes, suspectedAt: greyly ? since : null }
    if (evidence >= 1) return { ...turn(answered, 'down', now), reasons: [reason] }
    if (state.verdict === 'down' && passes < policy.recoveryThreshold)
      return { ...answered, reasons: passes > 0 ? [recovering(passes, policy), reason] : [reason] }
    return { ...turn(answered, evidence < 0.5 ? 'up' : 'suspect', now), reasons: [reason] }
  }
  const failed = oneMoreFailing(state, { ...base, grey }, sample, policy)
  const silent = tally(judgeCheck(sample, policy).reason, failed)
  // It is down because it is silent: that is no evidence of what it will be like when it answers again.
  if (isEnough(failed, policy) || (state.verdict === 'down' && evidence < 0.5))
    return { ...turn({ ...failed, grey: clean(grey) }, 'down', now), reasons: [silent] }
  const suspected = { ...failed, suspectedAt: Math.min(failed.suspectedAt ?? since, since) }
  if (evidence >= 1 || state.verdict === 'down') return { ...turn(suspected, 'down', now), reasons: [greyly ?? silent, silent] }
  // One lost packet is usual; who has never answered is not `up` for that.
  if (failed.failures < 2 && evidence < 0.5) return { ...suspected, reasons: [silent] }
  return { ...turn(suspected, 'suspect', now), reasons: [silent] }
}

function isPossible({ sent, received, rttMs, sentAt }: Sample, now: number): boolean {
  const isCount = received >= 0 && received <= sent && rttMs.length <= received
  return isCount && rttMs.every((ms) => ms >= 0) && sentAt <= now + skewMs
}

function oneMoreFailing(state: DetectorState, base: DetectorState, sample: Sample, policy: DetectPolicy): DetectorState {
  const mostMs = policy.confirm ? Math.max(leastGapMs, 3 * policy.confirm.intervalMs) : policy.checkIntervalMs
  const gapMs = state.failures === 0 ? 0 : Math.min(mostMs, sample.sentAt - state.lastSentAt)
  const suspectedAt = state.suspectedAt ?? sample.sentAt
  return { ...base, failures: state.failures + 1, failingMs: state.failingMs + gapMs, passes: 0, suspectedAt }
}

function isEnough({ failures, failingMs }: DetectorState, policy: DetectPolicy): boolean {
  return failures >= policy.migrationThreshold && failingMs >= (policy.confirm?.durationMs ?? 0)
}

function tally(reason: Reason, { failures, failingMs }: DetectorState): Reason {
  const message = `${reason.message}; ${count(failures, 'failing check')} in a row`
  return { ...reason, message, values: { ...reason.values, failures, forMs: failingMs } }
}

const recovering = (passes: number, { recoveryThreshold }: DetectPolicy): Reason => ({
  code: 'recovering',
  message: `${passes} of ${recoveryThreshold} passing checks needed`,
})

/** A probe that could not be made is no evidence: after three in a row nothing is known any more, but `down` stays. */
export function couldNotProbe(state: DetectorState, why: string, now: number): DetectorState {
  const untested = state.untested + 1
  if (state.verdict === 'down' || untested < 3) return { ...state, untested }
  return forget({ ...state, untested }, { code: 'prober_failed', message: why }, now)
}

/**
 * Back to a bare suspicion that must be confirmed anew: what was seen while nobody else answered either says nothing
 * about this server.
 */
export function doubt(state: DetectorState, now: number): DetectorState {
  return { ...turn(state, 'suspect', now), ...unsuspected, grey: state.grey && clean(state.grey) }
}

/** While the vantage itself is in doubt its verdicts are `unknown`; a `down` confirmed before stays. */
export function forget(state: DetectorState, reason: Reason, now: number): DetectorState {
  if (state.verdict === 'down') return { ...state, passes: 0 }
  return { ...turn(state, 'unknown', now), ...unsuspected, grey: state.grey && clean(state.grey), reasons: [reason] }
}

/** What else the pace depends on. */
export interface PaceContext {
  /** Without it a server that has been down for long is checked as often as any other. */
  readonly now?: number
  /** Another vantage suspects the server, or the vantages disagree: all of them look densely until it is settled. */
  readonly asked?: boolean
}

/** What comes next, and how long its answers are waited for: `confirm: null` waits exactly `pingTimeoutMs`. */
export function paceOf(state: DetectorState, policy: DetectPolicy, { now, asked = false }: PaceContext = {}): Pace {
  const { confirm, timeoutFloorMs: floorMs, checkIntervalMs, pingTimeoutMs } = policy
  const score = policy.detector === 'cusum' && state.grey ? Math.max(state.grey.loss.score, state.grey.slow.score) : 0
  // With other evidence one lost packet is part of it, and two in a row may be silence.
  const isSilent = state.verdict === 'suspect' && (score === 0 || state.failures > 1)
  if (confirm && (isSilent || asked)) {
    // Half again as long as the latency threshold: whoever answers too slowly is told apart from whoever does not answer.
    const learntMs = waitFor(state.roundTrip, floorMs, confirm.timeoutMs, 2)
    const timeoutMs = Math.min(confirm.timeoutMs, Math.max(learntMs, Math.ceil(policy.latencyThresholdMs * 1.5)))
    return { intervalMs: Math.min(confirm.intervalMs, checkIntervalMs), packets: 1, timeoutMs, dense: true }
  }
  // There is evidence that more packets would settle; a server that is down for it is watched only on its way back.
  if (score > 0 && (state.verdict !== 'down' || score < alarmAt(policy))) {
    const timeoutMs = waitFor(state.roundTrip, floorMs, pingTimeoutMs, 2)
    // Never before the last one is answered or given up: a loss that is told after a later answer would not count.
    const intervalMs = Math.min(Math.max(policy.cusum.intervalMs, timeoutMs), checkIntervalMs)
    return { intervalMs, packets: 1, timeoutMs, dense: true }
  }
  const deadForMs = state.verdict === 'down' && state.passes === 0 && now !== undefined ? now - state.since : 0
  const intervalMs = Math.max(checkIntervalMs, Math.min(policy.deadIntervalMs, deadForMs / 100))
  const timeoutMs = confirm ? waitFor(state.roundTrip, floorMs, pingTimeoutMs) : pingTimeoutMs
  return { intervalMs, packets: policy.pingCount, timeoutMs, dense: false }
}

export function verdictOf(state: DetectorState): Verdict {
  return { verdict: state.verdict, since: state.since, reasons: state.reasons }
}

function turn(state: DetectorState, verdict: VerdictKind, now: number): DetectorState {
  return state.verdict === verdict ? state : { ...state, verdict, since: now }
}

const round = (value: number): number => Math.round(value * 10) / 10
const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
