import { afterBatch, type Home, homecoming, isCooling, isOpen, movedAway, nextFailback, unfitHome } from '../decide/failback.ts'
import { isPintailError } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { Clock, Cursor, MigrationStore, ServerRegistry, StoreWrite } from '../ports.ts'
import type { ConnectionId, Failback, Incident, IncidentId, Migration, MigrationId, MoveRecord, ServerId } from '../vocabulary.ts'
import { type Books, goneAfter, type ServerBook } from './books.ts'
import type { Bus } from './bus.ts'
import type { Evacuator } from './evacuator.ts'
import { type Journal, put } from './journal.ts'
import type { Monitor } from './monitor.ts'
import type { Planner } from './planner.ts'
import { callOut, collect } from './time.ts'

/** For reading history, and for writing a status into the registry, milliseconds. */
const storeCallMs = 10_000
const statusCallMs = 10_000

export interface HomingParts {
  readonly books: Books
  readonly journal: Journal
  readonly monitor: Monitor
  readonly planner: Planner
  readonly evacuator: Evacuator
  readonly store: MigrationStore
  readonly bus: Bus
  readonly registry: ServerRegistry
  readonly clock: Clock
}

/**
 * After the recovery: users go home, and servers that others have set offline are adopted or advised about. Nothing here
 * is urgent: whatever forbids it is waited for, and every batch is a new plan.
 */
export class Homing {
  readonly #parts: HomingParts
  /** Why no move off or onto this server may start now; null: it may. */
  readonly #forbidden: (server: ServerId) => string | null
  readonly #stopping: AbortSignal
  /** Closed incidents whose users may still go home. */
  readonly open = new Map<IncidentId, Incident>()
  /** Servers that answer, and are offline by somebody else's word. */
  readonly inactive = new Set<ServerId>()
  /** Who was moved away and may still be brought home, once read from the store; and when to look again. */
  readonly #away = new Map<IncidentId, Map<ConnectionId, ServerId>>()
  readonly #lookAt = new Map<IncidentId, number>()
  /** Since when a home has been fit, or an inactive server up, as far as we have looked. */
  readonly #fitSince = new Map<string, number>()
  /** Advice that was given once, also by an earlier engine. */
  readonly #advised = new Map<ServerId, Cursor>()

  constructor(parts: HomingParts, forbidden: (server: ServerId) => string | null, stopping: AbortSignal) {
    this.#parts = parts
    this.#forbidden = forbidden
    this.#stopping = stopping
  }

  /** A closed incident, from now or from the store. */
  take(incident: Incident): void {
    if (isOpen(incident.failback)) this.open.set(incident.id, incident)
  }

  #read<T>(read: (store: MigrationStore) => PromiseLike<T>): Promise<T> {
    const { store, clock } = this.#parts
    return callOut(clock, storeCallMs, this.#stopping, 'the store', () => read(store))
  }

