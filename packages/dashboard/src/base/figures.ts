import type { Language } from '../messages/index.ts'

const made = new Map<string, Intl.NumberFormat>()

/** Making one takes longer than using it a thousand times. */
function format(code: string, key: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const name = `${code} ${key}`
  const known = made.get(name)
  if (known) return known
  const fresh = new Intl.NumberFormat(code, options)
  made.set(name, fresh)
  return fresh
}

/** EUR; `digits`: the most after the point. */
export const money = ({ code }: Language, value: number, digits: number): string =>
  format(code, `eur${digits}`, { style: 'currency', currency: 'EUR', minimumFractionDigits: 2, maximumFractionDigits: digits }).format(
    value,
  )

/** @param share 0–1, or more */
export const percent = ({ code }: Language, share: number): string =>
  format(code, '%', { style: 'percent', maximumFractionDigits: 0 }).format(share)

/** `0.70`, with so many digits after the point, so that figures can be compared. */
export const decimal = ({ code }: Language, value: number, digits: number): string =>
  format(code, `.${digits}`, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value)

const units = [
  ['day', 86_400_000, 2],
  ['hour', 3_600_000, 2],
  ['minute', 60_000, 2],
  ['second', 1000, 0],
] as const

/** `40 seconds`, `3 minutes`, `2.5 hours`: the largest unit of which there are two, with one digit where that says something. */
export function duration({ code }: Language, ms: number): string {
  const [unit, size] = units.find(([, each, least]) => ms >= each * least) ?? ['second', 1000]
  const value = ms / size
  const digits = unit === 'day' || unit === 'hour' || (unit === 'second' && value < 10) ? 1 : 0
  return format(code, `${unit}${digits}`, { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: digits }).format(value)
}

/** `24 ms`. */
export const milliseconds = ({ code }: Language, ms: number): string =>
  format(code, ms < 10 ? 'ms1' : 'ms0', { style: 'unit', unit: 'millisecond', maximumFractionDigits: ms < 10 ? 1 : 0 }).format(ms)
