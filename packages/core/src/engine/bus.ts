import { EventEmitter } from 'eventemitter3'
import { errorText, PintailError } from '../errors.ts'
import type { EventType, PintailEvent, PintailEvents } from '../events.ts'
import type { JournalPage, Logger } from '../ports.ts'

export type Listener<T extends EventType | '*'> = (payload: T extends EventType ? PintailEvents[T] : PintailEvent) => unknown

/** How many events a slow reader of `events()` may lie behind before it is told so. */
const mostBehind = 10_000

/**
 * Has, not is, an emitter. A listener that throws or rejects hurts nobody: it becomes a `warning`.
 */
export class Bus {
  readonly #emitter = new EventEmitter<Record<string, [payload: unknown]>>()
  readonly #readers = new Set<(event: PintailEvent) => void>()
  readonly #logger: Logger
  readonly #now: () => number
  #failures = 0

  constructor(logger: Logger, now: () => number) {
    this.#logger = logger
    this.#now = now
  }

  on<T extends EventType | '*'>(type: T, listener: Listener<T>): Disposable {
    const isolated = (payload: unknown) => {
      try {
        const answer = listener(payload as never)
        if (typeof (answer as PromiseLike<unknown> | null)?.then === 'function')
          (answer as PromiseLike<unknown>).then(undefined, (error) => this.#listenerFailed(type, error))
      } catch (error) {
        this.#listenerFailed(type, error)
      }
    }
    this.#emitter.on(type, isolated)
    return { [Symbol.dispose]: () => void this.#emitter.off(type, isolated) }
  }

  publish(event: PintailEvent): void {
    this.#emitter.emit(event.type, event.data)
    this.#emitter.emit('*', event)
    if (event.seq > 0) for (const reader of this.#readers) reader(event)
  }

  warn(data: PintailEvents['warning']): void {
    this.#logger.warn(data, data.message)
    this.publish({ seq: 0, type: 'warning', at: this.#now(), data })
  }

  #listenerFailed(type: string, error: unknown): void {
    this.#failures++
    const message = `a listener of ${type} failed: ${errorText(error)}`
    const data = { code: 'listener_failed', message, count: this.#failures } as const
    // A listener of warnings that fails must not warn itself for ever.
    if (type === 'warning' || type === '*') this.#logger.error({ ...data, error }, message)
    else this.warn(data)
  }

  /** Forgets every listener and ends every reader. */
  close(): void {
    this.#emitter.removeAllListeners()
    this.#readers.clear()
  }

  /**
   * What has happened after `after`, then what happens, in the journal's order and without gaps.
   * @throws PintailError `events_lagged` if the cursor is older than the journal, or the reader too slow
   */
  async *events(
    read: (after: number, limit: number) => Promise<JournalPage>,
    after: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<PintailEvent, void, undefined> {
    let buffer: PintailEvent[] = []
    let lagged = false
    let wake = () => {}
    const reader = (event: PintailEvent) => {
      if (buffer.length >= mostBehind) lagged = true
      else buffer.push(event)
      wake()
    }
    const onAbort = () => wake()
    this.#readers.add(reader)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      let cursor = after ?? (await read(Number.MAX_SAFE_INTEGER, 1)).lastSeq
      while (!signal.aborted) {
        const page = await read(cursor, 1000)
        if (cursor + 1 < page.oldestSeq) throw lag(`the journal begins at ${page.oldestSeq}, after ${cursor}`)
        for (const entry of page.entries) yield entry as PintailEvent
        cursor = page.entries.at(-1)?.seq ?? cursor
        if (page.entries.length === 0) break
      }
      while (!signal.aborted) {
        const ready = buffer
        buffer = []
        for (const event of ready) {
          if (event.seq <= cursor) continue
          yield event
          cursor = event.seq
        }
        if (lagged) throw lag(`more than ${mostBehind} events behind`)
        if (buffer.length === 0 && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      this.#readers.delete(reader)
      signal.removeEventListener('abort', onAbort)
    }
  }
}

function lag(why: string): PintailError {
  return new PintailError('events_lagged', `this reader has missed events: ${why}`, {
    remedy: 'Take a fresh snapshot with status() and go on from events() without a cursor.',
  })
}
