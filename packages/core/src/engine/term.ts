import { Books, kindFor, type ServerBook, verdictFor } from '../books/books.ts'
import { inherited } from '../books/history.ts'
import { Journal, put } from '../books/journal.ts'
import type { Pseudonym } from '../books/pseudonyms.ts'
import { Records } from '../books/records.ts'
import { Retention } from '../books/retention.ts'
import { isTerminal } from '../decide/migration.ts'
import { wordKey } from '../decide/records.ts'
import { PintailError } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { Exchange } from '../members/exchange.ts'
import { Roster } from '../members/roster.ts'
import { Deliverer } from '../moving/deliverer.ts'
import { Migrator, type MigratorHooks } from '../moving/migrator.ts'
import { Revoker } from '../moving/revoker.ts'
import type {
  ClientNotifier,
  Clock,
  ConnectionMover,
  Cursor,
  GuardSource,
  Lease,
  LogSink,
  MigrationStore,
  ObservationSource,
  Prober,
  Random,
  ServerRegistry,
  Timer,
} from '../ports.ts'
import { Monitor } from '../rounds/monitor.ts'
import type { Bus } from '../telling/bus.ts'
import { traced } from '../telling/tracing.ts'
import { Trail } from '../telling/trail.ts'
import { callOut, skewMs } from '../time.ts'
import type { EngineHealth, FleetStatus, Policy, Server, ServerStatus, Token, VerdictKind } from '../vocabulary.ts'
import { HostGuards } from '../watch/hostGuards.ts'
import { Observations } from '../watch/observations.ts'
import { failingDomains, reportOf } from '../watch/report.ts'
import { Warnings } from '../watch/warnings.ts'
import { Adviser, type AdviserParts } from './adviser.ts'
import { Evacuator } from './evacuator.ts'
import { Homing } from './homing.ts'
import { Planner } from './planner.ts'
import { Responder } from './responder.ts'

/** What a term needs of the outside; all defaults are filled in. */
export interface Ports {
  readonly registry: ServerRegistry
  readonly mover: ConnectionMover
  readonly prober: Prober
  readonly vantage: { readonly name: string; readonly region: string | null }
  readonly observations: ObservationSource | null
  readonly store: MigrationStore
  readonly guards: readonly GuardSource[]
  readonly log: LogSink | null
  readonly notifier: ClientNotifier | null
  readonly clock: Clock
  readonly random: Random
  readonly pseudonym: Pseudonym
  /** Where this engine meets the others over its store. */
  readonly exchange: Exchange
}

/** For writing a status into the registry, milliseconds. */
const statusCallMs = 10_000
const storeTimeoutMs = 30_000
/** For looks back while it leads, milliseconds. */
const historyTimeoutMs = 10_000
/** Suspects whose connections are listed at once beforehand. */
const mostRemembered = 100
/** A list of connections that was read within this time is not read again for one more audience, milliseconds. */
const audienceListMs = 5000
/** The host's guards are asked at least this seldom while nobody is about to be moved, milliseconds. */
const idleAskMs = 30_000

/**
 * One time of leading: made when the lease is acquired, thrown away when it ends. Nothing of it outlives the right to
 * act, so a late holder has nothing left to act with.
 */
export class Term {
  readonly books: Books
  readonly journal: Journal
  readonly monitor: Monitor
  readonly observations: Observations
  readonly planner: Planner
  readonly hostGuards: HostGuards
  readonly evacuator: Evacuator
  readonly homing: Homing
  readonly responder: Responder
  readonly adviser: Adviser
  readonly migrator: Migrator
  readonly revoker: Revoker
  readonly lease: Lease
  readonly since: number
  readonly #ports: Ports
  readonly #trail: Trail | null
  readonly #roster: Roster
  readonly #stopping = new AbortController()
  readonly #killed = new AbortController()
  #leaseUntil: number
  #epoch = 0
  #remembering = 0
  #timer: Timer | null = null
  readonly #bus: Bus
  #monitoring: Promise<void> = Promise.resolve()
  #beside: readonly Promise<void>[] = []

