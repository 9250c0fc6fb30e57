import { errorText } from '../errors.ts'
import type { Clock, Cursor, JournalEntry, LogEntry, LogSink, MigrationStore } from '../ports.ts'
import { callOut, sleep } from '../time.ts'
import type { ConnectionId, Json, MigrationReason, ServerId } from '../vocabulary.ts'
import type { Bus } from './bus.ts'

/** For each write, milliseconds. */
const sinkTimeoutMs = 10_000
/** Before the store is asked again when it has failed, milliseconds. */
const storePauseMs = 5000
/** Entries between two keepings of the cursor: that many may be written twice after a crash. */
const keepEvery = 100

/**
 * Feeds the audit trail from the journal, in its order and at least once: it reads behind a kept cursor, so a sink that
 * is down for a while misses nothing, and neither does one that was down while the engine crashed.
 */
export class Trail {
  readonly #parts: {
    readonly sink: LogSink
    readonly store: MigrationStore
    /** Keeps how far it has come. */
    readonly keep: (cursor: Cursor) => Promise<unknown>
    readonly bus: Bus
    readonly clock: Clock
  }
  readonly #killed: AbortSignal
  #cursor: Cursor = { name: 'log', seq: 0, version: 0 }
  #kept = 0
  #running: Promise<void> | null = null
  #again = false

  constructor(
    parts: { sink: LogSink; store: MigrationStore; keep: (cursor: Cursor) => Promise<unknown>; bus: Bus; clock: Clock },
    killed: AbortSignal,
  ) {
    this.#parts = parts
    this.#killed = killed
  }

  async load(): Promise<void> {
    const { store, clock } = this.#parts
    const kept = await callOut(clock, sinkTimeoutMs, this.#killed, 'the store', (ctx) => store.get('cursor', this.#cursor.name, ctx))
    if (kept) this.#cursor = kept
    this.#kept = this.#cursor.seq
  }

  wake(): void {
    // An entry that comes while the last page is being read must not wait for the next one.
    this.#again = this.#running !== null
    this.#running ??= this.#work()
      // The store did not answer. Nobody may ever wake us again, and the newest entry still has to be written.
      .catch(async () => {
        await sleep(this.#parts.clock, storePauseMs, this.#killed)
        this.#again = true
      })
      .catch(() => {})
      .finally(() => {
        this.#running = null
        if (this.#again && !this.#killed.aborted) this.wake()
      })
  }

  async settled(): Promise<void> {
    this.wake()
    while (this.#running) await this.#running
  }

  async #work(): Promise<void> {
    const { store, clock } = this.#parts
    while (!this.#killed.aborted) {
      const after = this.#cursor.seq
      const page = await callOut(clock, sinkTimeoutMs, this.#killed, 'the store', (ctx) =>
        store.readJournal({ after, limit: keepEvery }, ctx),
      )
      for (const entry of page.entries) {
        await this.#write(toLogEntry(entry))
        this.#cursor = { ...this.#cursor, seq: entry.seq }
      }
      if (page.entries.length > 0 && (this.#cursor.seq - this.#kept >= keepEvery || page.entries.length < keepEvery)) await this.#keep()
      if (page.entries.length === 0) return
    }
  }

  async #keep(): Promise<void> {
    this.#cursor = { ...this.#cursor, version: this.#cursor.version + 1 }
    this.#kept = this.#cursor.seq
    await this.#parts.keep(this.#cursor)
  }

  async #write(entry: LogEntry): Promise<void> {
    const { sink, bus, clock } = this.#parts
    for (let tries = 0; ; tries++) {
      try {
        await callOut(clock, sinkTimeoutMs, this.#killed, 'the log sink', (ctx) => sink.write(entry, ctx))
        return
      } catch (error) {
        if (this.#killed.aborted) throw error
        if (tries === 0)
          bus.warn({
            code: 'sink_failed',
            message: `the log sink failed: ${errorText(error)}; its entries wait and are written later`,
            remedy: 'Check the log sink.',
          })
        await sleep(clock, Math.min(60_000, 500 * 2 ** Math.min(tries, 10)), this.#killed)
      }
    }
  }
}

function toLogEntry({ seq, at, type, data }: JournalEntry): LogEntry {
  const fields = data as Record<string, unknown>
  const text = <T extends string>(name: string): T | null => (typeof fields[name] === 'string' ? (fields[name] as T) : null)
  return {
    id: `journal-${seq}`,
    at,
    type,
    connectionId: text<ConnectionId & string>('connectionId'),
    fromServerId: text<ServerId & string>('fromServerId') ?? text<ServerId & string>('serverId'),
    toServerId: text<ServerId & string>('toServerId'),
    reason: text<MigrationReason>('reason'),
    success: type === 'connection.moved' ? true : type === 'connection.move_failed' ? false : null,
    data: data as Json,
  }
}
