import type { WireServer } from '@pintail/core/wire'
import { describe, expect, test } from 'vitest'
import { shapesOf, spanOf, summaryOf } from './plot.ts'
import { pointOf, Traces } from './trace.ts'

const sample = (second: number, rtts: readonly number[], sent = 1, vantage = 'own') => ({
  server_id: 's1',
  vantage,
  prober: 'icmp',
  sent_at: new Date(second * 1000).toISOString(),
  sent,
  received: rtts.length,
  rtt_ms: rtts,
  failure: null,
})

/** What the traces read of a server. */
const server = (id: string, verdict: 'up' | 'down', last: ReturnType<typeof sample>): WireServer =>
  ({ server_id: id, verdict: { verdict }, last_sample: last, samples: [] }) as unknown as WireServer

test('a check is a point: the mean of its answers, and the share that was lost', () => {
  expect(pointOf(sample(1, [20, 40], 4))).toEqual({ at: 1000, rttMs: 30, loss: 0.5 })
  expect(pointOf(sample(1, [], 3))).toEqual({ at: 1000, rttMs: null, loss: 1 })
})

describe('traces', () => {
  test('keep a check once however often it is told, in order of time, with the evidence', () => {
    const traces = new Traces()
    for (const second of [5, 5, 7]) traces.take([server('s1', 'down', sample(second, [20]))], null)
    expect(traces.lanes('s1', [sample(3, [10]), sample(5, [99]), sample(1, [], 1, 'ams')])).toEqual([
      { vantage: 'ams', points: [{ at: 1000, rttMs: null, loss: 1 }] },
      {
        vantage: 'own',
        points: [
          { at: 3000, rttMs: 10, loss: 0 },
          { at: 5000, rttMs: 20, loss: 0 },
          { at: 7000, rttMs: 20, loss: 0 },
        ],
      },
    ])
  })

  test('of healthy servers only the one that is looked at is kept', () => {
    const traces = new Traces()
    traces.take([server('s1', 'up', sample(1, [20])), server('s2', 'up', sample(1, [20]))], 's2')
    expect([traces.lanes('s1', []).length, traces.lanes('s2', []).length]).toEqual([0, 1])
  })

  test('hours of samples of many servers stay within their bounds', () => {
    const traces = new Traces()
    for (let second = 0; second < 400; second++)
      traces.take(
        Array.from({ length: 100 }, (_, n) => server(`s${n}`, 'down', sample(second, [20], 1, `v${second % 40}`))),
        's99',
      )
    const kept = Array.from({ length: 100 }, (_, n) => traces.lanes(`s${n}`, []))
    expect(kept.filter(({ length }) => length > 0)).toHaveLength(60)
    expect(Math.max(...kept.map(({ length }) => length))).toBe(12)
    expect(kept[99]).toHaveLength(12)
    for (let second = 400; second < 1000; second++) traces.take([server('s99', 'down', sample(second, [20], 1, 'v1'))], null)
    expect(traces.lanes('s99', []).find(({ vantage }) => vantage === 'v1')?.points).toHaveLength(150)
  })
})

describe('plots', () => {
  const points = [sample(0, [20]), sample(10, [30]), sample(20, []), sample(30, [50])].map(pointOf)

  test('the line is broken where nothing came back, and a lone answer is a dot', () => {
    const span = spanOf([{ vantage: 'own', points }], [])
    expect(span).toMatchObject({ from: 0, to: 30_000 })
    const shapes = shapesOf(points, span as NonNullable<typeof span>)
    expect(shapes.line.match(/M/g)).toHaveLength(1)
    expect(shapes.dots).toHaveLength(1)
    expect(shapes.losses).toEqual([{ x: 663.7, width: 6, height: 100 }])
  })

  test('without a sample there is no plot', () => {
    expect(spanOf([{ vantage: 'own', points: [] }], [1000])).toBeNull()
  })

  test('figures say the same as the picture', () => {
    expect(summaryOf(points)).toEqual({ usualMs: 30, mostMs: 50, loss: 0.25 })
    expect(summaryOf([])).toEqual({ usualMs: null, mostMs: null, loss: 0 })
  })
})