  constructor(ports: Ports, policy: Policy, bus: Bus, lease: Lease, begunAt: number, lost: (error: unknown) => void) {
    const { clock, random, registry, mover } = ports
    const stopping = this.#stopping.signal
    const killed = this.#killed.signal
    this.#ports = ports
    this.#bus = bus
    this.lease = lease
    this.since = begunAt
    this.#leaseUntil = begunAt + lease.ttlMs
    this.books = new Books(policy, ports.vantage)
    this.journal = new Journal(ports.store, bus, clock, lease.token, killed, lost)
    const { books, journal } = this
    const witness = () => this.monitor.witness
    this.#roster = new Roster({ books, clock, lease, since: begunAt, witness, observations: () => this.observations })
    this.monitor = new Monitor(
      ports,
      books,
      bus,
      {
        verdictChanged: (book, previous, audience) => {
          const { verdict, reasons, votes } = verdictFor(book, audience)
          const data = { serverId: book.server.id, audience, verdict, previous: previous.verdict, reasons, ...(votes && { votes }) }
          this.#note({ type: 'server.verdict_changed', at: clock.now(), data })
          // Audiences of one server become suspect one after the other: one list is enough for all.
          const isListed = audience !== null && (book.remembered?.at ?? 0) > clock.now() - audienceListMs
          if (verdict === 'suspect' && !isListed) this.#remember(book)
          // So that the answer is there when the suspicion is confirmed: nobody waits for it then.
          if (verdict === 'suspect' || verdict === 'down') void this.hostGuards.ask()
          this.responder.look(book.server.id, audience)
        },
        vantageTurned: ({ vantage, region, why }) =>
          this.#note(
            why === null
              ? { type: 'vantage.returned', at: clock.now(), data: { vantage, region } }
              : { type: 'vantage.lost', at: clock.now(), data: { vantage, region, why } },
          ),
        answered: () => {
          if (this.responder.wantsControl) this.responder.wake()
        },
        listed: () => this.responder.listed(),
        hasOpen: () => this.responder.waits,
        serverAdded: (server) => {
          this.adviser.scaled()
          this.#note({ type: 'server.added', at: clock.now(), data: { serverId: server.id, name: server.name } })
        },
        serverRemoved: (server) => {
          this.adviser.scaled()
          this.#note({ type: 'server.removed', at: clock.now(), data: { serverId: server.id, name: server.name } })
        },
      },
      stopping,
      this.#roster,
    )
    const { monitor } = this
    this.observations = new Observations(clock, random, new Warnings(bus), monitor.witness)
    this.planner = new Planner(registry, books, bus, clock, stopping)
    this.hostGuards = new HostGuards(ports.guards, { bus, clock, stopping, changed: () => this.responder.wake() })
    const { planner, hostGuards } = this
    const records = new Records(ports.store, clock, historyTimeoutMs, stopping)
    const common = { books, journal, planner, records, hostGuards, clock, random }
    const forbidden: MigratorHooks['forbidden'] = (from, reason, audience) => this.responder.forbidden(from, reason, audience)
    this.evacuator = new Evacuator(common, {
      migrator: () => this.migrator,
      forbidden,
      owesTo: (servers) => this.revoker.owesTo(servers),
      wake: () => this.responder.wake(),
    })
    const { evacuator } = this
    const set = registry.setServerStatus?.bind(registry)
    const setStatus = set
      ? async (server: Server, status: ServerStatus) => {
          // No registry fences: a late leader must not overwrite what an operator has said since.
          if (!this.#outlives(statusCallMs)) throw new PintailError('aborted', 'the lease does not outlive the call')
          const about = { port: 'registry', method: 'setServerStatus', serverId: server.id, evacuationId: null, migrationId: null } as const
          await callOut(
            clock,
            statusCallMs,
            stopping,
            'the registry',
            traced(clock, about, (ctx) => set(server, status, ctx)),
          )
        }
      : null
    const homing = new Homing({ ...common, monitor, evacuator, bus, setStatus, forbidden: (server) => forbidden(server, 'failback') })
    this.homing = homing
    this.responder = new Responder({ ...common, monitor, evacuator, homing, bus, setStatus }, () => this.migrator, stopping)
    const { responder } = this
    const guardsFor: AdviserParts['guardsFor'] = (book, reason) => responder.guardsFor(book, null, reason)
    this.adviser = new Adviser(
      { ...common, evacuator, bus, guardsFor, refresh: () => monitor.refresh(), wake: () => responder.wake() },
      stopping,
    )
    const deliverer = ports.notifier ? new Deliverer(ports.notifier, books, clock, random, stopping, killed) : null
    const [token, epoch] = [(timeoutMs: number) => this.token(timeoutMs), () => ++this.#epoch]
    this.revoker = new Revoker(mover, ports.store, books, journal, clock, random, token, epoch, deliverer, stopping, killed)
    const { revoker } = this
    this.migrator = new Migrator(
      { mover, books, journal, monitor, revoker, deliverer, bus, clock, random },
      {
        forbidden,
        token,
        outlives: (timeoutMs) => this.#mayCall(timeoutMs),
        epoch,
        counted: (id) => this.planner.recount(id),
        ended: () => this.responder.wake(),
      },
      stopping,
      killed,
    )
    const keep = (cursor: Cursor) => journal.commit([put('cursor', cursor.name, cursor)], [])
    this.#trail = ports.log ? new Trail({ sink: ports.log, store: ports.store, keep, bus, clock }, killed) : null
  }

  /** Who is on it, while the registry still tells. A whole fleet in doubt is the prober's failure: the registry is spared. */
  #remember(book: ServerBook): void {
    if (this.#remembering >= mostRemembered) return
    this.#remembering++
    const over = () => void this.#remembering--
    this.planner.list(book).then(over, over)
  }

  #outlives(timeoutMs: number): boolean {
    return this.#ports.clock.now() + timeoutMs + skewMs < this.#leaseUntil
  }

