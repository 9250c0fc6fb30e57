import fc from 'fast-check'
import { expect, test } from 'vitest'
import { resolvePolicy } from '../options.ts'
import type { Sample, ServerId } from '../vocabulary.ts'
import { newDetector, paceOf, step } from './detector.ts'
import { measure, waitFor } from './roundtrip.ts'

const policy = resolvePolicy().policy.detect
const answered = (count: number, rtt: number) =>
  Array.from({ length: count }, (_, index) => index + 1).reduce((state, sentAt) => {
    const sample: Sample = {
      serverId: 's1' as ServerId,
      vantage: 'local',
      prober: 'icmp',
      sentAt,
      sent: 1,
      received: 1,
      rttMs: [rtt],
      failure: null,
    }
    return step(state, sample, policy, sentAt)
  }, newDetector(0))

test('the first measurement and the next ones are weighed as RFC 6298 says', () => {
  const first = measure(null, [100])
  expect(first).toEqual({ smoothedMs: 100, variationMs: 50 })
  expect(measure(first, [180])).toEqual({ smoothedMs: 110, variationMs: 50 + (80 - 50) / 4 })
})

test('without a measurement the wait is the longest; with one it lies between the floor above the round trip and the longest', () => {
  expect(waitFor(null, 200, 3000)).toBe(3000)
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 5000, noNaN: true }), { minLength: 1, maxLength: 50 }), (rtts) => {
      const known = measure(null, rtts)
      const wait = waitFor(known, 200, 3000)
      expect(wait).toBeLessThanOrEqual(3000)
      expect(wait).toBeGreaterThanOrEqual(Math.min(3000, (known?.smoothedMs ?? 0) + 200))
    }),
    { seed: 20260101, numRuns: 500 },
  )
})

test('a near server is given up soon, a far one is waited for', () => {
  expect(paceOf(answered(100, 5), policy).timeoutMs).toBe(205)
  expect(paceOf(answered(100, 280), policy).timeoutMs).toBe(480)
  expect(paceOf(newDetector(0), policy).timeoutMs).toBe(policy.pingTimeoutMs)
})

test('in a suspicion the wait is twice as long, at least one and a half times the latency threshold, at most what the policy says', () => {
  const suspect = (rtt: number) => ({ ...answered(100, rtt), verdict: 'suspect' as const })
  expect(paceOf(suspect(5), policy).timeoutMs).toBe(450)
  expect(paceOf(suspect(280), policy).timeoutMs).toBe(960)
  expect(paceOf(suspect(900), policy).timeoutMs).toBe(1000)
  expect(paceOf(suspect(5), { ...policy, timeoutFloorMs: 20 }).timeoutMs).toBe(policy.latencyThresholdMs * 1.5)
})

test('a path that gets slower within the threshold is not taken for a dead server', () => {
  let state = answered(100, 40)
  for (let at = 1000; at < 60_000; at += 200) {
    const { timeoutMs } = paceOf(state, policy)
    const rttMs = 260 <= timeoutMs ? [260] : []
    const sample = { serverId: 's1' as ServerId, vantage: 'local', prober: 'icmp', sentAt: at, sent: 1, rttMs, failure: null }
    state = step(state, { ...sample, received: rttMs.length }, policy, at + 300)
    expect(state.verdict).not.toBe('down')
  }
  expect(state.verdict).toBe('up')
})

test('the preset seed waits exactly PING_TIMEOUT, whatever it has learnt', () => {
  const { detect } = resolvePolicy({ detect: { preset: 'seed' } }).policy
  expect(paceOf(answered(100, 5), detect).timeoutMs).toBe(3000)
})

test('a dead server is checked after each hundredth of the time it has been down, a minute at most', () => {
  const down = { ...answered(1, 5), verdict: 'down' as const, since: 0, passes: 0 }
  const after = (ms: number) => paceOf(down, policy, { now: ms }).intervalMs
  expect([60_000, 500_000, 3_600_000, 86_400_000].map(after)).toEqual([5000, 5000, 36_000, 60_000])
  expect(paceOf(down, policy).intervalMs).toBe(5000)
  // On the way back it is looked at as often as any other.
  expect(paceOf({ ...down, passes: 1 }, policy, { now: 86_400_000 }).intervalMs).toBe(5000)
  const { detect } = resolvePolicy({ detect: { preset: 'seed' } }).policy
  expect(paceOf(down, detect, { now: 86_400_000 }).intervalMs).toBe(detect.checkIntervalMs)
})

test('a vantage that is asked looks densely, whatever it thinks itself', () => {
  for (const verdict of ['up', 'down', 'unknown'] as const)
    expect(paceOf({ ...answered(100, 5), verdict }, policy, { asked: true })).toMatchObject({ intervalMs: 200, packets: 1, dense: true })
})
