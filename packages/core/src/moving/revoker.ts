import type { Books } from '../books/books.ts'
import { type Journal, put } from '../books/journal.ts'
import { backoffMs } from '../decide/migration.ts'
import { afterMove, homeward, newRevoke, whatIsOwed } from '../decide/revoke.ts'
import { errorText } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { CallContext, Clock, ConnectionMover, MigrationStore, Random, StoreWrite } from '../ports.ts'
import { callOut, each } from '../time.ts'
import type { ConnectionId, Migration, MigrationId, Move, PendingRevoke, ServerId, Token } from '../vocabulary.ts'
import { callFor } from './calls.ts'
import type { Deliverer } from './deliverer.ts'

/** For reading a record, milliseconds. */
const storeCallMs = 10_000
type CallMover = <T>(method: string, what: (ctx: CallContext) => PromiseLike<T> | T) => Promise<T>

/** Revokes under way at once. */
const atOnce = 16

/**
 * Takes back old grants: those on the source of a completed migration, and what a failed move has left on its target.
 * Each is a durable obligation: it holds no migration open, outlives restarts, and is tried until it succeeds, also
 * toward dead servers that come back.
 */
export class Revoker {
  readonly pending = new Map<string, PendingRevoke>()
  readonly #owedFor = new Map<ConnectionId, Set<string>>()
  /** Migrations whose record says already that revokes are pending. */
  readonly #warned = new Set<MigrationId>()
  readonly #mover: ConnectionMover
  readonly #store: MigrationStore
  readonly #books: Books
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #random: Random
  readonly #token: (timeoutMs: number) => Token | null
  readonly #epoch: () => number
  readonly #deliverer: Deliverer | null
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
    token: (timeoutMs: number) => Token | null,
    epoch: () => number,
    deliverer: Deliverer | null,
    stopping: AbortSignal,
    killed: AbortSignal,
  ) {
    this.#mover = mover
    this.#store = store
    this.#books = books
    this.#journal = journal
    this.#clock = clock
    this.#random = random
    this.#token = token
    this.#epoch = epoch
    this.#deliverer = deliverer
    this.#stopping = stopping
    this.#killed = killed
  }

  /** The obligations of a migration's moves, to be written with its completion. */
  owe(migration: Migration, moves: readonly { readonly move: Move; readonly isTold: boolean }[]): StoreWrite[] {
    if (!this.#mover.complete) return []
    const now = this.#clock.now()
    return moves.map(({ move, isTold }) => {
      // A living source may still carry a user who has not followed yet, or does not know where to (I1).
      const safe = !move.sourceAlive || (this.#mover.confirmation === 'seen' && isTold)
      const dueAt = safe ? now : now + this.#books.policy.migration.revokeGraceMs
      return this.#keep(newRevoke(migration.id, 'complete', move, now, dueAt))
    })
  }

  /**
   * What a failed move has left on its target (`error` says why it is still there), or may leave there yet (null), to be
   * kept together with its outcome.
   */
  oweBack(migrationId: MigrationId, move: Move, dueAt: number, error: string | null, wasTold: boolean) {
    const at = this.#clock.now()
    if (!this.#mover.rollback) return { writes: [], events: [] }
    const more = { lastError: error, tries: error === null ? 0 : 1, ...(wasTold && { wasTold }) }
    const revoke = newRevoke(migrationId, 'rollback', move, at, dueAt, more)
    const writes = [this.#keep({ ...revoke, version: (this.pending.get(revoke.id)?.version ?? 0) + 1 })]
    const data = { serverId: revoke.serverId, connectionId: move.connection.id }
    const events: EventDraft[] = error === null ? [] : [{ type: 'revoke.pending', at, data: { ...data, error } }]
    return { writes, events }
  }

  /** What the user's new home changes in what is owed: kept together with the move. */
  moved(move: Move): StoreWrite[] {
    const writes: StoreWrite[] = []
    for (const id of this.#owedFor.get(move.connection.id) ?? []) {
      const revoke = this.pending.get(id) as PendingRevoke
      const next = afterMove(revoke, move, this.#mover.complete !== undefined)
      if (next === null) writes.push(this.#forget(revoke))
      else if (next !== revoke) writes.push(this.#keep(next))
    }
    return writes
  }

  /** Whether somebody may still be brought back to one of these servers, from a target that is not dead. */
  owesTo(servers: readonly ServerId[]): boolean {
    for (const { effect, move, serverId } of this.pending.values())
      if (effect === 'rollback' && servers.includes(move.from.id) && this.#books.lives(serverId, move.connection.region) !== false)
        return true
    return false
  }

  #keep(revoke: PendingRevoke): StoreWrite {
    this.take(revoke)
    return put('revoke', revoke.id, revoke)
  }

  #forget({ id, move, version }: PendingRevoke): StoreWrite {
    this.pending.delete(id)
    const owed = this.#owedFor.get(move.connection.id)
    if (owed?.delete(id) && owed.size === 0) this.#owedFor.delete(move.connection.id)
    return { kind: 'revoke', id, expected: version, value: null }
  }

  /** From the store, or as a new obligation. */
  take(revoke: PendingRevoke): void {
    const { id } = revoke.move.connection
    this.pending.set(revoke.id, revoke)
    this.#owedFor.set(id, (this.#owedFor.get(id) ?? new Set()).add(revoke.id))
  }

  /** When the next one is due; null: none is owed. */
  nextDueAt(): number | null {
    let next: number | null = null
    for (const { dueAt } of this.pending.values()) next = next === null ? dueAt : Math.min(next, dueAt)
    return next
  }

  wake(): void {
    // What a store refuses ends the term; what is owed is kept, and done in the next.
    this.#running ??= this.#work()
      .catch(() => {})
      .finally(() => {
        this.#running = null
      })
  }

  async settled(): Promise<void> {
    await this.#running
  }

  async #work(): Promise<void> {
    const due = [...this.pending.values()].filter(({ dueAt }) => dueAt <= this.#clock.now())
    await each(due, atOnce, async (revoke) => {
      if (!this.#stopping.aborted) await this.#settle(revoke)
    })
  }

  async #settle(revoke: PendingRevoke): Promise<void> {
    const { effect = 'complete', migrationId } = revoke
    const token = this.#token(this.#books.policy.migration.timeoutMs)
    if (token === null || this.pending.get(revoke.id) !== revoke) return
    const { migration } = this.#books.policy
    const { id: connectionId } = revoke.move.connection
    const event = { serverId: revoke.serverId, connectionId }
    const at = this.#clock.now()
    let write: StoreWrite
    let told: EventDraft[]
    try {
      const parts = { books: this.#books, clock: this.#clock, killed: this.#killed }
      const call: CallMover = (method, what) => callFor(parts, ['mover', method], revoke.move, what)
      // The host may have brought the user back within the grace: then the grant is his home, and no residue of ours.
      const isFresh = revoke.tries === 0 && revoke.dueAt === revoke.createdAt
      const located = isFresh ? null : await call('locate', (ctx) => this.#mover.locate?.(revoke.move, ctx) ?? null)
      const owed = whatIsOwed(effect, located, this.#books.lives(revoke.move.from.id, revoke.move.connection.region))
      if (this.pending.get(revoke.id) !== revoke) return
      if (effect === 'rollback' && (owed === 'wait' || this.#books.claimOf(connectionId) !== null)) {
        // Only time has to pass: nothing of it is worth a write.
        this.pending.set(revoke.id, { ...revoke, dueAt: at + 10 * migration.backoffMs })
        return
      }
      const claim = this.#books.claimOf(connectionId)
      // He is on his way back there: what is taken now would be his home.
      if (effect === 'complete' && claim !== null && this.#books.migrations.get(claim)?.toServerId === revoke.serverId) {
        this.pending.set(revoke.id, { ...revoke, dueAt: at + migration.backoffMs })
        return
      }
      // Asking has taken its time: it is owed still, and whoever may act takes it back.
      if (owed === 'take_back' && this.#token(migration.timeoutMs) === null) return
      // Under today's right to act, not under that of the leader who owed it.
      const move = { ...revoke.move, fencingToken: token, epoch: this.#epoch() }
      const untold = owed === 'take_back' ? await this.#takeBack(effect, move, revoke, call) : null
      if (this.pending.get(revoke.id) !== revoke) return
      write = this.#forget(revoke)
      // Who was only looked after, and in vain, is no news.
      const isNews = owed === 'take_back' || effect === 'complete' || revoke.lastError !== null
      told = [...(untold ? [untold] : []), ...(isNews ? [{ type: 'revoke.settled' as const, at, data: event }] : [])]
    } catch (error) {
      if (this.#killed.aborted || this.pending.get(revoke.id) !== revoke) return
      const lastError = errorText(error)
      const pause = backoffMs(revoke.tries, migration.backoffMs, migration.backoffMaxMs, this.#random())
      write = this.#keep({ ...revoke, tries: revoke.tries + 1, lastError, dueAt: at + pause, version: revoke.version + 1 })
      told = revoke.tries === 0 ? [{ type: 'revoke.pending', at, data: { ...event, error: lastError } }] : []
    }
    await this.#journal.commit([write], told)
    if (effect === 'complete' && told.some(({ type }) => type === 'revoke.pending')) await this.#warn(migrationId)
  }

  async #takeBack(
    effect: 'complete' | 'rollback',
    move: Move,
    { migrationId, wasTold }: PendingRevoke,
    call: CallMover,
  ): Promise<EventDraft | null> {
    const { id } = move.connection
    // Nobody is planned anew meanwhile: a call that is under way must not meet a move back to where it takes a grant.
    this.#books.takingBack.set(id, migrationId)
    try {
      if (effect === 'complete') return await call('complete', (ctx) => this.#mover.complete?.(move, ctx)).then(() => null)
      await call('rollback', (ctx) => this.#mover.rollback?.(move, ctx))
      return wasTold && this.#deliverer ? await this.#deliverer.tell(migrationId, homeward(move), null) : null
    } finally {
      this.#books.takingBack.delete(id)
    }
  }

  /** The migration's own record says it too: completed, with a warning (seed 004, rollback of phase 3). */
  async #warn(id: MigrationId): Promise<void> {
    if (this.#warned.has(id)) return
    this.#warned.add(id)
    const kept =
      this.#books.migrations.get(id) ??
      (await callOut(this.#clock, storeCallMs, this.#killed, 'the store', (ctx) => this.#store.get('migration', id, ctx)).catch(() => null))
    // Asked again after the wait: what is open in the books is newer than what was kept.
    const migration = this.#books.migrations.get(id) ?? kept
    if (!migration) return
    const warning = 'some old grants on the source could not be taken back yet; they are tried again until they are'
    const next = { ...migration, warnings: [...migration.warnings, warning], version: migration.version + 1 }
    if (this.#books.migrations.has(id)) this.#books.put(next)
    await this.#journal.commit([put('migration', id, next)], [])
  }
}