  #list(ctx = { signal: this.#stopping }): Promise<readonly Migration[]> {
    return this.#read((store) => collect(store.list('migration', {}, ctx)))
  }

  #movesOf(migrationId: MigrationId, ctx = { signal: this.#stopping }): Promise<readonly MoveRecord[]> {
    return this.#read((store) => collect(store.list('move', { migrationId }, ctx)))
  }

  #home(id: ServerId): Home | null {
    const { books, clock } = this.#parts
    const book = books.servers.get(id)
    if (!book || books.missing(id) > 0) return null
    const { name, status } = book.server
    const hasIncident = books.incidents.has(id)
    const [cordoned, damped, isLeft] = [books.isCordoned(id), books.isDamped(id, clock.now()), books.isLeft(id)]
    return { name, status, verdict: book.detector.verdict, cordoned, damped, hasIncident, isLeft }
  }

  /** How long it has been fit without a break that we have seen. */
  #fitFor(key: string, book: ServerBook | undefined, isFit: boolean): number {
    const now = this.#parts.clock.now()
    if (!isFit || !book) {
      this.#fitSince.delete(key)
      return 0
    }
    const since = Math.max(this.#fitSince.get(key) ?? now, book.detector.since)
    this.#fitSince.set(key, since)
    return now - since
  }

  // --------------------------------------------------------------------------------------------------------- failback

  async attend(id: IncidentId): Promise<void> {
    const incident = this.open.get(id)
    const failback = incident?.failback
    if (!incident || !failback) return
    const { books, clock, evacuator } = this.#parts
    const { serverId, evacuationId } = { ...incident, evacuationId: failback.evacuationId }
    const now = clock.now()
    const home = this.#home(serverId)
    const batch = evacuationId === null ? null : books.evacuations.get(evacuationId)
    const step = nextFailback({
      failback,
      policy: books.policy.failback,
      home,
      fitForMs: this.#fitFor(id, books.servers.get(serverId), unfitHome(home) === null),
      isGone: books.missing(serverId) >= goneAfter,
      batch: batch === null ? 'none' : batch ? 'under way' : 'ended',
      now,
    })
    switch (step.do) {
      case 'nothing':
        return
      case 'stop':
        return batch ? evacuator.stop(batch, step.why) : undefined
      case 'judge':
        return this.#judge(incident, failback)
      case 'abandon':
        return this.#keep(incident, { ...failback, state: 'abandoned', since: now, why: step.why })
      case 'go':
        return this.#go(incident, failback)
      default:
        return step satisfies never
    }
  }

  async #keep(
    incident: Incident,
    failback: Failback,
    connections = 0,
    writes: readonly StoreWrite[] = [],
    before: readonly EventDraft[] = [],
  ) {
    const next: Incident = { ...incident, failback, version: incident.version + 1 }
    const { id: incidentId, serverId } = next
    const { state, evacuationId, moved, why } = failback
    if (isOpen(failback)) this.open.set(next.id, next)
    else for (const map of [this.open, this.#away, this.#lookAt, this.#fitSince] as Map<string, unknown>[]) map.delete(next.id)
    const data = { incidentId, serverId, state, evacuationId, connections, moved, why }
    // Between two batches there is nothing to tell.
    const told = state !== 'running' || connections > 0 ? [{ type: 'failback.changed' as const, at: this.#parts.clock.now(), data }] : []
    await this.#parts.journal.commit([put('incident', next.id, next), ...writes], [...before, ...told])
  }

  async #judge(incident: Incident, failback: Failback): Promise<void> {
    const { books, clock } = this.#parts
    const id = failback.evacuationId
    const batch = id && (await this.#read((store) => store.get('evacuation', id, { signal: this.#stopping })))
    // It has ended in the books, and not in the store yet.
    if (!batch || batch.endedAt === null) return
    const migrations = (await this.#list()).filter(({ evacuationId }) => evacuationId === id)
    // Who came home must not be looked for again, and whose move was interrupted must.
    this.#away.delete(incident.id)
    await this.#keep(incident, afterBatch(failback, batch, migrations, books.policy.failback, clock.now()))
  }

  async #go(incident: Incident, failback: Failback): Promise<void> {
    const { books, clock, evacuator, monitor, planner } = this.#parts
    const { id, serverId: home } = incident
    const { migration: pace, mode, placement, failback: policy } = books.policy
    const now = clock.now()
    if (now < (this.#lookAt.get(id) ?? 0) || this.#forbidden(home) !== null) return
    this.#lookAt.set(id, now + pace.retryUnplacedMs)
    const migrations = await this.#list()
    const away = this.#away.get(id) ?? (await this.#readAway(incident, migrations))
    this.#away.set(id, away)
    const isFree = (source: ServerId) =>
      !books.incidents.has(source) &&
      !books.isLeft(source) &&
      this.#forbidden(source) === null &&
      !isCooling(source, home, migrations, pace.cooldownMs, now)
    const sources = [...new Set(away.values())].filter(isFree).flatMap((source) => books.servers.get(source) ?? [])
    if (away.size > 0) {
      // A guard of the host that forbids is asked again later; it is nobody's failure.
      const allowed = await evacuator.askHost('failback').then(
        () => true,
        (error) => (isPintailError(error, 'guard_denied') ? false : Promise.reject(error)),
      )
      if (!allowed || sources.length === 0) return
      await monitor.refresh()
    }
    const book = books.servers.get(home)
    const there = book && away.size > 0 ? await planner.list(book) : null
    const gathered = await planner.gather(sources)
    // Asking took its time: what allowed it may not hold any more. From here to the reservations nothing waits.
    const at = clock.now()
    if (this.open.get(id) !== incident || unfitHome(this.#home(home)) !== null || this.#forbidden(home) !== null) return
    if (sources.some(({ server }) => !isFree(server.id)) || there?.coverage.remembered) return
    if (gathered.listed.some(({ coverage }) => coverage.remembered)) return
    const listed = gathered.listed.map(({ connections }, index) => ({ serverId: (sources[index] as ServerBook).server.id, connections }))
    const { candidates, go, batchSize } = homecoming({
      failback,
      policy,
      placement,
      away,
      listed,
      atHome: there?.connections ?? [],
      targets: books.targets(at),
      home,
      reserved: books.reserved(home),
    })
    const still = new Set(candidates)
    for (const [connection, source] of away)
      if (!still.has(connection) && sources.some(({ server }) => server.id === source)) away.delete(connection)
    if (away.size === 0) return this.#keep(incident, { ...failback, state: 'done', since: at, why: null })
    const planFor = (onlyConnections: readonly ConnectionId[]) => planner.plan(gathered, 'failback', { onlyConnections, toServerId: home })
    const wish = planFor(go)
    const placed = wish.placements.flatMap(({ connections }) => connections.map((connection) => connection.id))
    if (placed.length === 0) return
    // For whom home has no place he stays where he is, and is looked for again: nobody is reported as stranded.
    const plan = wish.unplaced.length === 0 ? wish : planFor(placed)
    const made = evacuator.decide(plan, mode.failback, 'system', null)
    const decided = { ...failback, batches: failback.batches + 1, batchSize, since: at, why: null }
    if (mode.failback === 'observe')
      return this.#keep(incident, { ...decided, state: 'done', why: 'mode observe: decided only' }, placed.length, made.writes, made.events)
    await this.#keep(incident, { ...decided, state: 'running', evacuationId: made.evacuation.id }, placed.length, made.writes, made.events)
  }

  async #readAway(incident: Incident, migrations: readonly Migration[]): Promise<Map<ConnectionId, ServerId>> {
    const moves = (some: readonly Migration[]) =>
      Promise.all(some.map(async ({ id, toServerId: to }) => ({ to, moves: await this.#movesOf(id) })))
    const moving = migrations.filter(({ connectionsMoved }) => connectionsMoved > 0)
    const went = await moves(moving.filter(({ evacuationId }) => evacuationId === incident.evacuationId))
    const home = await moves(moving.filter(({ reason, toServerId }) => reason === 'failback' && toServerId === incident.serverId))
    const cameHome = home.flatMap((migration) => migration.moves)
    return movedAway(went, cameHome, this.#parts.clock.now())
  }

  // --------------------------------------------------------------------------------------------------------- adoption

  /** Advice that was given, as it is kept. */
  resume(cursor: Cursor): void {
    if (cursor.name.startsWith('advice/')) this.#advised.set(cursor.name.slice('advice/'.length) as ServerId, cursor)
  }

  /** After each server list: who answers and is offline by somebody else's word. */
  look(isOurs: (server: ServerId) => boolean): void {
    const { books, journal } = this.#parts
    this.inactive.clear()
    for (const { server, detector } of books.servers.values()) {
      const cursor = this.#advised.get(server.id)
      if (server.status === 'online' && cursor) {
        this.#advised.delete(server.id)
        // In service again: the next time is another story. If the store has lost us, the term ends.
        journal.commit([{ kind: 'cursor', id: cursor.name, expected: cursor.version, value: null }], []).catch(() => {})
      }
      const isMine = books.incidents.has(server.id) || isOurs(server.id)
      const isToDo = this.#adopts || !this.#advised.has(server.id)
      if (server.status === 'offline' && detector.verdict === 'up' && !isMine && !books.isCordoned(server.id) && isToDo)
        this.inactive.add(server.id)
    }
    for (const key of this.#fitSince.keys())
      if (key.startsWith('inactive/') && !this.inactive.has(key.slice('inactive/'.length) as ServerId)) this.#fitSince.delete(key)
  }

  get #adopts(): boolean {
    return this.#parts.books.policy.failback.adoptInactive && this.#parts.registry.setServerStatus !== undefined
  }

  /** What keeps advice from being given twice, also after a restart. */
  noteAdvice(server: ServerId): StoreWrite[] {
    if (this.#advised.has(server)) return []
    const cursor = { name: `advice/${server}`, seq: this.#parts.journal.lastSeq, version: 1 }
    this.#advised.set(server, cursor)
    return [put('cursor', cursor.name, cursor)]
  }

  async adopt(id: ServerId): Promise<void> {
    const { books, monitor, registry, journal, clock, bus } = this.#parts
    const isInactive = () => {
      const book = books.servers.get(id)
      const isUp = book?.detector.verdict === 'up' && book.server.status === 'offline' && !books.isCordoned(id) && books.missing(id) === 0
      return isUp && !books.stale && book
    }
    const seen = isInactive()
    if (this.#fitFor(`inactive/${id}`, books.servers.get(id), !!seen) < books.policy.failback.stableMs || !seen) return
    if (!this.#adopts) {
      this.inactive.delete(id)
      const writes = this.noteAdvice(id)
      if (writes.length === 0) return
      await journal.commit(writes, [])
      const message = `${seen.server.name} answers and is offline in the registry, not by our word: nobody is sent there`
      return bus.warn({ code: 'advice', message, remedy: 'Set it online, or turn failback.adoptInactive on.', serverId: id })
    }
    // A fresh list, so that a newer word of somebody else is seen before it is changed.
    await monitor.refresh()
    const book = isInactive()
    if (!book) return
    const { server } = book
    await callOut(clock, statusCallMs, this.#stopping, 'the registry', (ctx) => registry.setServerStatus?.(server, 'online', ctx))
    if (book.server === server) book.server = { ...server, status: 'online' }
    books.changed()
    this.inactive.delete(id)
    const data = { serverId: id, status: 'online', previous: 'offline', incidentId: null } as const
    await journal.commit([], [{ type: 'server.status_set', at: clock.now(), data }])
  }
}
