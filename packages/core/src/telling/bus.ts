import { EventEmitter } from 'eventemitter3'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { EventType, PintailEvent, PintailEvents } from '../events.ts'
import type { JournalPage, Logger } from '../ports.ts'
import type { Listener } from '../surface.ts'
import { publish } from './tracing.ts'

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
      // A listener of warnings that fails must not warn itself for ever.
      const isWarning = type === 'warning' || (type === '*' && (payload as PintailEvent).type === 'warning')
      const failed = (error: unknown) => this.#listenerFailed(type, error, isWarning)
      try {
        const answer = listener(payload as never)
        if (typeof (answer as PromiseLike<unknown> | null)?.then === 'function') (answer as PromiseLike<unknown>).then(undefined, failed)
      } catch (error) {
        failed(error)
      }
    }
    this.#emitter.on(type, isolated)
    return { [Symbol.dispose]: () => void this.#emitter.off(type, isolated) }
  }

  publish(event: PintailEvent): void {
    publish(event)
    this.#emitter.emit(event.type, event.data)
    this.#emitter.emit('*', event)
    if (event.seq > 0) for (const reader of this.#readers) reader(event)
  }

  warn(data: PintailEvents['warning']): void {
    this.#log('warn', data, data.message)
    this.publish({ seq: 0, type: 'warning', at: this.#now(), data })
  }

  #listenerFailed(type: string, error: unknown, isWarning: boolean): void {
    this.#failures++
    const message = `a listener of ${type} failed: ${errorText(error)}`
    const data = { code: 'listener_failed', message, count: this.#failures } as const
    if (isWarning) this.#log('error', { ...data, error }, message)
    else this.warn(data)
  }

  #log(level: 'warn' | 'error', data: object, message: string): void {
    try {
      this.#logger[level](data, message)
    } catch {
      // There is nobody left to tell; the event still goes to the others.
    }
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
      let isBehind = true
      while (!signal.aborted) {
        if (isBehind) {
          // What was told before this reading is in the journal: a long replay must not count as lagging.
          buffer = []
          lagged = false
          const page = await read(cursor, 1000)
          if (cursor + 1 < page.oldestSeq) throw lag(`the journal begins at ${page.oldestSeq}, after ${cursor}`)
          if (cursor > page.lastSeq) throw lag(`the journal ends at ${page.lastSeq}, before ${cursor}: it is another one`)
          for (const entry of page.entries) {
            if (signal.aborted) return
            yield entry as PintailEvent
            cursor = entry.seq
          }
          isBehind = page.entries.length > 0
          continue
        }
        const ready = buffer
        buffer = []
        for (const event of ready) {
          if (event.seq <= cursor) continue
          // Another engine has led for a while: what it did is in the journal only.
          isBehind = event.seq > cursor + 1
          if (isBehind || signal.aborted) break
          yield event
          cursor = event.seq
        }
        if (lagged && !isBehind) throw lag(`more than ${mostBehind} events behind`)
        if (buffer.length === 0 && !isBehind && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve))
      }
    } catch (error) {
      // A reading that the signal broke off is the end that was asked for.
      if (!signal.aborted || isPintailError(error, 'events_lagged')) throw error
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
