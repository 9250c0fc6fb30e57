import { type Clock, errorText, isPintailError, type Json, PintailError, type Timer } from '@pintail/core'
import type { HandlerContext } from './handler.ts'
import { limits } from './messages.ts'

export interface CallsOptions {
  readonly clock: Clock
  readonly timeoutMs: number
}

export type Call = <T>(traceId: string | null, work: (ctx: HandlerContext) => PromiseLike<T>) => Promise<T>

export interface Calls {
  readonly call: Call
  /** Aborts those under way, and whatever is called later at once. */
  stop(): void
}

/** For a call that does not settle when the worker stops, milliseconds. */
const stopGraceMs = 3000

/**
 * Calls of a handler, each with an end. One that does not settle after its signal is waited for as long again, so that what comes
 * next for the same connection does not overtake it, and is then given up.
 */
export function handlerCalls({ clock, timeoutMs }: CallsOptions): Calls {
  const open = new Set<(reason: PintailError, graceMs: number) => void>()
  let isStopped = false
  const call: Call = (traceId, work) =>
    new Promise((resolve, reject) => {
      const controller = new AbortController()
      let timer: Timer
      const end = (): void => {
        timer.cancel()
        open.delete(abort)
      }
      const abort = (reason: PintailError, graceMs: number): void => {
        timer.cancel()
        timer = clock.setTimeout(() => {
          end()
          reject(reason)
        }, graceMs)
        controller.abort(reason)
      }
      timer = clock.setTimeout(() => abort(late(timeoutMs), timeoutMs), timeoutMs)
      open.add(abort)
      if (isStopped) abort(stopped(), Math.min(stopGraceMs, timeoutMs))
      let under: PromiseLike<unknown>
      try {
        under = work({ signal: controller.signal, traceId })
      } catch (error) {
        under = Promise.reject(error)
      }
      Promise.resolve(under).then(
        (value) => {
          end()
          resolve(value as never)
        },
        (error) => {
          end()
          reject(error)
        },
      )
    })
  return {
    call,
    stop: () => {
      isStopped = true
      for (const abort of [...open]) abort(stopped(), Math.min(stopGraceMs, timeoutMs))
    },
  }
}

const late = (timeoutMs: number): PintailError => new PintailError('timeout', `the handler has not answered for ${timeoutMs} ms`)
const stopped = (): PintailError => new PintailError('stopped', 'the worker stops')

export interface Failure {
  readonly code: 'REJECTED' | 'UNAVAILABLE' | 'FAILED'
  /** Safe for messages and logs. */
  readonly message: string
}

export function failureOf(error: unknown): Failure {
  const code = isPintailError(error, 'rejected') ? 'REJECTED' : isPintailError(error, 'unavailable') ? 'UNAVAILABLE' : 'FAILED'
  return { code, message: errorText(error) }
}

/** What a handler returned, if it is plain JSON and small enough; null: it is not. */
export function answerOf(value: unknown): Json {
  if (value === undefined || value === null) return null
  try {
    const json = JSON.stringify(value)
    return Buffer.byteLength(json) <= limits.payloadBytes ? (JSON.parse(json) as Json) : null
  } catch {
    return null
  }
}
