import { kindFor, type ServerBook, verdictFor } from '../books/books.ts'
import { type Case, caseKey, caseOf } from '../books/incidents.ts'
import { put } from '../books/journal.ts'
import { dampedNews } from '../decide/damping.ts'
import { hasFailed } from '../decide/domains.ts'
import { newFailback } from '../decide/failback.ts'
import { controlFreshMs, massFailure, noControl, noVantage, optionalReasons, tooFewServers } from '../decide/guard.ts'
import { goneAfter, nextStep, restoreStep } from '../decide/incident.ts'
import { backoffMs } from '../decide/migration.ts'
import { newIncident, wouldHave } from '../decide/records.ts'
import { outsideWindows } from '../decide/windows.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { Migrator } from '../moving/migrator.ts'
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
  Sample,
  ServerId,
  StatusWrite,
  Verdict,
} from '../vocabulary.ts'
import type { Homing, HomingParts } from './homing.ts'

/** A server that goes on flapping is told about this often, milliseconds. */
const tellDampedMs = 3_600_000
/** So many servers are looked at in one turn of the event loop. */
const mostAtOnce = 500

/** An audience's incident waits so long for the verdict of all others, milliseconds. */
const othersDecideMs = 30_000

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
  readonly #unwell = new Map<string, Case>()
  #isAttending = false
  /** Down, and nobody else has answered since. */
  readonly #awaiting = new Set<ServerId>()
  /** Guards that forbid something now, for which audience, and whom; each is told loudly once, when it begins. */
  readonly #denying = new Map<string, { readonly guard: GuardCode; readonly audience: string | null; readonly whom: Set<ServerId> }>()
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
    else for (const [key, one] of this.#unwell) this.#attendSoon(key, one)
    for (const id of evacuations.keys()) this.#task(`evacuation ${id}`, () => this.#goOn(id))
    for (const id of this.#restoring.keys()) this.#task(`recovery of ${id}`, () => this.#restore(id))
    for (const id of homing.open.keys()) this.#task(`failback of incident ${id}`, () => homing.attend(id))
    this.#migrator().wake()
  }

  #attendSoon(key: string, one: Case): void {
    this.#task(`server ${nameOf(one)}`, () => this.#attend(key, one))
  }

  /** A prober that loses its network makes a whole fleet unwell: nothing else may wait until all of it was looked at. */
  async #attendAll(): Promise<void> {
    if (this.#isAttending) return
    this.#isAttending = true
    let count = 0
    for (const [key, one] of [...this.#unwell]) {
      if (++count % mostAtOnce === 0) await new Promise<void>((resolve) => defer(this.#parts.clock, resolve))
      if (this.#stopping.aborted) break
      this.#attendSoon(key, one)
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
    return (
      runs ||
      [...this.#unwell.values()].some(({ serverId, audience }) => (books.incidents.of(serverId, audience)?.decisionId ?? null) === null)
    )
  }

  /** True while a failure waits for any other host to answer. */
  get wantsControl(): boolean {
    return this.#awaiting.size > 0
  }

  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all([...this.#tasks.values()].map(({ done }) => done))
  }

  /** Puts a server, or a server for one audience, on the list of those to look at. */
  look(serverId: ServerId, audience: string | null = null): void {
    const one = { serverId, audience }
    this.#add(one)
    // Where many are unwell the others are looked at by the clock, not with each of them.
    if (this.#unwell.size <= mostAtOnce) this.wake()
    else if (!this.#stopping.aborted && this.#parts.books.listedAt > 0) this.#attendSoon(caseKey(one), one)
  }

  #add({ serverId, audience }: Case): void {
    const one = { serverId, audience }
    this.#unwell.set(caseKey(one), one)
  }

  /** The server list was read, or could not be. */
  listed(): void {
    const { books, homing } = this.#parts
    for (const book of books.servers.values())
      for (const audience of [null, ...(book.tally?.audiences.keys() ?? [])])
        if (kindFor(book, audience) === 'down') this.#add({ serverId: book.server.id, audience })
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
      const book = books.servers.get(serverId)
      return { type: 'server.undamped', at, data: { serverId, verdict: book ? kindFor(book, null) : 'unknown' } }
    })
  }

  /** Every incident that was kept, oldest first. */
  resume(history: Iterable<Incident>): void {
    const { books, clock, homing } = this.#parts
    for (const incident of history) {
      const { serverId, status, audience = null } = incident
      if (audience === null && books.isDamped(serverId, clock.now())) this.#damped.set(serverId, 0)
      if (status === 'open') this.#add({ serverId, audience })
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
      const one = { serverId: from, audience: evacuation?.audience ?? null }
      if (this.#unwell.has(caseKey(one))) continue
      const runs = evacuation?.status === 'running' && evacuation.endedAt === null && evacuation.cancelledWhy === null
      if (book && runs) await this.#deny(this.guardsFor(book, null, evacuation.reason), book, null)
      else this.#allow(one, null)
    }
    return evacuator.continue(id)
  }

  // ---------------------------------------------------------------------------------------------------------- servers

  async #attend(key: string, one: Case): Promise<void> {
    const { books, clock } = this.#parts
    const { serverId: id, audience } = one
    const book = books.servers.get(id)
    const incident = books.incidents.of(id, audience) ?? null
    if (audience === null) this.#awaiting.delete(id)
    if (incident && books.missing(id) >= goneAfter) return this.#gone(incident)
    // With an incident it may only not be listed yet, after a restart.
    if (!book) return incident ? undefined : void this.#unwell.delete(key)
    const above = audience === null ? undefined : books.incidents.of(id)
    if (above) return incident ? this.#yield(incident, above) : void this.#unwell.delete(key)
    const seen = verdictFor(book, audience)
    const { verdict } = seen
    // What is down for everybody, or may be as soon as all others have looked closely, is one incident and not two.
    const all = audience !== null && !incident && verdict === 'down' ? kindFor(book, null) : null
    if (all === 'down') return void this.#unwell.delete(key)
    if (all === 'suspect' && clock.now() - seen.since < othersDecideMs) return
    const next = nextStep({
      verdict,
      status: this.#statusFor(book, audience),
      incident,
      control: seen.votes ? null : this.#control(book),
      guards: this.guardsFor(book, incident),
    })
    switch (next.do) {
      case 'nothing':
        if (!incident && verdict !== 'suspect') this.#unwell.delete(key)
        // What has no vote any more is held before each move, and tells so.
        if (incident && audience !== null && verdict === 'unknown') return this.#hold(book, incident, this.guardsFor(book, incident))
        this.#allow(one, null)
        return
      case 'await_control':
        return this.#await(book, one, next.denial)
      case 'open':
        return this.#open(book, audience, seen)
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

  #statusFor({ server }: ServerBook, audience: string | null): ServerBook['server']['status'] {
    const restoring = this.#restoring.get(server.id)
    // Our own word, not taken back yet: nobody took it out of service on purpose. Nobody is sent there for an audience either.
    return audience === null && restoring?.statusWrite?.status === server.status ? 'online' : server.status
  }

  /** Whether another host's answer stands behind what our own vantage alone says. */
  #control({ detector, control }: ServerBook): GuardDenial | null {
    const { books, clock } = this.#parts
    return noControl(detector.suspectedAt ?? clock.now(), detector.lastSentAt, control, controlFreshMs(books.policy.detect))
  }

  async #await(book: ServerBook, one: Case, denial: GuardDenial): Promise<void> {
    const { books, monitor, clock } = this.#parts
    const { since, lastSentAt } = book.detector
    this.#awaiting.add(one.serverId)
    // Somebody answers again. What was seen before that is worth nothing: it is confirmed anew.
    if ((monitor.witness.controlFor(one.serverId)?.at ?? 0) > lastSentAt) {
      this.#allow(one, null)
      return monitor.witness.startOver(book)
    }
    monitor.askControls(book)
    // Not loud before a control that was just asked could have answered.
    if (clock.now() - since < books.policy.detect.pingTimeoutMs) return
    return this.#deny([denial], book, null)
  }

  /** It is down for everybody now: what the incident of one audience has begun goes on until that one takes over. */
  async #yield(incident: Incident, above: Incident): Promise<void> {
    const { books } = this.#parts
    const evacuation = incident.evacuationId && books.evacuations.get(incident.evacuationId)
    const runs = evacuation && evacuation.endedAt === null && evacuation.cancelledWhy === null && evacuation.approvedAt !== null
    if (runs) return
    return this.#close(incident, `superseded by incident ${above.id}: ${incident.serverName} is down for everybody`)
  }

  /** What forbids moves off this server now, because of its incident or because a person asked for them. */
  guardsFor(book: ServerBook, incident: Incident | null, reason: MigrationReason = 'server-down'): GuardDenial[] {
    const { books, monitor, hostGuards, clock } = this.#parts
    const { guards, detect } = books.policy
    const now = clock.now()
    // Once the server is dead, whoever was to leave it when there is time leaves a dead server.
    const why = incident && optionalReasons.includes(reason) ? 'server-down' : reason
    const denials = [this.#paused(book.server.id), hostGuards.denial(why, book.server.id)]
    if (why === 'cost-optimization') denials.push(outsideWindows(books.policy.advice.windows, now))
    const audience = incident?.audience ?? null
    // Who asks for a move himself has eyes of his own, and several vantages doubt each other.
    if (incident && !incident.votes)
      denials.push(tooFewServers(books.servers.size, detect.canaries.length, guards.minServers, books.policy.mode['server-down']))
    const overridden = incident?.overrideUntil && incident.overrideUntil > now
    // An audience within itself, and everybody: what is too large for the fleet is so for a part of it.
    const massed = massFailure(books.census(), guards.massFailureRatio)
    const within = audience === null ? null : massFailure(books.census(audience), guards.massFailureRatio, audience)
    if (!overridden) denials.push(within ?? massed)
    if (monitor.witness.isBlind()) denials.push(noControl(now, now, null, 0))
    else if (audience !== null && kindFor(book, audience) === 'unknown') denials.push(noVantage(audience, now))
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
  forbidden(from: ServerId, reason: MigrationReason, audience: string | null = null): string | null {
    const { books, journal } = this.#parts
    if (journal.trouble) return `the store does not answer: ${journal.trouble}`
    const book = books.servers.get(from)
    if (!book) return null
    return this.guardsFor(book, books.incidents.covering(from, audience) ?? null, reason)[0]?.message ?? null
  }

  /** Tells a guard once when it begins to forbid; the incident tells each change of its own reasons. */
  async #deny(denials: readonly GuardDenial[], book: ServerBook, incident: Incident | null, isNews = true): Promise<void> {
    const at = this.#parts.clock.now()
    const { server } = book
    const audience = incident?.audience ?? null
    const events: EventDraft[] = []
    this.#allow({ serverId: server.id, audience }, denials)
    for (const denial of denials) {
      const key = JSON.stringify([denial.guard, audience])
      const { whom } = this.#denying.get(key) ?? { whom: new Set<ServerId>() }
      this.#denying.set(key, { guard: denial.guard, audience, whom })
      if (whom.size === 0 && isNews)
        events.push({
          type: 'guard.denied',
          at,
          data: { ...denial, serverId: server.id, incidentId: incident?.id ?? null, audience, wouldHave: this.#wouldHave(book, audience) },
        })
      whom.add(server.id)
    }
    if (events.length > 0) await this.#parts.journal.commit([], events)
  }

  #wouldHave({ server, remembered }: ServerBook, audience: string | null): string {
    const { books } = this.#parts
    const users = remembered?.connections.filter(({ region }) => audience === null || books.audienceOf(region) === audience)
    return wouldHave(server.name, audience, users?.length ?? (audience === null ? server.load : null))
  }

  /** Takes a case off all guards but these. */
  #allow({ serverId, audience }: Case, still: readonly GuardDenial[] | null): void {
    for (const [key, { guard, audience: whose, whom }] of this.#denying) {
      if (whose !== audience || still?.some((denial) => denial.guard === guard)) continue
      whom.delete(serverId)
      if (whom.size === 0) this.#denying.delete(key)
    }
  }

  async #keep(incident: Incident, events: readonly EventDraft[] = [], writes: readonly StoreWrite[] = []): Promise<Incident> {
    const next = { ...incident, version: incident.version + 1 }
    if (next.status === 'open') this.#parts.books.incidents.put(next)
    this.#parts.books.changed(next.serverId)
    await this.#parts.journal.commit([put('incident', next.id, next), ...writes], events)
    return next
  }

  async #open(book: ServerBook, audience: string | null, verdict: Verdict): Promise<void> {
    const { books, clock, random } = this.#parts
    const now = clock.now()
    const { server } = book
    const one = { serverId: server.id, audience }
    const before = audience === null ? this.#restoring.get(server.id) : undefined
    const { suspectedAt, ...seen } = this.#evidence(book, verdict, now)
    // It failed again before its status was put back: the obligation goes on with the new incident.
    // One more server of a domain that has failed already belongs to that.
    const domain = server.failureDomain
    const failureDomain = domain !== null && books.failing(audience).has(domain) ? domain : null
    const known = { audience, failureDomain, ...seen, statusWrite: before?.statusWrite ?? null }
    const incident = newIncident(newId(now, random) as IncidentId, server, verdict, suspectedAt, now, known)
    books.outage(server.id, audience, now)
    const ended: Incident | undefined = before && { ...before, status: 'closed', statusWrite: null, version: before.version + 1 }
    const closed = ended ? [put('incident', ended.id, ended)] : []
    if (ended) this.#parts.homing.take(ended)
    if (audience === null) this.#restoring.delete(server.id)
    this.#allow(one, null)
    const { id: incidentId, reasons, votes } = incident
    const kept = this.#keep(
      incident,
      [
        ...(audience === null ? this.#tellDamped(server.id) : []),
        {
          type: 'incident.opened',
          at: now,
          data: { incidentId, serverId: server.id, suspectedAt, reasons, audience, ...(votes && { votes }) },
        },
      ],
      closed,
    )
    // Of the same turn, and so of the same commit.
    await Promise.all([kept, this.#failDomain(server.failureDomain, audience, now)])
    // Those of single audiences look up to it from now on.
    for (const other of books.incidents.on(server.id)) this.#add(caseOf(other))
    this.look(server.id, audience)
  }

  /** What an incident rests on: our own samples alone, or those of all who have voted against the server. */
  #evidence(book: ServerBook, { votes }: Verdict, now: number) {
    const own = book.detector.suspectedAt ?? now
    if (!votes) return { evidence: book.samples, control: book.control, suspectedAt: own }
    const against = votes.flatMap(({ vantage, verdict }) => (verdict === 'down' ? vantage : []))
    const views = against.flatMap((vantage) => book.views?.get(vantage) ?? [])
    const isOurs = against.includes(this.#parts.books.own.name)
    const evidence: Sample[] = [...views.flatMap(({ samples }) => samples), ...(isOurs ? book.samples.slice(-5) : [])]
    const since = [...views.map(({ detector }) => detector.suspectedAt ?? now), ...(isOurs ? [own] : [])]
    const control = views.map(({ proof }) => proof).find((proof) => proof !== null) ?? book.proof
    return { votes, evidence: evidence.sort((a, b) => a.sentAt - b.sentAt).slice(-20), control, suspectedAt: Math.min(...since) }
  }

  /** A failure domain of which nothing lives any more is one thing to look at, and gets nobody until all of it is back. */
  async #failDomain(domain: string | null, audience: string | null, at: number): Promise<void> {
    const { books } = this.#parts
    if (domain === null || books.failing(audience).has(domain)) return
    const fleet = [...books.inService()]
    const members = fleet.map((book) => ({ failureDomain: book.server.failureDomain, verdict: kindFor(book, audience) }))
    if (!hasFailed(domain, members)) return
    const hit = fleet.filter(({ server }) => server.failureDomain === domain)
    const incidents = hit.flatMap(({ server }) => books.incidents.of(server.id, audience) ?? [])
    const servers = hit.map(({ server }) => server.id)
    const message = `all ${servers.length} servers of ${domain} are down${audience === null ? '' : ` for ${audience}`}: ${servers.slice(0, 10).join(', ')}`
    const data = { failureDomain: domain, audience, servers, incidentIds: incidents.map(({ id }) => id), message }
    const told: EventDraft = { type: 'domain.failed', at, data }
    await Promise.all(incidents.map((incident, index) => this.#keep({ ...incident, failureDomain: domain }, index === 0 ? [told] : [])))
  }

  /** What ends with the last incident of a failure domain. */
  #domainOver({ failureDomain = null, audience = null }: Incident): EventDraft[] {
    if (failureDomain === null || this.#parts.books.failing(audience).has(failureDomain)) return []
    return [{ type: 'domain.recovered', at: this.#parts.clock.now(), data: { failureDomain, audience } }]
  }

  async #hold(book: ServerBook, incident: Incident, denials: readonly GuardDenial[]): Promise<void> {
    const nameOf = (denial?: GuardDenial) => `${denial?.guard} ${denial?.values?.name}`
    const same = denials.length === incident.heldBy.length && denials.every((one, index) => nameOf(one) === nameOf(incident.heldBy[index]))
    // Told before, perhaps by another leader.
    if (same) return this.#deny(denials, book, incident, false)
    const at = this.#parts.clock.now()
    await this.#keep({ ...incident, heldBy: denials }, [
      {
        type: 'incident.held',
        at,
        data: { ...this.#dataOf(incident), guards: denials, wouldHave: this.#wouldHave(book, incident.audience ?? null) },
      },
    ])
    await this.#deny(denials, book, incident)
  }

  #dataOf({ id, serverId, audience = null }: Incident) {
    return { incidentId: id, serverId, audience }
  }

  async #release(incident: Incident): Promise<Incident> {
    this.#allow(caseOf(incident), null)
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
    // Who is down for some only stays in service for the others.
    if ((incident.audience ?? null) !== null) return
    // Also after a person's approval: the host's own code must stop assigning users to a dead server.
    const approved = now.evacuationId !== null && (this.#parts.books.evacuations.get(now.evacuationId)?.approvedAt ?? null) !== null
    if (mode === 'auto' || approved || now.statusWrite !== null) await this.#setOffline(book, now)
  }

  async #decide(book: ServerBook, incident: Incident, mode: Mode): Promise<Incident | null> {
    const gathered = await this.#parts.planner.gather([book])
    // Listing took its time: what held before it may not hold any more.
    const { audience = null } = incident
    const now = this.#parts.books.incidents.of(book.server.id, audience)
    if (now !== incident || kindFor(book, audience) !== 'down' || this.guardsFor(book, incident).length > 0) {
      this.wake()
      return null
    }
    // In the same turn, and so in one commit with the decision: whoever has not started there is planned here.
    const superseded = mode === 'auto' && audience === null ? this.#parts.evacuator.supersede(book.server.id, incident.id) : null
    const plan = this.#parts.planner.plan(gathered, 'server-down', { audience })
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
    await this.#keep({ ...(books.incidents.of(server.id) ?? intended), statusWrite: { ...intent, confirmed: true, at } }, [
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
    this.#forget(incident)
    const { evacuations, policy } = this.#parts.books
    const { evacuationId } = incident
    const evacuation = evacuationId && evacuations.get(evacuationId)
    // Whom a cancelled evacuation had moved is in the store only.
    const mayReturn = evacuationId !== null && (!evacuation || evacuation.connections + evacuation.moved > 0)
    const failback = policy.failback.strategy !== 'never' && mayReturn ? newFailback(now) : null
    // Before anything is waited for: a slow store must not let moves start after the recovery (I9).
    const stopped = evacuation ? this.#parts.evacuator.stop(evacuation, `${book.server.name} has recovered`) : null
    const recovered = { ...incident, recoveredAt: now, heldBy: [], failback }
    const over = this.#domainOver(incident)
    const kept =
      (incident.audience ?? null) === null
        ? this.#keep({ ...recovered, status: 'recovered' }, over).then((next) => this.#restoring.set(book.server.id, next))
        : // There is no status to put back.
          this.#keep({ ...recovered, status: 'closed' }, [this.#recovered(incident, now, false, null), ...over]).then((next) =>
            this.#parts.homing.take(next),
          )
    await Promise.all([kept, stopped])
    this.wake()
  }

  #recovered(incident: Incident, at: number, statusRestored: boolean, advice: string | null): EventDraft {
    const durationMs = Math.round(at - incident.suspectedAt)
    return { type: 'incident.recovered', at, data: { ...this.#dataOf(incident), durationMs, statusRestored, advice } }
  }

  /** It has ended: nothing is to be done about it any more. */
  #forget(incident: Incident): void {
    const one = caseOf(incident)
    this.#unwell.delete(caseKey(one))
    this.#allow(one, null)
    this.#parts.books.incidents.delete(one)
    this.#parts.books.changed()
  }

  /** Takes back our own word, if it still stands; then the incident is closed. */
  async #restore(id: ServerId): Promise<void> {
    const incident = this.#restoring.get(id)
    if (!incident) return
    const { books, monitor, setStatus, clock, homing } = this.#parts
    if (books.missing(id) >= goneAfter) return this.#gone(incident)
    // Not known yet after a restart: looked at again when it is, not at once and for ever.
    const known = books.servers.get(id)
    if (!known || kindFor(known, null) !== 'up') return
    // A fresh list, so that an operator's newer word is seen before ours is taken back.
    await monitor.refresh()
    // With a pause: returning would ask again at once, because the reading itself wakes everybody.
    if (books.stale) throw new PintailError('guard_denied', 'the server list could not be read')
    const book = books.servers.get(incident.serverId)
    if (!book || kindFor(book, null) !== 'up' || this.#restoring.get(incident.serverId) !== incident) return
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
    const events: EventDraft[] = [this.#recovered(incident, at, restored, advice)]
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
  #gone(incident: Incident): Promise<void> {
    if ((incident.audience ?? null) === null) this.#restoring.delete(incident.serverId)
    const advice = `${incident.serverName} is gone from the registry: its incident is closed, and whoever is still assigned to it is the host's to look after`
    return this.#close(incident, advice, 'gone from the registry')
  }

  /** Ends an incident without a recovery. */
  async #close(incident: Incident, advice: string, why = advice): Promise<void> {
    const { books, evacuator, clock, homing } = this.#parts
    this.#forget(incident)
    const evacuation = incident.evacuationId && books.evacuations.get(incident.evacuationId)
    const stopped = evacuation ? evacuator.stop(evacuation, why) : null
    const closed: EventDraft = { type: 'incident.closed', at: clock.now(), data: { ...this.#dataOf(incident), advice } }
    homing.take(await this.#keep({ ...incident, status: 'closed', heldBy: [] }, [closed, ...this.#domainOver(incident)]))
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
  denials(): { readonly guard: GuardCode; readonly audience?: string; readonly servers: readonly ServerId[] }[] {
    return [...this.#denying.values()].map(({ guard, audience, whom }) => ({
      guard,
      ...(audience !== null && { audience }),
      servers: [...whom],
    }))
  }
}

const nameOf = ({ serverId, audience }: Case): string => (audience === null ? serverId : `${serverId} for ${audience}`)
