import { type CallContext, type Clock, PintailError } from '@pintail/core'
import type { Command, Result } from './messages.ts'
import type { CommandTransport } from './transport.ts'

/** Calls that wait for an answer at once. */
const mostWaiting = 100_000

/** Commands out, answers in: who waits for which. */
export interface Asking {
  /**
   * Publishes a command and waits for its answer, whatever that says. `timeout`: there was none; it may be done yet.
   * @throws PintailError `unavailable`: surely nothing was published; `timeout`, `aborted`, and what the transport throws otherwise
   */
  ask(command: Command, waitMs: number, ctx: CallContext): Promise<Result>
  readonly waiting: number
  close(): void
}

interface Waiter {
  readonly serverId: string
  readonly settle: (result: Result) => void
  readonly giveUp: (error: PintailError) => void
}

/** @param unasked hears every answer that nobody waits for */
export function asking(transport: CommandTransport, clock: Clock, unasked: (result: Result) => void): Asking {
  const waiters = new Map<string, Set<Waiter>>()
  let count = 0
  const end = transport.onResult((result) => {
    const waiting = waiters.get(result.idempotencyKey)
    // Another command may have the same key, and another worker the same command: what it says of the effect holds all the same.
    if (!waiting) return unasked(result)
    for (const { settle } of [...waiting]) settle(result)
  })

  const wait = (key: string, waiter: Waiter): (() => void) => {
    const waiting = waiters.get(key) ?? new Set()
    waiters.set(key, waiting.add(waiter))
    count++
    return () => {
      if (!waiting.delete(waiter)) return
      count--
      if (waiting.size === 0) waiters.delete(key)
    }
  }

  return {
    ask: (command, waitMs, { signal }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(aborted(signal.reason))
        if (count >= mostWaiting)
          return reject(new PintailError('unavailable', `${mostWaiting} calls wait for their answers: nothing was published`))
        const publishing = new AbortController()
        const onAbort = (): void => fail(aborted(signal.reason))
        const timer = clock.setTimeout(() => fail(late(command, waitMs)), waitMs)
        const over = (): void => {
          timer.cancel()
          signal.removeEventListener('abort', onAbort)
          forget()
        }
        const fail = (error: unknown): void => {
          over()
          reject(error)
          publishing.abort(error)
        }
        const settle = (result: Result): void => {
          over()
          resolve(result)
        }
        const forget = wait(command.idempotencyKey, { serverId: command.serverId, settle, giveUp: fail })
        signal.addEventListener('abort', onAbort, { once: true })
        // Waited for first: the answer may be faster than the broker's own word.
        Promise.resolve(transport.publish(command, { signal: publishing.signal })).catch(fail)
      }),
    get waiting() {
      return count
    },
    close: () => {
      end()
      const stopped = new PintailError('stopped', 'the mover was closed')
      for (const waiting of [...waiters.values()]) for (const { giveUp } of [...waiting]) giveUp(stopped)
    },
  }
}

const aborted = (cause: unknown): PintailError => new PintailError('aborted', 'given up before it was answered', { cause })

const late = ({ type, serverId }: Command, waitMs: number): PintailError =>
  new PintailError('timeout', `${type} for ${serverId} was not answered within ${waitMs} ms`, {
    remedy: 'Look whether the worker of its region runs and reaches the broker.',
  })

/** An answer as an error; null: it is done. */
export function errorOf({ status, code, message, serverId }: Result): PintailError | null {
  if (status === 'ok' || status === 'noop') return null
  const why = `${serverId}: ${message ?? code ?? status}`
  if (code === 'STALE' || code === 'FENCED') return new PintailError('fenced', why)
  // Not begun, and never will be.
  if (code === 'EXPIRED') return new PintailError('unavailable', why)
  if (status === 'rejected') return new PintailError('rejected', why)
  return new PintailError(code === 'UNAVAILABLE' ? 'unavailable' : 'internal', why)
}
