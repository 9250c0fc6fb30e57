import type { ServerBook } from '../books/books.ts'
import { put } from '../books/journal.ts'
import { pageOf } from '../books/pages.ts'
import { Records } from '../books/records.ts'
import { byOperator } from '../decide/failback.ts'
import { type Call, refuseCall } from '../decide/migration.ts'
import { idleStatus, pauseKey, wordKey } from '../decide/records.ts'
import { errorText, isPintailError, notFound, PintailError } from '../errors.ts'
import type { EventDraft, EventType, PintailEvent } from '../events.ts'
import { Exchange } from '../members/exchange.ts'
import { Member } from '../members/member.ts'
import type { ResolvedPolicy } from '../options.ts'
import { mergePatch, resolvePolicy } from '../options.ts'
import type { JournalPage, Lease, LeaseStore, Logger, SampleInput, StoreKind, StoreRecords, StoreWrite, Timer } from '../ports.ts'
import { parseMigrationRequest, parsePauseScope, parseStartTime, type ServerRef, serverId, shorten } from '../rows.ts'
import type { EventPage, Listener, PauseOptions, PauseTarget, Pintail } from '../surface.ts'
import { Bus } from '../telling/bus.ts'
import { Meter, type Metering } from '../telling/meter.ts'
import { guarded, narrator } from '../telling/narrator.ts'
import { callOut, newId, sleep } from '../time.ts'
import type {
  Advice,
  ConnectionId,
  DecisionRecord,
  EngineHealth,
  Evacuation,
  FleetStatus,
  Incident,
  JsonObject,
  Migration,
  MigrationId,
  OperatorWord,
  PauseScope,
  Plan,
  PlanRequest,
  Policy,
  PolicyInput,
  PolicyView,
} from '../vocabulary.ts'
import { Warnings } from '../watch/warnings.ts'
import { type Ports, Term } from './term.ts'

/** A lease of this length bears the longest call of a mover twice, so that it can always be renewed in time. */
const leaseMs = (timeoutMs: number): number => Math.max(30_000, 2 * timeoutMs + 5000)
const leaseCallMs = 5000
const readTimeoutMs = 30_000
const hour = 3_600_000

export interface EngineParts extends Omit<Ports, 'exchange'> {
  readonly leases: LeaseStore
  readonly logger: Logger
  readonly policy: ResolvedPolicy
  readonly policyInput: PolicyInput
  readonly metering: Metering | null
}

export class Engine implements Pintail {
  readonly #parts: EngineParts & Ports
  readonly #bus: Bus
  readonly #records: Records
  readonly #holder: string
  readonly #stopping = new AbortController()
  /** Of two deletions at once one finds nothing any more. */
  readonly #deleting = new Set<string>()
  #resolved: ResolvedPolicy
  #policyVersion = 0
  /** The patch that `#resolved` has taken, as JSON. */
  #patch = '{}'
  #term: Term | null = null
  /** Whose lease is renewed: the term's, also before it has read what was open. */
  #campaigner: Term | null = null
  /** While another engine leads: its share of the probing. */
  #member: Member | null = null
  #waiters: (() => void)[] = []
  #leading: Promise<void> | null = null
  #meter: Disposable | null = null
  #renewal: Timer | null = null
  #stopped: Promise<void> | null = null
  #state: FleetStatus['state'] = 'idle'
  /** Why this engine cannot even ask who leads; null: it can. */
  #trouble: string | null = null

