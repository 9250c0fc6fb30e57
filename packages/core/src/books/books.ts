import { addOutage, type Damping, penaltyAt, undamped } from '../decide/damping.ts'
import type { Census } from '../decide/guard.ts'
import { droppedAfter, goneAfter } from '../decide/incident.ts'
import { isOpen, isTerminal } from '../decide/migration.ts'
import { type Target, type Unfit, unfitNow } from '../decide/ranking.ts'
import { pauseKey } from '../decide/records.ts'
import { type DetectorState, verdictOf } from '../detect/detector.ts'
import { type OwnVantage, Places } from '../detect/places.ts'
import { audienceOf, everybodyElse, type Tally } from '../detect/votes.ts'
import type { EventDraft } from '../events.ts'
import type { StoreWrite } from '../ports.ts'
import type {
  Connection,
  ConnectionId,
  Evacuation,
  EvacuationId,
  Migration,
  MigrationId,
  MoveRecord,
  OperatorWord,
  PauseScope,
  Policy,
  Sample,
  Server,
  ServerId,
  Verdict,
  VerdictKind,
} from '../vocabulary.ts'
import { caseKey, Incidents } from './incidents.ts'

/** Samples of one server that are kept as evidence; of one that is well the newest alone, so that a large fleet is no large heap. */
const keptSamples = 20

/** An answer of another host than the suspect, seen from the same place. */
export interface Control {
  readonly host: string
  readonly at: number
}

/** What one vantage elsewhere has seen of one server. */
export interface View {
  readonly detector: DetectorState
  readonly samples: readonly Sample[]
  /** When the newest of them came, by our own clock. */
  readonly at: number
  /** The answer of another host that stands behind its `down`; null: there has been none. */
  readonly proof: Control | null
}

/** What the engine knows of one server. */
export interface ServerBook {
  server: Server
  /** By our own vantage. What holds, all votes together, says `verdictFor`. */
  detector: DetectorState
  /** By vantages elsewhere, by name; null: none has looked. */
  views: Map<string, View> | null
  /** What the votes mean together; null: our own vantage alone decides. */
  tally: Tally | null
  /** Passive signals, by vantage. */
  passive: Map<string, { readonly sentAt: number; readonly at: number; readonly fails: boolean; readonly prober: string }> | null
  /** When a passive signal last began a confirmation. */
  signalledAt: number
  /** Since when others see a failure and our own vantage does not; null: it is as they say. */
  differSince: number | null
  /** What was sent before then was sent to another machine. */
  strangeSince: number
  /** The newest server list that named it, counted by who reads them. */
  number: number
  /** As what the census has counted it; null: as nothing. */
  counts: VerdictKind | null
  /** Its only sample is one of a server that is well: no evidence of anything, and written over by the next. */
  isWell: boolean
  /** The newest last. */
  samples: readonly Sample[]
  /** Smoothed round trip (RFC 6298's weight 1/8), milliseconds. */
  rttMs: number | null
  /** Connections counted by us where the registry tells no load, and when the counting began. */
  counted: { readonly load: number; readonly at: number } | null
  /** The newest answer of another host that had come when the newest check of this one was sent. */
  control: Control | null
  /** The control that stands behind our own vantage's `down` among votes. */
  proof: Control | null
  /** When other hosts were last asked for a control on its behalf. */
  askedAt: number
  /** When the registry was first seen to show its status. */
  statusSince: number
  /** Its connections as last listed, for a registry that fails together with the server. */
  remembered: { readonly connections: readonly Connection[]; readonly at: number } | null
}

/** A place on a target that the next snapshot will show: held until then. */
interface Reservation {
  /** Null: the grant is not confirmed yet. */
  confirmedAt: number | null
}

/** What holds of a server for the users of an audience; null: for everybody. */
export function verdictFor(book: ServerBook, audience: string | null): Verdict {
  return heard(book, audience) ?? verdictOf(book.detector)
}

