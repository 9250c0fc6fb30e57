import { kindFor, type ServerBook, verdictFor } from '../books/books.ts'
import { put } from '../books/journal.ts'
import * as home from '../decide/failback.ts'
import { adoptStep, goneAfter } from '../decide/incident.ts'
import type { EventDraft } from '../events.ts'
import type { Cursor, StoreWrite } from '../ports.ts'
import type { Monitor } from '../rounds/monitor.ts'
import type { Bus } from '../telling/bus.ts'
import type { ConnectionId, Failback, Incident, IncidentId, Migration, Server, ServerId, ServerStatus } from '../vocabulary.ts'
import type { Evacuator, EvacuatorParts } from './evacuator.ts'

export interface HomingParts extends EvacuatorParts {
  readonly monitor: Monitor
  readonly evacuator: Evacuator
  readonly bus: Bus
  /** Writes a status into the registry; null: it takes none. @throws PintailError `aborted` when the lease does not outlive the call */
  readonly setStatus: ((server: Server, status: ServerStatus) => Promise<unknown>) | null
  /** Why no move off or onto this server may start now; null: it may. */
  readonly forbidden: (server: ServerId) => string | null
}

/**
 * After the recovery: users go home, and servers that others have set offline are adopted or advised about. Nothing here
 * is urgent: whatever forbids it is waited for, and every batch is a new plan.
 */
export class Homing {
  readonly #parts: HomingParts
  /** Closed incidents whose users may still go home. */
  readonly open = new Map<IncidentId, Incident & { readonly failback: Failback }>()
  /** Since when the home has been fit to get its users back, as far as somebody has looked. */
  readonly #fitSince = new Map<IncidentId, number>()
  /** Advice that was given once, also by an earlier engine. */
  readonly #advised = new Map<ServerId, Cursor>()

  constructor(parts: HomingParts) {
    this.#parts = parts
  }

  /** A closed incident, from now or from the store. */
  take({ failback, ...incident }: Incident): void {
    if (home.isOpen(failback)) this.open.set(incident.id, { ...incident, failback })
    else {
      this.open.delete(incident.id)
      this.#fitSince.delete(incident.id)
    }
  }

