import * as advice from '../advise/advice.ts'
import { type AdviceReason, adviceReasons, isAdvice, leftForCost, resting, type Savings } from '../advise/history.ts'
import { type Advised, countOf, givenNews, hasScaled, isBusy, whyOver, without } from '../advise/holds.ts'
import type { ServerBook } from '../books/books.ts'
import { adviceHistory } from '../books/history.ts'
import { errorText, isPintailError, notFound, PintailError, stalePlan } from '../errors.ts'
import type { EventDraft } from '../events.ts'
import type { Bus } from '../telling/bus.ts'
import type {
  Advice,
  ConsolidationAdvice,
  Evacuation,
  GuardCode,
  GuardDenial,
  Migration,
  MigrationReason,
  Mode,
  RebalancingAdvice,
  ServerId,
} from '../vocabulary.ts'
import type { Evacuator, EvacuatorParts } from './evacuator.ts'
import type { Gathered } from './planner.ts'

/** The dearest servers that are looked at closely in one round; each is a list of connections and a placement. */
const mostTried = 20
/** Servers whose connections are listed at once. */
const listAtOnce = 16
/** What holds a move back and no suggestion: it is asked again when somebody has approved that. */
const untilApproved: readonly GuardCode[] = ['host', 'window']

export interface AdviserParts extends EvacuatorParts {
  readonly evacuator: Evacuator
  readonly bus: Bus
  /** What forbids moves off this server now for this reason. */
  readonly guardsFor: (book: ServerBook, reason: MigrationReason) => readonly GuardDenial[]
  /** Reads the server list. */
  readonly refresh: () => Promise<unknown>
  readonly wake: () => void
}

/** A piece of advice, and the list that it was made from. */
interface Found<T> {
  readonly found: T
  readonly gathered: Gathered
}

/**
 * What could be cheaper or better balanced: looked for on demand, and round by round. Nothing here is urgent: whatever
 * forbids it is waited for, and what does not hold any more is taken back before anybody acts on it.
 */
export class Adviser {
  readonly #parts: AdviserParts
  readonly #stopping: AbortSignal
  #heat: advice.Heat | null = null
  /** Advice that was told and came to no evacuation, by reason: it is told once. */
  readonly #told = new Map<string, ServerId>()
  /** Empty servers that were told of: they are as good as given back. */
  readonly #empty = new Set<ServerId>()
  #scaledAt: number
  #lastAt: number
  #round: Promise<void> | null = null
  #isToldOff = false

  constructor(parts: AdviserParts, stopping: AbortSignal) {
    this.#parts = parts
    this.#stopping = stopping
    this.#scaledAt = parts.clock.now()
    this.#lastAt = this.#scaledAt
  }

  /** A server came or went. */
  scaled(): void {
    this.#scaledAt = this.#parts.clock.now()
  }

