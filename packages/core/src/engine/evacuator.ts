import { isAdvice, type Savings, sharesOf } from '../advise/history.ts'
import { type Books, type ServerBook, verdictFor } from '../books/books.ts'
import { type Journal, put } from '../books/journal.ts'
import type { Records } from '../books/records.ts'
import { massFailure, optionalReasons } from '../decide/guard.ts'
import { goneAfter } from '../decide/incident.ts'
import { isTerminal, onApproval, step } from '../decide/migration.ts'
import { liveEvacuation, percent } from '../decide/pace.ts'
import { askedGuards, newDecision, newEvacuation, newMigration, newMove, skippedMove } from '../decide/records.ts'
import { type Asked, askedAgain, beingMoved, requestProblems, whyNobody, whyNotRetry } from '../decide/request.ts'
import { held, PintailError, type Problem, underWay } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import { type Migrator, transitionEvents } from '../moving/migrator.ts'
import type { Clock, Random, StoreWrite } from '../ports.ts'
import { problemText } from '../rows.ts'
import { newId } from '../time.ts'
import type {
  ConnectionId,
  DecisionId,
  DecisionRecord,
  Evacuation,
  EvacuationId,
  Incident,
  IncidentId,
  Migration,
  MigrationId,
  MigrationReason,
  Mode,
  MoveRecord,
  Plan,
  PlannedMigration,
  ServerId,
  TriggeredBy,
  Unplaced,
  UnplacedCode,
} from '../vocabulary.ts'
import type { HostGuards } from '../watch/hostGuards.ts'
import type { Planner } from './planner.ts'

/** These wait for new capacity; the others are the user's or the operator's choice. */
const retriable: readonly UnplacedCode[] = ['no_capacity', 'no_candidate', 'being_moved']

/** Advice that nobody has approved: it stands in nobody's way. */
const isMereAdvice = (one: Evacuation): boolean => isAdvice(one) && one.status === 'suggested'

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
  readonly records: Records
  readonly hostGuards: HostGuards
  readonly clock: Clock
  readonly random: Random
}

export interface EvacuatorHooks {
  migrator(): Migrator
  /** Why no move off this server may start now for this reason; null: it may. */
  forbidden(from: ServerId, reason: MigrationReason, audience?: string | null): string | null
  /** Whether somebody may still be brought back to one of these servers. */
  owesTo(servers: readonly ServerId[]): boolean
  /** Something has changed that others may wait for. */
  wake(): void
}

/** Evacuations from the plan to the last look at the source: decided, approved, continued, ended. */
export class Evacuator {
  readonly #parts: EvacuatorParts
  readonly #hooks: EvacuatorHooks

  constructor(parts: EvacuatorParts, hooks: EvacuatorHooks) {
    this.#parts = parts
    this.#hooks = hooks
  }

  /**
   * The records of a plan: noted only (`observe`), proposed, or to be carried out; in the last case every place is
   * reserved before this returns.
   */
  decide(
    plan: Plan,
    mode: Mode,
    triggeredBy: TriggeredBy,
    incident: Incident | null,
    existing: Evacuation | null = null,
    { savings, ...more }: Partial<Pick<Evacuation, 'notes' | 'retryOf'>> & { readonly savings?: Savings } = {},
  ): Decided {
    const { books, hostGuards, clock, random } = this.#parts
    const now = clock.now()
    const decisionId = newId(now, random) as DecisionId
    const made = () => newEvacuation(newId(now, random) as EvacuationId, decisionId, plan, mode, triggeredBy, incident, now)
    const base = existing ?? { ...made(), ...more }
    const pauseMs = plan.placements.length === 0 ? books.policy.migration.retryUnplacedMs : 0
    const evacuation = { ...base, unplaced: plan.unplaced, emptyListings: 0, nextLookAt: now + pauseMs, version: base.version + 1 }
    const acts = mode !== 'observe'
    const verdicts = plan.fromServerIds.flatMap((id) => {
      const book = books.servers.get(id)
      return book ? { serverId: id, verdict: verdictFor(book, base.audience ?? null) } : []
    })
    const policyVersion = books.words.get('policy')?.version ?? 0
    const overridden = incident?.overrideUntil
      ? massFailure(books.census(incident.audience), books.policy.guards.massFailureRatio, incident.audience)
      : null
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
    const shares = savings && sharesOf(savings, plan.placements)
    for (const [index, part] of plan.placements.entries()) this.#begin(part, evacuation, decisionId, writes, events, shares?.[index])
    const known = new Map(existing?.unplaced.map(({ connectionId, code }) => [connectionId, code]))
    const serverId = fromServerIds[0] as ServerId
    for (const { connectionId, code, message } of plan.unplaced)
      if (known.get(connectionId) !== code && code !== 'being_moved')
        events.push({ type: 'connection.unplaced', at: now, data: { connectionId, serverId, code, message, evacuationId } })
    return { evacuation, decision, writes, events }
  }

