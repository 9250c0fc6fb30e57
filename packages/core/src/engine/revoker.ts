import { backoffMs } from '../decide/migration.ts'
import { errorText } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { Clock, ConnectionMover, MigrationStore, Random, StoreWrite } from '../ports.ts'
import type { Migration, MigrationId, Move, PendingRevoke } from '../vocabulary.ts'
import type { Books } from './books.ts'
import { type Journal, put } from './journal.ts'
import { callOut } from './time.ts'

/** For reading a record, milliseconds. */
const storeCallMs = 10_000
/** Revokes under way at once. */
const atOnce = 16

/**
 * Takes back old grants. Each is a durable obligation from the moment its migration completes: it holds no migration
 * open, outlives restarts, and is tried until it succeeds, also toward dead servers that come back.
 */
export class Revoker {
  readonly pending = new Map<string, PendingRevoke>()
  /** Migrations whose record says already that revokes are pending. */
  readonly #warned = new Set<MigrationId>()
  readonly #mover: ConnectionMover
  readonly #store: MigrationStore
  readonly #books: Books
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #random: Random
  readonly #stopping: AbortSignal
  readonly #killed: AbortSignal
  #running: Promise<void> | null = null

  constructor(
    mover: ConnectionMover,
    store: MigrationStore,
    books: Books,
    journal: Journal,
    clock: Clock,
    random: Random,
    stopping: AbortSignal,
    killed: AbortSignal,
  ) {
    this.#mover = mover
    this.#store = store
    this.#books = books
    this.#journal = journal
    this.#clock = clock
    this.#random = random
    this.#stopping = stopping
    this.#killed = killed
  }

  /** The obligations of a migration's moves, to be written with its completion. */
  owe(migration: Migration, moves: readonly Move[]): StoreWrite[] {
    if (!this.#mover.complete) return []
    const now = this.#clock.now()
    return moves.map((move) => {
      // A living source may still carry a user who has not followed yet (I1).
      const safe = !move.sourceAlive || this.#mover.confirmation === 'seen'
      const dueAt = safe ? now : now + this.#books.policy.migration.revokeGraceMs
      const revoke = {
        id: move.key,
        migrationId: migration.id,
        serverId: move.from.id,
        move,
        createdAt: now,
        dueAt,
        tries: 0,
        lastError: null,
        version: 1,
      }
      this.pending.set(revoke.id, revoke)
      return put('revoke', revoke.id, revoke)
    })
  }

  /** When the next one is due; null: none is owed. */
  nextDueAt(): number | null {
    let next: number | null = null
    for (const { dueAt } of this.pending.values()) next = next === null ? dueAt : Math.min(next, dueAt)
    return next
  }

  wake(): void {
    this.#running ??= this.#work().finally(() => {
      this.#running = null
    })
  }

  async settled(): Promise<void> {
    await this.#running
  }

  async #work(): Promise<void> {
    const due = [...this.pending.values()].filter(({ dueAt }) => dueAt <= this.#clock.now())
    const next = async (): Promise<void> => {
      for (let revoke = due.pop(); revoke && !this.#stopping.aborted; revoke = due.pop()) await this.#settle(revoke)
    }
    await Promise.all(Array.from({ length: atOnce }, next))
  }

  async #settle(revoke: PendingRevoke): Promise<void> {
    const { move } = revoke
    const { migration } = this.#books.policy
    const event = { serverId: revoke.serverId, connectionId: move.connection.id }
    const at = this.#clock.now()
    let write: StoreWrite
    let told: EventDraft[]
    try {
      await callOut(this.#clock, migration.timeoutMs, this.#killed, 'the mover', (ctx) => this.#mover.complete?.(move, ctx))
      this.pending.delete(revoke.id)
      write = { kind: 'revoke', id: revoke.id, expected: revoke.version, value: null }
      told = [{ type: 'revoke.settled', at, data: event }]
    } catch (error) {
      if (this.#killed.aborted) return
      const lastError = errorText(error)
      const pause = backoffMs(revoke.tries, migration.backoffMs, migration.backoffMaxMs, this.#random())
      const again = { ...revoke, tries: revoke.tries + 1, lastError, dueAt: at + pause, version: revoke.version + 1 }
      this.pending.set(revoke.id, again)
      write = put('revoke', revoke.id, again)
      told = revoke.tries === 0 ? [{ type: 'revoke.pending', at, data: { ...event, error: lastError } }] : []
    }
    await this.#journal.commit([write], told)
    if (told.some(({ type }) => type === 'revoke.pending')) await this.#warn(revoke.migrationId)
  }

  /** The migration's own record says it too: completed, with a warning (seed 004, rollback of phase 3). */
  async #warn(id: MigrationId): Promise<void> {
    if (this.#warned.has(id)) return
    this.#warned.add(id)
    const kept =
      this.#books.migrations.get(id) ??
      (await callOut(this.#clock, storeCallMs, this.#killed, 'the store', (ctx) => this.#store.get('migration', id, ctx)))
    // Asked again after the wait: what is open in the books is newer than what was kept.
    const migration = this.#books.migrations.get(id) ?? kept
    if (!migration) return
    const warning = 'some old grants on the source could not be taken back yet; they are tried again until they are'
    const next = { ...migration, warnings: [...migration.warnings, warning], version: migration.version + 1 }
    if (this.#books.migrations.has(id)) this.#books.put(next)
    await this.#journal.commit([put('migration', id, next)], [])
  }
}