  constructor(parts: EngineParts) {
    const { clock, store } = parts
    const logger = guarded(parts.logger)
    this.#resolved = parts.policy
    this.#holder = `pintail-${newId(clock.now(), parts.random)}`
    this.#bus = new Bus(logger, () => clock.now())
    this.#records = new Records(store, clock, readTimeoutMs, new AbortController().signal)
    const exchange = new Exchange({ store, clock, warnings: new Warnings(this.#bus), me: this.#holder })
    this.#parts = { ...parts, logger, exchange }
  }

  // -------------------------------------------------------------------------------------------------------- lifecycle

  async start(): Promise<void> {
    if (this.#stopped) throw new PintailError('stopped', 'this engine was stopped', { remedy: 'Create another one.' })
    if (this.#leading) throw new PintailError('already_started', 'this engine has been started', { remedy: 'Call start() once.' })
    this.#state = 'standby'
    const narrate = narrator(this.#parts.logger)
    this.#bus.on('*', (event) => {
      narrate(event)
      if (event.seq > 0) this.#term?.told()
    })
    if (this.#parts.metering)
      this.#meter = new Meter({ bus: this.#bus, status: (withServers) => this.#status(withServers) }, this.#parts.metering)
    this.#tellMissing()
    this.#leading = this.#campaign()
  }

  /** Says once what each missing optional method costs. */
  #tellMissing(): void {
    const { registry, mover, store, logger } = this.#parts
    const costs = [
      registry.setServerStatus
        ? null
        : 'registry.setServerStatus: a dead server stays in service in your own books, and your code goes on assigning users to it',
      mover.locate ? null : 'mover.locate: a move with an unclear outcome is repeated with the same key instead of asked for (I4)',
      mover.verify ? null : 'mover.verify: "moved" means no more than that move() resolved (I1)',
      mover.rollback ? null : 'mover.rollback: what cannot be undone is listed as residue (I7)',
      mover.complete ? null : 'mover.complete: old grants on the source are never taken back by us',
      store.find && store.sumMigrations
        ? null
        : 'store.find, store.sumMigrations: lists, figures and a new leader read everything that is kept, each time',
      mover.fencing === 'enforced'
        ? null
        : 'mover.fencing: targets do not refuse a late leader; moves start only while the lease outlives them (I3)',
    ]
    for (const cost of costs) if (cost) logger.info({ capability: cost.split(':')[0] }, `not there: ${cost}`)
  }

  async #campaign(): Promise<void> {
    const { leases, clock, bus } = { ...this.#parts, bus: this.#bus }
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const ttlMs = leaseMs(this.#resolved.policy.migration.timeoutMs)
      const at = clock.now()
      try {
        const lease = await callOut(clock, leaseCallMs, signal, 'the lease store', (ctx) => leases.acquire(this.#holder, ttlMs, ctx))
        this.#trouble = null
        if (lease) {
          await this.#leave(false)
          await this.#lead(lease, at)
        } else {
          this.#join()
          await sleep(clock, ttlMs / 3, signal)
        }
      } catch (error) {
        if (signal.aborted) return
        if (this.#trouble === null)
          bus.warn({
            code: isPintailError(error) ? error.code : 'unavailable',
            message: `cannot lead: ${errorText(error)}`,
            remedy: 'Check the store and the lease store; it is tried again.',
          })
        this.#trouble = errorText(error)
        await sleep(clock, 2000, signal).catch(() => {})
      }
    }
  }

  /** Another engine leads: this one takes its share of the probing. */
  #join(): void {
    const { exchange, store, clock } = this.#parts
    if (this.#member || !exchange.isOpen || this.#stopping.signal.aborted) return
    const policy = async (signal: AbortSignal): Promise<Policy> => {
      this.#adopt(await callOut(clock, readTimeoutMs, signal, 'the store', (ctx) => store.get('word', 'policy', ctx)))
      return this.#resolved.policy
    }
    this.#member = new Member({ ...this.#parts, bus: this.#bus, me: this.#holder, policy }, this.#resolved.policy)
  }

  async #leave(isStopping: boolean): Promise<void> {
    const member = this.#member
    this.#member = null
    await member?.end(isStopping)
  }

  async #lead(lease: Lease, acquiredAt: number): Promise<void> {
    const { clock } = this.#parts
    let lose: (error: unknown) => void = () => {}
    const lost = new Promise<unknown>((resolve) => {
      lose = resolve
    })
    const term = new Term(this.#parts, this.#resolved.policy, this.#bus, lease, acquiredAt, lose)
    this.#campaigner = term
    try {
      // Before anything is read: from this commit on a late holder is refused, and writes nothing behind our back. A slow
      // store must not cost the lease meanwhile.
      this.#renewLater(term, lose)
      await term.journal.commit([], [{ type: 'leader.acquired', at: clock.now(), data: { token: lease.token, holder: lease.holder } }])
      await term.load()
      // stop() may have come meanwhile, and a signal that has fired fires for no later listener.
      if (this.#stopping.signal.aborted) return
      this.#takePolicy(term)
      this.#term = term
      this.#state = 'leading'
      term.run()
      for (const wake of this.#waiters.splice(0)) wake()
      const error = await Promise.race([
        lost,
        new Promise<null>((resolve) => this.#stopping.signal.addEventListener('abort', () => resolve(null), { once: true })),
      ])
      if (error === null) return
      term.lost()
      this.#state = 'standby'
      this.#bus.warn({
        code: isPintailError(error) ? error.code : 'not_leader',
        message: `the lead is lost: ${errorText(error)}`,
        remedy: 'Another engine leads, or this one tries again.',
      })
      this.#bus.publish({
        seq: 0,
        type: 'leader.lost',
        at: clock.now(),
        data: { token: lease.token, holder: lease.holder },
      })
    } finally {
      this.#renewal?.cancel()
      this.#campaigner = null
      // A stop ends the term that it finds, within its own bound; every other one must let go here.
      if (!this.#stopping.signal.aborted || this.#term !== term) {
        this.#term = null
        await term.end(0)
        await this.#release(lease, leaseCallMs)
      }
    }
  }

  /** A lease that cannot be released runs out by itself. */
  async #release(lease: Lease, timeoutMs: number): Promise<void> {
    const { clock, leases } = this.#parts
    const always = new AbortController().signal
    await callOut(clock, timeoutMs, always, 'the lease store', (ctx) => leases.release(lease, ctx)).catch(() => {})
  }

  #renewLater(term: Term, lose: (error: unknown) => void): void {
    const { clock, leases } = this.#parts
    this.#renewal = clock.setTimeout(async () => {
      const at = clock.now()
      try {
        const held = await callOut(clock, leaseCallMs, this.#stopping.signal, 'the lease store', (ctx) => leases.renew(term.lease, ctx))
        if (!held) return lose(new PintailError('not_leader', 'the lease is no longer ours'))
        term.renewed(at)
      } catch (error) {
        // Not knowing is not losing: moves stop by themselves when the lease runs short.
        if (this.#stopping.signal.aborted) return
        this.#bus.warn({ code: 'unavailable', message: `the lease could not be renewed: ${errorText(error)}` })
      }
      if (this.#campaigner === term) this.#renewLater(term, lose)
    }, term.lease.ttlMs / 3)
  }

  stop({ timeoutMs = 10_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(timeoutMs)
    return this.#stopped
  }

  async #stop(timeoutMs: number): Promise<void> {
    this.#state = 'stopping'
    this.#stopping.abort()
    this.#renewal?.cancel()
    const term = this.#term
    const begunAt = this.#parts.clock.now()
    if (term) {
      await term.end(timeoutMs)
      const left = timeoutMs - (this.#parts.clock.now() - begunAt)
      await this.#release(term.lease, Math.max(1, Math.min(leaseCallMs, left)))
    }
    await this.#leading?.catch(() => {})
    await this.#leave(true)
    for (const wake of this.#waiters.splice(0)) wake()
    this.#state = 'stopped'
    this.#meter?.[Symbol.dispose]()
    this.#bus.close()
  }

  /** The term, as soon as there is one: callers right after `start()` wait for the lead, not for a first round. */
  async #leader(): Promise<Term> {
    if (this.#state === 'idle') throw new PintailError('not_started', 'this engine has not been started', { remedy: 'Call start() first.' })
    if (!this.#term && !this.#stopped) {
      const { clock } = this.#parts
      await new Promise<void>((resolve) => {
        const timer = clock.setTimeout(resolve, leaseCallMs)
        this.#waiters.push(() => {
          timer.cancel()
          resolve()
        })
      })
    }
    if (this.#stopped) throw new PintailError('stopped', 'this engine was stopped')
    if (!this.#term)
      throw new PintailError('not_leader', 'another engine leads, or none can be asked', {
        remedy: 'Ask the engine whose status() says "leading".',
      })
    return this.#term
  }

  // ------------------------------------------------------------------------------------------------ listening, looking

  on<T extends EventType | '*'>(type: T, listener: Listener<T>): Disposable {
    if (typeof listener !== 'function') throw new PintailError('invalid_argument', 'a listener must be a function')
    return this.#bus.on(type, listener)
  }

  events({ after, signal }: { readonly after?: number; readonly signal?: AbortSignal } = {}): AsyncIterable<PintailEvent> {
    const { store, clock } = this.#parts
    const ends = signal ? AbortSignal.any([signal, this.#stopping.signal]) : this.#stopping.signal
    const read = (cursor: number, limit: number): Promise<JournalPage> =>
      callOut(clock, readTimeoutMs, ends, 'the store', (ctx) => store.readJournal({ after: cursor, limit }, ctx))
    return this.#bus.events(read, after, ends)
  }

  async replay({ after, limit = 1000, signal }: Parameters<Pintail['replay']>[0] = {}): Promise<EventPage> {
    const { store, clock } = this.#parts
    if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0))
      throw new PintailError('invalid_argument', `after must be a whole number from 0, not ${shorten(after)}`)
    if (!(Number.isInteger(limit) && limit >= 1 && limit <= 1000))
      throw new PintailError('invalid_argument', `limit must be a whole number from 1 to 1000, not ${shorten(limit)}`)
    const query = { after: after ?? Number.MAX_SAFE_INTEGER, limit }
    const ends = signal ? AbortSignal.any([signal, this.#stopping.signal]) : this.#stopping.signal
    const { entries, oldestSeq, lastSeq } = await callOut(clock, readTimeoutMs, ends, 'the store', (ctx) => store.readJournal(query, ctx))
    return { events: entries as unknown as readonly PintailEvent[], oldestSeq, lastSeq }
  }

  status(): FleetStatus {
    return this.#status(true)
  }

  health(): EngineHealth {
    const state = this.#state
    if (this.#term) return { ...this.#term.health(), ...(state !== 'leading' && { state }) }
    const { at, leader, vantages, registry, storeTrouble, lastCheckAt, lastSeq } = this.#status(false)
    return { state, at, leader, serverCount: 0, vantages, registry, storeTrouble, lastCheckAt, lastSeq }
  }

  #status(withServers: boolean): FleetStatus {
    const state = this.#state
    if (this.#term) return { ...this.#term.status(withServers), ...(state !== 'leading' && { state }) }
    return { ...idleStatus, state, leader: this.#member?.leader ?? null, at: this.#parts.clock.now(), storeTrouble: this.#trouble }
  }

  // ------------------------------------------------------------------------------------------------------------ plans

  /** Right after `start()` nothing has been listed yet: then the list is read first. */
  async #sources(term: Term, refs: readonly ServerRef[]): Promise<readonly ServerBook[]> {
    if (!Array.isArray(refs) || refs.length === 0) throw new PintailError('invalid_argument', 'drain must name at least one server')
    if (term.books.listedAt === 0) await term.monitor.refresh()
    return [...new Set(refs.map(serverId))].map((id) => term.books.servers.get(id) ?? fail(notFound('server', id)))
  }

  async #plan(term: Term, request: PlanRequest): Promise<Plan> {
    const gathered = await term.planner.gather(await this.#sources(term, request.drain))
    const onlyConnections = request.connections?.map((id) => String(id) as ConnectionId) ?? null
    const toServerId = request.to === undefined ? null : ((await this.#sources(term, [request.to]))[0] as ServerBook).server.id
    return term.planner.plan(gathered, request.reason ?? 'manual', { onlyConnections, toServerId })
  }

  async plan(request: PlanRequest): Promise<Plan> {
    const term = await this.#leader()
    const plan = await this.#plan(term, request)
    term.planner.remember(plan)
    return plan
  }

  async advice(): Promise<Advice> {
    const term = await this.#leader()
    if (term.books.listedAt === 0) await term.monitor.refresh()
    return term.adviser.advice()
  }

  async execute(plan: Plan): Promise<Evacuation> {
    const term = await this.#leader()
    return term.evacuator.execute(plan, await this.#sources(term, plan.fromServerIds))
  }

  async drain(server: ServerRef, { fingerprint }: { readonly fingerprint?: string } = {}): Promise<Evacuation> {
    const request: PlanRequest = { drain: [server], reason: 'maintenance' }
    if (fingerprint !== undefined) {
      const term = await this.#leader()
      const plan = await this.#plan(term, request)
      const sources = await this.#sources(term, request.drain)
      // Compared before the cordon too: a refused drain has done nothing.
      await term.evacuator.fresh(plan, sources, fingerprint)
      await this.cordon(server)
      return term.evacuator.execute(plan, sources, fingerprint)
    }
    await this.cordon(server)
    for (let tries = 1; ; tries++) {
      try {
        return await this.execute(await this.#plan(await this.#leader(), request))
      } catch (error) {
        // Whoever has not seen a plan wants the server empty: what another request has taken meanwhile is planned around.
        if (tries >= 5 || !isPintailError(error, 'plan_stale')) throw error
      }
    }
  }

  // ---------------------------------------------------------------------------------------------------- operator words

  async #say(term: Term, word: OperatorWord | null, key: string, event: EventDraft): Promise<void> {
    const before = term.books.words.get(key)
    if (!word && !before) return
    const next = word && ({ ...word, version: (before?.version ?? 0) + 1 } as OperatorWord)
    if (next) term.books.words.set(key, next)
    else term.books.words.delete(key)
    const write: StoreWrite = next ? put('word', key, next) : { kind: 'word', id: key, expected: before?.version ?? 0, value: null }
    await term.journal.commit([write], [event])
    term.responder.wake()
  }

  async cordon(server: ServerRef): Promise<void> {
    const term = await this.#leader()
    const [book] = (await this.#sources(term, [server])) as [ServerBook]
    const { id } = book.server
    if (term.books.isCordoned(id)) return
    const at = this.#parts.clock.now()
    const word = { kind: 'cordon', serverId: id, at, version: 1 } as const
    await this.#say(term, word, wordKey(word), { type: 'server.cordoned', at, data: { serverId: id } })
  }

  async uncordon(server: ServerRef): Promise<void> {
    const id = serverId(server)
    const term = await this.#leader()
    if (!term.books.isCordoned(id)) await this.#sources(term, [server])
    await this.#say(term, null, `cordon/${id}`, {
      type: 'server.uncordoned',
      at: this.#parts.clock.now(),
      data: { serverId: id },
    })
  }

  async pause(target: PauseTarget = 'all', { reason, forMs }: PauseOptions = {}): Promise<void> {
    const scope = parsePauseScope(target)
    if (forMs !== undefined && !(forMs > 0 && forMs <= 365 * 24 * hour))
      throw new PintailError('invalid_argument', `forMs must be from 1 to a year, not ${forMs}`)
    const term = await this.#leader()
    if (scope !== 'all' && term.books.listedAt === 0) await term.monitor.refresh()
    if (!term.books.canPause(scope)) throw await this.#unpausable(scope)
    const at = this.#parts.clock.now()
    const until = forMs === undefined ? null : at + forMs
    const word = { kind: 'pause', scope, reason: reason?.slice(0, 300) ?? null, at, until, version: 1 } as const
    await this.#say(term, word, wordKey(word), { type: 'pause.set', at, data: { scope, reason: word.reason, until } })
  }

  async resume(target: PauseTarget = 'all'): Promise<void> {
    const scope = parsePauseScope(target)
    const term = await this.#leader()
    if (!term.books.words.has(pauseKey(scope)) && !term.books.canPause(scope)) throw await this.#unpausable(scope)
    await this.#say(term, null, pauseKey(scope), { type: 'pause.lifted', at: this.#parts.clock.now(), data: { scope } })
  }

  async #unpausable(scope: PauseScope): Promise<PintailError> {
    const [[kind, id]] = Object.entries(scope) as [['serverId' | 'evacuationId' | 'migrationId', string]]
    if (kind === 'serverId') return notFound('server', id)
    const what = kind === 'evacuationId' ? 'evacuation' : 'migration'
    const { status } = await this.#get(what, id)
    return new PintailError('not_found', `${what} ${id} has ended: it is ${status}`, { remedy: 'Only what is open can be paused.' })
  }

  async observe(samples: readonly SampleInput[]): Promise<void> {
    const most = 10_000
    if (!Array.isArray(samples) || samples.length > most)
      throw new PintailError('invalid_argument', `observe() takes a list of at most ${most} samples`)
    if (this.#member) return this.#member.observe(samples)
    const { observations } = await this.#leader()
    for (const sample of samples) observations.take(sample)
  }

  // ---------------------------------------------------------------------------------------------------------- records

  async #get<K extends StoreKind>(kind: K, id: string): Promise<StoreRecords[K]> {
    // Callers without types hand in anything, and a store need not bear it.
    if (typeof id !== 'string' || id.length === 0 || id.length > 500) throw notFound(kind, shorten(id))
    return (await this.#records.get(kind, id)) ?? fail(notFound(kind, id))
  }

  /**
   * A record after a call on it was kept. A store that fails only now must not make that look refused: then it is given
   * as it was known when the call was made.
   */
  async #after<K extends 'migration' | 'evacuation' | 'incident'>(kind: K, before: StoreRecords[K]): Promise<StoreRecords[K]> {
    return this.#get(kind, before.id).catch((error) => {
      if (isPintailError(error, 'not_found')) throw error
      return before
    })
  }

  #live(migration: Migration): Migration {
    const open = this.#term?.books.migrations.get(migration.id)
    return open && this.#term ? this.#term.migrator.live(open) : migration
  }

  #liveEvacuation(evacuation: Evacuation): Evacuation {
    const open = this.#term?.books.evacuations.get(evacuation.id)
    return open && this.#term ? this.#term.evacuator.live(open) : evacuation
  }

  /** The migration as it is now, or a refusal that says in which state it is and what that allows. */
  #may(term: Term, kept: Migration, call: Call): Migration {
    const migration = term.books.migrations.get(kept.id) ?? kept
    const refused = refuseCall(migration, call)
    if (refused) throw new PintailError('illegal_transition', refused.message, refused)
    return migration
  }

  readonly migrations: Pintail['migrations'] = {
    list: async (filter = {}) => {
      const { records, ...page } = await pageOf(this.#records, 'migration', filter, (one) => this.#live(one))
      return { migrations: records, ...page }
    },
    get: async (id) => this.#live(await this.#get('migration', id)),
    create: async (request) => {
      const term = await this.#leader()
      const { asked, problems } = parseMigrationRequest(request)
      if (term.books.listedAt === 0) await term.monitor.refresh()
      return term.evacuator.request(asked, problems)
    },
    approve: async (id) => {
      const term = await this.#leader()
      return this.#approve(term, id, 'approve', null)
    },
    schedule: async (id, options) => {
      const at = parseStartTime(options?.at, this.#parts.clock.now())
      return this.#approve(await this.#leader(), id, 'schedule', at)
    },
    cancel: async (id) => {
      const term = await this.#leader()
      const migration = this.#may(term, await this.#get('migration', id), 'cancel')
      await term.migrator.cancel(migration, byOperator)
      return this.#live(await this.#after('migration', { ...migration, cancelledWhy: byOperator }))
    },
    retry: async (id) => {
      const term = await this.#leader()
      const migration = this.#may(term, await this.#get('migration', id), 'retry')
      if (term.books.listedAt === 0) await term.monitor.refresh()
      return term.evacuator.retry(migration, await this.#records.movesOf(id))
    },
    delete: async (id) => {
      if (this.#deleting.has(id)) throw notFound('migration', shorten(id))
      this.#deleting.add(id)
      await this.#delete(id).finally(() => this.#deleting.delete(id))
    },
    stats: () => this.#records.stats(),
  }

  async #delete(id: string): Promise<void> {
    const term = await this.#leader()
    const { status, version } = this.#may(term, await this.#get('migration', id), 'delete')
    if (term.books.migrations.has(id as MigrationId))
      throw new PintailError('illegal_transition', `migration ${id} is ${status} and its evacuation may still need it`, {
        remedy: 'Delete it when its evacuation has ended too.',
      })
    const moves = await this.#records.movesOf(id)
    const writes = moves.map((move): StoreWrite => ({ kind: 'move', id: move.id, expected: move.version, value: null }))
    writes.push({ kind: 'migration', id, expected: version, value: null })
    await term.journal.commit(writes, [{ type: 'migration.deleted', at: this.#parts.clock.now(), data: { id: id as MigrationId } }])
  }

  async #approve(term: Term, id: string, call: 'approve' | 'schedule', notBefore: number | null): Promise<Migration> {
    const kept = await this.#get('migration', id)
    const evacuation = await this.#get('evacuation', kept.evacuationId)
    const ready = await term.adviser.ready(evacuation)
    // Asked after the last wait: of two approvals at once one finds it approved.
    const migration = this.#may(term, kept, call)
    if (migration.status === 'suggested') ready()
    await term.evacuator.approve(this.#openEvacuation(term, evacuation), [migration], notBefore)
    return this.#live(await this.#after('migration', migration))
  }

  readonly evacuations: Pintail['evacuations'] = {
    list: async () => (await this.#records.list('evacuation')).map((evacuation) => this.#liveEvacuation(evacuation)).reverse(),
    page: async (filter = {}) => {
      const { records, ...page } = await pageOf(this.#records, 'evacuation', filter, (one) => this.#liveEvacuation(one))
      return { evacuations: records, ...page }
    },
    get: async (id) => this.#liveEvacuation(await this.#get('evacuation', id)),
    approve: async (id) => {
      const term = await this.#leader()
      const kept = await this.#get('evacuation', id)
      const ready = await term.adviser.ready(kept)
      const evacuation = this.#openEvacuation(term, kept)
      const suggested = term.books.migrationsOf(evacuation.id).filter(({ status }) => status === 'suggested')
      if (suggested.length === 0 && evacuation.status !== 'suggested')
        throw new PintailError('illegal_transition', `evacuation ${id} is ${evacuation.status}: nothing of it waits for approval`, {
          remedy: 'Allowed now: cancel.',
        })
      ready()
      await term.evacuator.approve(evacuation, suggested)
      return this.#liveEvacuation(await this.#after('evacuation', evacuation))
    },
    cancel: async (id) => {
      const term = await this.#leader()
      const evacuation = this.#openEvacuation(term, await this.#get('evacuation', id))
      await term.evacuator.stop(evacuation, byOperator)
      return this.#liveEvacuation(await this.#after('evacuation', { ...evacuation, cancelledWhy: byOperator }))
    },
    cancelAll: async () => {
      const term = await this.#leader()
      const open = [...term.books.evacuations.values()].filter(({ endedAt, cancelledWhy }) => endedAt === null && cancelledWhy === null)
      await Promise.all(open.map((evacuation) => term.evacuator.stop(evacuation, byOperator)))
      const stopped = await Promise.all(open.map((one) => this.#after('evacuation', { ...one, cancelledWhy: byOperator })))
      return stopped.map((evacuation) => this.#liveEvacuation(evacuation))
    },
  }

  #openEvacuation(term: Term, evacuation: Evacuation): Evacuation {
    const open = term.books.evacuations.get(evacuation.id)
    if (!open || open.cancelledWhy !== null || open.endedAt !== null)
      throw new PintailError(
        'illegal_transition',
        `evacuation ${evacuation.id} is ${open && open.endedAt === null ? 'being cancelled' : evacuation.status}`,
        {
          remedy: 'It has ended, or is about to.',
        },
      )
    return open
  }

  readonly incidents: Pintail['incidents'] = {
    list: async () => (await this.#records.list('incident')).toReversed(),
    page: async (filter = {}) => {
      const { records, ...page } = await pageOf(this.#records, 'incident', filter, (one) => one)
      return { incidents: records, ...page }
    },
    get: (id) => this.#get('incident', id),
    acknowledge: async (id) => {
      const term = await this.#leader()
      const incident = this.#openIncident(term, await this.#get('incident', id))
      await term.responder.acknowledge(incident)
      return this.#after('incident', term.books.incidents.byId(incident.id) ?? incident)
    },
    overrideGuard: async (id, { forMs = hour / 4 } = {}) => {
      const term = await this.#leader()
      if (!(forMs > 0 && forMs <= 24 * hour)) throw new PintailError('invalid_argument', `forMs must be from 1 to a day, not ${forMs}`)
      const incident = this.#openIncident(term, await this.#get('incident', id))
      await term.responder.overrideGuard(incident, this.#parts.clock.now() + forMs)
      return this.#after('incident', term.books.incidents.byId(incident.id) ?? incident)
    },
  }

  #openIncident(term: Term, incident: Incident): Incident {
    const open = term.books.incidents.byId(incident.id)
    if (!open)
      throw new PintailError('illegal_transition', `incident ${incident.id} is ${incident.status}`, {
        remedy: 'Only an open incident can be acknowledged or overridden.',
      })
    return open
  }

  decision(id: string): Promise<DecisionRecord> {
    return this.#get('decision', id)
  }

  // ----------------------------------------------------------------------------------------------------------- policy

  /** The stored patch over the code's policy. One that no longer fits a changed base is kept, and warned about. */
  #takePolicy(term: Term): void {
    this.#adopt(term.books.words.get('policy'))
    term.books.policy = this.#resolved.policy
    term.books.changed()
    term.monitor.policyChanged()
  }

  #adopt(word: OperatorWord | null | undefined): void {
    this.#policyVersion = word?.version ?? 0
    const patch = word?.kind === 'policy' ? word.patch : {}
    const text = JSON.stringify(patch)
    if (text === this.#patch) return
    this.#patch = text
    try {
      this.#resolved = resolvePolicy(this.#parts.policyInput, patch as PolicyInput)
    } catch (error) {
      this.#bus.warn({
        code: 'invalid_options',
        message: `the stored policy patch does not fit: ${errorText(error)}; it is kept and not used`,
        remedy: 'Reset or replace it.',
      })
      this.#resolved = this.#parts.policy
    }
  }

  readonly policy: Pintail['policy'] = {
    get: () => ({ ...this.#resolved, version: this.#policyVersion }),
    update: async (patch, { ifVersion }) => {
      const term = await this.#leader()
      this.#mustBeNewest(ifVersion)
      const word = term.books.words.get('policy')
      const merged = mergePatch(word?.kind === 'policy' ? word.patch : {}, patch)
      resolvePolicy(this.#parts.policyInput, merged as PolicyInput)
      return this.#setPatch(term, merged)
    },
    reset: async ({ ifVersion } = {}) => {
      const term = await this.#leader()
      if (ifVersion !== undefined) this.#mustBeNewest(ifVersion)
      return this.#setPatch(term, {})
    },
  }

  #mustBeNewest(ifVersion: number): void {
    if (ifVersion === this.#policyVersion) return
    throw new PintailError('policy_stale', `the policy is at version ${this.#policyVersion}, not ${ifVersion}`, {
      remedy: 'Read it again, and decide again.',
    })
  }

  async #setPatch(term: Term, patch: JsonObject): Promise<PolicyView> {
    const at = this.#parts.clock.now()
    const version = this.#policyVersion + 1
    await this.#say(term, { kind: 'policy', patch, at, version }, 'policy', { type: 'policy.changed', at, data: { version } })
    this.#takePolicy(term)
    term.responder.wake()
    return this.policy.get()
  }
}

function fail(error: PintailError): never {
  throw error
}
