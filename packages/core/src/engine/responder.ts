import { controlFreshMs, massFailure, noControl, tooFewServers } from '../decide/guard.ts'
import { nextStep, restoreStep } from '../decide/incident.ts'
import { backoffMs, isTerminal, step } from '../decide/migration.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { Clock, GuardSource, GuardState, Random, ServerRegistry, StoreWrite } from '../ports.ts'
import type {
  ConnectionId,
  DecisionId,
  DecisionRecord,
  Evacuation,
  EvacuationId,
  GuardCode,
  GuardDenial,
  Incident,
  IncidentId,
  Migration,
  MigrationId,
  MigrationReason,
  Mode,
  MoveRecord,
  Plan,
  ServerId,
  StatusWrite,
  TriggeredBy,
  UnplacedCode,
} from '../vocabulary.ts'
import { type Books, type ServerBook, verdictOfBook } from './books.ts'
import type { Bus } from './bus.ts'
import { type Journal, put } from './journal.ts'
import { type Migrator, transitionEvents } from './migrator.ts'
import type { Monitor } from './monitor.ts'
import { differences, type Planner } from './planner.ts'
import { callOut, newId } from './time.ts'

/** For writing a status into the registry, and for asking a guard source, milliseconds. */
const shortCallMs = 10_000
/** These wait for new capacity; the others are the user's or the operator's choice. */
const retriable: readonly UnplacedCode[] = ['no_capacity', 'no_candidate']

export interface ResponderParts {
  readonly books: Books
  readonly journal: Journal
  readonly monitor: Monitor
  readonly planner: Planner
  readonly bus: Bus
  readonly registry: ServerRegistry
  readonly guards: readonly GuardSource[]
  readonly clock: Clock
  readonly random: Random
}

/**
 * From verdict to evacuation to recovery. Level-triggered: each look at a server that is not well does what is next
 * for it, so that a lost wake-up or a restart costs a moment and never an evacuation.
 */
export class Responder {
  readonly #parts: ResponderParts
  readonly #migrator: () => Migrator
  readonly #stopping: AbortSignal
  readonly #unwell = new Set<ServerId>()
  /** Guards that forbid something now, and whom; each is told loudly once, when it begins. */
  readonly #denying = new Map<GuardCode, Set<ServerId>>()
  readonly #restoring = new Map<ServerId, Incident>()
  readonly #tasks = new Map<string, { again: boolean; done: Promise<void> }>()
  readonly #failures = new Map<string, { readonly times: number; readonly until: number }>()

  constructor(parts: ResponderParts, migrator: () => Migrator, stopping: AbortSignal) {
    this.#parts = parts
    this.#migrator = migrator
    this.#stopping = stopping
  }

  // ------------------------------------------------------------------------------------------------------------ tasks