  /** As `#outlives`, for calls of the mover: with enforced fencing the target itself refuses a late one. */
  #mayCall(timeoutMs: number): boolean {
    return this.#ports.mover.fencing === 'enforced' ? this.#ports.clock.now() < this.#leaseUntil : this.#outlives(timeoutMs)
  }

  /** The right to act, for a call of at most `timeoutMs`. */
  token(timeoutMs: number): Token | null {
    return !this.#stopping.signal.aborted && this.#mayCall(timeoutMs) ? this.lease.token : null
  }

  /** Somebody else may act from now on: nothing more is begun, whatever the lease was good for. */
  lost(): void {
    this.#leaseUntil = Number.NEGATIVE_INFINITY
  }

  /** The lease holds from `at` on for its time. */
  renewed(at: number): void {
    this.#leaseUntil = at + this.lease.ttlMs
  }

  /** Everything that was open when the last term ended. */
  async load(): Promise<void> {
    const { store, clock } = this.#ports
    const { books } = this
    const records = new Records(store, clock, storeTimeoutMs, this.#killed.signal)
    for (const word of await records.list('word')) books.words.set(wordKey(word), word)
    const { incidents, evacuations, migrations } = await inherited(records, clock.now(), books.policy.guards.dampingHalfLifeMs)
    for (const incident of incidents) {
      books.outage(incident.serverId, incident.audience ?? null, incident.openedAt)
      if (incident.status === 'open') books.incidents.put(incident)
    }
    for (const evacuation of evacuations) books.evacuations.set(evacuation.id, evacuation)
    for (const migration of migrations) {
      books.put(migration)
      for (const move of await records.movesOf(migration.id)) {
        books.putMove(move)
        const { state } = move.state
        const open = !isTerminal(migration.status) && migration.status !== 'suggested' && ['pending', 'moving', 'undoing'].includes(state)
        if (open || state === 'moved') books.reserve(migration.toServerId, move.connection.id)
        if (state === 'moved') books.confirm(migration.toServerId, move.connection.id, move.state.at)
      }
    }
    for (const revoke of await records.list('revoke')) this.revoker.take(revoke)
    for (const cursor of await records.list('cursor')) this.homing.resume(cursor)
    await this.#trail?.load()
    this.responder.resume(incidents)
  }

  run(): void {
    this.#monitoring = this.monitor.run()
    const { observations, store, clock, pseudonym, exchange } = this.#ports
    const { signal } = this.#stopping
    const retention = new Retention({ store, books: this.books, journal: this.journal, pseudonym, bus: this.#bus, clock }, signal)
    this.#beside = [retention.run(), exchange.run(this.#roster, signal)]
    if (observations) void this.observations.run(observations, signal)
    this.#tick()
    this.#trail?.wake()
  }

  /** One timer for everything that only time can change. */
  #tick(): void {
    if (this.#stopping.signal.aborted) return
    const now = this.#ports.clock.now()
    const { recheckMs } = this.books.policy.guards
    this.monitor.witness.sweep()
    if (this.responder.waits) void this.hostGuards.ask(this.responder.isActing ? recheckMs : Math.max(recheckMs, idleAskMs))
    if (this.responder.waits) this.responder.wake()
    else if ((this.migrator.nextDueAt() ?? Number.POSITIVE_INFINITY) <= now) this.migrator.wake()
    if ((this.revoker.nextDueAt() ?? Number.POSITIVE_INFINITY) <= now) this.revoker.wake()
    this.adviser.tick()
    this.#timer = this.#ports.clock.setTimeout(() => this.#tick(), recheckMs)
  }

  /** To be told after each published event: the audit trail reads behind the journal. */
  told(): void {
    this.#trail?.wake()
  }

  #note(event: EventDraft): void {
    // If the store has lost us, the term ends; nobody waits for this one.
    this.journal.commit([], [event]).catch(() => {})
  }

  /** Starts nothing more, lets what is under way settle, and after `timeoutMs` ends that too. Never rejects. */
  async end(timeoutMs: number): Promise<void> {
    this.#stopping.abort()
    this.#timer?.cancel()
    const bound = this.#ports.clock.setTimeout(() => this.#killed.abort(), timeoutMs)
    const settle = async (): Promise<void> => {
      await Promise.allSettled([
        this.#monitoring,
        ...this.#beside,
        this.migrator.settled(),
        this.responder.settled(),
        this.revoker.settled(),
        this.monitor.settled(),
        this.adviser.settled(),
      ])
      await this.journal.settled()
      await this.#trail?.settled()
    }
    const killed = new Promise<void>((resolve) => this.#killed.signal.addEventListener('abort', () => resolve(), { once: true }))
    await Promise.race([settle().catch(() => {}), killed])
    bound.cancel()
    this.#killed.abort()
  }

  /** What costs the same whatever is watched and kept. */
  health(): EngineHealth {
    const { books, lease, since } = this
    const now = this.#ports.clock.now()
    return {
      // Whoever is cut off from the lease store knows by his own clock when it is over.
      ...(now < this.#leaseUntil
        ? { state: 'leading', leader: { holder: lease.holder, token: lease.token, since } }
        : { state: 'standby', leader: null }),
      at: now,
      serverCount: books.servers.size,
      vantages: this.monitor.witness.report(),
      registry: { listedAt: books.listedAt || null, stale: books.stale, skippedRows: books.skippedRows },
      storeTrouble: this.journal.trouble,
      lastCheckAt: this.monitor.lastCheckAt,
      lastSeq: this.journal.lastSeq,
    }
  }

  /** @param withServers false: without the reports of servers, which are most of the work in a large fleet */
  status(withServers = true): FleetStatus {
    const { books } = this
    const { serverCount: _, ...health } = this.health()
    const now = health.at
    const counts: Record<VerdictKind, number> = { up: 0, suspect: 0, down: 0, unknown: 0 }
    for (const book of books.servers.values()) counts[kindFor(book, null)]++
    return {
      ...health,
      servers: withServers ? [...books.servers.values()].map((book) => reportOf(books, book, now)) : [],
      counts,
      observations: this.observations.report(),
      failingDomains: failingDomains(books),
      incidents: books.incidents.values(),
      evacuations: [...books.evacuations.values()].flatMap((one) => (one.endedAt === null ? this.evacuator.live(one) : [])),
      migrations: books.openMigrations().map((migration) => this.migrator.live(migration)),
      guards: this.responder.denials(),
      pauses: [...books.words.values()].flatMap((word) =>
        word.kind === 'pause' && (word.until === null || word.until > now)
          ? { scope: word.scope, reason: word.reason, until: word.until }
          : [],
      ),
      pendingRevokes: this.revoker.pending.size,
    }
  }
}
