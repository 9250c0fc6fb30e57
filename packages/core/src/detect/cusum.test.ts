import fc from 'fast-check'
import { expect, test } from 'vitest'
import { resolvePolicy } from '../options.ts'
import type { DetectPolicy, Sample, ServerId } from '../vocabulary.ts'
import { alarmAt } from './cusum.ts'
import { type DetectorState, doubt, forget, newDetector, paceOf, step } from './detector.ts'

const policies: Readonly<Record<string, DetectPolicy>> = {
  thresholds: resolvePolicy().policy.detect,
  cusum: resolvePolicy({ detect: { detector: 'cusum' } }).policy.detect,
}
const { cusum, thresholds } = policies as { readonly cusum: DetectPolicy; readonly thresholds: DetectPolicy }
const names = Object.keys(policies)
const start = Date.UTC(2026, 0, 5, 14, 2)
const known = { seed: 20260101, numRuns: 300 }

/** One packet: its round trip, or null when it was lost. */
function packet(rtt: number | null, sentAt: number): Sample {
  const rttMs = rtt === null ? [] : [rtt]
  return { serverId: 's1' as ServerId, vantage: 'local', prober: 'icmp', sentAt, sent: 1, received: rttMs.length, rttMs, failure: null }
}

/** Packets as the pace asks for them, each judged before the next one goes out. */
function watch(rtts: readonly (number | null)[], policy: DetectPolicy, from: DetectorState = newDetector(start - 1)) {
  const seen: DetectorState[] = []
  let state = from
  let now = Math.max(start, state.lastSentAt + 1)
  for (const rtt of rtts) {
    const { timeoutMs, intervalMs } = paceOf(state, policy)
    const sentAt = now
    state = step(state, packet(rtt, sentAt), policy, sentAt + (rtt ?? timeoutMs))
    seen.push(state)
    now = sentAt + Math.max(paceOf(state, policy).intervalMs, rtt === null ? Math.min(timeoutMs, intervalMs) : 1)
  }
  return { state, seen }
}
const repeated = (count: number, rtt: number | null) => Array.from({ length: count }, () => rtt)
const well = repeated(20, 40)
/** Loss of exactly so many of each ten packets, spread out. */
const lossy = (count: number, lostOfTen: number) => Array.from({ length: count }, (_, i) => ((i * lostOfTen) % 10 < lostOfTen ? null : 40))

test.each(names)('%s: a single answer clears a suspicion of silence', (name) => {
  const policy = policies[name] as DetectPolicy
  const suspect = watch([...well, null, null, null], policy)
  expect(suspect.state.verdict).toBe('suspect')
  expect(watch([40], policy, suspect.state).state.verdict).toBe('up')
})

test.each(names)('%s: a constant 40 ms and a constant 280 ms are never slow, and without loss nothing is ever suspected', (name) => {
  for (const rtt of [40, 280])
    for (const { verdict, grey } of watch(repeated(3000, rtt), policies[name] as DetectPolicy).seen)
      expect([verdict, grey?.slow.score ?? 0, grey?.loss.score ?? 0]).toEqual(['up', 0, 0])
})

test('under cusum a server that is always at 320 ms is not slow, and one that rises from 40 ms to 320 ms is', () => {
  expect(watch(repeated(200, 320), cusum).state.verdict).toBe('up')
  const risen = watch([...repeated(720, 40), ...repeated(40, 320)], cusum).seen.find(({ verdict }) => verdict === 'down')
  expect(risen?.reasons[0]).toMatchObject({ code: 'latency' })
  expect(risen?.reasons[0].message).toMatch(/^\d+ of \d+ answers above \d+ ms since \d\d:\d\d UTC; 4\d ms is usual here$/)
})

test('whatever answers come without loss and within twice the usual round trip, cusum suspects nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 30, max: 75, noNaN: true }), { maxLength: 300 }), (rtts) => {
      expect(watch([...repeated(10, 40), ...rtts], cusum).seen.every(({ verdict }) => verdict === 'up')).toBe(true)
    }),
    known,
  )
})

test('30 % loss is found by cusum and not by thresholds; 5 % by neither', () => {
  expect(watch([...well, ...lossy(200, 3)], thresholds).seen.some(({ verdict }) => verdict === 'down')).toBe(false)
  const found = watch([...well, ...lossy(200, 3)], cusum).seen.find(({ verdict }) => verdict === 'down')
  expect(found?.reasons[0]).toMatchObject({ code: 'packet_loss' })
  expect(found?.reasons[0].message).toMatch(/^\d+ of \d+ packets lost since 14:03 UTC; 5 % would be usual$/)
  const light = Array.from({ length: 2000 }, (_, index) => (index % 20 === 0 ? null : 40))
  expect(watch([...well, ...light], cusum).seen.every(({ verdict }) => verdict === 'up')).toBe(true)
})

test('cusum says down only with the evidence, or the silence, that the policy asks for', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.constantFrom(40, 45, 400), { nil: null, freq: 2 }), { maxLength: 150 }), (rtts) => {
      let before = watch(well, cusum).state
      for (const after of watch(rtts, cusum, before).seen) {
        const { loss, slow } = after.grey ?? { loss: { score: 0 }, slow: { score: 0 } }
        const isCertain = Math.max(loss.score, slow.score) >= alarmAt(cusum)
        const isSilent = after.failures >= cusum.migrationThreshold && after.failingMs >= (cusum.confirm?.durationMs ?? 0)
        if (before.verdict !== 'down' && after.verdict === 'down') expect(isCertain || isSilent).toBe(true)
        if (after.verdict === 'down') expect(after.reasons.length).toBeGreaterThan(0)
        before = after
      }
    }),
    known,
  )
})

