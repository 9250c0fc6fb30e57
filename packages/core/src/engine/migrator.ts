import { judgeCheck } from '../decide/detector.ts'
import { backoffMs, isTerminal, step, type Trigger } from '../decide/migration.ts'
import { expectedEndAt, figures, nextTurns, Pacer } from '../decide/pace.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { Clock, ConnectionMover, Located, Random, StoreWrite, Timer } from '../ports.ts'
import type {
  ConnectionId,
  Migration,
  MigrationId,
  MigrationReason,
  Move,
  MoveRecord,
  MoveState,
  Server,
  ServerId,
  Token,
} from '../vocabulary.ts'
import type { Books } from './books.ts'
import type { Bus } from './bus.ts'
import { type Journal, put } from './journal.ts'
import type { Monitor } from './monitor.ts'
import type { Revoker } from './revoker.ts'
import { callOut, defer, sleep } from './time.ts'

/** Progress of one migration is told at most this often, milliseconds. */
const progressEveryMs = 100

export interface MigratorHooks {
  /** Why no move off this server may start now for this reason; null: it may. */
  forbidden(from: ServerId, reason: Migration['reason']): string | null
  /** The right to act, for calls that take at most `timeoutMs`; null: it is lost or about to end. */
  token(timeoutMs: number): Token | null
  /** A migration has reached a terminal state. */
  ended(migration: Migration): void
}

/** A migration under way. */
interface Run {
  migration: Migration
  readonly from: Server
  readonly to: Server
  /** Not started yet; taken from `next` on. */
  queue: MoveRecord[]
  next: number
  /** Moves with an intent, called or not yet. */
  inFlight: number
  /** Those of them that are not called yet. */
  ahead: number
  /** Where the pace that is seen begins; null while a guard holds. */
  pace: { readonly sinceAt: number; readonly settled: number } | null
  /** Set once: nothing more is started, for this reason. */
  halted: { readonly why: string; readonly as: 'cancel' | 'fail' | 'replan' } | null
  moved: number
  failed: number
  skipped: number
  readonly residue: Set<ConnectionId>
  /** Moves of an earlier term that may have had their effect: not to be passed over, but settled or undone. */
  readonly unclear: Set<ConnectionId>
  /** A move was left open because we may not act any more: the migration stays as it is, and whoever may act settles it. */
  isLeftOpen: boolean
  told: number
  /** Called when nothing is queued or in flight any more. */
  drained: (() => void) | null
}

/** A move whose intent is kept and whose call waits for room. */
interface Ready {
  readonly run: Run
  readonly record: MoveRecord
  readonly move: Move
  /** Whether it counts on the next token: while it waits for something else, others may have that. */
  promised: boolean
}

type Outcome =
  | { readonly end: 'moved' }
  | {
      readonly end: 'failed'
      readonly permanent: boolean
      readonly error: string
      readonly residue: boolean
      readonly rolledBack: boolean
    }
  /** Nothing is known, and we may not act any more: settled by whoever leads next. */
  | { readonly end: 'open' }

/**
 * Performs migrations: prepare, move, complete. Moves of all migrations share one bound and take turns, so that no
 * source starves. Each settles singly; the intent is kept before the effect, the outcome after it.
 */
export class Migrator {
  readonly #mover: ConnectionMover
  readonly #books: Books
  readonly #journal: Journal
  readonly #monitor: Monitor
  readonly #revoker: Revoker
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #random: Random
  readonly #hooks: MigratorHooks
  /** Fires when nothing more may be started, and when calls under way must end. */
  readonly #stopping: AbortSignal
  readonly #killed: AbortSignal
  readonly #runs = new Map<MigrationId, Run>()
  readonly #ends = new Set<Promise<void>>()
  readonly #perTarget = new Map<ServerId, number>()
  readonly #ready: Ready[] = []
  readonly #outcomes: { readonly run: Run; readonly record: MoveRecord; readonly outcome: Outcome }[] = []
  readonly #pacer = new Pacer()
  /** Wakes when the next token comes. */
  #timer: Timer | null = null
  #timerAt = Number.POSITIVE_INFINITY
  /** Runs that have moves to start, whose turn is next first. */
  #turn: Run[] = []
  #intending = 0
  /** Of those that are ready, how many wait for something else than room among all. */
  #blocked = 0
  #inFlight = 0