/** The same without its reasons. */
export function kindFor(book: ServerBook, audience: string | null): VerdictKind {
  return (heard(book, audience) ?? book.detector).verdict
}

const heard = ({ tally }: ServerBook, audience: string | null): Verdict | undefined =>
  (audience === null ? undefined : tally?.audiences.get(audience)) ?? tally?.global ?? undefined

/**
 * The leader's working state: what the store has, by the keys that decisions need. Records are replaced, never
 * changed; only one leader writes, so what is here is ahead of the store by what the journal has not yet kept.
 */
export class Books {
  readonly servers = new Map<ServerId, ServerBook>()
  readonly incidents = new Incidents()
  readonly evacuations = new Map<EvacuationId, Evacuation>()
  readonly migrations = new Map<MigrationId, Migration>()
  readonly moves = new Map<MigrationId, Map<ConnectionId, MoveRecord>>()
  readonly words = new Map<string, OperatorWord>()
  /** Whom a rollback is taking off a failed target right now, and of which migration. */
  readonly takingBack = new Map<ConnectionId, MigrationId>()
  /** By case: who is damped for one audience may be there for others. */
  readonly #damping = new Map<string, Damping>()
  readonly #reservations = new Map<ServerId, Map<ConnectionId, Reservation>>()
  /** When the newest server list was asked for; 0: there has been none. */
  listedAt = 0
  /** Server lists that were believed so far, and the number of the newest that named a server. */
  listings = 0
  readonly named = new Map<ServerId, number>()
  stale = false
  skippedRows = 0
  /** How long a move has taken lately, as RFC 6298 smooths a round trip, milliseconds; null: none was seen. */
  moveMs: number | null = null
  policy: Policy
  readonly places: Places
  /** For everybody: kept up to date server by server. */
  #census: Counting | null = null
  /** For an audience: counted anew after each change. */
  readonly #censuses = new Map<string, Census>()

  constructor(policy: Policy, vantage: OwnVantage) {
    this.policy = policy
    this.places = new Places(vantage)
  }

  /** The engine's own vantage, with the region that the policy gives it, if the options do not. */
  get own(): OwnVantage {
    return this.places.own(this.policy.detect)
  }

  /** Regions with a vantage of their own, healthy or not. */
  get regions(): ReadonlySet<string> {
    return this.places.regions(this.policy.detect)
  }

  /** The audience that users of a region belong to; null: their region is not known. */
  audienceOf(region: string | null): string | null {
    return audienceOf(region, this.regions)
  }

