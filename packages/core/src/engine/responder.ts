import { dampedNews } from '../decide/damping.ts'
import { verdictOf } from '../decide/detector.ts'
import { newFailback } from '../decide/failback.ts'
import { controlFreshMs, massFailure, noControl, optionalReasons, tooFewServers } from '../decide/guard.ts'
import { goneAfter, nextStep, restoreStep } from '../decide/incident.ts'
import { backoffMs } from '../decide/migration.ts'
import { newIncident } from '../decide/records.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { StoreWrite } from '../ports.ts'
import { defer, newId } from '../time.ts'
import type {
  EvacuationId,
  GuardCode,
  GuardDenial,
  Incident,
  IncidentId,
  MigrationReason,
  Mode,
  ServerId,
  StatusWrite,
} from '../vocabulary.ts'
import type { ServerBook } from './books.ts'
import type { Homing, HomingParts } from './homing.ts'
import { put } from './journal.ts'
import type { Migrator } from './migrator.ts'

/** A server that goes on flapping is told about this often, milliseconds. */
const tellDampedMs = 3_600_000
/** So many servers are looked at in one turn of the event loop. */
const mostAtOnce = 500

export interface ResponderParts extends Omit<HomingParts, 'forbidden'> {
  readonly homing: Homing
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
  #isAttending = false
  /** Down, and nobody else has answered since. */
  readonly #awaiting = new Set<ServerId>()
  /** Guards that forbid something now, and whom; each is told loudly once, when it begins. */
  readonly #denying = new Map<GuardCode, Set<ServerId>>()
  readonly #restoring = new Map<ServerId, Incident>()
  /** Damped servers, and when that was told last. */
  readonly #damped = new Map<ServerId, number>()
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
    const { homing } = this.#parts
    const { evacuations } = this.#parts.books
    const over = this.#tellDamped()
    // If the store has lost us, the term ends; nobody waits for this one.
    if (over.length > 0) this.#parts.journal.commit([], over).catch(() => {})
    if (this.#unwell.size > mostAtOnce) void this.#attendAll()
    else for (const id of this.#unwell) this.#attendSoon(id)
    for (const id of evacuations.keys()) this.#task(`evacuation ${id}`, () => this.#goOn(id))
    for (const id of this.#restoring.keys()) this.#task(`recovery of ${id}`, () => this.#restore(id))
    for (const id of homing.open.keys()) this.#task(`failback of incident ${id}`, () => homing.attend(id))
    this.#migrator().wake()
  }

  #attendSoon(id: ServerId): void {
    this.#task(`server ${id}`, () => this.#attend(id))
  }

  /** A prober that loses its network makes a whole fleet unwell: nothing else may wait until all of it was looked at. */
  async #attendAll(): Promise<void> {
    if (this.#isAttending) return
    this.#isAttending = true
    let count = 0
    for (const id of [...this.#unwell]) {
      if (++count % mostAtOnce === 0) await new Promise<void>((resolve) => defer(this.#parts.clock, resolve))
      if (this.#stopping.aborted) break
      this.#attendSoon(id)
    }
    this.#isAttending = false
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
    // Whom a guard forbids waits for it, and does not complain.
    if (isPintailError(error, 'guard_denied')) return
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
    const { books, homing } = this.#parts
    const waiting = [this.#unwell, books.evacuations, this.#restoring, this.#damped, homing.open]
    return waiting.some(({ size }) => size > 0)
  }

  /** True while somebody is about to be moved, or would be but for a guard. */
  get isActing(): boolean {
    const { books } = this.#parts
    const runs = [...books.evacuations.values()].some(({ status, endedAt }) => status === 'running' && endedAt === null)
    return runs || [...this.#unwell].some((id) => (books.incidents.get(id)?.decisionId ?? null) === null)
  }

  /** True while a failure waits for any other host to answer. */
  get wantsControl(): boolean {
    return this.#awaiting.size > 0
  }

  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all([...this.#tasks.values()].map(({ done }) => done))
  }

  /** Puts a server on the list of those to look at. */
  look(server: ServerId): void {
    this.#unwell.add(server)
    // Where many are unwell the others are looked at by the clock, not with each of them.
    if (this.#unwell.size <= mostAtOnce) this.wake()
    else if (!this.#stopping.aborted && this.#parts.books.listedAt > 0) this.#attendSoon(server)
  }

  /** The server list was read, or could not be. */
  listed(): void {
    const { books, homing } = this.#parts
    for (const { server, detector } of books.servers.values()) if (detector.verdict === 'down') this.#unwell.add(server.id)
    homing.look(
      (id) => this.#restoring.has(id),
      (key, work) => this.#task(key, work),
    )
    this.wake()
  }

  /** Damped: told when it begins, now and then while it goes on (`failed`), and when it is over. */
  #tellDamped(failed: ServerId | null = null): EventDraft[] {
    const { books, clock } = this.#parts
    const at = clock.now()
    const { dampingCeiling, dampingHalfLifeMs } = books.policy.guards
    if (failed && books.isDamped(failed, at) && at - (this.#damped.get(failed) ?? 0) >= tellDampedMs) {
      this.#damped.set(failed, at)
      return [{ type: 'server.damped', at, data: dampedNews(failed, books.damping(failed), dampingCeiling, dampingHalfLifeMs) }]
    }
    const over = failed ? [] : [...this.#damped.keys()].filter((id) => !books.isDamped(id, at))
    return over.map((serverId) => {
      this.#damped.delete(serverId)
      return { type: 'server.undamped', at, data: { serverId, verdict: books.servers.get(serverId)?.detector.verdict ?? 'unknown' } }
    })
  }

  /** Every incident that was kept, oldest first. */
  resume(history: Iterable<Incident>): void {
    const { books, clock, homing } = this.#parts
    for (const incident of history) {
      const { serverId, status } = incident
      if (books.isDamped(serverId, clock.now())) this.#damped.set(serverId, 0)
      if (status === 'open') this.#unwell.add(serverId)
      else if (status === 'recovered') this.#restoring.set(serverId, incident)
      else homing.take(incident)
    }
  }

  /** An evacuation without incident tells itself what holds it. */
  async #goOn(id: EvacuationId): Promise<void> {
    const { books, evacuator } = this.#parts
    const evacuation = books.evacuations.get(id)
    for (const from of evacuation?.fromServerIds ?? []) {
      const book = books.servers.get(from)
      if (this.#unwell.has(from)) continue
      const runs = evacuation?.status === 'running' && evacuation.endedAt === null && evacuation.cancelledWhy === null
      if (book && runs) await this.#deny(this.guardsFor(book, null, evacuation.reason), book, null)
      else this.#allow(from, null)
    }
    return evacuator.continue(id)
  }

  // ---------------------------------------------------------------------------------------------------------- servers

  async #attend(id: ServerId): Promise<void> {
    const { books, monitor, clock } = this.#parts
    const book = books.servers.get(id)
    const incident = books.incidents.get(id) ?? null
    this.#awaiting.delete(id)
    if (incident && books.missing(id) >= goneAfter) return this.#gone(incident)
    // With an incident it may only not be listed yet, after a restart.
    if (!book) return incident ? undefined : void this.#unwell.delete(id)
    const { verdict, since, lastSentAt } = book.detector
    const { detect } = books.policy
    const suspectedAt = book.detector.suspectedAt ?? clock.now()
    const control = noControl(suspectedAt, lastSentAt, book.control, controlFreshMs(detect))
    const next = nextStep({
      verdict,
      // Our own word, not taken back yet: nobody took it out of service on purpose.
      status: this.#restoring.get(id)?.statusWrite?.status === book.server.status ? 'online' : book.server.status,
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
        this.#awaiting.add(id)
        // Somebody answers again. What was seen before that is worth nothing: it is confirmed anew.
        if ((monitor.witness.controlFor(id)?.at ?? 0) > lastSentAt) {
          this.#allow(id, null)
          return monitor.witness.startOver(book)
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

  /** What forbids moves off this server now, because of its incident or because a person asked for them. */
  guardsFor(book: ServerBook, incident: Incident | null, reason: MigrationReason = 'server-down'): GuardDenial[] {
    const { books, monitor, hostGuards, clock } = this.#parts
    const { guards, detect } = books.policy
    const now = clock.now()
    // Once the server is dead, whoever was to leave it when there is time leaves a dead server.
    const why = incident && optionalReasons.includes(reason) ? 'server-down' : reason
    const denials = [this.#paused(book.server.id), hostGuards.denial(why, book.server.id)]
    // Who asks for a move himself has eyes of his own.
    if (incident)
      denials.push(tooFewServers(books.servers.size, detect.canaries.length, guards.minServers, books.policy.mode['server-down']))
    const overridden = incident?.overrideUntil && incident.overrideUntil > now
    if (!overridden) denials.push(massFailure(books.census(), guards.massFailureRatio))
    if (monitor.witness.isBlind()) denials.push(noControl(now, now, null, 0))
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
  forbidden(from: ServerId, reason: MigrationReason): string | null {
    const { books, journal } = this.#parts
    if (journal.trouble) return `the store does not answer: ${journal.trouble}`
    const book = books.servers.get(from)
    if (!book) return null
    return this.guardsFor(book, books.incidents.get(from) ?? null, reason)[0]?.message ?? null
  }

  /** Tells a guard once when it begins to forbid; the incident tells each change of its own reasons. */
  async #deny(denials: readonly GuardDenial[], { server }: ServerBook, incident: Incident | null, isNews = true): Promise<void> {
    const at = this.#parts.clock.now()
    const events: EventDraft[] = []
    this.#allow(server.id, denials)
    for (const denial of denials) {
      const whom = this.#denying.get(denial.guard) ?? new Set()
      this.#denying.set(denial.guard, whom)
      if (whom.size === 0 && isNews)
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
    this.#parts.books.changed(next.serverId)
    await this.#parts.journal.commit([put('incident', next.id, next), ...writes], events)
    return next
  }

  async #open(book: ServerBook, suspectedAt: number): Promise<void> {
    const { books, clock, random } = this.#parts
    const now = clock.now()
    const { server } = book
    const before = this.#restoring.get(server.id)
    const verdict = verdictOf(book.detector)
    // It failed again before its status was put back: the obligation goes on with the new incident.
    const known = { evidence: book.samples, control: book.control, statusWrite: before?.statusWrite ?? null }
    const incident = newIncident(newId(now, random) as IncidentId, server, verdict, suspectedAt, now, known)
    books.outage(server.id, now)
    const ended: Incident | undefined = before && { ...before, status: 'closed', statusWrite: null, version: before.version + 1 }
    const closed = ended ? [put('incident', ended.id, ended)] : []
    if (ended) this.#parts.homing.take(ended)
    this.#restoring.delete(server.id)
    this.#allow(server.id, null)
    await this.#keep(
      incident,
      [
        ...this.#tellDamped(server.id),
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
    const nameOf = (denial?: GuardDenial) => `${denial?.guard} ${denial?.values?.name}`
    const same = denials.length === incident.heldBy.length && denials.every((one, index) => nameOf(one) === nameOf(incident.heldBy[index]))
    // Told before, perhaps by another leader.
    if (same) return this.#deny(denials, book, incident, false)
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

  /** Nothing forbids it: decide once, then see to the status. What moves is looked after by the evacuator. */
  async #act(book: ServerBook, incident: Incident): Promise<void> {
    const mode = this.#parts.books.policy.mode['server-down']
    // Also when the operator has meanwhile turned `observe` into more.
    const undecided = incident.decisionId === null || (incident.evacuationId === null && mode !== 'observe')
    const now = undecided ? await this.#decide(book, incident, mode) : incident
    if (!now) return
    // Also after a person's approval: the host's own code must stop assigning users to a dead server.
    const approved = now.evacuationId !== null && (this.#parts.books.evacuations.get(now.evacuationId)?.approvedAt ?? null) !== null
    if (mode === 'auto' || approved || now.statusWrite !== null) await this.#setOffline(book, now)
  }

  async #decide(book: ServerBook, incident: Incident, mode: Mode): Promise<Incident | null> {
    const gathered = await this.#parts.planner.gather([book])
    // Listing took its time: what held before it may not hold any more.
    const now = this.#parts.books.incidents.get(book.server.id)
    if (now !== incident || book.detector.verdict !== 'down' || this.guardsFor(book, incident).length > 0) {
      this.wake()
      return null
    }
    // In the same turn, and so in one commit with the decision: whoever has not started there is planned here.
    const superseded = mode === 'auto' ? this.#parts.evacuator.supersede(book.server.id, incident.id) : null
    const plan = this.#parts.planner.plan(gathered, 'server-down')
    const made = this.#parts.evacuator.decide(plan, mode, 'system', incident)
    const evacuationId = mode === 'observe' ? null : made.evacuation.id
    const kept = this.#keep({ ...incident, decisionId: made.decision.id, evacuationId }, made.events, made.writes)
    return (await Promise.all([kept, superseded]))[0]
  }

  // ---------------------------------------------------------------------------------------------------------- status

  async #setOffline(book: ServerBook, incident: Incident): Promise<void> {
    const { books, setStatus, clock } = this.#parts
    const { server } = book
    const write = incident.statusWrite
    if (!setStatus) return
    if (write?.confirmed) {
      const seen = this.#observed(write, server.status)
      if (seen !== write) await this.#keep({ ...incident, statusWrite: seen })
      return
    }
    // Also one that the registry has not taken yet: an operator's word that came meanwhile is left alone.
    if (server.status !== 'online' && server.status !== write?.status) return
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
    await setStatus(server, 'offline')
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
    const { evacuations, policy } = this.#parts.books
    const { evacuationId } = incident
    const evacuation = evacuationId && evacuations.get(evacuationId)
    // Whom a cancelled evacuation had moved is in the store only.
    const mayReturn = evacuationId !== null && (!evacuation || evacuation.connections + evacuation.moved > 0)
    const failback = policy.failback.strategy !== 'never' && mayReturn ? newFailback(now) : null
    // Before anything is waited for: a slow store must not let moves start after the recovery (I9).
    const stopped = evacuation ? this.#parts.evacuator.stop(evacuation, `${book.server.name} has recovered`) : null
    const kept = this.#keep({ ...incident, status: 'recovered', recoveredAt: now, heldBy: [], failback }).then((recovered) =>
      this.#restoring.set(book.server.id, recovered),
    )
    await Promise.all([kept, stopped])
    this.wake()
  }

  /** Takes back our own word, if it still stands; then the incident is closed. */
  async #restore(id: ServerId): Promise<void> {
    const incident = this.#restoring.get(id)
    if (!incident) return
    const { books, monitor, setStatus, clock, homing } = this.#parts
    if (books.missing(id) >= goneAfter) return this.#gone(incident)
    // Not known yet after a restart: looked at again when it is, not at once and for ever.
    if (books.servers.get(id)?.detector.verdict !== 'up') return
    // A fresh list, so that an operator's newer word is seen before ours is taken back.
    await monitor.refresh()
    // With a pause: returning would ask again at once, because the reading itself wakes everybody.
    if (books.stale) throw new PintailError('guard_denied', 'the server list could not be read')
    const book = books.servers.get(incident.serverId)
    if (book?.detector.verdict !== 'up' || this.#restoring.get(incident.serverId) !== incident) return
    const { server } = book
    const write = incident.statusWrite && this.#observed(incident.statusWrite, server.status)
    const next = restoreStep(write, server.status, books.policy.failback.adoptInactive)
    if (next.do === 'restore' && setStatus) {
      await setStatus(server, next.status)
      book.server = { ...server, status: next.status }
      books.changed(server.id)
    }
    const at = clock.now()
    const restored = next.do === 'restore' && setStatus !== null
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
    const closed = { ...incident, status: 'closed' as const, statusWrite: write && { ...write, restoredAt: restored ? at : null } }
    homing.take(await this.#keep(closed, events, advice ? homing.noteAdvice(server.id) : []))
    if (advice) this.#parts.bus.warn({ code: 'advice', message: `${server.name}: ${advice}`, serverId: server.id })
  }

  /** The registry has not named its server for long: there is nothing left to recover. */
  async #gone(incident: Incident): Promise<void> {
    const { books, evacuator, clock, homing } = this.#parts
    const { id: incidentId, serverId, serverName } = incident
    this.#unwell.delete(serverId)
    this.#restoring.delete(serverId)
    this.#allow(serverId, null)
    books.incidents.delete(serverId)
    const evacuation = incident.evacuationId && books.evacuations.get(incident.evacuationId)
    const stopped = evacuation ? evacuator.stop(evacuation, 'gone from the registry') : null
    const advice = `${serverName} is gone from the registry: its incident is closed, and whoever is still assigned to it is the host's to look after`
    const closed: EventDraft = { type: 'incident.closed', at: clock.now(), data: { incidentId, serverId, advice } }
    homing.take(await this.#keep({ ...incident, status: 'closed', heldBy: [] }, [closed]))
    await stopped
    this.wake()
  }

  // ------------------------------------------------------------------------------------------------- a person's word

  async acknowledge(incident: Incident): Promise<void> {
    // Said already: the same word again tells nothing new.
    if (incident.acknowledgedAt !== null) return
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