  constructor(
    parts: {
      mover: ConnectionMover
      books: Books
      journal: Journal
      monitor: Monitor
      revoker: Revoker
      bus: Bus
      clock: Clock
      random: Random
    },
    hooks: MigratorHooks,
    stopping: AbortSignal,
    killed: AbortSignal,
  ) {
    this.#mover = parts.mover
    this.#books = parts.books
    this.#journal = parts.journal
    this.#monitor = parts.monitor
    this.#revoker = parts.revoker
    this.#bus = parts.bus
    this.#clock = parts.clock
    this.#random = parts.random
    this.#hooks = hooks
    this.#stopping = stopping
    this.#killed = killed
  }

  /** Starts what is due, and goes on with what was waiting for a guard. */
  wake(): void {
    if (this.#stopping.aborted || this.#books.listedAt === 0) return
    const now = this.#clock.now()
    for (const migration of this.#books.migrations.values()) {
      if (this.#runs.has(migration.id)) continue
      const begun = ['preparing', 'transferring', 'completing'].includes(migration.status)
      const due = migration.status === 'scheduled' && (migration.notBefore ?? 0) <= now
      if (this.#books.isAwaited(migration)) continue
      // Cancelled in the moment in which it went back to wait for a retry.
      const cancelled = migration.status === 'scheduled' ? migration.cancelledWhy : null
      const held = () => this.#hooks.forbidden(migration.fromServerId, migration.reason) !== null || this.#isPaused(migration)
      if (!begun && cancelled === null && !(due && !held())) continue
      if (this.#hooks.token(0) === null) continue
      const end: Promise<void> = (cancelled === null ? this.#run(migration) : this.#leave(migration, 'cancel', cancelled))
        .catch((error) => this.#broke(migration, error))
        .finally(() => this.#ends.delete(end))
      this.#ends.add(end)
    }
    this.#fill()
  }

  /** When the next retry is due; null: none waits. */
  nextDueAt(): number | null {
    const waits = [...this.#books.migrations.values()].flatMap(({ status, notBefore }) =>
      status === 'scheduled' && notBefore !== null ? notBefore : [],
    )
    return waits.length === 0 ? null : Math.min(...waits)
  }

  #isPaused({ evacuationId, id }: Migration): boolean {
    return this.#books.isPaused(evacuationId, id, this.#clock.now())
  }

  /** The record with the figures of the run, which are written only between phases. */
  live(migration: Migration): Migration {
    const run = this.#runs.get(migration.id)
    return run ? { ...run.migration, ...figures(run), expectedEndAt: this.#expectedEndAt(run) } : migration
  }

  /** To be called after `stopping` has fired: what was only intended is left for the next leader, who repeats it. */
  async settled(): Promise<void> {
    this.#timer?.cancel()
    for (const { run } of this.#ready.splice(0)) this.#ended(run)
    this.#fill()
    await Promise.all(this.#ends)
  }

  // ---------------------------------------------------------------------------------------------------------- phases

  async #run(migration: Migration): Promise<void> {
    const from = this.#books.servers.get(migration.fromServerId)?.server
    const to = this.#books.servers.get(migration.toServerId)?.server
    if (!from || !to) return this.#withoutServer(migration, from ? migration.toServerId : migration.fromServerId)
    const moves = this.#books.movesOf(migration.id)
    const run: Run = {
      migration,
      from,
      to,
      queue: moves.filter(({ state }) => state.state === 'pending'),
      next: 0,
      inFlight: 0,
      ahead: 0,
      pace: null,
      halted: migration.cancelledWhy === null ? null : { why: migration.cancelledWhy, as: 'cancel' },
      moved: count(moves, 'moved'),
      failed: count(moves, 'failed'),
      skipped: count(moves, 'skipped'),
      residue: new Set(migration.residue),
      unclear: new Set(),
      isLeftOpen: false,
      told: 0,
      drained: null,
    }
    this.#runs.set(migration.id, run)
    try {
      if (run.migration.status === 'scheduled') await this.#step(run, 'start')
      if (run.migration.status === 'preparing') {
        const problem = run.halted ? null : await this.#prepare(run)
        if (run.halted) return await this.#end(run)
        if (problem) return await this.#retryOrFail(run, problem.message, problem.retry)
        await this.#step(run, 'prepared')
      }
      if (run.migration.status === 'transferring') {
        await this.#settleAmbiguous(run)
        await this.#transfer(run)
        if (this.#stopping.aborted || run.isLeftOpen) return
        return await this.#end(run)
      }
      if (run.migration.status === 'completing') await this.#complete(run)
    } finally {
      this.#runs.delete(migration.id)
      if (isTerminal(run.migration.status)) this.#hooks.ended(run.migration)
    }
  }

  /** Nothing can be done for a migration between servers of which one is gone, but to end it in a legal way. */
  async #withoutServer(migration: Migration, gone: ServerId): Promise<void> {
    const why = `server ${gone} is gone from the registry`
    if (migration.status === 'completing') {
      await this.#step({ migration }, 'complete', {
        progress: 100,
        warnings: [...migration.warnings, `${why}: old grants are not taken back`],
      })
      return this.#hooks.ended(this.#books.migrations.get(migration.id) ?? migration)
    }
    if (migration.status === 'scheduled') await this.#step({ migration }, 'start')
    await this.#leave(this.#books.migrations.get(migration.id) ?? migration, 'fail', why)
  }

  /** A fresh look at the target, then the mover's own preparation. */
  async #prepare(run: Run): Promise<{ message: string; retry: boolean } | null> {
    const sample = await this.#monitor.probeNow(run.to.id)
    if (this.#books.servers.get(run.to.id)?.detector.verdict === 'down') return { message: `target ${run.to.id} is down`, retry: false }
    if (sample === null) return { message: `target ${run.to.id} could not be probed before the move`, retry: true }
    const { passed, reason } = judgeCheck(sample, this.#books.policy.detect)
    if (!passed) return { message: `target ${run.to.id} failed a fresh check: ${reason.message}`, retry: true }
    try {
      await this.#call('prepare', (ctx) => this.#mover.prepare?.(run.from, run.to, ctx))
      return null
    } catch (error) {
      return {
        message: `preparing ${run.to.id} failed: ${errorText(error)}`,
        retry: !isPintailError(error, 'rejected'),
      }
    }
  }

  /** Moves that were under way when the last leader ended: asked for where they are, or repeated with the same key. */
  async #settleAmbiguous(run: Run): Promise<void> {
    const open = this.#books.movesOf(run.migration.id).filter(({ state }) => state.state === 'moving')
    for (const record of open) {
      const token = this.#hooks.token(this.#books.policy.migration.timeoutMs)
      if (token === null) {
        run.isLeftOpen = true
        run.halted ??= { why: 'the lease runs out', as: 'replan' }
        return
      }
      const move = this.#moveOf(run, record, token)
      const located = await this.#locate(move)
      const there = located === 'on_target' || located === 'on_both'
      if (there && (await this.#verify(move)) === null) await this.#settle(run, record, { end: 'moved' })
      else {
        if (located !== 'on_source' && located !== 'absent') run.unclear.add(record.connection.id)
        run.queue.unshift(record)
      }
    }
  }

  #transfer(run: Run): Promise<void> {
    return new Promise((resolve) => {
      run.drained = resolve
      this.#turn.push(run)
      this.#tell(run, true)
      this.#fill()
    })
  }

  /** What became of the moves decides what becomes of the migration. */
  async #end(run: Run): Promise<void> {
    await this.#skip(run, run.queue.slice(run.next), run.halted?.why ?? 'not started')
    run.next = run.queue.length
    if (run.isLeftOpen) return
    const { halted } = run
    if (halted?.as === 'cancel') return this.#leave(run.migration, 'cancel', halted.why, run)
    if (halted?.as === 'fail') return this.#leave(run.migration, 'fail', halted.why, run)
    if (run.moved === 0 && run.failed > 0) {
      const failures = this.#books.movesOf(run.migration.id).flatMap(({ state }) => (state.state === 'failed' ? state : []))
      const message = `none of ${run.failed} connections could be moved: ${failures[0]?.error ?? 'unknown'}`
      return this.#retryOrFail(
        run,
        message,
        failures.some(({ permanent }) => !permanent),
      )
    }
    await this.#step(run, 'transferred', figures(run))
    await this.#complete(run)
  }

  /** After the first revoke there is no way back: what fails here becomes a pending revoke and a warning. */
  async #complete(run: Run): Promise<void> {
    const owed = this.#revoker.owe(run.migration, this.#movedOf(run))
    const warnings = [...run.migration.warnings]
    if (run.failed > 0) warnings.push(`${run.failed} connection${run.failed === 1 ? '' : 's'} could not be moved and are planned anew`)
    await this.#step(run, 'complete', { ...figures(run), residue: [...run.residue], progress: 100, warnings }, owed)
    this.#tell(run, true)
    this.#revoker.wake()
  }

  #movedOf(run: Run): Move[] {
    return this.#books
      .movesOf(run.migration.id)
      .flatMap((record) => (record.state.state === 'moved' ? this.#moveOf(run, record, 0 as Token) : []))
  }

  async #retryOrFail(run: Run, message: string, retry: boolean): Promise<void> {
    const { migration } = run
    const { maxRetries, backoffMs: first, backoffMaxMs } = this.#books.policy.migration
    if (!retry || migration.retryCount >= Math.min(maxRetries, migration.maxRetries)) return this.#leave(migration, 'fail', message, run)
    const notBefore = this.#clock.now() + backoffMs(migration.retryCount, first, backoffMaxMs, this.#random())
    const again = this.#books.movesOf(migration.id).filter(({ state }) => state.state === 'failed' && !state.permanent)
    const writes = again.map((record) => {
      this.#books.reserve(run.to.id, record.connection.id)
      return this.#writeMove(record, { state: 'pending' })
    })
    await this.#step(run, 'retry', { notBefore, errorMessage: message, connectionsFailed: 0, residue: [...run.residue] }, writes)
  }

  /** Ends a migration that does not complete. What has moved stays moved and owes its revoke. */
  async #leave(migration: Migration, trigger: 'fail' | 'cancel', why: string, run?: Run): Promise<void> {
    const moves = this.#books.movesOf(migration.id)
    const open = moves.filter(({ state }) => state.state === 'pending')
    for (const { connection } of open) this.#books.release(migration.toServerId, connection.id)
    // Under way when an earlier engine ended, and now there is no server left to ask.
    const { servers } = this.#books
    const isLost = !servers.has(migration.fromServerId) || !servers.has(migration.toServerId)
    const lost = isLost && !run ? moves.filter(({ state }) => state.state === 'moving') : []
    const settled = lost.map((record) => {
      this.#books.confirm(migration.toServerId, record.connection.id, this.#clock.now())
      return this.#writeMove(record, { state: 'failed', at: this.#clock.now(), permanent: true, error: why })
    })
    const residue = [...(run ? run.residue : migration.residue), ...lost.map(({ connection }) => connection.id)]
    const skipped = open.map((record) => this.#writeMove(record, { state: 'skipped', at: this.#clock.now(), why }))
    const owed = run ? this.#revoker.owe(migration, this.#movedOf(run)) : []
    const rolledBack = moves.some(({ attempt }) => attempt > 1)
    const rollbackSuccess = residue.length > 0 ? false : rolledBack ? true : null
    const patch = {
      ...(run && figures(run)),
      residue,
      errorMessage: why,
      ...(trigger === 'fail' && { rollbackSuccess }),
    }
    await this.#step(run ?? { migration }, trigger, patch, [...skipped, ...settled, ...owed])
    if (!run) this.#hooks.ended(this.#books.migrations.get(migration.id) ?? migration)
    this.#revoker.wake()
  }

  /**
   * Starts nothing more of it. One that has begun lets settle what is under way and ends then; the word is kept before
   * that, so that it holds after a crash too. All that is planned by is changed before this returns its promise.
   */
  async cancel(migration: Migration, why: string): Promise<void> {
    const { id, status } = migration
    const run = this.#runs.get(id)
    // After its last move it ends by itself.
    if (status === 'completing' || isTerminal(status) || migration.cancelledWhy !== null) return
    if (!run && status !== 'preparing' && status !== 'transferring') return this.#leave(migration, 'cancel', why)
    const next = { ...migration, cancelledWhy: why, version: migration.version + 1 }
    this.#books.put(next)
    const kept: Promise<unknown>[] = [this.#journal.commit([put('migration', id, next)], [])]
    if (run) {
      run.migration = next
      run.halted = { why, as: 'cancel' }
      kept.push(this.#skip(run, run.queue.splice(run.next), why))
      for (const ready of this.#ready.filter((one) => one.run === run)) {
        this.#take(ready)
        kept.push(this.#spare(run, ready.record))
      }
    }
    await Promise.all(kept)
    this.#fill()
  }

  async #step(
    run: { migration: Migration },
    trigger: Trigger,
    patch: Partial<Migration> = {},
    writes: readonly StoreWrite[] = [],
  ): Promise<void> {
    const before = this.#books.migrations.get(run.migration.id) ?? run.migration
    const stepped = step(before, trigger, this.#clock.now())
    if (!stepped.ok) throw new PintailError('illegal_transition', stepped.message)
    const after = { ...stepped.migration, ...patch }
    this.#books.put(after)
    run.migration = after
    const now = this.#clock.now()
    const pause = isTerminal(after.status) ? this.#books.forgetPause({ migrationId: after.id }, now) : { writes: [], events: [] }
    const events = [...transitionEvents(before, after, now), ...pause.events]
    await this.#journal.commit([put('migration', after.id, after), ...writes, ...pause.writes], events)
  }

  /** A store that refuses us, or a broken invariant: nothing is known to be done, so nothing is said to be. */
  #broke(migration: Migration, error: unknown): void {
    if (this.#stopping.aborted) return
    this.#bus.warn({
      code: isPintailError(error) ? error.code : 'internal',
      message: `migration ${migration.id} stopped: ${errorText(error)}`,
    })
  }

  // ----------------------------------------------------------------------------------------------------------- moves

  /** Calls the mover for what is intended, while there is room. */
  #startReady(): void {
    const { concurrency, concurrencyPerTarget, timeoutMs, rates } = this.#books.policy.migration
    const isHeld = this.#holds()
    this.#blocked = 0
    this.#pacer.adopt(rates, this.#clock.now())
    for (let index = 0; index < this.#ready.length && this.#inFlight < concurrency; ) {
      const ready = this.#ready[index] as Ready
      const { run, record, move } = ready
      this.#check(run)
      // Asked again at the last moment: a guard may have begun since the intent was kept.
      const waits = isHeld(run) || (this.#perTarget.get(run.to.id) ?? 0) >= concurrencyPerTarget || this.#hooks.token(timeoutMs) === null
      if (ready.promised === waits) this.#pacer.promise(run, waits ? -1 : 1)
      ready.promised = !waits
      // The rate's token comes last, and only with the call: what a guard has held must not go out all at once.
      if (!run.halted && (waits || this.#stopping.aborted || !this.#paced(run))) {
        index++
        this.#blocked++
      } else {
        this.#take(ready)
        if (run.halted) void this.#spare(run, record)
        else void this.#launch(run, record, move)
      }
    }
  }

  /** It waits no more: it is called, or spared. */
  #take(ready: Ready): void {
    this.#ready.splice(this.#ready.indexOf(ready), 1)
    ready.run.ahead--
    if (ready.promised) this.#pacer.promise(ready.run, -1)
  }

  /** Takes the tokens of one move, or sees to it that somebody looks again when they are there. */
  #paced(run: Run): boolean {
    const now = this.#clock.now()
    return this.#isDue(this.#pacer.take(run, now), now)
  }

  #isDue(at: number, now: number): boolean {
    if (at <= now || at >= this.#timerAt || this.#stopping.aborted) return at <= now
    this.#timer?.cancel()
    this.#timerAt = at
    // A little late at random, never early: arrivals need not come in step.
    this.#timer = this.#clock.setTimeout(() => this.#fill(), Math.ceil((at - now) * (1 + 0.05 * this.#random())))
    return false
  }

  /** Whether no move of a run may start now: each source is asked about once for each round and reason. */
  #holds(): (run: Run) => boolean {
    const held = new Map<string, boolean>()
    const isForbidden = (id: ServerId, reason: MigrationReason): boolean => {
      const key = `${reason} ${id}`
      if (!held.has(key)) held.set(key, this.#hooks.forbidden(id, reason) !== null)
      return held.get(key) === true
    }
    return ({ from, to, migration }) =>
      isForbidden(from.id, migration.reason) ||
      // A pause of the home holds those who go home to it.
      (migration.reason === 'failback' && isForbidden(to.id, 'failback')) ||
      this.#isPaused(migration) ||
      this.#books.servers.get(to.id)?.detector.verdict !== 'up' ||
      this.#books.missing(to.id) > 0
  }

  /**
   * Keeps intents while there is room: one source after the other, and one migration of it after the other. As many are
   * kept again as are under way, so that the next call never waits for a write; but only for what the rates admit soon,
   * so that a crash leaves few moves unclear.
   */
  #fill(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    this.#startReady()
    const { concurrency, concurrencyPerTarget, timeoutMs } = this.#books.policy.migration
    const isHeld = this.#holds()
    const now = this.#clock.now()
    const isNext = (run: Run): boolean => {
      this.#check(run)
      if (run.halted || run.next >= run.queue.length || this.#stopping.aborted) {
        this.#turn = this.#turn.filter((other) => other !== run)
        this.#drain(run)
        return false
      }
      const held = isHeld(run)
      if (held) run.pace = null
      if (held || run.ahead >= concurrencyPerTarget) return false
      return this.#isDue(this.#pacer.intentAt(run, now), now)
    }
    while (this.#ready.length - this.#blocked + this.#intending < concurrency) {
      const run = this.#turn.find(isNext)
      if (!run) return
      // Lease before move: two engines must not move one person twice.
      const token = this.#hooks.token(timeoutMs)
      if (token === null) return
      this.#turn = nextTurns(this.#turn, run)
      run.pace ??= { sinceAt: now, settled: run.moved + run.failed + run.skipped }
      void this.#intend(run, run.queue[run.next++] as MoveRecord, token)
    }
  }

  #check(run: Run): void {
    const book = this.#books.servers.get(run.to.id)
    const unfit = book && this.#books.unfit(book)
    // A home that fails again ends the way home, and is nobody's failure.
    const as = run.migration.reason === 'failback' ? 'cancel' : 'fail'
    if (!book || book.detector.verdict === 'down') run.halted ??= { why: `target ${run.to.id} failed`, as }
    else if (book.server.status !== 'online') run.halted ??= { why: `target ${run.to.id} is ${book.server.status}`, as: 'replan' }
    else if (this.#books.isCordoned(run.to.id)) run.halted ??= { why: `target ${run.to.id} was cordoned`, as: 'replan' }
    else if (unfit?.[0] === 'overloaded') run.halted ??= { why: `target ${run.to.id}: ${unfit[1]}`, as: 'replan' }
    // Also when every intent is kept: a newer list may have come before the calls.
    else if (!this.#books.fits(book)) run.halted ??= { why: `target ${run.to.id} has no room left`, as: 'replan' }
  }

  /** To be called of a run that has nothing more to start. */
  #drain(run: Run): void {
    if (run.inFlight > 0) return
    run.drained?.()
    run.drained = null
  }

  /** Keeps the intent; the call follows when there is room for it. */
  async #intend(run: Run, pending: MoveRecord, token: Token): Promise<void> {
    const now = this.#clock.now()
    const record: MoveRecord = { ...pending, state: { state: 'moving', token, since: now }, version: pending.version + 1 }
    const move = this.#moveOf(run, record, token)
    const { key, connection } = move
    const data = {
      key,
      migrationId: run.migration.id,
      connectionId: connection.id,
      fromServerId: run.from.id,
      toServerId: run.to.id,
      fencingToken: token,
    }
    this.#books.putMove(record)
    this.#intending++
    run.inFlight++
    run.ahead++
    this.#pacer.promise(run, 1)
    try {
      await this.#journal.commit([put('move', record.id, record)], [{ type: 'move.started', at: now, data }])
      this.#ready.push({ run, record, move, promised: true })
    } catch (error) {
      run.ahead--
      this.#pacer.promise(run, -1)
      this.#failed(run, error)
    } finally {
      this.#intending--
    }
    this.#fill()
  }

  async #launch(run: Run, record: MoveRecord, move: Move): Promise<void> {
    this.#inFlight++
    this.#perTarget.set(run.to.id, (this.#perTarget.get(run.to.id) ?? 0) + 1)
    const outcome = await this.#perform(run, move)
    this.#inFlight--
    this.#perTarget.set(run.to.id, (this.#perTarget.get(run.to.id) ?? 0) - 1)
    // The next call first: a hundred that end in one turn must not wait for each other's book-keeping.
    this.#startReady()
    this.#outcomes.push({ run, record, outcome })
    if (this.#outcomes.length === 1) defer(this.#clock, () => this.#settleAll())
  }

  #settleAll(): void {
    for (const { run, record, outcome } of this.#outcomes.splice(0))
      this.#settle(run, record, outcome).then(
        () => this.#ended(run),
        (error) => this.#failed(run, error),
      )
    // Intents of the next moves go into the same batch as these outcomes.
    this.#fill()
  }

  /** An intent whose call was never made: there is nothing to undo. */
  async #spare(run: Run, record: MoveRecord): Promise<void> {
    await this.#skip(run, [record], run.halted?.why ?? 'not started').then(
      () => this.#ended(run),
      (error) => this.#failed(run, error),
    )
  }

  #ended(run: Run): void {
    run.inFlight--
    if (run.inFlight > 0) return
    if (!this.#turn.includes(run)) this.#drain(run)
    this.#fill()
  }

  #failed(run: Run, error: unknown): void {
    run.halted ??= { why: errorText(error), as: 'fail' }
    this.#broke(run.migration, error)
    this.#ended(run)
  }

  /** One move until it is clear: done, refused, or given up. */
  async #perform(run: Run, move: Move): Promise<Outcome> {
    const { moveTries, backoffMs: first, backoffMaxMs, timeoutMs } = this.#books.policy.migration
    // False as soon as the target may hold a grant of ours: then only `locate` or a rollback makes it clean again.
    let clean = true
    for (let tries = 1; ; tries++) {
      let there = false
      let failure: unknown
      try {
        await this.#call('move', (ctx) => this.#mover.move(move, ctx))
        there = true
      } catch (error) {
        if (this.#killed.aborted || isPintailError(error, 'fenced')) return { end: 'open' }
        if (isPintailError(error, 'rejected')) return this.#giveUp(move, error, clean, true)
        failure = error
        if (!isPintailError(error, 'unavailable')) {
          const located = await this.#locate(move)
          there = located === 'on_target' || located === 'on_both'
          clean = located !== null
        }
      }
      if (there) {
        clean = false
        failure = await this.#verify(move)
        if (failure === null) return { end: 'moved' }
        if (this.#killed.aborted) return { end: 'open' }
      }
      if (tries >= moveTries || run.halted) return this.#giveUp(move, failure, clean, false)
      const stopped = await sleep(this.#clock, backoffMs(tries - 1, first, backoffMaxMs, this.#random()), this.#stopping).then(
        () => false,
        () => true,
      )
      if (stopped) return clean ? this.#giveUp(move, failure, clean, false) : { end: 'open' }
      if (this.#hooks.token(timeoutMs) === null) return { end: 'open' }
      // The world may have changed while we waited: the next try is a grant like any other.
      this.#check(run)
      if (run.halted) return this.#giveUp(move, failure, clean, false)
    }
  }

  /** Null: usable on the target, as far as the mover can tell. Otherwise why not, or why that is not known. */
  async #verify(move: Move): Promise<unknown> {
    if (!this.#mover.verify) return null
    try {
      const usable = await this.#call('verify', (ctx) => this.#mover.verify?.(move, ctx))
      return usable ? null : new PintailError('unavailable', 'not usable on the target after the move')
    } catch (error) {
      return error
    }
  }

  /** Undone alone: nobody else is rolled back for this one's sake. */
  async #giveUp(move: Move, failure: unknown, clean: boolean, permanent: boolean): Promise<Outcome> {
    const error = errorText(failure)
    if (clean) return { end: 'failed', permanent, error, residue: false, rolledBack: false }
    if (!this.#mover.rollback) return { end: 'failed', permanent, error, residue: true, rolledBack: false }
    try {
      await this.#call('rollback', (ctx) => this.#mover.rollback?.(move, ctx))
      return { end: 'failed', permanent, error, residue: false, rolledBack: true }
    } catch (undone) {
      return { end: 'failed', permanent, error: `${error}; and not undone: ${errorText(undone)}`, residue: true, rolledBack: false }
    }
  }

  async #locate(move: Move): Promise<Located | null> {
    if (!this.#mover.locate) return null
    return this.#call('locate', (ctx) => this.#mover.locate?.(move, ctx) ?? Promise.reject(new PintailError('unsupported'))).catch(
      () => null,
    )
  }

  #call<T>(what: string, call: (ctx: { signal: AbortSignal }) => PromiseLike<T> | T): Promise<T> {
    return callOut(this.#clock, this.#books.policy.migration.timeoutMs, this.#killed, `the mover's ${what}`, call)
  }

  async #settle(run: Run, record: MoveRecord, outcome: Outcome): Promise<void> {
    if (outcome.end === 'open') {
      run.isLeftOpen = true
      run.halted ??= { why: 'the engine stopped', as: 'replan' }
      return
    }
    const at = this.#clock.now()
    const { id: connectionId } = record.connection
    run.unclear.delete(connectionId)
    const data = {
      key: keyOf(record),
      migrationId: record.migrationId,
      connectionId,
      fromServerId: run.from.id,
      toServerId: run.to.id,
      reason: run.migration.reason,
    }
    let write: StoreWrite
    let event: EventDraft
    let forgiven: readonly StoreWrite[] = []
    if (outcome.end === 'moved') {
      run.moved++
      run.residue.delete(connectionId)
      forgiven = this.#revoker.forgive(run.to.id, connectionId)
      this.#books.confirm(run.to.id, connectionId, at)
      const startedAt = record.state.state === 'moving' ? record.state.since : at
      write = this.#writeMove(record, { state: 'moved', at, startedAt })
      event = { type: 'connection.moved', at, data }
    } else {
      run.failed++
      const { permanent, error, residue, rolledBack } = outcome
      if (residue) {
        // It may hold a grant there: its place stays taken until a snapshot shows the truth.
        run.residue.add(connectionId)
        this.#books.confirm(run.to.id, connectionId, at)
      } else this.#books.release(run.to.id, connectionId)
      write = this.#writeMove(record, { state: 'failed', at, permanent, error }, { attempt: record.attempt + (rolledBack ? 1 : 0) })
      event = { type: 'connection.move_failed', at, data: { ...data, permanent, rolledBack, error } }
    }
    this.#tell(run, false)
    await this.#journal.commit([write, ...forgiven], [event])
  }

  async #skip(run: Run, records: readonly MoveRecord[], why: string): Promise<void> {
    if (records.length === 0) return
    const at = this.#clock.now()
    const clean = records.filter(({ connection }) => !run.unclear.has(connection.id))
    const undone = records.filter((record) => !clean.includes(record)).map((record) => this.#undoUnclear(run, record, why))
    run.skipped += clean.length
    const writes = clean.map((record) => {
      this.#books.release(run.to.id, record.connection.id)
      return this.#writeMove(record, { state: 'skipped', at, why })
    })
    const events = clean.map(
      ({ connection }): EventDraft => ({
        type: 'connection.skipped',
        at,
        data: { migrationId: run.migration.id, connectionId: connection.id, why },
      }),
    )
    await Promise.all([this.#journal.commit(writes, events), ...undone])
  }

  /** Its first call may have reached the panel in an earlier term: whoever passes it over takes back what it has left. */
  async #undoUnclear(run: Run, record: MoveRecord, why: string): Promise<void> {
    const token = this.#hooks.token(this.#books.policy.migration.timeoutMs)
    if (token === null) {
      run.isLeftOpen = true
      return
    }
    run.inFlight++
    const failure = new PintailError('aborted', why)
    await this.#settle(run, record, await this.#giveUp(this.#moveOf(run, record, token), failure, false, false))
    this.#ended(run)
  }

  #writeMove(record: MoveRecord, state: MoveState, patch: Partial<MoveRecord> = {}): StoreWrite {
    const next: MoveRecord = { ...record, ...patch, state, version: record.version + 1 }
    this.#books.putMove(next)
    return put('move', next.id, next)
  }

  #moveOf(run: Run, record: MoveRecord, fencingToken: Token): Move {
    return {
      key: keyOf(record),
      connection: record.connection,
      from: run.from,
      to: run.to,
      reason: run.migration.reason,
      attempt: record.attempt,
      fencingToken,
      sourceAlive: this.#books.servers.get(run.from.id)?.detector.verdict !== 'down',
    }
  }

  #tell(run: Run, always: boolean): void {
    const now = this.#clock.now()
    if (!always && now - run.told < progressEveryMs) return
    run.told = now
    const { moved, failed, skipped } = run
    const { id, status } = run.migration
    const total = run.queue.length === 0 ? moved + failed + skipped : run.migration.connectionCountAtStart
    const message = `Moving ${moved + failed + skipped} of ${total} connection${total === 1 ? '' : 's'} to ${run.to.name}…`
    const { progress } = figures(run)
    this.#bus.publish({
      seq: 0,
      type: 'migration.progress',
      at: now,
      data: { id, status, progress, message, moved, failed, total, expectedEndAt: this.#expectedEndAt(run) },
    })
  }

  /** Null while it is not known, as while a guard holds. */
  #expectedEndAt(run: Run): number | null {
    const moves = run.migration.status === 'transferring' && !run.halted && !this.#holds()(run)
    return moves ? expectedEndAt(run, [...this.#runs.values()], this.#pacer, this.#clock.now()) : null
  }
}

