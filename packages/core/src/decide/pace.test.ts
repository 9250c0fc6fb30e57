import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Rate, RatesPolicy, ServerId } from '../vocabulary.ts'
import { expectedEndAt, Pacer } from './pace.ts'

const server = (id: string) => id as ServerId
const a = server('a')
const b = server('b')
const ends = { from: { id: a }, to: { id: b } }
const none: RatesPolicy = { overall: null, perTarget: null, perSource: null }
const overall = (perSecond: number, burst: number): RatesPolicy => ({ ...none, overall: { perSecond, burst } })

/** Most that were admitted above `burst + perSecond·w` in any window; at most 0 (but for rounding) is right. */
function excess(times: readonly number[], { perSecond, burst }: Rate): number {
  let most = Number.NEGATIVE_INFINITY
  for (let first = 0; first < times.length; first++)
    for (let last = first; last < times.length; last++) {
      const w = ((times[last] as number) - (times[first] as number)) / 1000
      most = Math.max(most, last - first + 1 - burst - perSecond * w)
    }
  return most
}

const rates = fc.record({ perSecond: fc.double({ min: 0.001, max: 200, noNaN: true }), burst: fc.integer({ min: 1, max: 50 }) })

test('in every window of length w at most burst + perSecond·w are admitted, of all, on each target and off each source', () => {
  const asks = fc.array(fc.record({ wait: fc.integer({ min: 0, max: 400 }), from: fc.nat({ max: 2 }), to: fc.nat({ max: 3 }) }), {
    minLength: 50,
    maxLength: 200,
  })
  fc.assert(
    fc.property(rates, rates, rates, asks, (all, target, source, list) => {
      let now = 1_000_000
      const pacer = new Pacer()
      pacer.adopt({ overall: all, perTarget: target, perSource: source }, now)
      const admitted: { at: number; from: number; to: number }[] = []
      for (const { wait, from, to } of list) {
        now += wait
        if (pacer.take({ from: { id: server(`f${from}`) }, to: { id: server(`t${to}`) } }, now) <= now) admitted.push({ at: now, from, to })
      }
      const of = (pick: (one: { from: number; to: number }) => boolean) => admitted.filter(pick).map(({ at }) => at)
      expect(
        excess(
          of(() => true),
          all,
        ),
      ).toBeLessThanOrEqual(1e-6)
      for (const one of [0, 1, 2, 3]) {
        expect(
          excess(
            of(({ to }) => to === one),
            target,
          ),
        ).toBeLessThanOrEqual(1e-6)
        expect(
          excess(
            of(({ from }) => from === one),
            source,
          ),
        ).toBeLessThanOrEqual(1e-6)
      }
    }),
    { seed: 20260301, numRuns: 300 },
  )
})

test('when it says that a token comes, one is there, and none a millisecond before', () => {
  fc.assert(
    fc.property(rates, fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 30 }), (rate, waits) => {
      let now = 0
      const pacer = new Pacer()
      pacer.adopt({ ...none, overall: rate }, now)
      for (const wait of waits) {
        now += wait
        const at = pacer.take(ends, now)
        if (at <= now) continue
        expect(pacer.take(ends, at - 1)).toBeGreaterThan(at - 1)
        expect(pacer.take(ends, at)).toBe(at)
        now = at
      }
    }),
    { seed: 20260302, numRuns: 300 },
  )
})

test('across terms too: however often it begins anew, no window has more', () => {
  fc.assert(
    fc.property(rates, fc.array(fc.integer({ min: 0, max: 2000 }), { minLength: 20, maxLength: 150 }), fc.nat(), (rate, waits, seed) => {
      let now = 0
      let pacer = new Pacer()
      pacer.adopt({ ...none, perTarget: rate }, now)
      const times: number[] = []
      waits.forEach((wait, index) => {
        now += wait
        if ((index * 2654435761 + seed) % 5 === 0) {
          pacer = new Pacer()
          pacer.adopt({ ...none, perTarget: rate }, now)
        }
        while (pacer.take(ends, now) <= now) times.push(now)
      })
      expect(excess(times, rate)).toBeLessThanOrEqual(1e-6)
    }),
    { seed: 20260303, numRuns: 200 },
  )
})

