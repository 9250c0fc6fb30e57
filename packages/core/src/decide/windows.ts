import type { DailyWindow, GuardDenial } from '../vocabulary.ts'

const minutesOfDay = 24 * 60
const minuteMs = 60_000

const minutesOf = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3))

/** Whether this moment lies in one of the windows; they are in UTC, so that no change of the clocks doubles or drops one. */
export function isWithin(windows: readonly DailyWindow[], now: number): boolean {
  const minute = Math.floor(now / minuteMs) % minutesOfDay
  return windows.some(({ from, to }) => {
    const [begin, end] = [minutesOf(from), minutesOf(to)]
    return begin < end ? begin <= minute && minute < end : begin <= minute || minute < end
  })
}

/** Outside of all windows users are not moved to save money. No windows: nothing is forbidden. */
export function outsideWindows(windows: readonly DailyWindow[], now: number): GuardDenial | null {
  if (windows.length === 0 || isWithin(windows, now)) return null
  const named = windows.map(({ from, to }) => `${from}–${to}`).join(', ')
  return {
    guard: 'window',
    message: `to save money users are moved within ${named} UTC only`,
    remedy: 'Wait, change advice.windows, or give the reason manual.',
  }
}
