import { verdictOf } from '../decide/detector.ts'
import { massFailure, optionalReasons } from '../decide/guard.ts'
import { isTerminal, step } from '../decide/migration.ts'
import { liveEvacuation, percent } from '../decide/pace.ts'
import { askedGuards, newDecision, newEvacuation, newMigration, newMove } from '../decide/records.ts'
import { PintailError } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { Clock, MigrationStore, Random, StoreWrite } from '../ports.ts'
import type {
  ConnectionId,
  DecisionId,
  DecisionRecord,
  Evacuation,
  EvacuationId,
  Incident,
  Migration,
  MigrationId,
  MigrationReason,
  Mode,
  Plan,
  PlannedMigration,
  ServerId,
  TriggeredBy,
  Unplaced,
  UnplacedCode,
} from '../vocabulary.ts'
import type { Books, ServerBook } from './books.ts'
import type { HostGuards } from './hostGuards.ts'
import { type Journal, put } from './journal.ts'
import { type Migrator, transitionEvents } from './migrator.ts'
import { differences, type Planner } from './planner.ts'
import { callOut, collect, newId } from './time.ts'

/** For reading the store before an optional evacuation, milliseconds. */
const storeCallMs = 10_000
/** These wait for new capacity; the others are the user's or the operator's choice. */
const retriable: readonly UnplacedCode[] = ['no_capacity', 'no_candidate']

/** The records of one decision, to be kept in one commit. */
interface Decided {
  readonly evacuation: Evacuation
  readonly decision: DecisionRecord
  readonly writes: readonly StoreWrite[]
  readonly events: readonly EventDraft[]
}

export interface EvacuatorParts {
  readonly books: Books
  readonly journal: Journal
  readonly planner: Planner
  readonly store: MigrationStore
  readonly hostGuards: HostGuards
  readonly clock: Clock
  readonly random: Random
}

export interface EvacuatorHooks {
  migrator(): Migrator
  /** Why no move off this server may start now for this reason; null: it may. */
  forbidden(from: ServerId, reason: MigrationReason): string | null
  /** Something has changed that others may wait for. */
  wake(): void
}

/** Evacuations from the plan to the last look at the source: decided, approved, continued, ended. */
export class Evacuator {
  readonly #parts: EvacuatorParts
  readonly #hooks: EvacuatorHooks
  readonly #stopping: AbortSignal

  constructor(parts: EvacuatorParts, hooks: EvacuatorHooks, stopping: AbortSignal) {
    this.#parts = parts
    this.#hooks = hooks
    this.#stopping = stopping
  }

  /**
   * The records of a plan: noted only (`observe`), proposed, or to be carried out; in the last case every place is
   * reserved before this returns.
   */
  decide(plan: Plan, mode: Mode, triggeredBy: TriggeredBy, incident: Incident | null, existing: Evacuation | null = null): Decided {
    const { books, hostGuards, clock, random } = this.#parts
    const now = clock.now()
    const decisionId = newId(now, random) as DecisionId
    const base = existing ?? newEvacuation(newId(now, random) as EvacuationId, decisionId, plan, mode, triggeredBy, incident, now)
    const pauseMs = plan.placements.length === 0 ? books.policy.migration.retryUnplacedMs : 0
    const evacuation = { ...base, unplaced: plan.unplaced, emptyListings: 0, nextLookAt: now + pauseMs, version: base.version + 1 }
    const acts = mode !== 'observe'
    const verdicts = plan.fromServerIds.flatMap((id) => {
      const book = books.servers.get(id)
      return book ? { serverId: id, verdict: verdictOf(book.detector) } : []
    })
    const policyVersion = books.words.get('policy')?.version ?? 0
    const overridden = incident?.overrideUntil ? massFailure(books.census(), books.policy.guards.massFailureRatio) : null
    const guards = askedGuards(plan.reason, incident !== null, existing === null, hostGuards.any, overridden)
    const decision = newDecision(decisionId, plan, mode, incident, acts ? evacuation.id : null, verdicts, policyVersion, guards, now)
    const { incidentId, reason, connections, placed, unplaced } = decision
    const writes: StoreWrite[] = [put('decision', decision.id, decision)]
    const events: EventDraft[] = [
      { type: 'decision.made', at: now, data: { decisionId, incidentId, reason, mode, connections, placed, unplaced } },
    ]
    if (!acts) return { evacuation, decision, writes, events }
    books.evacuations.set(evacuation.id, evacuation)
    writes.push(put('evacuation', evacuation.id, evacuation))
    const { id: evacuationId, fromServerIds, status } = evacuation
    const migrations = plan.placements.length
    if (!existing)
      events.push({
        type: 'evacuation.created',
        at: now,
        data: { evacuationId, incidentId, fromServerIds, status, connections, migrations, unplaced },
      })
    for (const part of plan.placements) this.#begin(part, evacuation, decisionId, writes, events)
    const known = new Map(existing?.unplaced.map(({ connectionId, code }) => [connectionId, code]))
    const serverId = fromServerIds[0] as ServerId
    for (const { connectionId, code, message } of plan.unplaced)
      if (known.get(connectionId) !== code)
        events.push({ type: 'connection.unplaced', at: now, data: { connectionId, serverId, code, message, evacuationId } })
    return { evacuation, decision, writes, events }
  }

