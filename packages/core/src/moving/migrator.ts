import { type Books, kindFor } from '../books/books.ts'
import { type Journal, put } from '../books/journal.ts'
import { backoffMs, isTerminal, step, type Trigger } from '../decide/migration.ts'
import { expectedEndAt, figures, nextTurns, Pacer } from '../decide/pace.ts'
import { keyOf } from '../decide/records.ts'
import { homeward, untold } from '../decide/revoke.ts'
import { judgeCheck } from '../detect/detector.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { CallContext, Clock, ConnectionMover, Located, Random, StoreWrite, Timer } from '../ports.ts'
import type { Monitor } from '../rounds/monitor.ts'
import type { Bus } from '../telling/bus.ts'
import { defer, each, skewMs, sleep } from '../time.ts'
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
import { callFor } from './calls.ts'
import type { Deliverer } from './deliverer.ts'
import type { Revoker } from './revoker.ts'

/** Progress of one migration is told at most this often, milliseconds. */
const progressEveryMs = 100
/**
 * A target that has failed this many connections for each try that each had, and taken nobody, refuses everybody: the
 * others of its migration are not sent there one by one.
 */
const hopelessAfter = 5

export interface MigratorHooks {
  /** Why no move off this server may start now for this reason; null: it may. */
  /** @param audience for whom its evacuation is. Default: for everybody */
  forbidden(from: ServerId, reason: Migration['reason'], audience?: string | null): string | null
  /** The right to act, for calls that take at most `timeoutMs`; null: it is lost or about to end. */
  token(timeoutMs: number): Token | null
  /** Whether a call that takes at most `timeoutMs` still ends within the right to act, also while everything stops in good order. */
  outlives(timeoutMs: number): boolean
  /** Rises with each call that changes something. */
  epoch(): number
  /** Makes sure that it is known how many are on this server now; false: that cannot be known. */
  counted(id: ServerId): Promise<boolean>
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
  halted: { readonly why: string; readonly as: 'cancel' | 'fail' | 'replan' | 'hopeless' } | null
  moved: number
  failed: number
  skipped: number
  readonly residue: Set<ConnectionId>
  /** Those whom a former leader was moving, and whether they were seen off the target: something may be there still. */
  readonly resumed: Map<ConnectionId, { readonly isClean: boolean }>
  /** A move was left open because we may not act any more: the migration stays as it is, and whoever may act settles it. */
  isLeftOpen: boolean
  told: number
  /** Called when nothing is queued or in flight any more. */
  drained: (() => void) | null
}

/** For its reason nobody is ever above a fill limit. */
const isFrugal = ({ reason }: Migration): boolean => reason === 'cost-optimization' || reason === 'rebalancing'

/** A move whose intent is kept and whose call waits for room. */
interface Ready {
  readonly run: Run
  readonly record: MoveRecord
  readonly move: Move
  /** Whether it counts on the next token: while it waits for something else, others may have that. */
  promised: boolean
}

