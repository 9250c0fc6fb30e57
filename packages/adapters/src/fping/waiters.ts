import { PintailError } from '@pintail/core'
import type { Check } from './check.ts'

/** Who waits under which signal: one listener a signal, because thousands of checks may share one. */
export class Waiters {
  readonly #bySignal = new WeakMap<AbortSignal, { readonly all: Set<Check>; readonly onAbort: () => void }>()

  join(check: Check, signal: AbortSignal): void {
    let waiting = this.#bySignal.get(signal)
    if (!waiting) {
      const all = new Set<Check>()
      const onAbort = (): void => {
        for (const one of all) one.cancel(aborted(signal))
      }
      waiting = { all, onAbort }
      this.#bySignal.set(signal, waiting)
      signal.addEventListener('abort', onAbort)
    }
    waiting.all.add(check)
  }

  leave(check: Check, signal: AbortSignal): void {
    const waiting = this.#bySignal.get(signal)
    if (!waiting?.all.delete(check) || waiting.all.size > 0) return
    this.#bySignal.delete(signal)
    signal.removeEventListener('abort', waiting.onAbort)
  }
}

export function aborted(signal: AbortSignal): PintailError {
  return new PintailError('aborted', 'the probe was aborted', { cause: signal.reason })
}