  /** One migration of an evacuation, with its moves and, unless it is only suggested, their reservations. */
  #begin(part: PlannedMigration, evacuation: Evacuation, decisionId: DecisionId, writes: StoreWrite[], events: EventDraft[]): void {
    const { books, clock, random } = this.#parts
    const now = clock.now()
    const from = books.servers.get(part.fromServerId)?.server
    const to = books.servers.get(part.toServerId)?.server
    if (!from || !to) return
    const connections = part.connections.length
    const { maxRetries } = books.policy.migration
    const migration = newMigration(newId(now, random) as MigrationId, evacuation, decisionId, [from, to], connections, maxRetries, now)
    const { id, status, evacuationId, reason, savingsEurHour } = migration
    const ends = { serverId: from.id, fromServerId: from.id, toServerId: to.id }
    books.put(migration)
    writes.push(put('migration', id, migration))
    events.push({ type: 'migration.created', at: now, data: { id, ...ends, status, savingsEurHour, evacuationId, reason, connections } })
    for (const connection of part.connections) {
      const move = newMove(id, connection)
      books.putMove(move)
      if (status === 'scheduled') books.reserve(to.id, connection.id)
      writes.push(put('move', move.id, move))
    }
  }

  /** Carries out a plan that a person asked for, if the world is still the one that it was made for. */
  async execute(plan: Plan, sources: readonly ServerBook[]): Promise<Evacuation> {
    const { books, planner, hostGuards } = this.#parts
    await hostGuards.ask()
    await this.#askCooldown(plan)
    for (const { server } of sources) {
      const denial = hostGuards.denial(plan.reason, server.id)
      if (denial) throw new PintailError('guard_denied', denial.message, { remedy: denial.remedy })
      const why = this.#hooks.forbidden(server.id, plan.reason)
      if (why)
        throw new PintailError('guard_denied', `no move off ${server.id} may start now: ${why}`, {
          remedy: 'Wait until the guard allows it; status() lists what forbids.',
        })
    }
    const gathered = await planner.gather(sources)
    // From the fresh plan to its reservations nothing waits, so that nobody takes the room in between.
    const fresh = planner.plan(gathered, plan.reason, plan)
    if (fresh.fingerprint !== plan.fingerprint) {
      const changes = differences(plan, fresh)
      throw new PintailError('plan_stale', `the world has changed since this plan: ${changes.join('; ')}`, {
        remedy: 'Plan again, look at what it says now, and execute that.',
        problems: changes.map((message) => ({ path: 'plan', message })),
      })
    }
    const busy = [...books.evacuations.values()].find(
      ({ fromServerIds, endedAt }) => endedAt === null && fromServerIds.some((id) => fresh.fromServerIds.includes(id)),
    )
    if (busy)
      throw new PintailError('guard_denied', `evacuation ${busy.id} of ${busy.fromServerIds.join(', ')} is under way`, {
        remedy: 'Wait for it, or cancel it first.',
      })
    const mode = books.policy.mode[fresh.reason]
    const made = this.decide(fresh, mode === 'auto' ? 'auto' : 'suggest', 'admin', null)
    await this.#parts.journal.commit(made.writes, made.events)
    this.#hooks.wake()
    return made.evacuation
  }

  /** Optional reasons leave a server alone for a while after its last migration (seed 004: 30 minutes). */
  async #askCooldown({ reason, fromServerIds }: Plan): Promise<void> {
    if (!optionalReasons.includes(reason)) return
    const { books, store, clock } = this.#parts
    const migrations = await callOut(clock, storeCallMs, this.#stopping, 'the store', (ctx) => collect(store.list('migration', {}, ctx)))
    const last = migrations.filter(({ fromServerId, connectionsMoved }) => fromServerIds.includes(fromServerId) && connectionsMoved > 0)
    const until = Math.max(0, ...last.map(({ completedAt }) => completedAt ?? 0)) + books.policy.migration.cooldownMs
    if (until <= clock.now()) return
    throw new PintailError(
      'guard_denied',
      `cooldown until ${new Date(until).toISOString()}: ${fromServerIds.join(', ')} had a migration lately`,
      {
        remedy: 'Wait, lower migration.cooldownMs, or give the reason manual.',
      },
    )
  }

  /** The record with the figures of this moment. */
  live(evacuation: Evacuation): Evacuation {
    if (evacuation.endedAt !== null) return evacuation
    const migrations = this.#parts.books.migrationsOf(evacuation.id)
    return liveEvacuation(
      evacuation,
      migrations.map((migration) => this.#hooks.migrator().live(migration)),
    )
  }

  /** After its migrations: list again, plan whoever is left or could not be placed, and end when nobody is. */
  async continue(id: EvacuationId): Promise<void> {
    const { books, planner, journal, clock } = this.#parts
    const evacuation = books.evacuations.get(id)
    if (!evacuation) return
    const migrations = books.migrationsOf(id)
    if (migrations.some(({ status }) => !isTerminal(status))) return
    if (evacuation.cancelledWhy !== null) return this.#finish(evacuation, 'cancelled')
    const ended = evacuation.endedAt !== null
    const sources = evacuation.fromServerIds.flatMap((server) => books.servers.get(server) ?? [])
    const incident = evacuation.fromServerIds
      .map((server) => books.incidents.get(server))
      .find((open) => open?.id === evacuation.incidentId)
    if (evacuation.incidentId && !incident) return this.stop(evacuation, 'the incident has ended')
    if (evacuation.fromServerIds.some((server) => this.#hooks.forbidden(server, evacuation.reason) !== null)) return
    if (clock.now() < evacuation.nextLookAt) return
    const lookLater = (): void => {
      const nextLookAt = clock.now() + books.policy.migration.retryUnplacedMs
      books.evacuations.set(id, { ...evacuation, nextLookAt })
    }
    const { moved, spared, refused, avoided } = this.#outcomes(migrations)
    this.#prune(migrations)
    const fixed = evacuation.unplaced.filter(({ code }) => !retriable.includes(code))
    const settled = new Set([...moved, ...spared, ...fixed.map(({ connectionId }) => connectionId)])
    const gathered = await planner.gather(sources)
    if (books.evacuations.get(id) !== evacuation) return
    const plan = planner.plan(gathered, evacuation.reason, { ...evacuation, refusals: avoided, settled })
    if (plan.placements.length > 0 || plan.unplaced.length > 0) {
      const { targetsPerConnection } = books.policy.migration
      // Refused for good is only who was refused; who only failed everywhere is asked again after a pause.
      const lasting = plan.unplaced.map((left): Unplaced => {
        const known = refused.get(left.connectionId)?.size ?? 0
        const failed = (avoided.get(left.connectionId)?.size ?? 0) > known
        if (left.code !== 'refused_everywhere' || known >= targetsPerConnection || !failed) return left
        return { ...left, code: 'no_candidate', message: `every possible target has failed lately: ${left.message}` }
      })
      const unplaced = [...fixed, ...lasting]
      // No decision is made and written each time that room is looked for in vain.
      const nothingNew = plan.placements.length === 0 && unplaced.length === evacuation.unplaced.length
      if (nothingNew && lasting.some(({ code }) => retriable.includes(code))) return lookLater()
      // After its end too: somebody has been assigned to the dead server since.
      const going = { ...evacuation, moved: moved.size, ...(ended && { status: 'running' as const, endedAt: null }) }
      const made = this.decide({ ...plan, unplaced }, evacuation.mode, 'system', incident ?? null, going)
      await journal.commit(made.writes, made.events)
      return this.#hooks.wake()
    }
    if (ended) return lookLater()
    const next: Evacuation = {
      ...evacuation,
      moved: moved.size,
      unplaced: fixed,
      emptyListings: evacuation.emptyListings + 1,
      nextLookAt: 0,
      version: evacuation.version + 1,
    }
    books.evacuations.set(id, next)
    await journal.commit([put('evacuation', id, next)], [])
    if (next.emptyListings >= 2) return this.#finish(next, 'completed')
    this.#hooks.wake()
  }

  /**
   * What became of an evacuation's connections so far, and which targets not to ask for whom: those that refused, and
   * those that failed lately. A failure is forgotten after a pause, because where everything fails it is the panel's, and
   * nobody may be left on a dead server for that.
   */
  #outcomes(migrations: readonly Migration[]) {
    const moved = new Set<ConnectionId>()
    const spared = new Set<ConnectionId>()
    const refused = new Map<ConnectionId, Set<ServerId>>()
    const avoided = new Map<ConnectionId, Set<ServerId>>()
    const add = (map: Map<ConnectionId, Set<ServerId>>, connection: ConnectionId, server: ServerId) =>
      map.set(connection, (map.get(connection) ?? new Set<ServerId>()).add(server))
    const lately = this.#parts.clock.now() - this.#parts.books.policy.migration.retryUnplacedMs
    for (const { id, status, toServerId } of migrations)
      for (const { connection, state } of this.#parts.books.movesOf(id)) {
        const isRefused = state.state === 'failed' && state.permanent
        if (isRefused) add(refused, connection.id, toServerId)
        if (state.state === 'moved') moved.add(connection.id)
        // A person has cancelled this migration: nobody is planned around that word.
        else if (status === 'cancelled') spared.add(connection.id)
        else if (isRefused || (state.state === 'failed' && state.at > lately)) add(avoided, connection.id, toServerId)
        // Its target failed before its turn came.
        else if (status === 'failed' && state.state === 'skipped' && state.at > lately) add(avoided, connection.id, toServerId)
      }
    return { moved, spared, refused, avoided }
  }

  /** Migrations that have nothing left to say are forgotten, so that a long outage of the panel does not fill the memory. */
  #prune(migrations: readonly Migration[]): void {
    const { books, clock } = this.#parts
    const old = clock.now() - 2 * books.policy.migration.retryUnplacedMs
    for (const { id, status, completedAt } of migrations) {
      const matters = books.movesOf(id).some(({ state }) => state.state === 'moved' || (state.state === 'failed' && state.permanent))
      if (status !== 'failed' || matters || (completedAt ?? 0) > old) continue
      books.migrations.delete(id)
      books.moves.delete(id)
    }
  }

  async #finish(evacuation: Evacuation, status: 'completed' | 'cancelled'): Promise<void> {
    const { books, journal, clock } = this.#parts
    const now = clock.now()
    const moved = this.#outcomes(books.migrationsOf(evacuation.id)).moved.size
    const { id: evacuationId, createdAt, unplaced, cancelledWhy } = evacuation
    const next: Evacuation = {
      ...evacuation,
      moved,
      progress: status === 'completed' ? 100 : percent(moved, evacuation.connections),
      status,
      endedAt: now,
      nextLookAt: now + books.policy.migration.retryUnplacedMs,
      version: evacuation.version + 1,
    }
    const told: EventDraft =
      status === 'completed'
        ? {
            type: 'evacuation.completed',
            at: now,
            data: { evacuationId, moved, unplaced: unplaced.length, durationMs: Math.round(now - createdAt) },
          }
        : { type: 'evacuation.cancelled', at: now, data: { evacuationId, moved, why: cancelledWhy ?? 'cancelled' } }
    // While the server is still dead the host may go on assigning users to it: they are looked for now and then.
    const watched = status === 'completed' && [...books.incidents.values()].some(({ id }) => id === evacuation.incidentId)
    if (watched) books.evacuations.set(evacuationId, next)
    else books.forget(evacuationId)
    await journal.commit([put('evacuation', evacuationId, next)], [told])
  }

  /** Starts nothing more of an evacuation; what is under way settles, and then it ends. */
  async stop(evacuation: Evacuation, why: string): Promise<void> {
    const { books, journal } = this.#parts
    if (evacuation.endedAt !== null) return books.forget(evacuation.id)
    if (evacuation.cancelledWhy !== null) return
    const next: Evacuation = { ...evacuation, cancelledWhy: why, version: evacuation.version + 1 }
    books.evacuations.set(next.id, next)
    await journal.commit([put('evacuation', next.id, next)], [])
    for (const migration of books.migrationsOf(next.id))
      if (!isTerminal(migration.status)) await this.#hooks.migrator().cancel(migration, why)
    this.#hooks.wake()
  }

  /** Approves suggested migrations; each schedules itself. */
  async approve(evacuation: Evacuation, migrations: readonly Migration[]): Promise<void> {
    const { books, journal, hostGuards, clock } = this.#parts
    // Not waited for: the answer is there before the target is prepared, and each move looks at it.
    void hostGuards.ask()
    const now = clock.now()
    const writes: StoreWrite[] = []
    const events: EventDraft[] = []
    for (const migration of migrations) {
      let current = migration
      for (const trigger of ['approve', 'schedule'] as const) {
        const stepped = step(current, trigger, now)
        if (!stepped.ok) throw new PintailError('illegal_transition', stepped.message)
        events.push(...transitionEvents(current, stepped.migration, now))
        current = stepped.migration
      }
      // Both transitions are one write: nobody can be left between them.
      current = { ...current, version: migration.version + 1 }
      books.put(current)
      for (const { connection } of books.movesOf(current.id)) books.reserve(current.toServerId, connection.id)
      writes.push(put('migration', current.id, current))
    }
    const approved: Evacuation = {
      ...evacuation,
      status: 'running',
      approvedAt: evacuation.approvedAt ?? now,
      version: evacuation.version + 1,
    }
    books.evacuations.set(approved.id, approved)
    writes.push(put('evacuation', approved.id, approved))
    events.push({ type: 'evacuation.approved', at: now, data: { evacuationId: approved.id } })
    await journal.commit(writes, events)
    this.#hooks.wake()
  }
}
