import PQueue from 'p-queue'
import type { Books } from '../books/books.ts'
import { backoffMs } from '../decide/migration.ts'
import { errorText } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { ClientNotifier, Clock, Random } from '../ports.ts'
import { accessOf, withoutAccess } from '../rows.ts'
import { sleep } from '../time.ts'
import type { MigrationId, Move } from '../vocabulary.ts'
import { callFor } from './calls.ts'

/** Hands users their new access, beside the moves and with a bound of its own: a slow notifier slows no move. */
export class Deliverer {
  readonly #notifier: ClientNotifier
  readonly #books: Books
  readonly #clock: Clock
  readonly #random: Random
  readonly #stopping: AbortSignal
  readonly #killed: AbortSignal
  readonly #queue = new PQueue()

  constructor(notifier: ClientNotifier, books: Books, clock: Clock, random: Random, stopping: AbortSignal, killed: AbortSignal) {
    this.#notifier = notifier
    this.#books = books
    this.#clock = clock
    this.#random = random
    this.#stopping = stopping
    this.#killed = killed
  }

  /** So many users wait to be told that no more accesses should be collected in memory. */
  get isBehind(): boolean {
    return this.#queue.size >= 10 * this.#books.policy.migration.concurrency
  }

  /**
   * Tells one user. Null: he knows; otherwise the event that says why not.
   * @param granted what `mover.move` resolved with
   * @throws PintailError `aborted` when the engine stops first: then whoever leads next tells him
   */
  async tell(migrationId: MigrationId, move: Move, granted: unknown): Promise<EventDraft | null> {
    this.#queue.concurrency = this.#books.policy.migration.concurrency
    return this.#queue.add(() => this.#deliver(migrationId, move, granted))
  }

  async #deliver(migrationId: MigrationId, move: Move, granted: unknown): Promise<EventDraft | null> {
    const { moveTries, backoffMs: first, backoffMaxMs } = this.#books.policy.migration
    const parts = { books: this.#books, clock: this.#clock, killed: this.#killed }
    const access = accessOf(granted)
    for (let tries = 1; ; tries++) {
      try {
        await callFor(parts, ['notifier', 'deliver'], move, (ctx) => this.#notifier.deliver(move, access, ctx))
        return null
      } catch (error) {
        if (this.#killed.aborted) throw error
        const at = this.#clock.now()
        const data = { migrationId, connectionId: move.connection.id, serverId: move.to.id }
        if (tries >= moveTries)
          return { type: 'connection.undelivered', at, data: { ...data, error: errorText(withoutAccess(textOf(error), access)) } }
        await sleep(this.#clock, backoffMs(tries - 1, first, backoffMaxMs, this.#random()), this.#stopping)
      }
    }
  }
}

/** In full: an access that is cut off half-way would not be recognised. */
function textOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : errorText(error)
}