test('more loss is never less evidence', () => {
  const outcome = fc.record({ lost: fc.boolean(), more: fc.boolean() })
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 100 }), (outcomes) => {
      // The same times for both, so that they differ in loss alone.
      const score = (isLost: (one: (typeof outcomes)[number]) => boolean) =>
        outcomes.reduce((state, one, index) => {
          const sentAt = start + 100_000 + index * 2000
          return step(state, packet(isLost(one) ? null : 40, sentAt), { ...cusum, confirm: null, migrationThreshold: 100 }, sentAt + 100)
        }, watch(well, cusum).state).grey?.loss.score ?? 0
      expect(score(({ lost, more }) => lost || more)).toBeGreaterThanOrEqual(score(({ lost }) => lost))
    }),
    known,
  )
})

test.each(names)('%s: repeated, late, reordered and impossible results change nothing', (name) => {
  const policy = policies[name] as DetectPolicy
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.integer({ min: 1, max: 900 }), { nil: null }), { minLength: 1, maxLength: 40 }),
      fc.nat(60_000),
      (rtts, age) => {
        const { state } = watch(rtts, policy)
        const now = state.lastSentAt + 50
        const stale = packet(null, state.lastSentAt - age)
        const impossible: Sample[] = [
          { ...packet(40, now), received: 2 },
          { ...packet(-1, now) },
          { ...packet(Number.NaN, now) },
          { ...packet(40, now), sent: -1, received: -1, rttMs: [] },
          { ...packet(null, now), rttMs: [40] },
          packet(null, now + 3_600_000),
        ]
        for (const one of [stale, ...impossible]) expect(step(state, one, policy, now)).toBe(state)
      },
    ),
    known,
  )
})

test.each(names)('%s: a clock that jumps ahead adds no silence', (name) => {
  const policy = policies[name] as DetectPolicy
  const suspect = watch([...well, null, null, null], policy).state
  const later = suspect.lastSentAt + 3_600_000
  const state = [0, 200, 400].reduce((before, ms) => step(before, packet(null, later + ms), policy, later + ms + 500), suspect)
  expect(state.verdict).toBe('suspect')
  expect(state.failingMs).toBeLessThan(policy.confirm?.durationMs ?? 0)
})

test.each(names)('%s: a clock that jumps back neither blinds the detector nor keeps an old suspicion', (name) => {
  const policy = policies[name] as DetectPolicy
  const suspect = watch([...well, null, null, null], policy).state
  const earlier = start - 86_400_000
  const after = step(suspect, packet(null, earlier), policy, earlier + 500)
  expect(after).toMatchObject({ lastSentAt: earlier, failures: 1, failingMs: 0 })
  expect(step(after, packet(40, earlier + 200), policy, earlier + 700).verdict).toBe('up')
})

test('a server that has never answered is not called up for one lost packet', () => {
  expect(watch([null], cusum).state.verdict).toBe('unknown')
  expect(watch([null, null], cusum).state.verdict).toBe('suspect')
})

test('a server that was silent is up after as many answers as the policy says, a lossy one when it has been good for longer', () => {
  const dead = watch([...well, ...repeated(60, null)], cusum).state
  expect(dead.verdict).toBe('down')
  expect(watch(repeated(cusum.recoveryThreshold, 40), cusum, dead).state.verdict).toBe('up')
  const grey = watch([...well, ...lossy(200, 3)], cusum).state
  expect(grey.verdict).toBe('down')
  expect(watch(repeated(10, 40), cusum, grey).state.verdict).toBe('down')
  expect(watch(repeated(100, 40), cusum, grey).state.verdict).toBe('up')
})

test('a slower path becomes the usual one after about an hour at the steady pace, and not before the alarm', () => {
  const moved = watch([...repeated(720, 40), ...repeated(60, 300)], cusum)
  expect(moved.seen.some(({ verdict }) => verdict === 'down')).toBe(true)
  expect(watch(repeated(1500, 300), cusum, moved.state).state).toMatchObject({ verdict: 'up' })
})

test('evidence that was gathered while nobody else answered is forgotten, what is usual is not', () => {
  const gathered = watch([...well, ...lossy(30, 3)], cusum).state
  expect(gathered.grey?.loss.score).toBeGreaterThan(0)
  const reason = { code: 'vantage_unhealthy', message: 'no canary answers' } as const
  for (const after of [doubt(gathered, start), forget(gathered, reason, start)]) {
    expect(after.grey?.loss).toMatchObject({ score: 0, since: null })
    expect(after.grey?.usualMs).toBeCloseTo(40)
  }
})

test('packets of one burst count once: closer than the interval they are no evidence', () => {
  const before = watch([...well, null], cusum).state
  const burst = Array.from({ length: 5 }, (_, index) => before.lastSentAt + (index + 1) * 200)
  const after = burst.reduce((state, at) => step(state, packet(null, at), cusum, at + 480), before)
  expect(after.grey?.loss).toEqual(before.grey?.loss)
})