  #home({ serverId: id, audience = null }: Incident): home.Home | null {
    const { books, clock } = this.#parts
    const book = books.servers.get(id)
    if (!book || books.missing(id) > 0) return null
    const [cordoned, damped, isLeft] = [books.isCordoned(id), books.isDamped(id, clock.now(), audience), books.isLeft(id)]
    const { name, status } = book.server
    const hasIncident = books.incidents.covering(id, audience) !== undefined
    return { name, status, verdict: kindFor(book, audience), cordoned, damped, isLeft, hasIncident }
  }

  // --------------------------------------------------------------------------------------------------------- failback

  async attend(id: IncidentId): Promise<void> {
    const incident = this.open.get(id)
    if (!incident) return
    const { books, clock, evacuator, records, forbidden } = this.#parts
    const { failback, serverId } = incident
    const policy = books.policy.failback
    const now = clock.now()
    const seen = this.#home(incident)
    const book = books.servers.get(serverId)
    if (!book || home.unfitHome(seen) !== null) this.#fitSince.delete(id)
    else this.#fitSince.set(id, Math.max(this.#fitSince.get(id) ?? now, verdictFor(book, incident.audience ?? null).since))
    const isGone = books.missing(serverId) >= goneAfter
    const batch = (failback.evacuationId && books.evacuations.get(failback.evacuationId)) || null
    const fitSince = this.#fitSince.get(id) ?? null
    const step = home.nextFailback({ failback, policy, home: seen, fitSince, isGone, batch, forbidden: forbidden(serverId), now })
    switch (step.do) {
      case 'nothing':
        return
      case 'stop':
        return evacuator.stop(step.batch, step.why)
      case 'keep':
        return this.#keep(incident, step.failback)
      case 'judge': {
        const ended = await records.get('evacuation', step.batch)
        const history = await records.all('migration', { of: [step.batch] })
        // It has ended in the books, and perhaps not in the store yet.
        if (ended && ended.endedAt !== null) await this.#keep(incident, home.afterBatch(failback, ended, history, policy, clock.now()))
        return
      }
      case 'go':
        return this.#go(incident)
      default:
        return step satisfies never
    }
  }

  async #keep(
    incident: Incident,
    failback: Failback,
    connections = 0,
    writes: readonly StoreWrite[] = [],
    events: readonly EventDraft[] = [],
  ) {
    const next = { ...incident, failback, version: incident.version + 1 }
    this.take(next)
    const data = home.failbackNews(next, connections)
    const told: EventDraft[] = data ? [{ type: 'failback.changed', at: this.#parts.clock.now(), data }] : []
    await this.#parts.journal.commit([put('incident', next.id, next), ...writes], [...events, ...told])
  }

  async #go({ failback, ...rest }: Incident & { readonly failback: Failback }): Promise<void> {
    const { books, clock, hostGuards, evacuator, monitor, planner, records, forbidden } = this.#parts
    const { failback: policy, migration: pace, placement, mode } = books.policy
    const { serverId: to } = rest
    // If it comes to nothing it is looked at again after a while: kept in mind only.
    const nextAt = clock.now() + Math.max(policy.batchIntervalMs, pace.retryUnplacedMs)
    const incident = { ...rest, failback: { ...failback, nextAt } }
    this.open.set(rest.id, incident)
    await hostGuards.ask()
    const history = await records.all('migration', { since: clock.now() - pace.cooldownMs })
    const away = await this.#away(incident)
    const isFree = (id: ServerId) =>
      !books.incidents.has(id) &&
      !books.isLeft(id) &&
      forbidden(id) === null &&
      !home.isCooling(id, to, history, pace.cooldownMs, clock.now())
    const places = [...new Set(away.values())].filter((id) => books.servers.has(id) || books.missing(id) < goneAfter)
    const sources = places.filter(isFree).flatMap((id) => books.servers.get(id) ?? [])
    await monitor.refresh()
    const book = books.servers.get(to)
    const there = book && (await planner.list(book))
    const gathered = await planner.gather(sources)
    // Asking took its time: what allowed it may not hold any more. From here to the reservations nothing waits.
    if (this.open.get(rest.id) !== incident || home.unfitHome(this.#home(incident)) !== null || forbidden(to) !== null) return
    if (
      !there ||
      [there, ...gathered.listed].some(({ coverage }) => coverage.remembered) ||
      !sources.every(({ server }) => isFree(server.id))
    )
      return
    const now = clock.now()
    const listed = gathered.listed.map(({ connections }, index) => ({ serverId: (sources[index] as ServerBook).server.id, connections }))
    const known = { failback, policy, placement, away, listed, atHome: there.connections, targets: books.targets(now), home: to }
    const { candidates, go, batchSize } = home.homecoming({ ...known, reserved: books.reserved(to) })
    if (candidates.length === 0 && sources.length === places.length)
      return this.#keep(incident, { ...failback, state: 'done', since: now, why: null })
    const planFor = (onlyConnections: readonly ConnectionId[]) => planner.plan(gathered, 'failback', { onlyConnections, toServerId: to })
    const wish = planFor(go)
    // For whom home has no place he stays where he is, and is looked for again: nobody is reported as stranded.
    const plan = wish.unplaced.length === 0 ? wish : planFor(home.placedIn(wish))
    const count = home.placedIn(plan).length
    if (count === 0) return
    const made = evacuator.decide(plan, mode.failback, 'system', null)
    const next = home.afterDecision(failback, mode.failback, made.evacuation.id, batchSize, now)
    await this.#keep(incident, next, count, made.writes, made.events)
  }

  async #away({ evacuationId, serverId }: Incident): Promise<Map<ConnectionId, ServerId>> {
    const { records, clock } = this.#parts
    const read = (some: readonly Migration[]) =>
      Promise.all(some.map(async ({ id, toServerId: to }) => ({ to, moves: await records.movesOf(id) })))
    const lately = clock.now() - home.homeOnceMs
    const went = await read(await records.all('migration', { of: evacuationId === null ? [] : [evacuationId] }))
    const back = await records.all('migration', { reason: 'failback', serverId, since: lately })
    const homeward = back.filter((one) => one.toServerId === serverId)
    const moves = (await read(homeward)).flatMap((one) => one.moves)
    const residue = homeward.flatMap((one) => one.residue)
    return home.movedAway(went, moves, residue, clock.now())
  }

  // --------------------------------------------------------------------------------------------------------- adoption

  /** Advice that was given, as it is kept. */
  resume(cursor: Cursor): void {
    const [kind, id] = cursor.name.split(/\/(.*)/s)
    if (kind === 'advice') this.#advised.set(id as ServerId, cursor)
  }

  /** What keeps advice from being given twice, also after a restart. */
  noteAdvice(server: ServerId): StoreWrite[] {
    if (this.#advised.has(server)) return []
    const cursor = { name: `advice/${server}`, seq: this.#parts.journal.lastSeq, version: 1 }
    this.#advised.set(server, cursor)
    return [put('cursor', cursor.name, cursor)]
  }

  /** After each server list: who answers, and is offline by somebody else's word. */
  look(isOurs: (server: ServerId) => boolean, task: (key: string, work: () => Promise<unknown>) => void): void {
    const { books, setStatus, clock } = this.#parts
    const { adoptInactive, stableMs } = books.policy.failback
    if (books.stale) return
    for (const book of books.servers.values()) {
      const { id, status } = book.server
      if (status === 'online' && !this.#advised.has(id)) continue
      const { verdict, since } = verdictFor(book, null)
      const isHeld = books.isCordoned(id) || books.incidents.has(id) || isOurs(id) || books.missing(id) > 0
      const [adopts, advised] = [adoptInactive && setStatus !== null, this.#advised.has(id)]
      const forMs = clock.now() - Math.max(since, book.statusSince)
      const step = adoptStep({ status, verdict, isHeld, adopts, advised, forMs, stableMs })
      if (step !== 'nothing') task(`adoption of ${id}`, () => this.#adopt(book, step))
    }
  }

  async #adopt(book: ServerBook, step: 'adopt' | 'advise' | 'forget'): Promise<void> {
    const { books, setStatus, journal, clock, bus } = this.#parts
    const { server } = book
    const { id } = server
    const cursor = this.#advised.get(id)
    if (step === 'forget') {
      this.#advised.delete(id)
      return cursor && journal.commit([{ kind: 'cursor', id: cursor.name, expected: cursor.version, value: null }], [])
    }
    if (step === 'advise') {
      await journal.commit(this.noteAdvice(id), [])
      const message = `${server.name} answers and is offline in the registry, not by our word: nobody is sent there`
      return bus.warn({ code: 'advice', message, remedy: 'Set it online, or turn failback.adoptInactive on.', serverId: id })
    }
    await setStatus?.(server, 'online')
    book.server = { ...server, status: 'online' }
    books.changed(id)
    const data = { serverId: id, status: 'online', previous: 'offline', incidentId: null } as const
    await journal.commit([], [{ type: 'server.status_set', at: clock.now(), data }])
  }
}