  /**
   * To be called whenever a verdict, a status, an incident or the list of servers changed.
   * @param id the only server of which something changed: then the others are not counted again
   */
  changed(id?: ServerId): void {
    this.#censuses.clear()
    const book = id === undefined ? undefined : this.servers.get(id)
    if (!book) this.#census = null
    if (!book || !this.#census) return
    enter(this.#census, book.counts, -1)
    book.counts = this.#countsAs(book, null)
    enter(this.#census, book.counts, 1)
  }

  note(book: ServerBook, sample: Sample): void {
    const { verdict, reasons } = book.detector
    const isWell = verdict === 'up' && reasons[0].code === 'answers' && sample.received === sample.sent
    const [kept] = book.samples
    // In place, while nobody else has it: what lives for one interval is what a garbage collector is worst at.
    if (isWell && book.isWell && kept) Object.assign(kept, sample)
    else book.samples = isWell ? [sample] : [...book.samples.slice(1 - keptSamples), sample]
    book.isWell = isWell
    for (const ms of sample.rttMs) book.rttMs = book.rttMs === null ? ms : book.rttMs + (ms - book.rttMs) / 8
  }

  /** A move has come to a good end after so long. */
  took(ms: number): void {
    this.moveMs = this.moveMs === null ? ms : this.moveMs + (ms - this.moveMs) / 8
  }

  // ------------------------------------------------------------------------------------------------- what holds now

  /** How many server lists in a row have not named it; after a restart, how many there have been. */
  missing(id: ServerId): number {
    return this.listings - (this.named.get(id) ?? 0)
  }

  /** Why this server gets nobody by what the newest server list says of it; null: it may. */
  unfit({ server }: ServerBook): Unfit | null {
    return unfitNow(server, this.missing(server.id), this.policy.placement.resourceLimits)
  }

  /**
   * Servers meant to be in service: online, or offline by our own word. Acknowledged long-dead ones leave all counts.
   * @param audience by what holds for its users. Default: for everybody
   */
  census(audience: string | null = null): Census {
    const known = audience === null ? this.#census : this.#censuses.get(audience)
    if (known) return known
    const count: Counting = { servers: 0, down: 0, suspect: 0, up: 0 }
    for (const book of this.servers.values()) {
      const counts = this.#countsAs(book, audience)
      enter(count, counts, 1)
      if (audience === null) book.counts = counts
    }
    if (audience === null) this.#census = count
    else this.#censuses.set(audience, count)
    return count
  }

  /** Null: it is not counted. */
  #countsAs(book: ServerBook, audience: string | null): ServerBook['counts'] {
    if (!this.#isInService(book)) return null
    const verdict = kindFor(book, audience)
    const incident = this.incidents.covering(book.server.id, audience)
    return incident && incident.acknowledgedAt !== null && verdict === 'down' ? null : verdict
  }

  /** Online, or offline by our own word. */
  *inService(): Iterable<ServerBook> {
    for (const book of this.servers.values()) if (this.#isInService(book)) yield book
  }

  #isInService({ server }: ServerBook): boolean {
    return server.status === 'online' || this.incidents.of(server.id) !== undefined
  }

  /**
   * Whether a server can carry users; null: that is not known yet. A server that is gone from the registry cannot.
   * @param region the user's: it may be down for those of one region only
   */
  lives(id: ServerId, region: string | null): boolean | null {
    const book = this.servers.get(id)
    if (!book) return this.listedAt === 0 ? null : false
    const audience = this.audienceOf(region)
    // Where the vantages of his region are silent, what holds for everybody is the best that is known.
    const known = kindFor(book, audience)
    const verdict = known === 'unknown' ? kindFor(book, null) : known
    if (verdict === 'unknown') return null
    // A new leader has checked it once only: whoever was down, and does not answer, is down still.
    return verdict === 'up' || (verdict === 'suspect' && !this.incidents.covering(id, audience))
  }

  /**
   * Whether it is down beyond doubt, for everybody: while a guard holds its incident, that may be the prober's failure and
   * not its own; and one that only some cannot reach still carries whoever can.
   */
  isDead(id: ServerId): boolean {
    return this.lives(id, null) === false && this.incidents.of(id)?.heldBy.length === 0
  }

  /** Why this user is not to be sent there, though others may; null: he may. */
  unfitFor(id: ServerId, region: string | null): string | null {
    const audience = this.audienceOf(region)
    const book = this.servers.get(id)
    if (audience === null || !book) return null
    const verdict = book.tally?.audiences.get(audience)?.verdict ?? 'up'
    // Nobody has seen it up since, as while all vantages of a region are silent.
    const known = this.incidents.of(id, audience) ? 'down' : verdict
    if (known === 'up' || known === 'unknown') return null
    return `target ${id} is ${known} for ${audience === everybodyElse ? 'other regions' : `region ${audience}`}`
  }

  /** Failure domains that have failed as a whole, for this audience or for everybody. */
  failing(audience: string | null): Set<string> {
    return new Set(
      this.incidents
        .values()
        .flatMap(({ failureDomain, audience: whose }) => ((whose ?? null) === null || whose === audience ? (failureDomain ?? []) : [])),
    )
  }

  isCordoned(id: ServerId): boolean {
    return this.words.has(`cordon/${id}`)
  }

  /** The pause that holds for moves off this server now, if any. */
  pauseFor(id: ServerId, now: number): Extract<OperatorWord, { kind: 'pause' }> | null {
    return this.#pause(['all', { serverId: id }], now)
  }

  /** Whether a person has paused this evacuation, or this migration of it, by its id. */
  isPaused(evacuationId: EvacuationId, migrationId: MigrationId | null, now: number): boolean {
    return this.#pause([{ evacuationId }, ...(migrationId ? [{ migrationId }] : [])], now) !== null
  }

  #pause(scopes: readonly PauseScope[], now: number): Extract<OperatorWord, { kind: 'pause' }> | null {
    for (const scope of this.words.size > 0 ? scopes : []) {
      const word = this.words.get(pauseKey(scope))
      if (word?.kind === 'pause' && (word.until === null || word.until > now)) return word
    }
    return null
  }

  /** Whether this can be paused: it is there and has not ended. */
  canPause(scope: PauseScope): boolean {
    if (scope === 'all') return true
    if ('serverId' in scope) return this.servers.has(scope.serverId)
    if ('evacuationId' in scope) return this.evacuations.get(scope.evacuationId)?.endedAt === null
    return !isTerminal(this.migrations.get(scope.migrationId)?.status ?? 'completed')
  }

  /** A pause is forgotten together with what it was for, so that nothing piles up. */
  forgetPause(scope: PauseScope, at: number): { writes: StoreWrite[]; events: EventDraft[] } {
    const id = pauseKey(scope)
    const word = this.words.get(id)
    if (!this.words.delete(id) || !word) return { writes: [], events: [] }
    return {
      writes: [{ kind: 'word', id, expected: word.version, value: null }],
      events: [{ type: 'pause.lifted', at, data: { scope } }],
    }
  }

  /** Each case is damped for itself: what flaps for one region stays a target for the others. */
  outage(serverId: ServerId, audience: string | null, at: number): void {
    const next = addOutage(this.damping(serverId, audience), at, this.policy.guards.dampingHalfLifeMs)
    this.#damping.set(caseKey({ serverId, audience }), next)
  }

  /** The damping penalty that is left: each outage has added one, and half of it goes in each half-life. */
  penalty(id: ServerId, now: number, audience: string | null = null): number {
    return penaltyAt(this.damping(id, audience), now, this.policy.guards.dampingHalfLifeMs)
  }

  isDamped(id: ServerId, now: number, audience: string | null = null): boolean {
    return this.penalty(id, now, audience) >= this.policy.guards.dampingCeiling
  }

  /** How often it has failed lately; each outage counts. */
  damping(serverId: ServerId, audience: string | null = null): Damping {
    return this.#damping.get(caseKey({ serverId, audience })) ?? undamped
  }

  // --------------------------------------------------------------------------------------------- load and reservations

  reserve(server: ServerId, connection: ConnectionId): void {
    const held = this.#reservations.get(server) ?? new Map<ConnectionId, Reservation>()
    this.#reservations.set(server, held)
    // Also for one who is held there as residue: a new try begins, and no snapshot ends it.
    held.set(connection, { confirmedAt: null })
  }

  /** The grant is there; the place stays reserved until a snapshot begun after this shows it. */
  confirm(server: ServerId, connection: ConnectionId, now: number): void {
    const held = this.#reservations.get(server)?.get(connection)
    if (held) held.confirmedAt = now
  }

  release(server: ServerId, connection: ConnectionId): void {
    this.#reservations.get(server)?.delete(connection)
  }

  /** A snapshot of this server that was asked for at `begunAt` shows every grant confirmed before. */
  absorb(server: ServerId, begunAt: number): void {
    const held = this.#reservations.get(server)
    for (const [id, { confirmedAt }] of held ?? []) if (confirmedAt !== null && confirmedAt < begunAt) held?.delete(id)
  }

  reserved(server: ServerId): number {
    return this.#reservations.get(server)?.size ?? 0
  }

  /** Connections there plus reservations; null: not counted. */
  loadOf({ server, counted }: ServerBook): number | null {
    const load = server.load ?? counted?.load ?? null
    return load === null ? null : load + this.reserved(server.id)
  }

  capacityOf(server: Server): number | null {
    return server.capacity ?? this.policy.placement.defaultCapacity
  }

  /** I2: whether the load with all reservations, this one among them, leaves the host its headroom. */
  fits(book: ServerBook): boolean {
    const capacity = this.capacityOf(book.server)
    const load = this.loadOf(book)
    return capacity === null || (load !== null && load + this.policy.placement.hostHeadroom <= capacity)
  }

  /** Whether it is filled beyond the limit that is hard for what may as well wait, all reservations among them. */
  isOverfilled(book: ServerBook): boolean {
    const capacity = this.capacityOf(book.server)
    const load = this.loadOf(book)
    const { fillLimit, hostHeadroom } = this.policy.placement
    return capacity !== null && (load === null || load + hostHeadroom > Math.floor(capacity * fillLimit + 1e-9))
  }

  targets(now: number): Target[] {
    const { guards, placement } = this.policy
    const failing = this.failing(null)
    return [...this.servers.values()].map((book) => {
      const capacity = this.capacityOf(book.server)
      const load = this.loadOf(book)
      return {
        server: book.server,
        verdict: kindFor(book, null),
        unfitFor: this.#unfitFor(book, now),
        cordoned: this.isCordoned(book.server.id),
        instability: this.penalty(book.server.id, now) / guards.dampingCeiling,
        load,
        capacity,
        full: capacity !== null && load !== null && load + placement.hostHeadroom >= capacity,
        limited: capacity !== null || placement.maxArrivals !== null || this.policy.mode['server-down'] !== 'auto',
        ...this.#roundTrips(book),
        unfit: this.unfit(book) ?? inFailing(book.server.failureDomain, failing),
      }
    })
  }

  /** The usual round trip to it as the vantages of each region see it, and those of none. */
  #roundTrips({ rttMs, views }: ServerBook): Pick<Target, 'rttMs' | 'rttFor'> {
    const { region } = this.own
    if (views === null) return region === null || rttMs === null ? { rttMs } : { rttMs: null, rttFor: new Map([[region, rttMs]]) }
    const seen = new Map<string | null, number[]>(rttMs === null ? [] : [[region, [rttMs]]])
    for (const [name, { detector }] of views) {
      const where = this.policy.detect.vantages[name]?.region ?? null
      if (detector.roundTrip) seen.set(where, [...(seen.get(where) ?? []), detector.roundTrip.smoothedMs])
    }
    const rttFor = new Map<string, number>()
    for (const [where, all] of seen) if (where !== null) rttFor.set(where, median(all) as number)
    return { rttMs: median(seen.get(null) ?? []) ?? null, rttFor }
  }

  /** For whom of the audiences it is no target, and why. */
  #unfitFor(book: ServerBook, now: number): ReadonlyMap<string, Unfit | null> | null {
    const { id, failureDomain } = book.server
    const open = this.incidents.on(id).flatMap(({ audience }) => audience ?? [])
    if (!book.tally && open.length === 0) return null
    const unfit = new Map<string, Unfit | null>([...this.regions].map((region) => [region, null]))
    for (const audience of new Set([...open, ...(book.tally?.audiences.keys() ?? [])])) {
      const whose = audience === everybodyElse ? 'other regions' : `region ${audience}`
      const verdict = open.includes(audience) ? 'down' : kindFor(book, audience)
      const domain = inFailing(failureDomain, this.failing(audience))
      if (verdict === 'down' || verdict === 'suspect') unfit.set(audience, ['down_for_audience', `its verdict for ${whose} is ${verdict}`])
      else if (domain) unfit.set(audience, domain)
      else if (this.isDamped(id, now, audience)) unfit.set(audience, ['damped', `it has failed too often lately for ${whose}`])
    }
    return unfit
  }