  /** There may be something to do. Cheap: each server and evacuation is looked at by one task at a time. */
  wake(): void {
    // After a restart nothing is known of any server before the first list: acting then would take all for gone.
    if (this.#stopping.aborted || this.#parts.books.listedAt === 0) return
    const { evacuations } = this.#parts.books
    for (const id of this.#unwell) this.#task(`server ${id}`, () => this.#attend(id))
    for (const id of evacuations.keys()) this.#task(`evacuation ${id}`, () => this.#continue(id))
    for (const id of this.#restoring.keys()) this.#task(`recovery of ${id}`, () => this.#restore(id))
    this.#migrator().wake()
  }

  #task(key: string, work: () => Promise<unknown>): void {
    const running = this.#tasks.get(key)
    if (running) {
      running.again = true
      return
    }
    const failed = this.#failures.get(key)
    if (failed && failed.until > this.#parts.clock.now()) return
    const task = { again: false, done: Promise.resolve() }
    this.#tasks.set(key, task)
    task.done = work()
      .then(() => this.#failures.delete(key))
      .catch((error) => this.#failed(key, error))
      .then(() => {
        this.#tasks.delete(key)
        // Only this one: waking all would have two tasks wake each other for ever.
        if (task.again && !this.#stopping.aborted) this.#task(key, work)
      })
  }

  /** What fails is tried again with growing pauses, and takes nothing else with it. */
  #failed(key: string, error: unknown): void {
    if (this.#stopping.aborted || isPintailError(error, 'aborted')) return
    const times = (this.#failures.get(key)?.times ?? 0) + 1
    const { recheckMs } = this.#parts.books.policy.guards
    const until = this.#parts.clock.now() + backoffMs(times - 1, recheckMs, 60_000, this.#parts.random())
    this.#failures.set(key, { times, until })
    const remedy = isPintailError(error) && error.remedy ? { remedy: error.remedy } : {}
    this.#parts.bus.warn({
      code: isPintailError(error) ? error.code : 'internal',
      message: `${key}: ${errorText(error)}`,
      count: times,
      ...remedy,
    })
  }

  /** True while something waits for a guard, a control, room or a recovery: then time alone may change the answer. */
  get waits(): boolean {
    return this.#unwell.size > 0 || this.#parts.books.evacuations.size > 0 || this.#restoring.size > 0
  }

  /** True while a failure may wait for any other host to answer. */
  get wantsControl(): boolean {
    return this.#unwell.size > 0
  }

  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all([...this.#tasks.values()].map(({ done }) => done))
  }

  /** Puts a server on the list of those to look at. */
  look(server: ServerId): void {
    this.#unwell.add(server)
    this.wake()
  }

  resume(incidents: Iterable<Incident>): void {
    for (const incident of incidents) {
      if (incident.status === 'open') this.#unwell.add(incident.serverId)
      else this.#restoring.set(incident.serverId, incident)
    }
  }

  // ---------------------------------------------------------------------------------------------------------- servers

  async #attend(id: ServerId): Promise<void> {
    const { books, monitor, clock } = this.#parts
    const book = books.servers.get(id)
    const incident = books.incidents.get(id) ?? null
    if (!book) return void this.#unwell.delete(id)
    const { verdict, since, lastSentAt } = book.detector
    const { detect } = books.policy
    const suspectedAt = book.detector.suspectedAt ?? clock.now()
    const control = noControl(suspectedAt, lastSentAt, book.control, controlFreshMs(detect))
    const next = nextStep({
      verdict,
      status: book.server.status,
      incident,
      control,
      guards: this.guardsFor(book, incident),
    })
    switch (next.do) {
      case 'nothing':
        if (!incident && verdict !== 'suspect') this.#unwell.delete(id)
        this.#allow(id, null)
        return
      case 'await_control':
        // Somebody answers again. What was seen before that is worth nothing: it is confirmed anew.
        if ((monitor.controlFor(id)?.at ?? 0) > lastSentAt) {
          this.#allow(id, null)
          return monitor.startOver(book)
        }
        monitor.askControls(book)
        // Not loud before a control that was just asked could have answered.
        if (clock.now() - since < detect.pingTimeoutMs) return
        return this.#deny([next.denial], book, null)
      case 'open':
        return this.#open(book, suspectedAt)
      case 'hold':
        return this.#hold(book, incident as Incident, next.denials)
      case 'act':
        return this.#act(book, await this.#release(incident as Incident))
      case 'recover':
        return this.#recover(book, incident as Incident)
      default:
        return next satisfies never
    }
  }

  /** What forbids acting on this server's failure now. */
  guardsFor(book: ServerBook, incident: Incident | null): GuardDenial[] {
    const { books, monitor, clock } = this.#parts
    const { guards, detect } = books.policy
    const now = clock.now()
    const denials: (GuardDenial | null)[] = [
      this.#paused(book.server.id),
      tooFewServers(books.servers.size, detect.canaries.length, guards.minServers, books.policy.mode['server-down']),
    ]
    const overridden = incident?.overrideUntil && incident.overrideUntil > now
    if (!overridden) denials.push(massFailure(books.census(), guards.massFailureRatio))
    if (monitor.isBlind()) denials.push(noControl(now, now, null, 0))
    if (books.stale)
      denials.push({
        guard: 'registry_stale',
        message: 'the server list could not be read lately: capacities and statuses may be old',
        remedy: 'Check the registry; it is asked again by itself.',
      })
    return denials.flatMap((denial) => denial ?? [])
  }

  #paused(id: ServerId): GuardDenial | null {
    const pause = this.#parts.books.pauseFor(id, this.#parts.clock.now())
    if (!pause) return null
    const until = pause.until === null ? 'until resumed' : `until ${new Date(pause.until).toISOString()}`
    return {
      guard: 'paused',
      message: `paused by an operator ${until}${pause.reason ? `: ${pause.reason}` : ''}`,
      remedy: 'Resume when it is time.',
    }
  }

  /** Why no move off this server may start now: asked before each, so that a guard holds in the middle too. */
  forbidden(from: ServerId): string | null {
    const { books, journal } = this.#parts
    if (journal.trouble) return `the store does not answer: ${journal.trouble}`
    const book = books.servers.get(from)
    if (!book) return null
    const incident = books.incidents.get(from)
    const denials = incident ? this.guardsFor(book, incident) : [this.#paused(from)].flatMap((denial) => denial ?? [])
    return denials[0]?.message ?? null
  }

  /** Tells a guard once when it begins to forbid; the incident tells each change of its own reasons. */
  async #deny(denials: readonly GuardDenial[], { server }: ServerBook, incident: Incident | null): Promise<void> {
    const at = this.#parts.clock.now()
    const events: EventDraft[] = []
    this.#allow(server.id, denials)
    for (const denial of denials) {
      const whom = this.#denying.get(denial.guard) ?? new Set()
      this.#denying.set(denial.guard, whom)
      if (whom.size === 0)
        events.push({
          type: 'guard.denied',
          at,
          data: { ...denial, serverId: server.id, incidentId: incident?.id ?? null },
        })
      whom.add(server.id)
    }
    if (events.length > 0) await this.#parts.journal.commit([], events)
  }

  /** Takes a server off all guards but these. */
  #allow(id: ServerId, still: readonly GuardDenial[] | null): void {
    for (const [guard, whom] of this.#denying) {
      if (still?.some((denial) => denial.guard === guard)) continue
      whom.delete(id)
      if (whom.size === 0) this.#denying.delete(guard)
    }
  }

  async #keep(incident: Incident, events: readonly EventDraft[] = [], writes: readonly StoreWrite[] = []): Promise<Incident> {
    const next = { ...incident, version: incident.version + 1 }
    if (next.status === 'open') this.#parts.books.incidents.set(next.serverId, next)
    this.#parts.books.changed()
    await this.#parts.journal.commit([put('incident', next.id, next), ...writes], events)
    return next
  }

  async #open(book: ServerBook, suspectedAt: number): Promise<void> {
    const { books, clock, random } = this.#parts
    const now = clock.now()
    const { server } = book
    const before = this.#restoring.get(server.id)
    const verdict = verdictOfBook(book)
    const incident: Incident = {
      id: newId(now, random) as IncidentId,
      serverId: server.id,
      serverName: server.name,
      status: 'open',
      suspectedAt,
      openedAt: now,
      recoveredAt: null,
      reasons: verdict.reasons,
      evidence: book.samples,
      control: book.control,
      heldBy: [],
      decisionId: null,
      evacuationId: null,
      // It failed again before its status was put back: the obligation goes on with the new incident.
      statusWrite: before?.statusWrite ?? null,
      acknowledgedAt: null,
      overrideUntil: null,
      version: 0,
    }
    books.outage(server.id, now)
    const closed = before
      ? [put('incident', before.id, { ...before, status: 'closed', statusWrite: null, version: before.version + 1 })]
      : []
    this.#restoring.delete(server.id)
    this.#allow(server.id, null)
    await this.#keep(
      incident,
      [
        {
          type: 'incident.opened',
          at: now,
          data: { incidentId: incident.id, serverId: server.id, suspectedAt, reasons: verdict.reasons },
        },
      ],
      closed,
    )
    this.look(server.id)
  }

