import type { DetectPolicy, Reason, Sample, Verdict, VerdictKind } from '../vocabulary.ts'

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
  /** When the newest counted check was sent: older and repeated results change nothing. */
  readonly lastSentAt: number
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

export function newDetector(now: number): DetectorState {
  const reasons = [{ code: 'not_probed_yet', message: 'no check has come back yet' }] as const
  return {
    verdict: 'unknown',
    since: now,
    failures: 0,
    passes: 0,
    untested: 0,
    suspectedAt: null,
    lastSentAt: 0,
    reasons,
  }
}

/**
 * Seed 000's rule for one check: it fails if nothing came back, at `packetLossThresholdPercent` or more loss, or above
 * `latencyThresholdMs` mean round trip. (VPN Duck: available = loss < threshold AND mean latency ≤ threshold.)
 */
export function judgeCheck(sample: Sample, policy: DetectPolicy): { readonly passed: boolean; readonly reason: Reason } {
  const { sent, received, rttMs, failure } = sample
  const lossPercent = sent === 0 ? 100 : ((sent - received) * 100) / sent
  const values = { sent, received, lossPercent: round(lossPercent), prober: sample.prober, vantage: sample.vantage }
  if (received === 0) {
    const why = failure ? `: ${failure.layer} ${failure.kind}${failure.detail ? ` (${failure.detail})` : ''}` : ''
    return failing('no_reply', `no answer to ${count(sent, 'packet')}${why}`, {
      ...values,
      ...(failure && { kind: failure.kind, layer: failure.layer }),
    })
  }
  // Multiplied out, so that 50 % of any count is exactly 50 %.
  if ((sent - received) * 100 >= policy.packetLossThresholdPercent * sent)
    return failing(
      'packet_loss',
      `${sent - received} of ${count(sent, 'packet')} lost (limit ${policy.packetLossThresholdPercent} %)`,
      values,
    )
  const meanMs = rttMs.length === 0 ? null : rttMs.reduce((sum, ms) => sum + ms, 0) / rttMs.length
  if (meanMs !== null && meanMs > policy.latencyThresholdMs)
    return failing('latency', `mean round trip ${round(meanMs)} ms (limit ${policy.latencyThresholdMs} ms)`, {
      ...values,
      meanMs: round(meanMs),
    })
  const time = meanMs === null ? '' : ` in ${round(meanMs)} ms`
  return {
    passed: true,
    reason: { code: 'answers', message: `${received} of ${count(sent, 'packet')} answered${time}`, values },
  }
}

/**
 * `thresholds`: `down` after `migrationThreshold` failing checks in a row, and with fast confirmation not before they
 * have failed for `confirm.durationMs`; `up` after `recoveryThreshold` passing ones.
 */
export function step(state: DetectorState, sample: Sample, policy: DetectPolicy, now: number): DetectorState {
  if (sample.sentAt <= state.lastSentAt) return state
  const { passed, reason } = judgeCheck(sample, policy)
  const base = { ...state, lastSentAt: sample.sentAt, untested: 0 }
  if (passed) {
    const passes = state.passes + 1
    if (state.verdict === 'down' && passes < policy.recoveryThreshold) {
      const recovering: Reason = {
        code: 'recovering',
        message: `${passes} of ${policy.recoveryThreshold} passing checks needed`,
      }
      return { ...base, failures: 0, passes, reasons: [recovering, reason] }
    }
    return { ...turn(base, 'up', now), failures: 0, passes, suspectedAt: null, reasons: [reason] }
  }
  const failures = state.failures + 1
  const suspectedAt = state.suspectedAt ?? sample.sentAt
  const enough = failures >= policy.migrationThreshold && sample.sentAt - suspectedAt >= (policy.confirm?.durationMs ?? 0)
  const verdict = state.verdict === 'down' || enough ? 'down' : 'suspect'
  const tally: Reason = {
    ...reason,
    message: `${reason.message}; ${count(failures, 'failing check')} in a row`,
    values: { ...reason.values, failures, forMs: sample.sentAt - suspectedAt },
  }
  return { ...turn(base, verdict, now), failures, passes: 0, suspectedAt, reasons: [tally] }
}

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
  return { ...turn(state, 'suspect', now), failures: 0, passes: 0, suspectedAt: null }
}

/** While the vantage itself is in doubt its verdicts are `unknown`; a `down` confirmed before stays. */
export function forget(state: DetectorState, reason: Reason, now: number): DetectorState {
  if (state.verdict === 'down') return { ...state, passes: 0 }
  return { ...turn(state, 'unknown', now), failures: 0, passes: 0, suspectedAt: null, reasons: [reason] }
}

export function paceOf(state: DetectorState, policy: DetectPolicy): Pace {
  if (policy.confirm && state.verdict === 'suspect')
    return {
      intervalMs: Math.min(policy.confirm.intervalMs, policy.checkIntervalMs),
      packets: 1,
      timeoutMs: policy.confirm.timeoutMs,
      dense: true,
    }
  return {
    intervalMs: policy.checkIntervalMs,
    packets: policy.pingCount,
    timeoutMs: policy.pingTimeoutMs,
    dense: false,
  }
}

export function verdictOf(state: DetectorState): Verdict {
  return { verdict: state.verdict, since: state.since, reasons: state.reasons }
}

function turn(state: DetectorState, verdict: VerdictKind, now: number): DetectorState {
  return state.verdict === verdict ? state : { ...state, verdict, since: now }
}

function failing(code: Reason['code'], message: string, values: Readonly<Record<string, number | string>>) {
  return { passed: false, reason: { code, message, values } }
}

const round = (value: number): number => Math.round(value * 10) / 10
const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
