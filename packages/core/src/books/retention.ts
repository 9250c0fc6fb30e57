import { errorText, isPintailError } from '../errors.ts'
import type { Clock, MigrationStore, Pruned } from '../ports.ts'
import type { Bus } from '../telling/bus.ts'
import { callOut, sleep } from '../time.ts'
import type { Books } from './books.ts'

/** Rows of each kind in one call, so that a commit never waits long behind it. */
const atOnce = 2000
/** Between two calls of one round, milliseconds. */
const pauseMs = 200
const callMs = 30_000

/**
 * Has the store forget what is over, one round an interval and one call at a time, as long as its leader leads. What may be
 * forgotten the store decides by its own records: here is only said how old it must be.
 */
export class Retention {
  readonly #parts: {
    readonly store: MigrationStore
    readonly books: Books
    readonly bus: Bus
    readonly clock: Clock
  }
  readonly #stopping: AbortSignal
  /** What was warned of; once a term each. */
  readonly #told = new Set<string>()

  constructor(parts: { store: MigrationStore; books: Books; bus: Bus; clock: Clock }, stopping: AbortSignal) {
    this.#parts = parts
    this.#stopping = stopping
  }

  /** Resolves when the term ends. Never rejects. */
  async run(): Promise<void> {
    const { store, books, clock } = this.#parts
    if (!store.prune) return
    try {
      // The first round comes early, so that a process that is often restarted has one at all.
      for (let share = 0.05; ; share = 1) {
        await sleep(clock, books.policy.retention.pruneIntervalMs * share, this.#stopping)
        await this.#round()
      }
    } catch {
      // Stopped.
    }
  }

  async #round(): Promise<void> {
    const { clock, books } = this.#parts
    const { movesMs, journalMs } = books.policy.retention
    const now = clock.now()
    const query = { movesBefore: now - movesMs, journalBefore: journalMs === null ? 0 : now - journalMs, limit: atOnce }
    for (let more = true; more; ) {
      const pruned = await this.#prune(query)
      if (pruned?.heldBy)
        this.#warn('unavailable', `the journal is kept for its reader ${pruned.heldBy}, which does not go on`, remedies.reader)
      more = pruned?.more === true
      if (more) await sleep(clock, pauseMs, this.#stopping)
    }
  }

  /** Null: it failed, and is tried again in the next round. */
  async #prune(query: Parameters<NonNullable<MigrationStore['prune']>>[0]): Promise<Pruned | null> {
    const { store, clock } = this.#parts
    try {
      return (await callOut(clock, callMs, this.#stopping, 'the store', (ctx) => store.prune?.(query, ctx))) ?? null
    } catch (error) {
      if (this.#stopping.aborted) throw error
      this.#warn(
        isPintailError(error) ? error.code : 'internal',
        `the store cannot forget what is over: ${errorText(error)}`,
        remedies.store,
      )
      return null
    }
  }

  #warn(code: Parameters<Bus['warn']>[0]['code'], message: string, remedy: string): void {
    if (this.#told.has(remedy)) return
    this.#told.add(remedy)
    this.#parts.bus.warn({ code, message, remedy })
  }
}

const remedies = {
  reader: 'Let it read on, or delete its cursor if it is gone for good.',
  store: 'Check the store: until then it grows. It is tried again.',
}