  async #hold(book: ServerBook, incident: Incident, denials: readonly GuardDenial[]): Promise<void> {
    const same = denials.length === incident.heldBy.length && denials.every(({ guard }, index) => guard === incident.heldBy[index]?.guard)
    if (same) return
    const at = this.#parts.clock.now()
    await this.#keep({ ...incident, heldBy: denials }, [
      { type: 'incident.held', at, data: { incidentId: incident.id, serverId: incident.serverId, guards: denials } },
    ])
    await this.#deny(denials, book, incident)
  }

  async #release(incident: Incident): Promise<Incident> {
    this.#allow(incident.serverId, null)
    if (incident.heldBy.length === 0) return incident
    const data = { incidentId: incident.id, serverId: incident.serverId }
    return this.#keep({ ...incident, heldBy: [] }, [{ type: 'incident.released', at: this.#parts.clock.now(), data }])
  }

  /** Nothing forbids it: decide once, then see to the status. What moves is looked after by `#continue`. */
  async #act(book: ServerBook, incident: Incident): Promise<void> {
    const mode = this.#parts.books.policy.mode['server-down']
    // Also when the operator has meanwhile turned `observe` into more.
    const undecided = incident.decisionId === null || (incident.evacuationId === null && mode !== 'observe')
    const now = undecided ? await this.#decide(book, incident, mode) : incident
    if (mode === 'auto' && now) await this.#setOffline(book, now)
  }

  async #decide(book: ServerBook, incident: Incident, mode: Mode): Promise<Incident | null> {
    const gathered = await this.#parts.planner.gather([book])
    // Listing took its time: what held before it may not hold any more.
    const now = this.#parts.books.incidents.get(book.server.id)
    if (now !== incident || book.detector.verdict !== 'down' || this.guardsFor(book, incident).length > 0) {
      this.wake()
      return null
    }
    const made = this.#make(this.#parts.planner.plan(gathered, 'server-down'), mode, 'system', incident)
    const evacuationId = mode === 'observe' ? null : made.evacuation.id
    return this.#keep({ ...incident, decisionId: made.decision.id, evacuationId }, made.events, made.writes)
  }

  // ---------------------------------------------------------------------------------------------------------- status

  async #setOffline(book: ServerBook, incident: Incident): Promise<void> {
    const { books, registry, clock } = this.#parts
    const set = registry.setServerStatus?.bind(registry)
    const { server } = book
    const write = incident.statusWrite
    if (!set) return
    if (write?.confirmed) {
      const seen = this.#observed(write, server.status)
      if (seen !== write) await this.#keep({ ...incident, statusWrite: seen })
      return
    }
    if (!write && server.status !== 'online') return
    const intent: StatusWrite = write ?? {
      status: 'offline',
      previous: server.status,
      at: clock.now(),
      confirmed: false,
      seenAt: null,
      changedAt: null,
      restoredAt: null,
    }
    const intended = write ? incident : await this.#keep({ ...incident, statusWrite: intent })
    await callOut(clock, shortCallMs, this.#stopping, 'the registry', (ctx) => set(server, 'offline', ctx))
    const at = clock.now()
    const data = { serverId: server.id, status: intent.status, previous: intent.previous, incidentId: incident.id }
    await this.#keep({ ...(books.incidents.get(server.id) ?? intended), statusWrite: { ...intent, confirmed: true, at } }, [
      { type: 'server.status_set', at, data },
    ])
  }

  /** Whether the registry shows what we wrote, and whether somebody has changed it since. */
  #observed(write: StatusWrite, shown: string): StatusWrite {
    const { listedAt } = this.#parts.books
    if (listedAt <= write.at || write.changedAt !== null) return write
    if (shown === write.status) return write.seenAt === null ? { ...write, seenAt: listedAt } : write
    return write.seenAt === null ? write : { ...write, changedAt: listedAt }
  }

  async #recover(book: ServerBook, incident: Incident): Promise<void> {
    const now = this.#parts.clock.now()
    this.#unwell.delete(book.server.id)
    this.#allow(book.server.id, null)
    this.#parts.books.incidents.delete(book.server.id)
    const recovered = await this.#keep({ ...incident, status: 'recovered', recoveredAt: now, heldBy: [] })
    this.#restoring.set(book.server.id, recovered)
    const evacuation = incident.evacuationId && this.#parts.books.evacuations.get(incident.evacuationId)
    if (evacuation) await this.stop(evacuation, `${book.server.name} has recovered`)
    this.wake()
  }

  /** Takes back our own word, if it still stands; then the incident is closed. */
  async #restore(id: ServerId): Promise<void> {
    const incident = this.#restoring.get(id)
    if (!incident) return
    const { books, monitor, registry, clock } = this.#parts
    // A fresh list, so that an operator's newer word is seen before ours is taken back.
    await monitor.refresh()
    const book = books.servers.get(incident.serverId)
    if (!book || books.stale || book.detector.verdict !== 'up' || this.#restoring.get(incident.serverId) !== incident) return
    const { server } = book
    const write = incident.statusWrite && this.#observed(incident.statusWrite, server.status)
    const next = restoreStep(write, server.status, books.policy.failback.adoptInactive)
    if (next.do === 'restore' && registry.setServerStatus) {
      const set = registry.setServerStatus.bind(registry)
      await callOut(clock, shortCallMs, this.#stopping, 'the registry', (ctx) => set(server, next.status, ctx))
      book.server = { ...server, status: next.status }
      books.changed()
    }
    const at = clock.now()
    const restored = next.do === 'restore' && registry.setServerStatus !== undefined
    const advice = next.do === 'advise' ? next.advice : null
    this.#restoring.delete(incident.serverId)
    const events: EventDraft[] = [
      {
        type: 'incident.recovered',
        at,
        data: {
          incidentId: incident.id,
          serverId: incident.serverId,
          durationMs: Math.round(at - incident.suspectedAt),
          statusRestored: restored,
          advice,
        },
      },
    ]
    if (restored)
      events.unshift({
        type: 'server.status_set',
        at,
        data: { serverId: server.id, status: next.status, previous: server.status, incidentId: incident.id },
      })
    await this.#keep({ ...incident, status: 'closed', statusWrite: write && { ...write, restoredAt: restored ? at : null } }, events)
    if (advice) this.#parts.bus.warn({ code: 'advice', message: `${server.name}: ${advice}`, serverId: server.id })
  }

  // ------------------------------------------------------------------------------------------------------ evacuations

  /** The records of a plan that is to be carried out, or of one that is only noted (`observe`). */
  #make(plan: Plan, mode: Mode, triggeredBy: TriggeredBy, incident: Incident | null, existing: Evacuation | null = null) {
    const { books, clock, random } = this.#parts
    const now = clock.now()
    const decisionId = newId(now, random) as DecisionId
    const connections = plan.placements.reduce((sum, part) => sum + part.connections.length, 0) + plan.unplaced.length
    const base: Evacuation = existing ?? {
      id: newId(now, random) as EvacuationId,
      incidentId: incident?.id ?? null,
      decisionId,
      fromServerIds: plan.fromServerIds,
      onlyConnections: plan.onlyConnections,
      reason: plan.reason,
      mode,
      status: mode === 'auto' ? 'running' : 'suggested',
      triggeredBy,
      createdAt: now,
      approvedAt: mode === 'auto' ? now : null,
      endedAt: null,
      cancelledWhy: null,
      connections,
      moved: 0,
      unplaced: plan.unplaced,
      emptyListings: 0,
      nextLookAt: now,
      version: 0,
    }
    const evacuation: Evacuation = {
      ...base,
      unplaced: plan.unplaced,
      emptyListings: 0,
      nextLookAt: now + (plan.placements.length === 0 ? books.policy.migration.retryUnplacedMs : 0),
      version: base.version + 1,
    }
    const books_ = mode === 'observe' ? null : books
    const writes: StoreWrite[] = []
    const events: EventDraft[] = []
    const decision: DecisionRecord = {
      id: decisionId,
      at: now,
      reason: plan.reason,
      mode,
      incidentId: incident?.id ?? null,
      evacuationId: books_ ? evacuation.id : null,
      fromServerIds: plan.fromServerIds,
      verdicts: plan.fromServerIds.flatMap((id) => {
        const book = books.servers.get(id)
        return book ? { serverId: id, verdict: verdictOfBook(book) } : []
      }),
      evidence: incident?.evidence ?? [],
      control: incident?.control ?? null,
      guards: incident
        ? (['paused', 'too_few_servers', 'mass_failure', 'no_control', 'registry_stale'] as const).map((guard) => ({
            guard,
            denial: null,
          }))
        : [],
      cohorts: plan.cohorts,
      connections,
      placed: connections - plan.unplaced.length,
      unplaced: plan.unplaced.length,
      coverage: plan.coverage,
      policyVersion: books.words.get('policy')?.version ?? 0,
      version: 1,
    }
    writes.push(put('decision', decision.id, decision))
    events.push({
      type: 'decision.made',
      at: now,
      data: {
        decisionId,
        incidentId: decision.incidentId,
        reason: plan.reason,
        mode,
        connections,
        placed: decision.placed,
        unplaced: decision.unplaced,
      },
    })
    if (!books_) return { evacuation, decision, writes, events }
    books_.evacuations.set(evacuation.id, evacuation)
    writes.push(put('evacuation', evacuation.id, evacuation))
    if (!existing)
      events.push({
        type: 'evacuation.created',
        at: now,
        data: {
          evacuationId: evacuation.id,
          incidentId: evacuation.incidentId,
          fromServerIds: plan.fromServerIds,
          status: evacuation.status,
          connections,
          migrations: plan.placements.length,
          unplaced: plan.unplaced.length,
        },
      })
    const status = evacuation.status === 'running' ? 'scheduled' : 'suggested'
    for (const part of plan.placements) {
      const from = books.servers.get(part.fromServerId)?.server
      const to = books.servers.get(part.toServerId)?.server
      if (!from || !to) continue
      const migration: Migration = {
        id: newId(now, random) as MigrationId,
        evacuationId: evacuation.id,
        decisionId,
        fromServerId: from.id,
        fromServerName: from.name,
        toServerId: to.id,
        toServerName: to.name,
        status,
        reason: plan.reason,
        triggeredBy,
        notes: null,
        savingsEurHour: null,
        savingsEurMonth: null,
        createdAt: now,
        approvedAt: null,
        scheduledAt: status === 'scheduled' ? now : null,
        startedAt: null,
        completedAt: null,
        notBefore: null,
        connectionCountAtStart: part.connections.length,
        connectionsMoved: 0,
        connectionsFailed: 0,
        connectionsSkipped: 0,
        progress: 0,
        retryCount: 0,
        maxRetries: books.policy.migration.maxRetries,
        retryOf: null,
        errorMessage: null,
        rollbackSuccess: null,
        residue: [],
        warnings: [],
        version: 1,
      }
      books.put(migration)
      writes.push(put('migration', migration.id, migration))
      events.push({
        type: 'migration.created',
        at: now,
        data: {
          id: migration.id,
          serverId: from.id,
          status,
          fromServerId: from.id,
          toServerId: to.id,
          savingsEurHour: null,
          evacuationId: evacuation.id,
          reason: plan.reason,
          connections: part.connections.length,
        },
      })
      for (const connection of part.connections) {
        const move: MoveRecord = {
          id: `${migration.id}/${connection.id}`,
          migrationId: migration.id,
          connection,
          attempt: 1,
          tries: 0,
          state: { state: 'pending' },
          version: 1,
        }
        books.putMove(move)
        if (status === 'scheduled') books.reserve(to.id, connection.id)
        writes.push(put('move', move.id, move))
      }
    }
    const known = new Map(existing?.unplaced.map(({ connectionId, code }) => [connectionId, code]))
    for (const { connectionId, code, message } of plan.unplaced)
      if (known.get(connectionId) !== code)
        events.push({
          type: 'connection.unplaced',
          at: now,
          data: {
            connectionId,
            serverId: plan.fromServerIds[0] as ServerId,
            code,
            message,
            evacuationId: evacuation.id,
          },
        })
    return { evacuation, decision, writes, events }
  }

  /** Carries out a plan that a person asked for, if the world is still the one that it was made for. */
  async execute(plan: Plan, sources: readonly ServerBook[]): Promise<Evacuation> {
    const { books, planner } = this.#parts
    await this.#askHost(plan.reason)
    const gathered = await planner.gather(sources)
    // From the fresh plan to its reservations nothing waits, so that nobody takes the room in between.
    const fresh = planner.plan(gathered, plan.reason, undefined, plan.onlyConnections)
    if (fresh.fingerprint !== plan.fingerprint) {
      const changes = differences(plan, fresh)
      throw new PintailError('plan_stale', `the world has changed since this plan: ${changes.join('; ')}`, {
        remedy: 'Plan again, look at what it says now, and execute that.',
        problems: changes.map((message) => ({ path: 'plan', message })),
      })
    }
    const busy = [...books.evacuations.values()].find(({ fromServerIds }) => fromServerIds.some((id) => fresh.fromServerIds.includes(id)))
    if (busy)
      throw new PintailError('guard_denied', `evacuation ${busy.id} of ${busy.fromServerIds.join(', ')} is under way`, {
        remedy: 'Wait for it, or cancel it first.',
      })
    const mode = books.policy.mode[fresh.reason]
    const made = this.#make(fresh, mode === 'auto' ? 'auto' : 'suggest', 'admin', null)
    await this.#parts.journal.commit(made.writes, made.events)
    this.wake()
    return made.evacuation
  }

  /** Optional reasons ask the host's guards; a source that fails to answer forbids them. */
  async #askHost(reason: MigrationReason): Promise<void> {
    if (reason === 'manual' || reason === 'server-down') return
    for (const source of this.#parts.guards) {
      const states = await callOut(this.#parts.clock, shortCallMs, this.#stopping, 'the guard source', (ctx) => source.current(ctx)).catch(
        (error): GuardState[] => [{ name: 'guard source', active: true, message: `it does not answer: ${errorText(error)}` }],
      )
      const active = states.find((state) => state.active && (state.forbids?.includes(reason) ?? true))
      if (active)
        throw new PintailError(
          'guard_denied',
          `${active.name} forbids ${reason}: ${active.message}`,
          active.remedy ? { remedy: active.remedy } : {},
        )
    }
  }

  /** After its migrations: list again, plan whoever is left or could not be placed, and end when nobody is. */
  async #continue(id: EvacuationId): Promise<void> {
    const { books, planner, journal, clock } = this.#parts
    const evacuation = books.evacuations.get(id)
    if (!evacuation) return
    const migrations = books.migrationsOf(id)
    if (migrations.some(({ status }) => !isTerminal(status))) return
    if (evacuation.cancelledWhy !== null) return this.#finish(evacuation, 'cancelled')
    const sources = evacuation.fromServerIds.flatMap((server) => books.servers.get(server) ?? [])
    const incident = evacuation.fromServerIds
      .map((server) => books.incidents.get(server))
      .find((open) => open?.id === evacuation.incidentId)
    if (evacuation.incidentId && !incident) return this.stop(evacuation, 'the incident has ended')
    if (sources.some((book) => (incident ? this.guardsFor(book, incident).length > 0 : this.#paused(book.server.id) !== null))) return
    const { moved, spared, refusals, lookAt } = this.#outcomes(migrations)
    if (clock.now() < Math.max(evacuation.nextLookAt, lookAt)) return
    const fixed = evacuation.unplaced.filter(({ code }) => !retriable.includes(code))
    const settled = new Set([...moved, ...spared, ...fixed.map(({ connectionId }) => connectionId)])
    const gathered = await planner.gather(sources)
    if (books.evacuations.get(id) !== evacuation) return
    const plan = planner.plan(gathered, evacuation.reason, refusals, evacuation.onlyConnections, settled)
    if (plan.placements.length > 0 || plan.unplaced.length > 0) {
      const unplaced = [...fixed, ...plan.unplaced]
      const made = this.#make({ ...plan, unplaced }, evacuation.mode, 'system', incident ?? null, {
        ...evacuation,
        moved: moved.size,
      })
      // No decision is written each time that room is looked for in vain.
      const inVain =
        plan.placements.length === 0 &&
        unplaced.length === evacuation.unplaced.length &&
        plan.unplaced.some(({ code }) => retriable.includes(code))
      if (inVain) books.evacuations.set(id, { ...evacuation, nextLookAt: made.evacuation.nextLookAt })
      else await journal.commit(made.writes, made.events)
      return this.wake()
    }
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
    this.wake()
  }

  /** What became of an evacuation's connections so far, and which targets have failed whom. */
  #outcomes(migrations: readonly Migration[]) {
    const moved = new Set<ConnectionId>()
    const spared = new Set<ConnectionId>()
    const refused = new Map<ConnectionId, Set<ServerId>>()
    const failed = new Map<ConnectionId, Set<ServerId>>()
    const add = (map: Map<ConnectionId, Set<ServerId>>, connection: ConnectionId, server: ServerId) =>
      map.set(connection, (map.get(connection) ?? new Set<ServerId>()).add(server))
    for (const migration of migrations)
      for (const { connection, state } of this.#parts.books.movesOf(migration.id)) {
        if (state.state === 'moved') moved.add(connection.id)
        // A person has cancelled this migration: nobody is planned around that word.
        else if (migration.status === 'cancelled') spared.add(connection.id)
        else if (state.state === 'failed') add(state.permanent ? refused : failed, connection.id, migration.toServerId)
      }
    const { targetsPerConnection, retryUnplacedMs } = this.#parts.books.policy.migration
    const refusals = new Map<ConnectionId, ReadonlySet<ServerId>>(refused)
    let lookAt = 0
    for (const [id, servers] of failed) {
      if (moved.has(id)) continue
      const all = new Set([...servers, ...(refused.get(id) ?? [])])
      // Elsewhere at first. If it fails everywhere it is the panel, not the user: all targets again, after a pause.
      if (all.size < targetsPerConnection) refusals.set(id, all)
      else lookAt = Math.max(...migrations.map(({ completedAt }) => completedAt ?? 0)) + retryUnplacedMs
    }
    return { moved, spared, refusals, lookAt }
  }

  async #finish(evacuation: Evacuation, status: 'completed' | 'cancelled'): Promise<void> {
    const { books, journal, clock } = this.#parts
    const now = clock.now()
    const moved = this.#outcomes(books.migrationsOf(evacuation.id)).moved.size
    const { id: evacuationId, createdAt, unplaced, cancelledWhy } = evacuation
    const next: Evacuation = { ...evacuation, moved, status, endedAt: now, version: evacuation.version + 1 }
    const told: EventDraft =
      status === 'completed'
        ? {
            type: 'evacuation.completed',
            at: now,
            data: { evacuationId, moved, unplaced: unplaced.length, durationMs: Math.round(now - createdAt) },
          }
        : { type: 'evacuation.cancelled', at: now, data: { evacuationId, moved, why: cancelledWhy ?? 'cancelled' } }
    books.forget(evacuationId)
    await journal.commit([put('evacuation', evacuationId, next)], [told])
  }

  /** Starts nothing more of an evacuation; what is under way settles, and then it ends. */
  async stop(evacuation: Evacuation, why: string): Promise<void> {
    const { books, journal } = this.#parts
    if (evacuation.cancelledWhy !== null) return
    const next: Evacuation = { ...evacuation, cancelledWhy: why, version: evacuation.version + 1 }
    books.evacuations.set(next.id, next)
    await journal.commit([put('evacuation', next.id, next)], [])
    for (const migration of books.migrationsOf(next.id)) if (!isTerminal(migration.status)) await this.#migrator().cancel(migration, why)
    this.wake()
  }

  // ------------------------------------------------------------------------------------------------- a person's word

  /** Approves suggested migrations; each schedules itself. */
  async approve(evacuation: Evacuation, migrations: readonly Migration[]): Promise<void> {
    const { books, journal, clock } = this.#parts
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
    this.wake()
  }

  async acknowledge(incident: Incident): Promise<void> {
    const at = this.#parts.clock.now()
    await this.#keep({ ...incident, acknowledgedAt: at }, [
      { type: 'incident.acknowledged', at, data: { incidentId: incident.id, serverId: incident.serverId } },
    ])
    this.wake()
  }

  async overrideGuard(incident: Incident, until: number): Promise<void> {
    await this.#keep({ ...incident, overrideUntil: until }, [
      { type: 'guard.overridden', at: this.#parts.clock.now(), data: { incidentId: incident.id, until } },
    ])
    this.wake()
  }

  /** Guards that forbid something now, and for which servers. */
  denials(): { readonly guard: GuardCode; readonly servers: readonly ServerId[] }[] {
    return [...this.#denying].map(([guard, whom]) => ({ guard, servers: [...whom] }))
  }
}
