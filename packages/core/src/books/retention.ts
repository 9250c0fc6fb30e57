import { errorText, isPintailError } from '../errors.ts'
import type { Clock, MigrationStore, Pruned, StoreRecords } from '../ports.ts'
import type { Bus } from '../telling/bus.ts'
import { callOut, pagesOf, sleep } from '../time.ts'
import type { EvacuationId } from '../vocabulary.ts'
import type { Books } from './books.ts'
import { type Journal, put } from './journal.ts'
import { type Pseudonym, withoutResidue, withoutUsers } from './pseudonyms.ts'

/** Rows of each kind in one call, so that a commit never waits long behind it. */
const atOnce = 2000
/** Between two calls of one round, milliseconds. */
const pauseMs = 200
const callMs = 30_000
/** Rounds from one look through old records for the names of users to the next. */
const roundsPerLook = 24

interface Parts {
  readonly store: MigrationStore
  readonly books: Books
  readonly journal: Journal
  readonly pseudonym: Pseudonym
  readonly bus: Bus
  readonly clock: Clock
}

/**
 * Has the store forget what is over, one round an interval and one call at a time, as long as its leader leads. What may be
 * forgotten the store decides by its own records: here is only said how old it must be.
 */
export class Retention {
  readonly #parts: Parts
  readonly #stopping: AbortSignal
  /** What was warned of; once a term each. */
  readonly #told = new Set<string>()

  constructor(parts: Parts, stopping: AbortSignal) {
    this.#parts = parts
    this.#stopping = stopping
  }

  /** Resolves when the term ends. Never rejects. */
  async run(): Promise<void> {
    const { store, books, clock } = this.#parts
    if (!store.prune) return
    try {
      // The first round comes early, so that a process that is often restarted has one at all.
      for (let round = 0; ; round++) {
        await sleep(clock, books.policy.retention.pruneIntervalMs * (round === 0 ? 0.05 : 1), this.#stopping)
        await this.#round()
        if (round % roundsPerLook === 0) await this.#unname()
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

  /** Whom an evacuation left behind is named as long as its moves are kept; then only how many they were. */
  async #unname(): Promise<void> {
    const { store, books, clock, pseudonym } = this.#parts
    const before = clock.now() - books.policy.retention.movesMs
    const over = new Set<EvacuationId>()
    const ctx = { signal: this.#stopping }
    try {
      for await (const page of pagesOf(store.list('evacuation', {}, ctx)))
        for (const one of page) {
          // What the engine still works with is in its books, and changed by nobody else.
          if (one.endedAt === null || one.endedAt >= before || books.evacuations.has(one.id)) continue
          over.add(one.id)
          if (withoutUsers(one, pseudonym)) await this.#write('evacuation', one.id, (now) => withoutUsers(now, pseudonym))
        }
      for await (const page of pagesOf(store.list('migration', {}, ctx)))
        for (const one of page)
          if (over.has(one.evacuationId) && !books.migrations.has(one.id) && withoutResidue(one, pseudonym))
            await this.#write('migration', one.id, (now) => withoutResidue(now, pseudonym))
    } catch (error) {
      if (this.#stopping.aborted) throw error
      this.#warn(isPintailError(error) ? error.code : 'internal', `old records still name users: ${errorText(error)}`, remedies.names)
    }
  }

  /** Read once more right before: since the list somebody may have changed or deleted it. */
  async #write<K extends 'evacuation' | 'migration'>(
    kind: K,
    id: string,
    change: (now: StoreRecords[K]) => StoreRecords[K] | null,
  ): Promise<void> {
    const { store, clock, journal } = this.#parts
    const now = await callOut(clock, callMs, this.#stopping, 'the store', (ctx) => store.get(kind, id, ctx))
    const next = now && change(now)
    if (next) await journal.commit([put(kind, id, next as never)], [])
  }

  #warn(code: Parameters<Bus['warn']>[0]['code'], message: string, remedy: string): void {
    if (this.#told.has(remedy)) return
    this.#told.add(remedy)
    this.#parts.bus.warn({ code, message, remedy })
  }
}

const remedies = {
  reader: 'Let it read on, or delete its cursor if it is gone for good.',
  names: 'Check the store. It is tried again within a day.',
  store: 'Check the store: until then it grows. It is tried again.',
}
