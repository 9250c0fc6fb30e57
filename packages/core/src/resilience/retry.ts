import { isPintailError } from '../errors.ts'
import type { Clock, Random } from '../ports.ts'
import { around, ask, check, reads, tell } from './port.ts'

export interface RetryOptions {
  /** Calls in all, the first included, 1–20. Default 4. */
  readonly tries?: number
  /** First pause, milliseconds, 1–60 000; doubles each time. Default 200. */
  readonly backoffMs?: number
  /** Longest pause, milliseconds, 1–3 600 000. Default 10 000. */
  readonly backoffMaxMs?: number
  /** Told before each pause. */
  readonly onRetry?: (event: {
    readonly method: string
    readonly error: unknown
    readonly tries: number
    readonly delayMs: number
  }) => unknown
  readonly clock?: Pick<Clock, 'setTimeout'>
  readonly random?: Random
}

const machine: Pick<Clock, 'setTimeout'> = {
  setTimeout(callback, delayMs) {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

/**
 * The same port, which tries again where that is safe: after `unavailable` (nothing happened), and after any failure of
 * `listServers`, `listConnections`, `locate`, `verify` and `current`, which have no effect. Never after an ambiguous
 * write: Pintail asks `locate` for that. Each pause is half to the whole of the backoff, at random. All tries share the
 * time-out and the signal of the one call: when it fires no other try begins, and the last failure stands.
 * @example mover: withRetry(panelMover, { tries: 3 })
 * @throws PintailError `invalid_argument`
 */
export function withRetry<T extends object>(port: T, options: RetryOptions = {}): T {
  const { tries: most = 4, backoffMs = 200, backoffMaxMs = 10_000, onRetry, clock = machine, random = Math.random } = options
  check('tries', most, 20)
  check('backoffMs', backoffMs, 60_000)
  check('backoffMaxMs', backoffMaxMs, 3_600_000)
  return around(
    port,
    () => port,
    async (call) => {
      for (let tries = 1; ; tries++) {
        try {
          return await ask(port, call)
        } catch (error) {
          if (tries >= most || call.signal.aborted || !(reads.has(call.method) || isPintailError(error, 'unavailable'))) throw error
          const delayMs = Math.min(backoffMaxMs, backoffMs * 2 ** (tries - 1)) * (0.5 + random() / 2)
          tell(onRetry, { method: call.method, error, tries, delayMs })
          await pause(clock, delayMs, call.signal)
          if (call.signal.aborted) throw error
        }
      }
    },
  )
}

function pause(clock: Pick<Clock, 'setTimeout'>, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.setTimeout(end, delayMs)
    signal.addEventListener('abort', end)
    // The listener of onRetry may have stopped it all.
    if (signal.aborted) end()
  })
}
