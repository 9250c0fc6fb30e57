import type { Messages } from './en.ts'
import { texts } from './texts.ts'

export type { Messages } from './en.ts'

const first = 'en'

/** A language's texts, and its way to write times and figures. */
export interface Language {
  /** `en` or `ru`. */
  readonly code: string
  readonly messages: Messages
  /** `2 minutes ago`, `in 5 hours`. */
  readonly relative: (atMs: number, nowMs: number) => string
  readonly dateTime: (atMs: number) => string
  readonly clock: (atMs: number) => string
  readonly number: (value: number, options?: Intl.NumberFormatOptions) => string
}

const units = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

function languageOf(code: string, messages: Messages): Language {
  const relative = new Intl.RelativeTimeFormat(code, { numeric: 'auto' })
  const dateTime = new Intl.DateTimeFormat(code, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' })
  const clock = new Intl.DateTimeFormat(code, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
  const numbers = new Intl.NumberFormat(code)
  return {
    code,
    messages,
    relative(atMs, nowMs) {
      const [unit, size] = units.find(([, ms]) => Math.abs(atMs - nowMs) >= ms) ?? ['second', 1000]
      return Number.isFinite(atMs) ? relative.format(Math.trunc((atMs - nowMs) / size), unit) : messages.common.unknown
    },
    dateTime: (atMs) => (Number.isFinite(atMs) ? dateTime.format(atMs) : messages.common.unknown),
    clock: (atMs) => (Number.isFinite(atMs) ? clock.format(atMs) : messages.common.unknown),
    number: (value, options) => (options ? new Intl.NumberFormat(code, options) : numbers).format(value),
  }
}

const made = new Map<string, Language | Promise<Language>>()

/**
 * A language, or the promise of one whose texts have to be loaded first.
 *
 * @param tag as in `lang`: `ru-RU` is Russian; what has no texts here is English
 */
export function language(tag: string): Language | Promise<Language> {
  const wanted = tag.toLowerCase().split('-')[0] ?? ''
  const code = Object.hasOwn(texts, wanted) ? wanted : first
  const known = made.get(code)
  if (known) return known
  const loading = load(code)
  made.set(code, loading)
  return loading
}

async function load(code: string): Promise<Language> {
  try {
    const fresh = languageOf(code, await (texts[code] as (typeof texts)[string])())
    made.set(code, fresh)
    return fresh
  } catch (error) {
    made.delete(code)
    if (code === first) throw error
    // A file that is not there, after an update say. It is not asked for again and again: the page is of use in another language.
    const other = await language(first)
    made.set(code, other)
    return other
  }
}
