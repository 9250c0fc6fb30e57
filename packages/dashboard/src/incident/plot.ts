import type { Lane, Point } from './trace.ts'

/** Milliseconds; the same for all lanes, so that they can be compared. */
export interface Span {
  readonly from: number
  readonly to: number
  /** Top of the latency axis. */
  readonly mostMs: number
}

/** Least that an axis shows: a path of 2 ms is no mountain range. */
const least = { spanMs: 10_000, rttMs: 50 }

/** @param moments what must be within it */
export function spanOf(lanes: readonly Lane[], moments: readonly number[]): Span | null {
  const times = [...lanes.flatMap(({ points }) => points.map(({ at }) => at)), ...moments].filter(Number.isFinite)
  if (times.length === 0 || lanes.every(({ points }) => points.length === 0)) return null
  const [from, to] = [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))]
  const rtts = lanes.flatMap(({ points }) => points.map(({ rttMs }) => rttMs ?? 0))
  const missing = Math.max(0, least.spanMs - (to - from)) / 2
  return { from: from - missing, to: to + missing, mostMs: Math.max(least.rttMs, ...rtts) * 1.1 }
}

/** Of a picture 1,000 wide and 100 high. */
export interface Shapes {
  /** Path of the latency; broken where nothing came back. */
  readonly line: string
  /** Single answers between losses, which make no line. */
  readonly dots: readonly { readonly x: number; readonly y: number }[]
  /** From above: how much was lost. */
  readonly losses: readonly { readonly x: number; readonly width: number; readonly height: number }[]
}

export const width = 1000
export const height = 100

export const xOf = (at: number, { from, to }: Span): number => ((at - from) / (to - from)) * width
const yOf = (rttMs: number, { mostMs }: Span): number => height - (rttMs / mostMs) * (height - 4)
const round = (value: number): number => Math.round(value * 10) / 10

export function shapesOf(points: readonly Point[], span: Span): Shapes {
  const runs: { x: number; y: number }[][] = []
  let isBroken = true
  for (const { at, rttMs } of points) {
    if (rttMs !== null) {
      if (isBroken) runs.push([])
      runs.at(-1)?.push({ x: round(xOf(at, span)), y: round(yOf(rttMs, span)) })
    }
    isBroken = rttMs === null
  }
  return {
    line: runs
      .filter(({ length }) => length > 1)
      .map((one) => one.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join(' '))
      .join(' '),
    dots: runs.filter(({ length }) => length === 1).flat(),
    losses: points
      .filter(({ loss }) => loss > 0)
      .map(({ at, loss }) => ({ x: round(xOf(at, span) - 3), width: 6, height: round(loss * height) })),
  }
}

/** What a lane says in figures: for its label, and for those who see no picture. */
export interface Summary {
  /** Median, milliseconds; null: nothing came back. */
  readonly usualMs: number | null
  readonly mostMs: number | null
  /** Share of all packets of equal checks, 0–1. */
  readonly loss: number
}

export function summaryOf(points: readonly Point[]): Summary {
  const rtts = points.flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs])).sort((a, b) => a - b)
  return {
    usualMs: rtts[Math.floor((rtts.length - 1) / 2)] ?? null,
    mostMs: rtts.at(-1) ?? null,
    loss: points.length > 0 ? points.reduce((sum, { loss }) => sum + loss, 0) / points.length : 0,
  }
}