/** The key that makes a repeated call harmless: it changes only after a confirmed rollback. */
function keyOf(record: MoveRecord): string {
  return `${record.id}/${record.attempt}`
}

function count(moves: readonly MoveRecord[], state: MoveState['state']): number {
  return moves.filter((move) => move.state.state === state).length
}

/** What a transition tells the world: the change itself, and how it ended. */
export function transitionEvents(before: Migration, after: Migration, at: number): EventDraft[] {
  const { id } = after
  const events: EventDraft[] = [{ type: 'migration.status_changed', at, data: { id, oldStatus: before.status, newStatus: after.status } }]
  if (after.status === 'completed') {
    const { connectionsMoved, connectionsFailed, startedAt } = after
    const durationSeconds = Math.round(at - (startedAt ?? at)) / 1000
    events.push({
      type: 'migration.completed',
      at,
      data: { id, durationSeconds, connectionsMoved, connectionsFailed, success: true },
    })
  } else if (after.status === 'failed') {
    const { errorMessage, rollbackSuccess, residue } = after
    events.push({
      type: 'migration.failed',
      at,
      data: { id, error: errorMessage ?? 'unknown', rollbackSuccess, residue },
    })
  } else if (after.status === 'cancelled') {
    events.push({
      type: 'migration.cancelled',
      at,
      data: { id, connectionsMoved: after.connectionsMoved, why: after.errorMessage ?? 'cancelled' },
    })
  }
  return events
}