test('after a change of policy the new rates hold from then on, whatever was saved before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ rate: fc.option(rates, { nil: null }), forMs: fc.integer({ min: 1, max: 5000 }) }), {
        minLength: 2,
        maxLength: 8,
      }),
      fc.integer({ min: 1, max: 97 }),
      (phases, stepMs) => {
        let now = 0
        const pacer = new Pacer()
        for (const { rate, forMs } of phases) {
          pacer.adopt({ ...none, perSource: rate }, now)
          const times: number[] = []
          for (const end = now + forMs; now < end; now += stepMs)
            for (let tries = 0; tries < 60 && pacer.take(ends, now) <= now; tries++) times.push(now)
          if (rate) expect(excess(times, rate)).toBeLessThanOrEqual(1e-6)
        }
      },
    ),
    { seed: 20260304, numRuns: 300 },
  )
})

test('a token is taken from all buckets or from none', () => {
  const pacer = new Pacer()
  pacer.adopt({ overall: { perSecond: 1, burst: 5 }, perTarget: { perSecond: 0.001, burst: 1 }, perSource: null }, 0)
  expect(pacer.take(ends, 10_000)).toBeGreaterThan(10_000)
  // Five are saved overall, and the try above has cost none of them.
  const others = Array.from({ length: 6 }, (_, index) => pacer.lastAt(ends, { overall: index + 1, target: 0, source: 0 }, 10_000))
  expect(others.filter((at) => at <= 10_000)).toHaveLength(5)
})

test('without limits everything is admitted at once', () => {
  const pacer = new Pacer()
  pacer.adopt(none, 0)
  for (let tries = 0; tries < 1000; tries++) expect(pacer.take(ends, 5)).toBe(5)
  expect(pacer.intentAt(ends, 5)).toBe(5)
})

test('intents are kept for what comes within a second, and no more', () => {
  const pacer = new Pacer()
  pacer.adopt(overall(1, 100), 0)
  let kept = 0
  while (pacer.intentAt(ends, 0) <= 0) {
    pacer.promise(ends, 1)
    kept++
  }
  expect(kept).toBe(1)
  expect(pacer.intentAt(ends, 0)).toBe(1000)
  pacer.promise(ends, -1)
  expect(pacer.intentAt(ends, 0)).toBe(0)
})

test('the end is expected by the pace seen, never before the rates allow it, and not before enough was seen', () => {
  const transfer = {
    ...ends,
    migration: { connectionCountAtStart: 30 },
    queue: { length: 30 },
    next: 12,
    inFlight: 2,
    ahead: 0,
    moved: 8,
    failed: 1,
    skipped: 1,
    pace: { sinceAt: 0, settled: 0 },
  }
  const free = new Pacer()
  expect(expectedEndAt(transfer, [transfer], free, 5000)).toBe(15_000)
  expect(expectedEndAt({ ...transfer, moved: 0 }, [transfer], free, 5000)).toBeNull()
  expect(expectedEndAt({ ...transfer, inFlight: 11 }, [transfer], free, 5000)).toBeNull()
  expect(expectedEndAt({ ...transfer, inFlight: 20, ahead: 12 }, [transfer], free, 5000)).not.toBeNull()
  expect(expectedEndAt({ ...transfer, pace: null }, [transfer], free, 5000)).toBeNull()
  const pacer = new Pacer()
  pacer.adopt(overall(0.5, 1), 5000)
  // 18 have not started: at one in two seconds, and twice that with another one that is as long.
  expect(expectedEndAt(transfer, [transfer], pacer, 5000)).toBe(41_000)
  const other = { ...transfer, from: { id: server('c') } }
  expect(expectedEndAt(transfer, [transfer, other], pacer, 5000)).toBe(77_000)
  expect(expectedEndAt(transfer, [transfer, { ...other, next: 28 }], pacer, 5000)).toBe(45_000)
})