  /** One migration of an evacuation, with its moves and, unless it is only suggested, their reservations. */
  #begin(
    part: PlannedMigration,
    evacuation: Evacuation,
    decisionId: DecisionId,
    writes: StoreWrite[],
    events: EventDraft[],
    savings?: Savings,
  ): void {
    const { books, clock, random } = this.#parts
    const now = clock.now()
    const from = books.servers.get(part.fromServerId)?.server
    const to = books.servers.get(part.toServerId)?.server
    if (!from || !to) return
    const connections = part.connections.length
    const { maxRetries } = books.policy.migration
    const known = newMigration(newId(now, random) as MigrationId, evacuation, decisionId, [from, to], connections, maxRetries, now)
    const migration: Migration = { ...known, ...savings }
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
  async execute(plan: Plan, sources: readonly ServerBook[], looked: string | Plan = plan): Promise<Evacuation> {
    const { books, hostGuards } = this.#parts
    await hostGuards.ask()
    await this.#askCooldown(plan)
    for (const { server } of sources) this.#askGuards(server.id, plan.reason)
    // From the fresh plan to its reservations nothing waits, so that nobody takes the room in between.
    const fresh = await this.fresh(plan, sources, looked)
    this.#askBusy(fresh.fromServerIds)
    return (await this.#go(fresh, books.policy.mode[fresh.reason] === 'auto', 'admin')).evacuation
  }

  /** The same plan by what is so now. @throws PintailError `plan_stale` if it is another one */
  async fresh(plan: Plan, sources: readonly ServerBook[], looked: string | Plan): Promise<Plan> {
    const { planner } = this.#parts
    const { onlyConnections, toServerId } = plan
    return planner.again(looked, await planner.gather(sources), plan.reason, { onlyConnections, toServerId })
  }

  async #go(plan: Plan, auto: boolean, triggeredBy: TriggeredBy, more: Partial<Evacuation> = {}): Promise<Decided> {
    const made = this.decide(plan, auto ? 'auto' : 'suggest', triggeredBy, null, null, more)
    // In the same turn, and so in one commit: what was only advice gives way to a person's word.
    const advised = this.#open(plan.fromServerIds).filter((one) => isMereAdvice(one))
    const over = advised.map((one) => this.stop(one, `superseded by evacuation ${made.evacuation.id}`))
    await Promise.all([this.#parts.journal.commit(made.writes, made.events), ...over])
    this.#hooks.wake()
    return made
  }

  /**
   * What a person asks for, if it can be done; a refusal names everything that is wrong with it.
   * @param problems what is wrong with it in itself
   * @param retryOf the ended migration that is tried again: then only who is still there is asked for
   */
  async request(asked: Asked, problems: readonly Problem[], retryOf: MigrationId | null = null): Promise<Migration> {
    const { books, planner, clock } = this.#parts
    const { serverId, toServerId, connectionIds, reason, notes, autoApprove, fingerprint, triggeredBy } = asked
    const source = books.servers.get(serverId)
    const gathered = await planner.gather(source ? [source] : [])
    // Who has left the source meanwhile is no problem of a retry.
    const present = retryOf ? null : (gathered.listed[0]?.connections ?? [])
    const found = [...problems, ...requestProblems(asked, books.targets(clock.now()), present)]
    const remedy = retryOf ? 'Create a migration without a target: then the plan chooses.' : 'Mend what is named, and ask again.'
    if (found.length > 0)
      throw new PintailError(retryOf ? 'illegal_transition' : 'invalid_argument', problemText(found), { problems: found, remedy })
    await this.#parts.hostGuards.ask()
    if (!retryOf) await this.#askCooldown({ reason, fromServerIds: [serverId] })
    this.#askGuards(serverId, reason)
    this.#askBusy([serverId])
    const scope = { onlyConnections: connectionIds, toServerId }
    const plan = fingerprint === null ? planner.plan(gathered, reason, scope) : planner.again(fingerprint, gathered, reason, scope)
    if (plan.placements.length === 0)
      throw new PintailError('nothing_to_move', whyNobody(plan), { remedy: 'plan() shows each server with its reason.' })
    const { writes } = await this.#go(plan, autoApprove, triggeredBy, { notes, retryOf })
    return writes.flatMap((write) => (write.kind === 'migration' && write.value ? write.value : []))[0] as Migration
  }

  /** An ended migration once more, for those whom it did not move and who are still there. */
  async retry(migration: Migration, moves: readonly MoveRecord[]): Promise<Migration> {
    const why = whyNotRetry(migration, [...this.#parts.books.evacuations.values()])
    if (why !== null) throw new PintailError('illegal_transition', why, { remedy: 'Wait until that has ended, or cancel it first.' })
    return this.request(askedAgain(migration, moves), [], migration.id)
  }

  /**
   * A server has failed: whatever else was to empty it starts nothing more there, because the incident's own evacuation
   * does, by the rules of a failure. What is under way settles. All that is planned by is changed before this returns.
   */
  supersede(server: ServerId, incident: IncidentId): Promise<unknown> {
    const others = [...this.#parts.books.evacuations.values()].filter(
      ({ fromServerIds, incidentId, endedAt }) => incidentId !== incident && endedAt === null && fromServerIds.includes(server),
    )
    return Promise.all(others.map((evacuation) => this.stop(evacuation, `superseded by incident ${incident}`, server)))
  }

  #askGuards(server: ServerId, reason: MigrationReason): void {
    const denial = this.#parts.hostGuards.denial(reason, server)
    if (denial) throw new PintailError('guard_denied', denial.message, { remedy: denial.remedy })
    const why = this.#hooks.forbidden(server, reason)
    if (why !== null) throw held(server, why)
  }

  #open(servers: readonly ServerId[]): Evacuation[] {
    const open = [...this.#parts.books.evacuations.values()].filter(({ endedAt }) => endedAt === null)
    return open.filter(({ fromServerIds }) => fromServerIds.some((id) => servers.includes(id)))
  }

  #askBusy(servers: readonly ServerId[]): void {
    const busy = this.#open(servers).find((one) => !isMereAdvice(one))
    if (busy) throw underWay(busy.id, busy.fromServerIds)
  }

  /** Optional reasons leave a server alone for a while after its last migration (seed 004: 30 minutes). */
  async #askCooldown({ reason, fromServerIds }: Pick<Plan, 'reason' | 'fromServerIds'>): Promise<void> {
    if (!optionalReasons.includes(reason)) return
    const { books, records, clock } = this.#parts
    const migrations = await records.all('migration', { since: clock.now() - books.policy.migration.cooldownMs })
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
    // Not named by the list is not empty: it is waited for, or gone for good.
    const lost = evacuation.fromServerIds.find((server) => !books.servers.has(server))
    if (lost !== undefined) return books.missing(lost) < goneAfter ? undefined : this.stop(evacuation, `${lost} is gone from the registry`)
    const ended = evacuation.endedAt !== null
    const sources = evacuation.fromServerIds.flatMap((server) => books.servers.get(server) ?? [])
    const incident = evacuation.incidentId === null ? undefined : books.incidents.byId(evacuation.incidentId)
    if (evacuation.incidentId && !incident) return this.stop(evacuation, 'the incident has ended')
    const isForbidden = (): boolean =>
      evacuation.fromServerIds.some((server) => this.#hooks.forbidden(server, evacuation.reason, evacuation.audience) !== null)
    if (isForbidden()) return
    if (books.isPaused(id, null, clock.now())) return
    // Who was being moved elsewhere has settled there: whoever of them is still here is planned without waiting.
    const elsewhere = beingMoved(evacuation.unplaced)
    const claims = elsewhere.length > 0 ? books.claims() : null
    const freed = claims !== null && elsewhere.every(({ connectionId }) => !claims.has(connectionId))
    if (clock.now() < evacuation.nextLookAt && !freed) return
    const lookLater = (): void => {
      const nextLookAt = clock.now() + books.policy.migration.retryUnplacedMs
      books.evacuations.set(id, { ...evacuation, nextLookAt })
    }
    const { moved, holding, spared, refused, avoided, arrived } = this.#outcomes(migrations)
    this.#prune(migrations)
    const fixed = evacuation.unplaced.filter(({ code }) => !retriable.includes(code))
    const settled = new Set([...holding, ...spared, ...fixed.map(({ connectionId }) => connectionId)])
    const gathered = await planner.gather(sources)
    // What forbids it may have come while the registry was asked.
    if (books.evacuations.get(id) !== evacuation || isForbidden()) return
    const plan = planner.plan(gathered, evacuation.reason, { ...evacuation, refusals: avoided, settled, arrived })
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
      const same = unplaced.length === evacuation.unplaced.length && beingMoved(unplaced).length === elsewhere.length
      const nothingNew = plan.placements.length === 0 && same
      if (nothingNew && lasting.some(({ code }) => retriable.includes(code))) return lookLater()
      // After its end too: somebody has been assigned to the dead server since.
      const going = { ...evacuation, moved: moved.size, ...(ended && { status: 'running' as const, endedAt: null }) }
      const made = this.decide({ ...plan, unplaced }, evacuation.mode, 'system', incident ?? null, going)
      await journal.commit(made.writes, made.events)
      return this.#hooks.wake()
    }
    const isNamed = planner.coverage === 'assigned' && gathered.listed.some((part) => part.connections.some((one) => holding.has(one.id)))
    // After its end too, as long as a failed move may yet bring somebody back here, or as long as they are listed here yet.
    if (ended || isNamed || this.#hooks.owesTo(evacuation.fromServerIds)) return lookLater()
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
    const holding = new Set<ConnectionId>()
    const arrived = new Map<ServerId, number>()
    const spared = new Set<ConnectionId>()
    const refused = new Map<ConnectionId, Set<ServerId>>()
    const avoided = new Map<ConnectionId, Set<ServerId>>()
    const add = (map: Map<ConnectionId, Set<ServerId>>, connection: ConnectionId, server: ServerId) =>
      map.set(connection, (map.get(connection) ?? new Set<ServerId>()).add(server))
    const { planner, clock, books } = this.#parts
    const lately = clock.now() - books.policy.migration.retryUnplacedMs
    for (const { id, status, toServerId, reason } of migrations)
      for (const { connection, state } of this.#parts.books.movesOf(id)) {
        const isRefused = state.state === 'failed' && state.permanent
        if (isRefused) add(refused, connection.id, toServerId)
        if (state.state === 'moved') {
          moved.add(connection.id)
          arrived.set(toServerId, (arrived.get(toServerId) ?? 0) + 1)
          // A list of who was active lately names whoever has moved for some time yet.
          if (state.at > lately || planner.coverage === 'active') holding.add(connection.id)
          // Whoever is listed on the source all the same has not moved, whatever the mover said (Marzban#1828).
          else for (const map of [refused, avoided]) add(map, connection.id, toServerId)
        }
        // A person has cancelled this migration: nobody is planned around that word.
        // And who could not go home at once stays where he is.
        else if (status === 'cancelled' || reason === 'failback') spared.add(connection.id)
        else if (isRefused || (state.state === 'failed' && state.at > lately)) add(avoided, connection.id, toServerId)
        // Its target failed before its turn came.
        else if (status === 'failed' && state.state === 'skipped' && state.at > lately) add(avoided, connection.id, toServerId)
      }
    return { moved, holding, spared, refused, avoided, arrived }
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
    const watched = status === 'completed' && evacuation.incidentId !== null && books.incidents.byId(evacuation.incidentId) !== undefined
    if (watched) books.evacuations.set(evacuationId, next)
    else books.forget(evacuationId)
    const pause = books.forgetPause({ evacuationId }, now)
    await journal.commit([put('evacuation', evacuationId, next), ...pause.writes], [told, ...pause.events])
  }

  /**
   * Starts nothing more of an evacuation; what is under way settles, and then it ends.
   * @param only of several sources this one; for the others it goes on
   */
  async stop(evacuation: Evacuation, why: string, only?: ServerId): Promise<void> {
    const { books, journal } = this.#parts
    if (evacuation.endedAt !== null) return books.forget(evacuation.id)
    if (evacuation.cancelledWhy !== null) return
    const fromServerIds = evacuation.fromServerIds.filter((id) => only !== undefined && id !== only)
    const stopped = fromServerIds.length > 0 ? { fromServerIds } : { cancelledWhy: why }
    const next: Evacuation = { ...evacuation, ...stopped, version: evacuation.version + 1 }
    books.evacuations.set(next.id, next)
    const off = books.migrationsOf(next.id).filter(({ fromServerId }) => only === undefined || only === fromServerId)
    const cancelled = off.map((migration) => this.#hooks.migrator().cancel(migration, why))
    // In one turn, and so in one commit: a crash leaves nothing running of what was cancelled.
    await Promise.all([journal.commit([put('evacuation', next.id, next)], []), ...cancelled])
    this.#hooks.wake()
  }

  /**
   * Approves suggested migrations; each schedules itself. For one that is scheduled already only its time is set.
   * @param notBefore null: at once, or as it was
   */
  async approve(evacuation: Evacuation, migrations: readonly Migration[], notBefore: number | null = null): Promise<void> {
    const { books, journal, hostGuards, clock } = this.#parts
    // Not waited for: the answer is there before the target is prepared, and each move looks at it.
    void hostGuards.ask()
    const now = clock.now()
    const writes: StoreWrite[] = []
    const events: EventDraft[] = []
    const { incidentId, reason, fromServerIds } = evacuation
    const superseded = incidentId && reason === 'server-down' ? fromServerIds.map((id) => this.supersede(id, incidentId)) : []
    const claims = books.claims()
    for (const migration of migrations) {
      let current = migration
      for (let trigger = onApproval[current.status]; trigger; trigger = onApproval[current.status]) {
        const stepped = step(current, trigger, now)
        if (!stepped.ok) throw new PintailError('illegal_transition', stepped.message)
        events.push(...transitionEvents(current, stepped.migration, now))
        current = stepped.migration
      }
      // Both transitions are one write: nobody can be left between them.
      current = { ...current, notBefore: notBefore ?? current.notBefore, version: migration.version + 1 }
      if (notBefore !== null) events.push({ type: 'migration.rescheduled', at: now, data: { id: current.id, notBefore } })
      books.put(current)
      writes.push(put('migration', current.id, current))
      for (const move of books.movesOf(current.id)) {
        if (move.state.state !== 'pending') continue
        const other = claims.get(move.connection.id) ?? current.id
        if (other === current.id) books.reserve(current.toServerId, move.connection.id)
        else {
          const why = `being moved already, by migration ${other}`
          const skipped = skippedMove(move, now, why)
          books.putMove(skipped)
          writes.push(put('move', skipped.id, skipped))
          events.push({ type: 'connection.skipped', at: now, data: { migrationId: current.id, connectionId: move.connection.id, why } })
        }
      }
    }
    const approved: Evacuation = {
      ...evacuation,
      status: 'running',
      approvedAt: evacuation.approvedAt ?? now,
      version: evacuation.version + 1,
    }
    books.evacuations.set(approved.id, approved)
    writes.push(put('evacuation', approved.id, approved))
    if (evacuation.status !== 'running') events.push({ type: 'evacuation.approved', at: now, data: { evacuationId: approved.id } })
    await Promise.all([journal.commit(writes, events), ...superseded])
    this.#hooks.wake()
  }
}
