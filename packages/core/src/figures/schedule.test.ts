import fc from 'fast-check'
import { expect, test } from 'vitest'
import { resolvePolicy } from '../options.ts'
import type { MigrationPolicy, Rate } from '../vocabulary.ts'
import { type Batch, scheduleOf } from './schedule.ts'

const base = resolvePolicy().policy.migration
const policy = (patch: Partial<MigrationPolicy>): MigrationPolicy => ({ ...base, ...patch })
const rate = fc.option(fc.record({ perSecond: fc.constantFrom(0.01, 0.5, 3, 10, 200), burst: fc.integer({ min: 1, max: 50 }) }), {
  freq: 3,
})
const world = fc.record({
  batches: fc.array(
    fc.record({ from: fc.constantFrom('a', 'b', 'c'), to: fc.constantFrom('x', 'y', 'z', 'w'), count: fc.integer({ min: 1, max: 300 }) }),
    { maxLength: 12 },
  ),
  overall: rate,
  perTarget: rate,
  perSource: rate,
  callMs: fc.constantFrom(null, 5, 100, 3000),
  concurrency: fc.integer({ min: 1, max: 100 }),
  concurrencyPerTarget: fc.integer({ min: 1, max: 20 }),
})

test('waves carry everybody, and no stretch of them more than the overall budget lets through', () => {
  fc.assert(
    fc.property(world, ({ batches, overall, perTarget, perSource, callMs, ...rest }) => {
      const { waves, expectedMs } = scheduleOf(batches, policy({ rates: { overall, perTarget, perSource }, ...rest }), callMs)
      expect(waves.reduce((sum, { connections }) => sum + connections, 0)).toBe(batches.reduce((sum, { count }) => sum + count, 0))
      for (const [index, { startsAfterMs, endsAfterMs, connections, targets }] of waves.entries()) {
        expect(connections).toBeGreaterThan(0)
        expect(targets).toBeGreaterThan(0)
        expect(endsAfterMs).toBeGreaterThanOrEqual(startsAfterMs)
        const next = waves[index + 1]
        if (next) expect(endsAfterMs).toBeLessThanOrEqual(next.startsAfterMs)
      }
      for (const [first] of waves.entries())
        for (let last = first, sum = 0; overall && last < waves.length; last++) {
          sum += waves[last]?.connections as number
          const ms = (waves[last]?.endsAfterMs as number) - (waves[first]?.startsAfterMs as number)
          expect(sum).toBeLessThanOrEqual(overall.burst + (overall.perSecond * ms) / 1000 + 1e-6)
        }
      if (expectedMs === null) expect([overall, perTarget, perSource, callMs]).toEqual([null, null, null, null])
    }),
    { seed: 20261211, numRuns: 1000 },
  )
})

/** By hand: whoever is next in turn goes as soon as each of his buckets has a token. */
function plainMs(batches: readonly Batch[], limits: readonly (readonly [(batch: Batch) => string, Rate])[]): number {
  const tokens = new Map<string, { left: number; at: number }>()
  const left = batches.map(({ count }) => count)
  let now = 0
  for (let at = 0; left.some((count) => count > 0); at = (at + 1) % batches.length) {
    let waited = false
    for (let tries = 0; tries < batches.length; tries++, at = (at + 1) % batches.length) {
      if ((left[at] as number) === 0) continue
      const buckets = limits.map(([by, { perSecond, burst }], index) => {
        const key = `${index} ${by(batches[at] as Batch)}`
        const bucket = tokens.get(key) ?? { left: burst, at: 0 }
        bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) * perSecond) / 1000)
        bucket.at = now
        tokens.set(key, bucket)
        return bucket
      })
      if (buckets.some(({ left: some }) => some < 1 - 1e-9)) continue
      for (const bucket of buckets) bucket.left -= 1
      left[at] = (left[at] as number) - 1
      waited = true
      break
    }
    if (!waited) now += 5
  }
  return now
}

test('the expected time is that of a mover that takes turns, and of one bottleneck exactly', () => {
  const some: Batch[] = [
    { from: 'a', to: 'x', count: 100 },
    { from: 'a', to: 'y', count: 40 },
    { from: 'b', to: 'x', count: 60 },
  ]
  const overall = { perSecond: 10, burst: 20 }
  expect(scheduleOf(some, policy({ rates: { overall, perTarget: null, perSource: null } }), null).expectedMs).toBe(18_000)
  const perTarget = { perSecond: 4, burst: 10 }
  expect(scheduleOf(some, policy({ rates: { overall, perTarget, perSource: null } }), null).expectedMs).toBe(37_500)
  fc.assert(
    fc.property(
      fc.array(fc.record({ from: fc.constantFrom('a', 'b'), to: fc.constantFrom('x', 'y', 'z'), count: fc.integer({ min: 5, max: 60 }) }), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.constantFrom(2, 5, 20),
      fc.constantFrom(1, 3, 8),
      (batches, all, each) => {
        const rates = {
          overall: { perSecond: all, burst: 5 },
          perTarget: { perSecond: each, burst: 3 },
          perSource: { perSecond: 2 * each, burst: 3 },
        }
        const exact = plainMs(batches, [
          [() => '', rates.overall],
          [({ to }) => to, rates.perTarget],
          [({ from }) => from, rates.perSource],
        ])
        const { expectedMs, waves } = scheduleOf(batches, policy({ rates }), null)
        const waveMs = Math.max(
          1000,
          ...waves.slice(1).map(({ startsAfterMs }, index) => startsAfterMs - (waves[index]?.startsAfterMs as number)),
        )
        expect(Math.abs((expectedMs as number) - exact)).toBeLessThanOrEqual(2 * waveMs + 0.15 * exact)
      },
    ),
    { seed: 20261212, numRuns: 300 },
  )
})

test('without rates the pace that was seen is taken; without either no time is promised', () => {
  const batches = [{ from: 'a', to: 'x', count: 1000 }]
  expect(scheduleOf(batches, policy({}), null)).toEqual({
    expectedMs: null,
    callMs: null,
    waves: [{ startsAfterMs: 0, endsAfterMs: 0, connections: 1000, targets: 1 }],
  })
  // 50 at once, each 200 ms: the last of 1000 starts after 19 rounds and is over one later.
  const { expectedMs, waves } = scheduleOf(batches, policy({ concurrency: 50 }), 200)
  expect(expectedMs).toBe(4000)
  expect(waves).toHaveLength(4)
  expect(scheduleOf([], policy({}), 200)).toEqual({ expectedMs: 0, callMs: 200, waves: [] })
})

test('a million moves at a slow rate are about twenty waves', () => {
  const batches = Array.from({ length: 10_000 }, (_, index) => ({ from: `s${index % 300}`, to: `t${index}`, count: 100 }))
  const rates = { overall: { perSecond: 50, burst: 100 }, perTarget: { perSecond: 1, burst: 5 }, perSource: null }
  const { waves, expectedMs } = scheduleOf(batches, policy({ rates }), 300)
  expect(waves.length).toBeGreaterThan(10)
  expect(waves.length).toBeLessThanOrEqual(25)
  expect(expectedMs as number).toBeGreaterThan(19_990_000)
  expect(expectedMs as number).toBeLessThan(20_100_000)
})
