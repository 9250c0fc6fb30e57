import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { EventDraft, PintailEvent } from '../events.ts'
import type { Clock, MigrationStore, StoreWrite } from '../ports.ts'
import type { Bus } from '../telling/bus.ts'
import { callOut, defer, sleep } from '../time.ts'
import type { Token } from '../vocabulary.ts'

interface Waiting {
  readonly writes: readonly StoreWrite[]
  readonly events: readonly EventDraft[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** For each commit, milliseconds: a store that answers later than this is treated as silent. */
const storeTimeoutMs = 10_000

/**
 * Write-ahead: whoever awaits `commit` goes on only when state and events are kept; listeners hear them after that.
 * Commits of one turn of the event loop go out as one batch, so that a hundred moves cost one write.
 */
export class Journal {
  readonly #store: MigrationStore
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #stopped: AbortSignal
  readonly #token: Token
  readonly #lost: (error: unknown) => void
  #waiting: Waiting[] = []
  #flushing: Promise<void> | null = null
  #batch = 0
  /** Why nothing can be written now; null: all is well. Read by whoever is about to act. */
  trouble: string | null = null
  lastSeq = 0

  constructor(store: MigrationStore, bus: Bus, clock: Clock, token: Token, stopped: AbortSignal, lost: (error: unknown) => void) {
    this.#store = store
    this.#bus = bus
    this.#clock = clock
    this.#token = token
    this.#stopped = stopped
    this.#lost = lost
  }

  /** All of it or nothing; resolves when it is kept. */
  commit(writes: readonly StoreWrite[], events: readonly EventDraft[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes, events, resolve, reject })
      this.#flushing ??= new Promise((done) => defer(this.#clock, () => this.#flush().finally(done)))
    })
  }

  /** Resolves when everything handed in so far is kept or refused. */
  async settled(): Promise<void> {
    while (this.#flushing) await this.#flushing
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        const events = batch.flatMap((item) => item.events)
        const lastSeq = await this.#write(onePerRecord(batch.flatMap((item) => item.writes)), events)
        let seq = lastSeq - events.length
        this.lastSeq = lastSeq
        for (const item of batch) item.resolve()
        for (const event of events) this.#bus.publish({ ...event, seq: ++seq } as PintailEvent)
      } catch (error) {
        for (const item of batch) item.reject(error)
        this.#lost(error)
      }
    }
    this.#flushing = null
  }

  async #write(writes: readonly StoreWrite[], journal: readonly EventDraft[]): Promise<number> {
    const token = this.#token
    const batch = ++this.#batch
    for (let tries = 0; ; tries++) {
      try {
        const { lastSeq } = await callOut(this.#clock, storeTimeoutMs, this.#stopped, 'the store', (ctx) =>
          this.#store.commit({ token, batch, writes, journal }, ctx),
        )
        this.trouble = null
        return lastSeq
      } catch (error) {
        if (isPintailError(error) && ['fenced', 'aborted', 'conflict'].includes(error.code)) throw error
        // Whether it was kept or not: a store keeps no batch twice.
        this.trouble = errorText(error)
        if (tries === 0)
          this.#bus.warn({
            code: 'unavailable',
            message: `the store does not answer; nothing is moved until it does: ${this.trouble}`,
            remedy: 'Check the store; the engine goes on by itself when it answers.',
          })
        await sleep(this.#clock, Math.min(10_000, 100 * 2 ** tries), this.#stopped)
      }
    }
  }
}

/**
 * A batch may hold several steps of one record, e.g. a migration that is created and started in the same turn. The
 * store compares each write with what it has, so that it must see the first step's `expected` and the last one's value.
 */
function onePerRecord(writes: readonly StoreWrite[]): StoreWrite[] {
  const last = new Map<string, StoreWrite>()
  for (const write of writes) {
    const key = `${write.kind}/${write.id}`
    const before = last.get(key)
    const version = before?.value?.version ?? 0
    if (before && version !== write.expected)
      throw new PintailError('conflict', `${write.kind} ${write.id} is at version ${version} in this batch, not ${write.expected}`)
    last.set(key, before ? { ...write, expected: before.expected } : write)
  }
  // Created and deleted in one batch: the store has never heard of it.
  return [...last.values()].filter(({ expected, value }) => expected > 0 || value !== null)
}

/** A write of a record whose version is one above what the store has. */
export function put<K extends StoreWrite['kind']>(
  kind: K,
  id: string,
  value: Extract<StoreWrite, { kind: K }>['value'] & object,
): StoreWrite {
  return { kind, id, expected: (value as { version: number }).version - 1, value } as StoreWrite
}
