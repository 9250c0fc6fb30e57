import { PintailError } from './errors.ts'
import type { CallContext, Clock, Listing, Random, Timer } from './ports.ts'

/**
 * The machine's clock, made steady: it starts at the time of day and then follows the monotonic clock, so that a
 * corrected system time never makes an outage longer or a lease shorter than it was.
 */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  setTimeout(callback, delayMs): Timer {
    const timer = setTimeout(callback, Math.min(delayMs, 0x7fffffff))
    return { cancel: () => clearTimeout(timer) }
  },
}

/** How far two clocks may disagree about a lease, milliseconds. */
export const skewMs = 1000

/** Runs the callback after everything that is ready now, before time passes. */
export function defer(clock: Clock, callback: () => void): void {
  if (clock.defer) clock.defer(callback)
  else setImmediate(callback)
}

/** Rejects with `aborted` when the signal fires. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      timer.cancel()
      reject(aborted(signal))
    }
    const timer = clock.setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, delayMs)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

function aborted(signal: AbortSignal): PintailError {
  return new PintailError('aborted', 'stopped before it was done', { cause: signal.reason })
}

/**
 * Calls the outside world: settles by the time-out or when `parent` fires, even if the callee ignores its signal.
 * A synchronous throw counts as a rejection.
 */
export function callOut<T>(
  clock: Clock,
  timeoutMs: number,
  parent: AbortSignal,
  what: string,
  call: (ctx: CallContext) => PromiseLike<T> | T,
): Promise<T> {
  if (parent.aborted) return Promise.reject(aborted(parent))
  return new Promise<T>((resolve, reject) => {
    const controller = new AbortController()
    const giveUp = (error: PintailError) => {
      end()
      reject(error)
      controller.abort(error)
    }
    const onParent = () => giveUp(aborted(parent))
    const timer = clock.setTimeout(() => giveUp(new PintailError('timeout', `${what} did not answer within ${timeoutMs} ms`)), timeoutMs)
    const end = () => {
      timer.cancel()
      parent.removeEventListener('abort', onParent)
    }
    parent.addEventListener('abort', onParent, { once: true })
    const settle =
      <V>(then: (value: V) => void) =>
      (value: V) => {
        end()
        then(value)
      }
    try {
      Promise.resolve(call({ signal: controller.signal })).then(settle(resolve), settle(reject))
    } catch (error) {
      settle(reject)(error)
    }
  })
}

/** Does the work for each item, for so many at once. */
export async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values()
  const next = async (): Promise<void> => {
    for (const item of rest) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, next))
}

/** All rows of a listing; at most ten million, so that a panel that pages for ever cannot fill the memory. */
export async function collect<T>(listing: Listing<T>): Promise<readonly T[]> {
  let all: T[] | null = null
  let first: readonly T[] = []
  for await (const page of pagesOf(listing)) {
    if (first.length === 0) first = page
    else {
      all ??= [...first]
      for (const row of page) all.push(row)
    }
  }
  return all ?? first
}

/** The rows of a listing as they come, with the bound of `collect`. */
export async function* pagesOf<T>(listing: Listing<T>): AsyncGenerator<readonly T[], void, undefined> {
  // Some query builders are both, and iterate over single rows: what can be awaited is one answer.
  if ('then' in listing || !(Symbol.asyncIterator in listing)) {
    yield rowsOf(await listing)
    return
  }
  let count = 0
  for await (const page of listing) {
    count += rowsOf(page).length
    if (count > 10_000_000) throw new PintailError('unavailable', 'the listing does not end')
    yield page
  }
}

function rowsOf<T>(page: readonly T[]): readonly T[] {
  if (!Array.isArray(page)) throw new PintailError('unavailable', 'the listing is not a list of rows')
  return page
}

/** A UUID of version 7 (RFC 9562): sorted by time, unique by the injected randomness. */
export function newId(now: number, random: Random): string {
  const hex = (digits: number) => Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('')
  const time = Math.floor(now).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(3)}-${'89ab'[Math.floor(random() * 4)]}${hex(3)}-${hex(12)}`
}
