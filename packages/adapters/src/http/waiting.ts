import { type Clock, PintailError } from '@pintail/core'

/** Resolves after that time; rejects with the signal's reason as soon as it fires. Leaves neither timer nor listener. */
export function pause(clock: Pick<Clock, 'setTimeout'>, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const timer = clock.setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, delayMs)
    const abort = (): void => {
      timer.cancel()
      reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
  })
}

/** The promise, or the signal's reason as soon as it fires. What the promise does afterwards is nobody's concern. */
export function untilAborted<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    const end = (): void => signal.removeEventListener('abort', abort)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    promise.then(resolve, reject).then(end, end)
  })
}

/** Runs with a signal that fires after that time too. Leaves neither timer nor listener. */
export async function within<T>(
  clock: Pick<Clock, 'setTimeout'>,
  timeoutMs: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController()
  const timer = clock.setTimeout(() => own.abort(new PintailError('timeout', `not within ${timeoutMs} ms`)), timeoutMs)
  const both = AbortSignal.any([signal, own.signal])
  try {
    return await untilAborted(run(both), both)
  } finally {
    timer.cancel()
  }
}