  // -------------------------------------------------------------------------------------------------------- migrations

  /** Whether somebody is being moved off this server, or is about to be. */
  isLeft(id: ServerId): boolean {
    return [...this.evacuations.values()].some(({ endedAt, fromServerIds }) => endedAt === null && fromServerIds.includes(id))
  }

  /** After a restart its servers may not be listed yet: what was under way must not be called lost for that. */
  isAwaited({ fromServerId: from, toServerId: to }: Migration): boolean {
    const isLate = (id: ServerId, limit: number) => !this.servers.has(id) && this.missing(id) < limit
    return isLate(from, goneAfter) || isLate(to, droppedAfter)
  }

  put(migration: Migration): void {
    this.migrations.set(migration.id, migration)
  }

  putMove(move: MoveRecord): void {
    const moves = this.moves.get(move.migrationId) ?? new Map<ConnectionId, MoveRecord>()
    this.moves.set(move.migrationId, moves)
    moves.set(move.connection.id, move)
  }

  movesOf(id: MigrationId): MoveRecord[] {
    return [...(this.moves.get(id)?.values() ?? [])]
  }

  /** Who is being moved, and by which migration: nobody is in two open moves at once. */
  claims(): Map<ConnectionId, MigrationId> {
    const claims = new Map(this.takingBack)
    for (const { id, status } of this.openMigrations())
      if (status !== 'suggested')
        // Who has moved is its own until it ends: his old grant is not owed before, and must not become his home again.
        for (const { connection, state } of this.movesOf(id)) if (isOpen(state) || state.state === 'moved') claims.set(connection.id, id)
    return claims
  }

