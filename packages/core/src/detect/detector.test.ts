import fc from 'fast-check'
import { expect, test } from 'vitest'
import { resolvePolicy } from '../options.ts'
import type { Sample, ServerId } from '../vocabulary.ts'
import { couldNotProbe, type DetectorState, forget, judgeCheck, newDetector, paceOf, step } from './detector.ts'

const seed = resolvePolicy({ detect: { preset: 'seed' } }).policy.detect
const fast = resolvePolicy({ detect: { preset: 'seed-budget' } }).policy.detect

let time = 0
function sample(received: number, sent = 5, rtt: number | readonly number[] = 20, sentAt = ++time): Sample {
  const rttMs = typeof rtt === 'number' ? Array.from({ length: received }, () => rtt) : rtt
  return { serverId: 's1' as ServerId, vantage: 'local', prober: 'icmp', sentAt, sent, received, rttMs, failure: null }
}
const passed = (...args: Parameters<typeof sample>) => judgeCheck(sample(...args), seed).passed
const after = (samples: readonly Sample[], policy = seed, state: DetectorState = newDetector(0)) =>
  samples.reduce((before, one) => step(before, one, policy, one.sentAt), state)

test('a check at 49.9 % loss passes and one at 50 % fails', () => {
  expect(passed(501, 1000)).toBe(true)
  expect(passed(500, 1000)).toBe(false)
  expect(passed(1, 2)).toBe(false)
  expect(passed(3, 5)).toBe(true)
  expect(passed(2, 5)).toBe(false)
})

test('a mean round trip of 300.0 ms passes and one of 300.1 ms fails', () => {
  expect(passed(5, 5, 300)).toBe(true)
  expect(passed(5, 5, 300.1)).toBe(false)
  expect(passed(2, 2, [200, 400])).toBe(true)
  expect(passed(2, 2, [200, 400.2])).toBe(false)
})

test('a check without any answer fails, whatever the thresholds', () => {
  const lenient = { ...seed, packetLossThresholdPercent: 100, latencyThresholdMs: 60_000 }
  expect(judgeCheck(sample(0), lenient).passed).toBe(false)
  expect(judgeCheck(sample(1), lenient).passed).toBe(true)
})

test('with preset seed the decision falls on exactly the third failing check', () => {
  const verdicts = [1, 2, 3, 4].map((count) => after(Array.from({ length: count }, () => sample(0))).verdict)
  expect(verdicts).toEqual(['suspect', 'suspect', 'down', 'down'])
})

test('one passing check in between starts the count anew', () => {
  expect(after([sample(0), sample(0), sample(5), sample(0), sample(0)]).verdict).toBe('suspect')
  expect(after([sample(0), sample(0), sample(5), sample(0), sample(0), sample(0)]).verdict).toBe('down')
})

test('a server that is down is up again after exactly two passing checks in a row', () => {
  const down = after([sample(0), sample(0), sample(0)])
  expect(after([sample(5)], seed, down).verdict).toBe('down')
  expect(after([sample(5), sample(5)], seed, down).verdict).toBe('up')
  expect(after([sample(5), sample(0), sample(5)], seed, down).verdict).toBe('down')
})

test('with fast confirmation answers must stay away for the whole duration', () => {
  const start = 1_000_000
  const silent = (ms: number) => sample(0, 1, 20, start + ms)
  const until = (last: number) => Array.from({ length: last / 200 + 1 }, (_, index) => silent(index * 200))
  expect(after(until(6800), fast).verdict).toBe('suspect')
  expect(after(until(7000), fast).verdict).toBe('down')
  expect(after([...until(6800), sample(1, 1, 20, start + 6900)], fast).verdict).toBe('up')
})

test('the pace is dense only while a server is suspect and confirmation is on', () => {
  const suspect = after([sample(0)], fast)
  expect(paceOf(suspect, fast)).toEqual({ intervalMs: 200, packets: 1, timeoutMs: 1000, dense: true })
  expect(paceOf(after([sample(0)]), seed)).toMatchObject({ intervalMs: 300_000, packets: 5, dense: false })
  expect(paceOf(after([sample(5)], fast), fast)).toMatchObject({ intervalMs: 60_000, dense: false })
})

test('late, repeated and reordered results change nothing', () => {
  const first = after([sample(5, 5, 20, 100), sample(0, 5, 20, 200)])
  expect(step(first, sample(0, 5, 20, 200), seed, 300)).toBe(first)
  expect(step(first, sample(5, 5, 20, 150), seed, 300)).toBe(first)
})

test('a probe that could not be made is never a failing check', () => {
  let state = after([sample(5)])
  for (let times = 0; times < 50; times++) state = couldNotProbe(state, 'no ping binary', 1)
  expect(state.verdict).toBe('unknown')
  expect(state.reasons[0]).toMatchObject({ code: 'prober_failed' })
  expect(after([sample(0), sample(0)], seed, state).verdict).toBe('suspect')
})

test('a vantage in doubt forgets suspicions and keeps what was confirmed', () => {
  const reason = { code: 'vantage_unhealthy', message: 'no canary answers' } as const
  expect(forget(after([sample(0), sample(0)]), reason, 9).verdict).toBe('unknown')
  expect(forget(after([sample(0), sample(0), sample(0)]), reason, 9).verdict).toBe('down')
})

test('every verdict has a reason, and down never comes earlier than the threshold says', () => {
  const check = fc.record({ received: fc.integer({ min: 0, max: 5 }), rtt: fc.integer({ min: 1, max: 600 }) })
  fc.assert(
    fc.property(fc.array(check, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (checks, migrationThreshold) => {
      const policy = { ...seed, migrationThreshold }
      let state = newDetector(0)
      let failing = 0
      for (const [index, { received, rtt }] of checks.entries()) {
        const one = sample(received, 5, rtt, index + 1)
        failing = judgeCheck(one, policy).passed ? 0 : failing + 1
        const before = state.verdict
        state = step(state, one, policy, index + 1)
        expect(state.reasons.length).toBeGreaterThan(0)
        if (before !== 'down') expect(state.verdict === 'down').toBe(failing >= migrationThreshold)
      }
    }),
    { seed: 20260101, numRuns: 500 },
  )
})