type Outcome =
  | { readonly end: 'moved'; readonly move?: Move; readonly access?: unknown; readonly untold?: EventDraft | null }
  | {
      readonly end: 'failed'
      readonly permanent: boolean
      readonly error: string
      readonly residue: boolean
      readonly rolledBack: boolean
      /** When a call was last given up without an answer: it may take effect later; null: all have answered. */
      readonly unclearAt: number | null
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
  readonly #deliverer: Deliverer | null
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
      deliverer: Deliverer | null
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
    this.#deliverer = parts.deliverer
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
    for (const run of this.#turn) this.#check(run)
    const now = this.#clock.now()
    for (const migration of this.#books.migrations.values()) {
      if (this.#runs.has(migration.id)) continue
      const begun = ['preparing', 'transferring', 'completing'].includes(migration.status)
      const due = migration.status === 'scheduled' && (migration.notBefore ?? 0) <= now
      if (this.#books.isAwaited(migration)) continue
      // Cancelled in the moment in which it went back to wait for a retry.
      const cancelled = migration.status === 'scheduled' ? migration.cancelledWhy : null
      const { fromServerId: from, reason } = migration
      const held = () => this.#hooks.forbidden(from, reason, this.#audience(migration)) !== null || this.#isPaused(migration)
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

  #isUp(id: ServerId): boolean {
    const book = this.#books.servers.get(id)
    return book !== undefined && kindFor(book, null) === 'up'
  }

  #isDown(id: ServerId): boolean {
    const book = this.#books.servers.get(id)
    return book !== undefined && kindFor(book, null) === 'down'
  }

  /** For whom its evacuation is; null: for everybody. */
  #audience({ evacuationId }: Migration): string | null {
    return this.#books.evacuations.get(evacuationId)?.audience ?? null
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
      // What a former leader has left behind is in the moves only.
      residue: new Set([...migration.residue, ...moves.flatMap(({ state, connection }) => ('residue' in state ? connection.id : []))]),
      resumed: new Map(),
      isLeftOpen: false,
      told: 0,
      drained: null,
    }
    this.#runs.set(migration.id, run)
    try {
      if (run.migration.status === 'scheduled') await this.#step(run, 'start')
      if (run.migration.status === 'preparing') {
        const problem = run.halted ? null : await this.#prepare(run)
        // A look that was broken off says nothing about the target: whoever leads next looks again.
        if (this.#stopping.aborted) return
        if (run.halted) return await this.#end(run)
        if (problem) return await this.#retryOrFail(run, problem.message, problem.retry)
        await this.#step(run, 'prepared')
      }
      if (run.migration.status === 'transferring') {
        // A new leader has counted nobody: where the registry tells no load, each target would look full.
        if (migration.status === 'transferring') await this.#hooks.counted(run.to.id)
        await this.#settleAmbiguous(run)
        await this.#transfer(run)
        if (this.#stopping.aborted || run.isLeftOpen) return
        return await this.#end(run)
      }
      if (run.migration.status === 'completing') {
        await this.#lookAtSource(run)
        await this.#complete(run)
      }
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
    if (this.#isDown(run.to.id)) return { message: `target ${run.to.id} is down`, retry: false }
    if (sample === null) return { message: `target ${run.to.id} could not be probed before the move`, retry: true }
    const { passed, reason } = judgeCheck(sample, this.#books.policy.detect)
    if (!passed) return { message: `target ${run.to.id} failed a fresh check: ${reason.message}`, retry: true }
    // A plan that waited for its approval was made by a count of then.
    if (!(await this.#hooks.counted(run.to.id))) return { message: `the connections of ${run.to.id} could not be counted`, retry: true }
    try {
      await this.#call('prepare', run.migration, (ctx) => this.#mover.prepare?.(run.from, run.to, ctx))
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
      // Only a repeated call gives the access again, which the notifier has to hand to the user and nobody has kept.
      if (there && !this.#deliverer && (await this.#verify(move)) === null) {
        await this.#settle(run, record, { end: 'moved' })
        continue
      }
      run.resumed.set(record.connection.id, { isClean: located !== null && !there })
      run.queue.unshift(record)
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
    const { halted } = run
    if (halted?.as === 'hopeless' && run.moved > 0) {
      // Somebody who was under way has got through after all.
      run.halted = null
      await this.#transfer(run)
      return this.#stopping.aborted || run.isLeftOpen ? undefined : this.#end(run)
    }
    if (halted?.as !== 'hopeless') {
      await this.#drop(run, run.queue.slice(run.next), halted?.why ?? 'not started')
      run.next = run.queue.length
    }
    await this.#undo(run)
    if (run.isLeftOpen) return
    await this.#lookAtSource(run)
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

  /** A new leader may be done before its first check: a dead source must not be spared for the whole grace. */
  async #lookAtSource({ from }: Run): Promise<void> {
    if (this.#books.lives(from.id, null) === null && !this.#stopping.aborted) await this.#monitor.probeNow(from.id)
  }

  /** After the first revoke there is no way back: what fails here becomes a pending revoke and a warning. */
  async #complete(run: Run): Promise<void> {
    const owed = this.#revoker.owe(run.migration, this.#movedOf(run))
    const warnings = this.#warnings(run)
    if (run.failed > 0) warnings.push(`${run.failed} connection${run.failed === 1 ? '' : 's'} could not be moved and are planned anew`)
    await this.#step(run, 'complete', { ...figures(run), residue: [...run.residue], progress: 100, warnings }, owed)
    this.#tell(run, true)
    this.#revoker.wake()
  }

  #movedOf(run: Run): { readonly move: Move; readonly isTold: boolean }[] {
    return this.#books.movesOf(run.migration.id).flatMap((record) => {
      const { state } = record
      return state.state === 'moved' ? { move: this.#moveOf(run, record, 0 as Token), isTold: !state.undelivered } : []
    })
  }

  #warnings(run: Run): string[] {
    return [...run.migration.warnings, ...untold(this.#movedOf(run).flatMap(({ move, isTold }) => (isTold ? [] : move.connection.id)))]
  }

  async #retryOrFail(run: Run, message: string, retry: boolean): Promise<void> {
    const { migration } = run
    const { maxRetries, backoffMs: first, backoffMaxMs } = this.#books.policy.migration
    if (!retry || migration.retryCount >= Math.min(maxRetries, migration.maxRetries)) return this.#leave(migration, 'fail', message, run)
    const notBefore = this.#clock.now() + backoffMs(migration.retryCount, first, backoffMaxMs, this.#random())
    const again = this.#books
      .movesOf(migration.id)
      .filter(({ state }) => state.state === 'moving' || (state.state === 'failed' && !state.permanent))
    const writes = again.map((record) => {
      this.#books.reserve(run.to.id, record.connection.id)
      return this.#writeMove(record, { state: 'pending' })
    })
    await this.#step(run, 'retry', { notBefore, errorMessage: message, connectionsFailed: 0, residue: [...run.residue] }, writes)
  }

  /** Ends a migration that does not complete. What has moved stays moved and owes its revoke. */
  async #leave(migration: Migration, trigger: 'fail' | 'cancel', why: string, run?: Run): Promise<void> {
    const moves = this.#books.movesOf(migration.id)
    const at = this.#clock.now()
    const open = moves.filter(({ state }) => state.state === 'pending' || (run && state.state === 'moving'))
    for (const { connection } of open) this.#books.release(migration.toServerId, connection.id)
    const skipped = open.map((record) => this.#writeMove(record, { state: 'skipped', at, why }))
    // A server is gone, so that nobody can be asked what became of these.
    const unclear = run ? [] : moves.filter(({ state }) => state.state === 'moving' || state.state === 'undoing')
    for (const { connection } of unclear) this.#books.confirm(migration.toServerId, connection.id, at)
    for (const record of unclear)
      skipped.push(this.#writeMove(record, { state: 'failed', at, permanent: false, error: why, residue: true }))
    const residue = [...(run?.residue ?? migration.residue), ...unclear.map(({ connection }) => connection.id)]
    const owed = run ? this.#revoker.owe(migration, this.#movedOf(run)) : []
    const rolledBack = moves.some(({ attempt }) => attempt > 1)
    const rollbackSuccess = residue.length > 0 ? false : rolledBack ? true : null
    const patch = {
      ...(run && { ...figures(run), warnings: this.#warnings(run) }),
      residue,
      errorMessage: why,
      ...(trigger === 'fail' && { rollbackSuccess }),
    }
    await this.#step(run ?? { migration }, trigger, patch, [...skipped, ...owed])
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
      kept.push(this.#drop(run, run.queue.splice(run.next), why))
      for (const ready of this.#ready.filter((one) => one.run === run)) {
        this.#take(ready)
        kept.push(this.#spare(run, ready.record, why))
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
      const unfit = run.halted?.why ?? this.#books.unfitFor(run.to.id, record.connection.region)
      // Asked again at the last moment: a guard may have begun since the intent was kept.
      const waits = isHeld(run) || (this.#perTarget.get(run.to.id) ?? 0) >= concurrencyPerTarget || this.#hooks.token(timeoutMs) === null
      if (ready.promised === waits) this.#pacer.promise(run, waits ? -1 : 1)
      ready.promised = !waits
      // The rate's token comes last, and only with the call: what a guard has held must not go out all at once.
      if (unfit === null && (waits || this.#stopping.aborted || !this.#paced(run))) {
        index++
        this.#blocked++
      } else {
        this.#take(ready)
        if (unfit !== null) void this.#spare(run, record, unfit)
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
    const isForbidden = (id: ServerId, reason: MigrationReason, audience: string | null): boolean => {
      const key = JSON.stringify([reason, id, audience])
      if (!held.has(key)) held.set(key, this.#hooks.forbidden(id, reason, audience) !== null)
      return held.get(key) === true
    }
    return ({ from, to, migration }) =>
      isForbidden(from.id, migration.reason, this.#audience(migration)) ||
      // A pause of the home holds those who go home to it.
      (migration.reason === 'failback' && isForbidden(to.id, 'failback', null)) ||
      this.#isPaused(migration) ||
      !this.#isUp(to.id) ||
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
    if (this.#deliverer?.isBehind) return
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
      const record = run.queue[run.next] as MoveRecord
      const unfit = this.#books.unfitFor(run.to.id, record.connection.region)
      if (unfit !== null) {
        // Down for him and not for all: he is planned anew, and the others go on.
        run.next++
        this.#drop(run, [record], unfit).catch((error) => this.#broke(run.migration, error))
        continue
      }
      // Lease before move: two engines must not move one person twice.
      const token = this.#hooks.token(timeoutMs)
      if (token === null) return
      this.#turn = nextTurns(this.#turn, run)
      run.pace ??= { sinceAt: now, settled: run.moved + run.failed + run.skipped }
      run.next++
      void this.#intend(run, record, token)
    }
  }

  #check(run: Run): void {
    const book = this.#books.servers.get(run.to.id)
    const unfit = book && this.#books.unfit(book)
    if (!book || this.#isDown(run.to.id)) {
      if (run.halted) return
      // A home that fails again ends the way home, and is nobody's failure.
      run.halted = { why: `target ${run.to.id} failed`, as: run.migration.reason === 'failback' ? 'cancel' : 'fail' }
      // Before the target's own incident plans for them. A store that refuses this ends the term.
      if (run.halted.as === 'fail') this.#intendUndo(run).catch(() => {})
    } else if (book.server.status !== 'online') run.halted ??= { why: `target ${run.to.id} is ${book.server.status}`, as: 'replan' }
    else if (this.#books.isCordoned(run.to.id)) run.halted ??= { why: `target ${run.to.id} was cordoned`, as: 'replan' }
    else if (unfit?.[0] === 'overloaded') run.halted ??= { why: `target ${run.to.id}: ${unfit[1]}`, as: 'replan' }
    // Also when every intent is kept: a newer list may have come before the calls.
    else if (!this.#books.fits(book)) run.halted ??= { why: `target ${run.to.id} has no room left`, as: 'replan' }
    // Others may have been sent there since, for whom the limit is none.
    else if (isFrugal(run.migration) && this.#books.isOverfilled(book))
      run.halted ??= { why: `target ${run.to.id} is filled to its limit`, as: 'replan' }
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
      // What is kept after the stop is the next leader's: nobody would launch it here any more.
      if (this.#stopping.aborted) this.#ended(run)
      else this.#ready.push({ run, record, move, promised: true })
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
    const moved = await this.#perform(run, move)
    this.#inFlight--
    this.#perTarget.set(run.to.id, (this.#perTarget.get(run.to.id) ?? 0) - 1)
    // The next call first: a hundred that end in one turn must not wait for each other's book-keeping.
    if (this.#deliverer) this.#fill()
    else this.#startReady()
    // Kept as moved only when he is told: after a crash the same key is repeated, for its access, and delivered.
    const outcome = await this.#deliver(run, moved)
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

  async #deliver(run: Run, outcome: Outcome): Promise<Outcome> {
    if (outcome.end !== 'moved' || !this.#deliverer || !outcome.move) return outcome
    const told = this.#deliverer.tell(run.migration.id, outcome.move, outcome.access)
    return told.then(
      (untold): Outcome => ({ end: 'moved', untold }),
      () => ({ end: 'open' }),
    )
  }

  /** An intent whose call was not made: there is nothing to undo. */
  async #spare(run: Run, record: MoveRecord, why: string): Promise<void> {
    const isKept = run.halted?.as === 'hopeless' && run.queue.push(record) > 0
    await (isKept ? Promise.resolve() : this.#drop(run, [record], why)).then(
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
    const resumed = run.resumed.get(move.connection.id)
    // False as soon as the target may hold a grant of ours: then only `locate` or a rollback makes it clean again.
    let clean = resumed?.isClean ?? true
    let unclearAt = resumed ? this.#clock.now() : null
    // Refused as too old to the end: if a newer leader leads, it is his to settle; if none does, it is taken up again.
    const giveUp = async (failure: unknown, permanent = false): Promise<Outcome> =>
      isPintailError(failure, 'fenced') ? { end: 'open' } : this.#giveUp(move, failure, clean, permanent, unclearAt)
    const begunAt = this.#clock.now()
    for (let tries = 1; ; tries++) {
      let there = false
      let failure: unknown
      let access: unknown = null
      const granted = { ...move, epoch: this.#hooks.epoch() }
      try {
        access = await this.#call('move', granted, (ctx) => this.#mover.move(granted, ctx))
        there = true
      } catch (error) {
        if (this.#killed.aborted) return { end: 'open' }
        if (isPintailError(error, 'rejected')) return giveUp(error, true)
        failure = error
        // Fenced: overtaken by a newer call of our own, or by a newer leader. Nothing has happened in either case.
        if (!isPintailError(error, 'fenced') && !isPintailError(error, 'unavailable')) {
          unclearAt = this.#clock.now()
          const located = await this.#locate(move)
          const isThere = located === 'on_target' || located === 'on_both'
          clean = located !== null && !isThere
          // Who is to be told needs what the call resolves with: locate's word is taken when all calls were in vain.
          there = isThere && (!this.#deliverer || tries >= moveTries)
        }
      }
      if (there) {
        clean = false
        failure = await this.#verify(move)
        if (failure === null) {
          this.#books.took(this.#clock.now() - begunAt)
          return { end: 'moved', move: granted, access }
        }
        if (this.#killed.aborted) return { end: 'open' }
      }
      if (tries >= moveTries || run.halted) return giveUp(failure)
      const stopped = await sleep(this.#clock, backoffMs(tries - 1, first, backoffMaxMs, this.#random()), this.#stopping).then(
        () => false,
        () => true,
      )
      if (stopped) return clean ? giveUp(failure) : { end: 'open' }
      if (this.#hooks.token(timeoutMs) === null) return { end: 'open' }
      // The world may have changed while we waited: the next try is a grant like any other.
      this.#check(run)
      if (run.halted) return giveUp(failure)
    }
  }

  /** Null: usable on the target, as far as the mover can tell. Otherwise why not, or why that is not known. */
  async #verify(move: Move): Promise<unknown> {
    if (!this.#mover.verify) return null
    try {
      const usable = await this.#call('verify', move, (ctx) => this.#mover.verify?.(move, ctx))
      return usable ? null : new PintailError('unavailable', 'not usable on the target after the move')
    } catch (error) {
      return error
    }
  }

  /** Undone alone: nobody else is rolled back for this one's sake. */
  async #giveUp(move: Move, failure: unknown, clean: boolean, permanent: boolean, unclearAt: number | null): Promise<Outcome> {
    const error = errorText(failure)
    const failed = { end: 'failed', permanent, error, residue: false, rolledBack: false, unclearAt } as const
    // A call without an answer may still be on its way: the rollback's newer epoch lets the target refuse it then.
    if (clean && unclearAt === null) return failed
    if (!this.#mover.rollback) return { ...failed, residue: true }
    // Time has passed since the move was let go: a late rollback would undo what a newer leader has done with the same key.
    if (!this.#hooks.outlives(this.#books.policy.migration.timeoutMs)) return { end: 'open' }
    try {
      await this.#call('rollback', move, (ctx) => this.#mover.rollback?.({ ...move, epoch: this.#hooks.epoch() }, ctx))
      return { ...failed, rolledBack: true }
    } catch (undone) {
      // Its answer alone may be lost. A late one of a target that does not refuse it could still undo a new try.
      const located = this.#mover.fencing === 'enforced' ? await this.#locate(move) : null
      if (located === 'on_source' || located === 'absent') return { ...failed, rolledBack: true }
      return { ...failed, error: `${error}; and not undone: ${errorText(undone)}`, residue: true }
    }
  }

  /**
   * Rollback looks at the source. If it lives, those whom this migration has moved to the failed target come home; if it
   * is dead, they stay where they are. Nobody is on his way elsewhere already: a user belongs to his migration until it ends.
   */
  async #undo(run: Run): Promise<void> {
    const { id } = run.migration
    await this.#intendUndo(run)
    const open = this.#books.movesOf(id).filter(({ state }) => state.state === 'undoing')
    await each(open, this.#books.policy.migration.concurrencyPerTarget, (record) => this.#undoOne(run, record))
  }

  async #intendUndo(run: Run): Promise<void> {
    const { halted } = run
    if (halted?.as !== 'fail' || this.#books.lives(run.from.id, null) === false) return
    const writes: StoreWrite[] = []
    for (const record of this.#books.movesOf(run.migration.id)) {
      const { state } = record
      if (state.state !== 'moved' || this.#books.lives(run.from.id, record.connection.region) === false) continue
      const { startedAt, undelivered } = state
      if (!this.#mover.rollback) run.residue.add(record.connection.id)
      else
        writes.push(
          this.#writeMove(record, { state: 'undoing', since: state.at, startedAt, why: halted.why, ...(undelivered && { undelivered }) }),
        )
    }
    run.moved -= writes.length
    await this.#journal.commit(writes, [])
  }

  async #undoOne(run: Run, record: MoveRecord): Promise<void> {
    if (record.state.state !== 'undoing' || run.isLeftOpen) return
    const { why, since, startedAt, undelivered } = record.state
    const token = this.#hooks.token(this.#books.policy.migration.timeoutMs)
    const lives = this.#books.lives(run.from.id, record.connection.region)
    // Nobody is brought back to a server of which it is not known whether it lives: that is looked at again.
    if (token === null || lives === null || this.#stopping.aborted) {
      run.isLeftOpen = true
      return
    }
    const move = this.#moveOf(run, record, token)
    const located = await this.#locate(move)
    if (located === 'absent') return this.#skip(run, [record], 'moved elsewhere meanwhile')
    const error = `undone: ${why}`
    let outcome: Outcome = { end: 'failed', permanent: false, error, residue: false, rolledBack: true, unclearAt: null }
    if (lives) outcome = await this.#giveUp(move, error, false, false, null)
    else if (located === null) outcome = { ...outcome, residue: true, rolledBack: false }
    else if (located !== 'on_source') {
      run.moved++
      const stays: MoveState = { state: 'moved', at: since, startedAt, ...(undelivered && { undelivered }) }
      return this.#journal.commit([this.#writeMove(record, stays)], [])
    }
    if (this.#killed.aborted) return
    const isTold = outcome.end === 'failed' && outcome.rolledBack && !undelivered
    const untold = isTold ? ((await this.#deliverer?.tell(run.migration.id, homeward(move), null)) ?? null) : null
    await this.#settle(run, record, outcome, untold)
  }

  async #locate(move: Move): Promise<Located | null> {
    if (!this.#mover.locate) return null
    return this.#call('locate', move, (ctx) => this.#mover.locate?.(move, ctx) ?? Promise.reject(new PintailError('unsupported'))).catch(
      () => null,
    )
  }

  #call<T>(method: string, of: Move | Migration, call: (ctx: CallContext) => PromiseLike<T> | T): Promise<T> {
    return callFor({ books: this.#books, clock: this.#clock, killed: this.#killed }, ['mover', method], of, call)
  }

  async #settle(run: Run, record: MoveRecord, outcome: Outcome, told: EventDraft | null = null): Promise<void> {
    if (outcome.end === 'open') {
      run.isLeftOpen = true
      run.halted ??= { why: 'the engine stopped', as: 'replan' }
      return
    }
    const at = this.#clock.now()
    const { id: connectionId } = record.connection
    const data = {
      key: keyOf(record),
      migrationId: record.migrationId,
      connectionId,
      fromServerId: run.from.id,
      toServerId: run.to.id,
      reason: run.migration.reason,
    }
    const move = this.#moveOf(run, record, 0 as Token)
    let write: StoreWrite
    const events: EventDraft[] = []
    let owed: readonly StoreWrite[] = []
    if (outcome.end === 'moved') {
      const { untold } = outcome
      run.moved++
      run.residue.delete(connectionId)
      owed = this.#revoker.moved(move)
      this.#books.confirm(run.to.id, connectionId, at)
      const startedAt = record.state.state === 'moving' ? record.state.since : at
      write = this.#writeMove(record, { state: 'moved', at, startedAt, ...(untold && { undelivered: true }) })
      events.push({ type: 'connection.moved', at, data }, ...(untold ? [untold] : []))
    } else {
      run.failed++
      const { permanent, error, residue, rolledBack, unclearAt } = outcome
      const isUndone = record.state.state === 'undoing'
      if (residue) {
        // It may hold a grant there: its place stays taken until a snapshot shows the truth.
        run.residue.add(connectionId)
        this.#books.confirm(run.to.id, connectionId, at)
      } else this.#books.release(run.to.id, connectionId)
      if (isUndone && rolledBack) {
        this.#books.reserve(run.from.id, connectionId)
        this.#books.confirm(run.from.id, connectionId, at)
      }
      const left: MoveState = { state: 'failed', at, permanent, error, ...(residue && { residue }) }
      write = this.#writeMove(record, left, { attempt: record.attempt + (rolledBack ? 1 : 0) })
      events.push({ type: 'connection.move_failed', at, data: { ...data, permanent, rolledBack, error } }, ...(told ? [told] : []))
      // A call without an answer may still take effect, after its rollback too: a target that does not refuse it is looked at again.
      const { timeoutMs, moveTries, backoffMs: pause } = this.#books.policy.migration
      const late = unclearAt === null || this.#mover.fencing === 'enforced' ? null : unclearAt + timeoutMs + skewMs
      if (residue || late !== null) {
        const wasTold = record.state.state === 'undoing' && !record.state.undelivered && this.#deliverer !== null
        const back = this.#revoker.oweBack(run.migration.id, move, Math.max(late ?? 0, at + pause), residue ? error : null, wasTold)
        owed = back.writes
        events.push(...back.events)
      }
      if (run.moved === 0 && run.failed >= hopelessAfter * moveTries && !isUndone)
        run.halted ??= { why: `target ${run.to.id} took none of the first ${run.failed}: ${error}`, as: 'hopeless' }
    }
    this.#tell(run, false)
    const kept = this.#journal.commit([write, ...owed], events)
    await Promise.all([kept, this.#intendUndo(run)])
  }

  /** Starts none of these. Whom a former leader may have been moving still is given up in order; the others are free. */
  async #drop(run: Run, records: readonly MoveRecord[], why: string): Promise<void> {
    const unclear = (record: MoveRecord): boolean => run.resumed.has(record.connection.id)
    // Until all are clear the run is not over, whoever drops them.
    run.inFlight++
    try {
      await this.#skip(
        run,
        records.filter((record) => !unclear(record)),
        why,
      )
      await each(records.filter(unclear), this.#books.policy.migration.concurrencyPerTarget, async (record) => {
        const token = this.#hooks.token(this.#books.policy.migration.timeoutMs)
        if (token === null) return this.#settle(run, record, { end: 'open' })
        const { isClean } = run.resumed.get(record.connection.id) ?? { isClean: false }
        const outcome = await this.#giveUp(this.#moveOf(run, record, token), why, isClean, false, this.#clock.now())
        await this.#settle(run, record, outcome)
      })
    } finally {
      this.#ended(run)
    }
  }

  async #skip(run: Run, records: readonly MoveRecord[], why: string): Promise<void> {
    if (records.length === 0) return
    const at = this.#clock.now()
    run.skipped += records.length
    const writes = records.map((record) => {
      this.#books.release(run.to.id, record.connection.id)
      return this.#writeMove(record, { state: 'skipped', at, why })
    })
    const events = records.map(
      ({ connection }): EventDraft => ({
        type: 'connection.skipped',
        at,
        data: { migrationId: run.migration.id, connectionId: connection.id, why },
      }),
    )
    await this.#journal.commit(writes, events)
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
      epoch: 0,
      sourceAlive: !this.#books.isDead(run.from.id),
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