  /** Makes a round when it is time for one. */
  tick(): void {
    const { books, clock } = this.#parts
    const { enabled, intervalMs } = books.policy.advice
    const now = clock.now()
    if (this.#round || books.listedAt === 0 || now < this.#lastAt + intervalMs) return
    if (!enabled) this.#heat = null
    if (!enabled && this.#open().length === 0) return
    this.#lastAt = now
    if (!this.#knowsWhoIsThere) return
    this.#round = this.#go()
      .catch((error) => this.#failed(error))
      .finally(() => {
        this.#round = null
      })
  }

  async settled(): Promise<void> {
    await this.#round
  }

  /** A list of who was active lately hides some, and names others who have left: nobody is moved for gain by that. */
  get #knowsWhoIsThere(): boolean {
    const { planner, bus } = this.#parts
    if (planner.coverage === 'assigned') return true
    if (!this.#isToldOff) {
      const message = 'the registry lists only who was active lately: no advice is made, because nobody knows who else is there'
      bus.warn({ code: 'capability_missing', message, remedy: 'Use a registry that lists everybody who is assigned, or turn advice off.' })
    }
    this.#isToldOff = true
    return false
  }

  #failed(error: unknown): void {
    if (this.#stopping.aborted || isPintailError(error, 'aborted')) return
    const code = isPintailError(error) ? error.code : 'internal'
    this.#parts.bus.warn({ code, message: `a round of advice was broken off: ${errorText(error)}`, remedy: 'The next one tries again.' })
  }

  // ------------------------------------------------------------------------------------------------------ what is advised

  /** @throws PintailError `unavailable` if the registry or the store does not answer */
  async advice(): Promise<Advice> {
    const { planner, hostGuards, clock } = this.#parts
    if (!this.#knowsWhoIsThere) return { at: clock.now(), consolidation: null, rebalancing: null }
    await Promise.all([planner.countAll(), hostGuards.ask()])
    const history = await this.#history()
    const cheaper = await this.#consolidation(history)
    const balanced = await this.#rebalancing(history, new Set(cheaper ? [cheaper.found.serverId] : []))
    const at = clock.now()
    return { at, consolidation: cheaper && this.#tellCost(cheaper.found), rebalancing: balanced && this.#tellHeat(balanced.found) }
  }

  #tellCost(found: advice.Consolidation): ConsolidationAdvice {
    const { savingsEurHour, savingsEurMonth, freeAfter } = found
    return { ...this.#tell('cost-optimization', found), savingsEurHour, savingsEurMonth, freeAfter }
  }

  #tellHeat(found: advice.Rebalancing): RebalancingAdvice {
    const { serverId, fillNow, fillAfter } = found
    const rounds = this.#heat?.serverId === serverId ? this.#heat.rounds : 0
    return { ...this.#tell('rebalancing', found), fillNow, fillAfter, rounds }
  }

  #tell(reason: AdviceReason, { serverId, moves }: { readonly serverId: ServerId; readonly moves: advice.Moves }) {
    const placements = moves.map(({ to, connections }) => ({ serverId: to, connections: connections.length }))
    const evacuationId = this.#open().find((one) => one.reason === reason && one.fromServerIds.includes(serverId))?.id ?? null
    return { serverId, connections: countOf(moves), placements, evacuationId, heldBy: this.#heldBy(reason, serverId) }
  }

  /** The dearest server that can be given back. */
  async #consolidation(history: readonly Migration[], closed: ReadonlySet<ServerId> = none): Promise<Found<advice.Consolidation> | null> {
    const { books } = this.#parts
    const spared = this.#spared(history)
    for (const id of advice.candidates(this.#input(history, closed), spared).slice(0, mostTried)) {
      const gathered = await this.#gather(id)
      if (!gathered) continue
      const needed = advice.isLastOfItsRegion(this.#input(history, closed), id) ? await this.#regions() : noRegions
      if (!books.servers.has(id)) continue
      const found = advice.emptied(this.#input(history, closed), id, connectionsOf(gathered), needed)
      if (typeof found !== 'string') return { found, gathered }
    }
    return null
  }

  /** @param closed about to be given back: nobody is sent there */
  async #rebalancing(history: readonly Migration[], closed: ReadonlySet<ServerId>): Promise<Found<advice.Rebalancing> | null> {
    const id = advice.hottest(this.#input(history, closed))
    const gathered = id === null ? null : await this.#gather(id)
    const found = id !== null && gathered && advice.relief(this.#input(history, closed), id, connectionsOf(gathered))
    return found && gathered ? { found, gathered } : null
  }

  #input(history: readonly Migration[], also: ReadonlySet<ServerId> = none): advice.AdviceInput {
    const { books, clock } = this.#parts
    const { placement, migration, advice: limits } = books.policy
    const closed = new Set([...also, ...[...leftForCost(history)].filter((id) => this.#isEmpty(id))])
    for (const one of this.#open()) if (one.reason === 'cost-optimization') for (const id of one.fromServerIds) closed.add(id)
    return { fleet: books.targets(clock.now()), placement, targetsPerConnection: migration.targetsPerConnection, limits, closed }
  }

  #isEmpty(id: ServerId): boolean {
    const book = this.#parts.books.servers.get(id)
    return book !== undefined && this.#parts.books.loadOf(book) === 0
  }

  /** Null: who is there now is not known. */
  async #gather(id: ServerId): Promise<Gathered | null> {
    const { books, planner } = this.#parts
    const book = books.servers.get(id)
    if (!book) return null
    const listed = await planner.list(book)
    return listed.coverage.remembered ? null : { sources: [book], listed: [listed] }
  }

  /** Where the users of the whole fleet live, and where they want to be. */
  async #regions(): Promise<Set<string>> {
    const { books, planner } = this.#parts
    const regions = new Set<string>()
    const left = [...books.servers.values()]
    const next = async (): Promise<void> => {
      for (let book = left.pop(); book; book = left.pop())
        for (const region of advice.regionsOf((await planner.list(book)).connections)) regions.add(region)
    }
    await Promise.all(Array.from({ length: listAtOnce }, next))
    return regions
  }

  #history(): Promise<readonly Migration[]> {
    const { records, books, clock } = this.#parts
    return adviceHistory(records, clock.now(), books.policy.migration, books.policy.advice, (id) => this.#isEmpty(id))
  }

  /** Servers that nobody is moved off now to save money or for balance. */
  #spared(history: readonly Migration[]): Set<ServerId> {
    const { books, clock } = this.#parts
    const { migration, advice: policy } = books.policy
    const spared = resting(history, migration, policy, clock.now())
    for (const { serverId } of books.incidents.values()) spared.add(serverId)
    for (const { endedAt, fromServerIds } of books.evacuations.values())
      if (endedAt === null) for (const id of fromServerIds) spared.add(id)
    for (const { status, toServerId } of books.openMigrations()) if (status !== 'suggested') spared.add(toServerId)
    return spared
  }

  // -------------------------------------------------------------------------------------------------------------- guards

  /** Why nothing of it is begun now. */
  #heldBy(reason: AdviceReason, id: ServerId): GuardDenial[] {
    const { books, guardsFor, hostGuards, clock } = this.#parts
    const book = books.servers.get(id)
    const own = [isBusy(books.incidents.values(), books.evacuations.values())]
    const scaledAt = Math.max(this.#scaledAt, hostGuards.scalingAt ?? 0)
    if (reason === 'cost-optimization') own.push(hasScaled(scaledAt, books.policy.advice.afterScalingMs, clock.now()))
    const denials = [...(book ? guardsFor(book, reason) : []), ...own.flatMap((denial) => denial ?? [])]
    return this.#modeOf(reason) === 'auto' ? denials : denials.filter(({ guard }) => !untilApproved.includes(guard))
  }

  /** Users are moved to save money when they are idle, or in a window; where nobody says when that is, a person says yes. */
  #modeOf(reason: AdviceReason): Mode {
    const { books, hostGuards } = this.#parts
    const mode = books.policy.mode[reason]
    const isSaid = reason !== 'cost-optimization' || hostGuards.any || books.policy.advice.windows.length > 0
    return mode === 'auto' && !isSaid ? 'suggest' : mode
  }

  // -------------------------------------------------------------------------------------------------------------- rounds

  async #go(): Promise<void> {
    const { books, planner, hostGuards } = this.#parts
    await Promise.all([planner.countAll(), hostGuards.ask()])
    const history = await this.#history()
    for (const evacuation of this.#open()) await this.#review(evacuation, history)
    if (!books.policy.advice.enabled || this.#stopping.aborted) return
    for (const id of this.#empty) if (!this.#isEmpty(id)) this.#empty.delete(id)
    const cheaper = await this.#consolidation(history, this.#empty)
    if (cheaper) await this.#advise('cost-optimization', cheaper, cheaper.found)
    const balanced = await this.#rebalancing(history, new Set([...this.#empty, ...(cheaper ? [cheaper.found.serverId] : [])]))
    this.#heat = advice.nextHeat(this.#heat, balanced?.found ?? null, books.policy.advice)
    const isDue = balanced !== null && (this.#heat?.rounds ?? 0) >= books.policy.advice.rounds
    if (isDue && !this.#spared(history).has(balanced.found.serverId)) await this.#advise('rebalancing', balanced, null)
    for (const [reason, found] of [['cost-optimization', cheaper] as const, ['rebalancing', isDue ? balanced : null] as const])
      if (found?.found.serverId !== this.#told.get(reason)) this.#told.delete(reason)
  }

  /** What was made of advice and has not ended; one that is being cancelled ends by itself. */
  #open(reasons: readonly AdviceReason[] = adviceReasons) {
    const all = [...this.#parts.books.evacuations.values()].filter(({ endedAt, cancelledWhy }) => endedAt === null && cancelledWhy === null)
    return all.filter((one) => isAdvice(one)).filter(({ reason }) => reasons.includes(reason))
  }

  /** Acts on it as far as its mode goes. From the plan to the reservations nothing waits. */
  async #advise(
    reason: AdviceReason,
    { found, gathered }: Found<{ readonly serverId: ServerId; readonly moves: advice.Moves }>,
    savings: Savings | null,
  ): Promise<void> {
    const { planner, evacuator, journal, clock, wake } = this.#parts
    const { serverId, moves } = found
    // One at a time: what a second one would rest on is changed by the first.
    if (this.#stopping.aborted || this.#open([reason]).length > 0 || this.#heldBy(reason, serverId).length > 0) return
    const connections = countOf(moves)
    const mode = this.#modeOf(reason)
    const acts = mode !== 'observe' && connections > 0
    if (!acts && this.#told.get(reason) === serverId) return
    this.#told.delete(reason)
    const keep = advice.assignmentsOf(moves)
    const onlyConnections = reason === 'rebalancing' ? [...keep.keys()] : null
    const plan = planner.plan(gathered, reason, { keep, onlyConnections })
    // Somebody of them is being moved already: the next round sees him where he is then.
    if (plan.unplaced.length > 0) return
    const made = connections > 0 ? evacuator.decide(plan, mode, 'system', null, null, savings ? { savings } : {}) : null
    const evacuationId = acts && made ? made.evacuation.id : null
    if (!acts) this.#told.set(reason, serverId)
    if (connections === 0) this.#empty.add(serverId)
    const data = givenNews(reason, found, savings, mode, evacuationId)
    const given: EventDraft = { type: 'advice.given', at: clock.now(), data }
    if (reason === 'rebalancing') this.#heat = null
    await journal.commit(made?.writes ?? [], [...(made?.events ?? []), given])
    wake()
  }

  // ------------------------------------------------------------------------------------------------------- does it hold?

  /** Ends what holds no longer. A registry that does not answer says nothing against it. */
  async #review(evacuation: Advised, history: readonly Migration[]): Promise<void> {
    const [id] = evacuation.fromServerIds as [ServerId]
    const known = this.#parts.books.servers.has(id)
      ? await this.#look(evacuation, history).catch(() => null)
      : { gathered: null, needed: noRegions }
    const now = this.#parts.books.evacuations.get(evacuation.id)
    if (!known || now !== evacuation || this.#stopping.aborted) return
    const why = this.#whyOver(evacuation, known, history)
    if (why !== null) await this.#expire(evacuation, why)
  }

  async #look(evacuation: Advised, history: readonly Migration[]): Promise<Known> {
    const [id] = evacuation.fromServerIds as [ServerId]
    const gathered = await this.#gather(id)
    const isLast = evacuation.reason === 'cost-optimization' && advice.isLastOfItsRegion(without(evacuation, this.#input(history)), id)
    return { gathered, needed: isLast ? await this.#regions() : noRegions }
  }

  #whyOver(evacuation: Advised, { gathered, needed }: Known, history: readonly Migration[]): string | null {
    const { books } = this.#parts
    return whyOver(evacuation, {
      migrations: books.migrationsOf(evacuation.id),
      input: this.#input(history),
      isEnabled: books.policy.advice.enabled,
      mode: this.#modeOf(evacuation.reason),
      isListed: evacuation.fromServerIds.every((id) => books.servers.has(id)),
      connections: gathered && connectionsOf(gathered),
      needed,
    })
  }

  async #expire(evacuation: Advised, why: string): Promise<void> {
    const { evacuator, journal, clock } = this.#parts
    const { id: evacuationId, reason, fromServerIds } = evacuation
    const data = { reason, serverId: fromServerIds[0] as ServerId, evacuationId, why }
    // In one turn, and so in one commit.
    const stopped = evacuator.stop(evacuation, `the advice holds no longer: ${why}`)
    await Promise.all([stopped, journal.commit([], [{ type: 'advice.expired', at: clock.now(), data }])])
  }

  /**
   * Before a person's approval: whether it still holds. The answer is given when it is asked for, so that nothing comes in between.
   * @returns throws `plan_stale` if it does not; it has expired then
   * @throws PintailError `unavailable` if nobody can tell
   */
  async ready(evacuation: Evacuation): Promise<() => void> {
    if (!isAdvice(evacuation)) return () => {}
    const { planner, books, refresh } = this.#parts
    // The last list may be older than what has changed since.
    await refresh()
    await planner.countAll()
    const history = await this.#history()
    const known = await this.#look(evacuation, history)
    return () => {
      const now = books.evacuations.get(evacuation.id)
      if (!now || !isAdvice(now)) throw notFound('evacuation', evacuation.id)
      const why = this.#whyOver(now, known, history)
      if (why === null && known.gathered) return
      if (why === null)
        throw new PintailError('unavailable', 'nobody can tell now who is there', { remedy: 'Check the registry, and ask again.' })
      // If the store has lost us, the term ends.
      this.#expire(now, why).catch(() => {})
      throw stalePlan([{ path: 'advice', message: why }])
    }
  }
}

interface Known {
  /** Null: who is there now is not known. */
  readonly gathered: Gathered | null
  readonly needed: ReadonlySet<string>
}

const none: ReadonlySet<ServerId> = new Set()
const noRegions: ReadonlySet<string> = new Set()
const connectionsOf = ({ listed }: Gathered) => listed[0]?.connections ?? []
