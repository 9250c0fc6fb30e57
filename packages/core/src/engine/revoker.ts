import { backoffMs } from '../decide/migration.ts'
import { errorText } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { CallContext, Clock, ConnectionMover, MigrationStore, Random, StoreWrite } from '../ports.ts'
import type { ConnectionId, Migration, MigrationId, Move, PendingRevoke, ServerId, Token } from '../vocabulary.ts'
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
  /** The obligations by `server/connection`. */
  readonly #owedAt = new Map<string, Set<string>>()
  /** Migrations whose record says already that revokes are pending. */
  readonly #warned = new Set<MigrationId>()
  readonly #mover: ConnectionMover
  readonly #store: MigrationStore
  readonly #books: Books
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #random: Random
  readonly #token: (timeoutMs: number) => Token | null
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
      this.take(revoke)
      return put('revoke', revoke.id, revoke)
    })
  }

  /**
   * A user whom we bring back to a server has his home there again: what we owed it is owed no more.
   * @returns the writes that forget it, to be kept together with the move
   */
  forgive(server: ServerId, connection: ConnectionId): StoreWrite[] {
    const writes: StoreWrite[] = []
    if (this.pending.size === 0) return writes
    for (const revoke of this.#owedAt.get(`${server}/${connection}`) ?? []) {
      const current = this.pending.get(revoke)
      if (!current) continue
      this.pending.delete(revoke)
      writes.push({ kind: 'revoke', id: revoke, expected: current.version, value: null })
    }
    this.#owedAt.delete(`${server}/${connection}`)
    return writes
  }

  /** From the store, or as a new obligation. */
  take(revoke: PendingRevoke): void {
    const place = `${revoke.serverId}/${revoke.move.connection.id}`
    this.pending.set(revoke.id, revoke)
    this.#owedAt.set(place, (this.#owedAt.get(place) ?? new Set()).add(revoke.id))
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
    const token = this.#token(this.#books.policy.migration.timeoutMs)
    if (token === null || this.pending.get(revoke.id) !== revoke) return
    // Under today's right to act, not under that of the leader who owed it.
    const move = { ...revoke.move, fencingToken: token }
    const { migration } = this.#books.policy
    const event = { serverId: revoke.serverId, connectionId: move.connection.id }
    const at = this.#clock.now()
    let write: StoreWrite
    let told: EventDraft[]
    try {
      const call = <T>(what: (ctx: CallContext) => PromiseLike<T> | T) =>
        callOut(this.#clock, migration.timeoutMs, this.#killed, 'the mover', what)
      // The host may have brought the user back within the grace: then the grant is his home, and no residue of ours.
      const located =
        revoke.tries === 0 && revoke.dueAt === revoke.createdAt ? null : await call((ctx) => this.#mover.locate?.(move, ctx) ?? null)
      if (located !== 'on_source') await call((ctx) => this.#mover.complete?.(move, ctx))
      if (this.pending.get(revoke.id) !== revoke) return
      this.pending.delete(revoke.id)
      this.#owedAt.delete(`${revoke.serverId}/${revoke.move.connection.id}`)
      write = { kind: 'revoke', id: revoke.id, expected: revoke.version, value: null }
      told = [{ type: 'revoke.settled', at, data: event }]
    } catch (error) {
      if (this.#killed.aborted || this.pending.get(revoke.id) !== revoke) return
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