  /** By which migration this connection is still to be moved, or under way. */
  claimOf(connection: ConnectionId): MigrationId | null {
    for (const { id, status } of this.openMigrations()) {
      const move = status === 'suggested' ? undefined : this.moves.get(id)?.get(connection)
      if (move && isOpen(move.state)) return id
    }
    return null
  }

  migrationsOf(id: EvacuationId): Migration[] {
    return [...this.migrations.values()].filter((migration) => migration.evacuationId === id)
  }

  /** Forgets an evacuation that has ended, with all that is only needed while it runs; the store keeps it. */
  forget(id: EvacuationId): void {
    for (const migration of this.migrationsOf(id)) {
      this.migrations.delete(migration.id)
      this.moves.delete(migration.id)
    }
    this.evacuations.delete(id)
  }

  openMigrations(): Migration[] {
    return [...this.migrations.values()].filter(({ status }) => !isTerminal(status))
  }
}

type Counting = { -readonly [key in keyof Census]: number }

function enter(census: Counting, counts: ServerBook['counts'], by: 1 | -1): void {
  if (counts === null) return
  census.servers += by
  if (counts !== 'unknown') census[counts] += by
}

/** The lower one of two in the middle; of none: undefined. */
const median = (values: readonly number[]): number | undefined => values.toSorted((a, b) => a - b)[Math.ceil(values.length / 2) - 1]

const inFailing = (domain: string | null, failing: ReadonlySet<string>): Unfit | null =>
  domain !== null && failing.has(domain) ? ['failing_domain', `its failure domain ${domain} has failed`] : null

export function newBook(server: Server, detector: DetectorState): ServerBook {
  const times = { askedAt: 0, statusSince: detector.since, signalledAt: 0, differSince: null, strangeSince: 0 }
  const seen = { views: null, tally: null, passive: null, control: null, proof: null }
  const counted = { number: 0, counts: null, isWell: false, counted: null }
  return { server, detector, samples: [], rttMs: null, remembered: null, ...counted, ...seen, ...times }
}

/** Another machine under the old name: what was learnt about the old one says nothing about it. */
export function becomeStrange(book: ServerBook, detector: DetectorState): void {
  Object.assign(book, { detector, views: null, tally: null, passive: null, proof: null, strangeSince: detector.since })
}
