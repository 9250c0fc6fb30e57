import { addOutage, type Damping, penaltyAt, undamped } from '../decide/damping.ts'
import type { DetectorState } from '../decide/detector.ts'
import type { Census } from '../decide/guard.ts'
import { droppedAfter, goneAfter } from '../decide/incident.ts'
import { isOpen, isTerminal } from '../decide/migration.ts'
import { type Target, type Unfit, unfitNow } from '../decide/ranking.ts'
import { pauseKey } from '../decide/records.ts'
import type { EventDraft } from '../events.ts'
import type { StoreWrite } from '../ports.ts'
import type {
  Connection,
  ConnectionId,
  Evacuation,
  EvacuationId,
  Incident,
  Migration,
  MigrationId,
  MoveRecord,
  OperatorWord,
  PauseScope,
  Policy,
  Sample,
  Server,
  ServerId,
  VerdictKind,
} from '../vocabulary.ts'

/** Samples of one server that are kept as evidence; of one that is well the newest alone, so that a large fleet is no large heap. */
const keptSamples = 20

/** What the engine knows of one server. */
export interface ServerBook {
  server: Server
  detector: DetectorState
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
  control: { readonly host: string; readonly at: number } | null
  /** When other hosts were last asked for a control on its behalf. */
  askedAt: number
  /** When the registry was first seen to show its status. */
  statusSince: number
  /** Since when it has been fit to get its users home, as far as somebody has looked; null: it is not. */
  fitSince: number | null
  /** Its connections as last listed, for a registry that fails together with the server. */
  remembered: { readonly connections: readonly Connection[]; readonly at: number } | null
}

/** A place on a target that the next snapshot will show: held until then. */
interface Reservation {
  /** Null: the grant is not confirmed yet. */
  confirmedAt: number | null
}

/**
 * The leader's working state: what the store has, by the keys that decisions need. Records are replaced, never
 * changed; only one leader writes, so what is here is ahead of the store by what the journal has not yet kept.
 */
export class Books {
  readonly servers = new Map<ServerId, ServerBook>()
  /** The newest incident of each server that still has something to do. */
  readonly incidents = new Map<ServerId, Incident>()
  readonly evacuations = new Map<EvacuationId, Evacuation>()
  readonly migrations = new Map<MigrationId, Migration>()
  readonly moves = new Map<MigrationId, Map<ConnectionId, MoveRecord>>()
  readonly words = new Map<string, OperatorWord>()
  /** Whom a rollback is taking off a failed target right now, and of which migration. */
  readonly takingBack = new Map<ConnectionId, MigrationId>()
  readonly #damping = new Map<ServerId, Damping>()
  readonly #reservations = new Map<ServerId, Map<ConnectionId, Reservation>>()
  /** When the newest server list was asked for; 0: there has been none. */
  listedAt = 0
  /** Server lists that were believed so far, and the number of the newest that named a server. */
  listings = 0
  readonly named = new Map<ServerId, number>()
  stale = false
  skippedRows = 0
  policy: Policy
  #census: { -readonly [key in keyof Census]: number } | null = null

  constructor(policy: Policy) {
    this.policy = policy
  }

  /**
   * To be called whenever a verdict, a status, an incident or the list of servers changed.
   * @param id the only server of which something changed: then the others are not counted again
   */
  changed(id?: ServerId): void {
    const book = id === undefined ? undefined : this.servers.get(id)
    if (!book) this.#census = null
    if (!book || !this.#census) return
    tally(this.#census, book, -1)
    book.counts = this.#countsAs(book)
    tally(this.#census, book, 1)
  }

  note(book: ServerBook, sample: Sample): void {
    const isWell = book.detector.verdict === 'up' && sample.received === sample.sent
    const [kept] = book.samples
    // In place, while nobody else has it: what lives for one interval is what a garbage collector is worst at.
    if (isWell && book.isWell && kept) Object.assign(kept, sample)
    else book.samples = isWell ? [sample] : [...book.samples.slice(1 - keptSamples), sample]
    book.isWell = isWell
    for (const ms of sample.rttMs) book.rttMs = book.rttMs === null ? ms : book.rttMs + (ms - book.rttMs) / 8
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

  /** Servers meant to be in service: online, or offline by our own word. Acknowledged long-dead ones leave all counts. */
  census(): Census {
    if (this.#census) return this.#census
    this.#census = { servers: 0, down: 0, suspect: 0, up: 0 }
    for (const book of this.servers.values()) {
      book.counts = this.#countsAs(book)
      tally(this.#census, book, 1)
    }
    return this.#census
  }

  #countsAs({ server, detector }: ServerBook): ServerBook['counts'] {
    const incident = this.incidents.get(server.id)
    if (server.status !== 'online' && !incident) return null
    if (incident && incident.acknowledgedAt !== null && detector.verdict === 'down') return null
    return detector.verdict
  }

  /** Whether a server can carry users; null: that is not known yet. A server that is gone from the registry cannot. */
  lives(id: ServerId): boolean | null {
    const verdict = this.servers.get(id)?.detector.verdict
    if (verdict === undefined) return this.listedAt === 0 ? null : false
    if (verdict === 'unknown') return null
    // A new leader has checked it once only: whoever was down, and does not answer, is down still.
    return verdict === 'up' || (verdict === 'suspect' && !this.incidents.has(id))
  }

  /** Whether it is down beyond doubt: while a guard holds its incident, that may be the prober's failure and not its own. */
  isDead(id: ServerId): boolean {
    return this.lives(id) === false && this.incidents.get(id)?.heldBy.length === 0
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

  outage(id: ServerId, at: number): void {
    this.#damping.set(id, addOutage(this.damping(id), at, this.policy.guards.dampingHalfLifeMs))
  }

  /** The damping penalty that is left: each outage has added one, and half of it goes in each half-life. */
  penalty(id: ServerId, now: number): number {
    return penaltyAt(this.damping(id), now, this.policy.guards.dampingHalfLifeMs)
  }

  isDamped(id: ServerId, now: number): boolean {
    return this.penalty(id, now) >= this.policy.guards.dampingCeiling
  }

  /** How often it has failed lately; each outage counts. */
  damping(id: ServerId): Damping {
    return this.#damping.get(id) ?? undamped
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

  targets(now: number): Target[] {
    const { guards, placement } = this.policy
    return [...this.servers.values()].map((book) => {
      const capacity = this.capacityOf(book.server)
      const load = this.loadOf(book)
      return {
        server: book.server,
        verdict: book.detector.verdict,
        cordoned: this.isCordoned(book.server.id),
        instability: this.penalty(book.server.id, now) / guards.dampingCeiling,
        load,
        capacity,
        full: capacity !== null && load !== null && load + placement.hostHeadroom >= capacity,
        limited: capacity !== null || placement.maxArrivals !== null || this.policy.mode['server-down'] !== 'auto',
        rttMs: book.rttMs,
        unfit: this.unfit(book),
      }
    })
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

function tally(census: Record<keyof Census, number>, { counts }: ServerBook, by: 1 | -1): void {
  if (counts === null) return
  census.servers += by
  if (counts !== 'unknown') census[counts] += by
}

export function newBook(server: Server, detector: DetectorState): ServerBook {
  const times = { askedAt: 0, statusSince: detector.since, fitSince: null }
  return {
    server,
    detector,
    number: 0,
    counts: null,
    isWell: false,
    samples: [],
    rttMs: null,
    counted: null,
    control: null,
    remembered: null,
    ...times,
  }
}
