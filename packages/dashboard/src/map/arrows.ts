import type { WireMigration } from '@pintail/core/wire'
import { type Tone, toneOfStatus } from '../base/states.ts'

export type ArrowStatus = Exclude<WireMigration['status'], 'cancelled'>

/** One arrow for all migrations of one pair. */
export interface Arrow {
  /** Node ids: of servers, or of folded regions. */
  readonly from: string
  readonly to: string
  /** Of the migration that is furthest under way. */
  readonly status: ArrowStatus
  readonly tone: Tone
  /** Of the migrations in that status. */
  readonly users: number
  readonly migrations: readonly WireMigration[]
}

/** What is going on comes before what waits, and that before what is over. */
const precedence: readonly ArrowStatus[] = [
  'transferring',
  'preparing',
  'completing',
  'scheduled',
  'approved',
  'suggested',
  'failed',
  'completed',
]

/** How long an arrow stays after the end: a failure is to be seen, a success makes way. */
const stays: Readonly<Partial<Record<WireMigration['status'], number>>> = { completed: 10 * 60_000, failed: 60 * 60_000 }

export function isShown({ status, completed_at }: WireMigration, nowMs: number): boolean {
  if (status === 'cancelled') return false
  const ms = stays[status]
  return ms === undefined || completed_at === null || nowMs - Date.parse(completed_at) < ms
}

/**
 * @param nodeOf where a server is drawn: as itself, or as its folded region; null: it is gone
 * @returns one arrow a pair and direction; none within one node
 */
export function arrowsOf(
  migrations: readonly WireMigration[],
  nodeOf: (serverId: string) => string | null,
  nowMs: number,
): readonly Arrow[] {
  const pairs = new Map<string, { from: string; to: string; migrations: WireMigration[] }>()
  for (const one of migrations) {
    if (!isShown(one, nowMs)) continue
    const from = nodeOf(one.from_server_id)
    const to = nodeOf(one.to_server_id)
    if (from === null || to === null || from === to) continue
    // Ids may have any characters: JSON keeps two apart.
    const key = JSON.stringify([from, to])
    const pair = pairs.get(key) ?? { from, to, migrations: [] }
    pair.migrations.push(one)
    pairs.set(key, pair)
  }
  return [...pairs.values()].map((pair) => {
    const status = precedence.find((word) => pair.migrations.some((one) => one.status === word)) ?? 'suggested'
    const leading = pair.migrations.filter((one) => one.status === status)
    const users = leading.reduce((sum, { connection_count_at_start: n }) => sum + n, 0)
    return { ...pair, status, tone: toneOfStatus[status], users }
  })
}

/** Wider for more users, by doublings: 1 user and 10,000 can both be seen. */
export const widthOf = (users: number): number => Math.min(1.5 + 0.8 * Math.log2(1 + Math.max(0, users)), 12)

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Course {
  /** Of the line. */
  readonly d: string
  /** Where the head stands, and whither it points, degrees. */
  readonly tip: Point
  readonly angle: number
  /** With the way to the outside of the curve, of length 1: there is room for a figure. */
  readonly middle: Point & { readonly outX: number; readonly outY: number }
}

const round = (value: number): number => Math.round(value * 10) / 10

/** How far curves go to the side, as parts of their length; the first is the calmest. */
const bows = [0.18, 0.06, 0.32, 0.48] as const

/**
 * The calmest curve that meets the fewest other circles.
 * @param hasReverse true: there is an arrow the other way too, so that this one keeps to its right
 */
export function bowOf(from: Point, to: Point, others: readonly (Point & { r: number })[], hasReverse: boolean): number {
  const ways = hasReverse ? bows : bows.flatMap((bow) => [bow, -bow])
  let best: number = bows[0]
  let least = Number.POSITIVE_INFINITY
  for (const bow of ways) {
    const points = onTheWay(from, to, bow)
    const met = others.filter(({ x, y, r }) => points.some((point) => (point.x - x) ** 2 + (point.y - y) ** 2 < (r + 10) ** 2)).length
    if (met < least) {
      least = met
      best = bow
    }
    if (met === 0) break
  }
  return best
}

/** Fifteen points of the curve. */
function onTheWay(from: Point, to: Point, bow: number): readonly Point[] {
  const control = { x: (from.x + to.x) / 2 - (to.y - from.y) * bow, y: (from.y + to.y) / 2 + (to.x - from.x) * bow }
  return Array.from({ length: 15 }, (_, step) => {
    const t = (step + 1) / 16
    const at = (a: number, b: number, c: number): number => (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t ** 2 * c
    return { x: at(from.x, control.x, to.x), y: at(from.y, control.y, to.y) }
  })
}

/**
 * From one circle to another on a curve; wavy on request.
 * @param headLength of the head, which stands between the end of the line and the circle
 * @param bow how far it goes to its right, as a part of its length
 */
export function courseOf(from: Point & { r: number }, to: Point & { r: number }, isWavy: boolean, headLength: number, bow = 0.18): Course {
  const distance = Math.max(1, Math.hypot(to.x - from.x, to.y - from.y))
  const [ux, uy] = [(to.x - from.x) / distance, (to.y - from.y) / distance]
  const control = { x: (from.x + to.x) / 2 - uy * bow * distance, y: (from.y + to.y) / 2 + ux * bow * distance }
  const towards = (a: Point, b: Point, length: number): Point => {
    const whole = Math.max(1, Math.hypot(b.x - a.x, b.y - a.y))
    return { x: a.x + ((b.x - a.x) / whole) * length, y: a.y + ((b.y - a.y) / whole) * length }
  }
  const start = towards(from, control, from.r)
  const tip = towards(to, control, to.r)
  const end = towards(to, control, to.r + headLength)
  const at = (t: number): Point => ({
    x: (1 - t) ** 2 * start.x + 2 * t * (1 - t) * control.x + t ** 2 * end.x,
    y: (1 - t) ** 2 * start.y + 2 * t * (1 - t) * control.y + t ** 2 * end.y,
  })
  const angle = (Math.atan2(tip.y - end.y, tip.x - end.x) * 180) / Math.PI
  const d = isWavy
    ? wave(at, distance)
    : `M${round(start.x)} ${round(start.y)} Q${round(control.x)} ${round(control.y)} ${round(end.x)} ${round(end.y)}`
  return { d, tip, angle, middle: { ...at(0.5), outX: -uy * Math.sign(bow), outY: ux * Math.sign(bow) } }
}

/** A sine on the curve, calm at both ends. */
function wave(at: (t: number) => Point, distance: number): string {
  // A long one waves no more often: its points are computed and drawn at each change of places.
  const waves = Math.max(2, Math.min(14, Math.round(distance / 26)))
  const steps = waves * 8
  let d = ''
  for (let step = 0; step <= steps; step++) {
    const t = step / steps
    const here = at(t)
    const near = at(Math.min(1, t + 0.01))
    const before = at(Math.max(0, t - 0.01))
    const length = Math.max(0.001, Math.hypot(near.x - before.x, near.y - before.y))
    const swing = 5 * Math.sin(t * waves * 2 * Math.PI) * Math.min(1, 6 * t, 6 * (1 - t))
    d += `${step === 0 ? 'M' : 'L'}${round(here.x - ((near.y - before.y) / length) * swing)} ${round(here.y + ((near.x - before.x) / length) * swing)}`
  }
  return d
}
