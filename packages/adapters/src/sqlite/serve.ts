import type { MessagePort } from 'node:worker_threads'
import { type Clock, errorText, isPintailError, PintailError, systemClock } from '@pintail/core'
import { type Ask, askHere, type CallName } from './calls.ts'
import { Database, type DatabaseOptions } from './database.ts'

/** To the thread: a call, the end of one by its number, or `close`. */
export type Request = readonly [id: number, name: CallName, args: readonly unknown[]] | readonly [id: number] | 'close'
/** From the thread: that it is there, or the end of a call. */
export type Reply = 'ready' | readonly [id: number, result: unknown] | readonly [id: number, failed: null, error: PlainError]

/** A PintailError as it goes from thread to thread: a class does not. */
export interface PlainError {
  readonly code: PintailError['code']
  readonly message: string
  readonly remedy: string | undefined
  readonly cause: unknown
}

/** Since the machine has booted: the same in all of its processes and threads, and never set. */
export const machineClock: Clock = { ...systemClock, now: () => Number(process.hrtime.bigint()) / 1e6 }

/** Answers calls in this thread until it is told to close: then they are all answered, and nothing is left open. */
export function serve(port: MessagePort, options: Omit<DatabaseOptions, 'clock'>, clock: Clock = machineClock): void {
  const database = new Database({ ...options, clock })
  const ask = askHere(database, clock)
  const running = new Map<number, { readonly ending: AbortController; readonly over: Promise<void> }>()
  const reply = (message: Reply): void => port.postMessage(message)
  const close = async (): Promise<void> => {
    database.close()
    await Promise.all([...running.values()].map(({ over }) => over))
    port.close()
  }
  port.on('message', (request: Request) => {
    if (request === 'close') return void close()
    const [id, name, args] = request
    if (name === undefined) return running.get(id)?.ending.abort()
    const ending = new AbortController()
    const over = (ask as (...call: unknown[]) => ReturnType<Ask>)(name, args, ending.signal)
      .then(
        (result) => reply([id, result]),
        (error) => reply([id, null, toPlain(error)]),
      )
      .finally(() => running.delete(id))
    running.set(id, { ending, over })
  })
  reply('ready')
}

function toPlain(error: unknown): PlainError {
  if (!isPintailError(error)) return { code: 'internal', message: errorText(error), remedy: undefined, cause: undefined }
  const { code, message, remedy, cause } = error
  return { code, message, remedy, cause: cause instanceof Error ? new Error(cause.message) : undefined }
}

export const fromPlain = ({ code, message, remedy, cause }: PlainError): PintailError =>
  new PintailError(code, message, { ...(remedy !== undefined && { remedy }), ...(cause !== undefined && { cause }) })
