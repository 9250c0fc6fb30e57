import { createHash } from 'node:crypto'
import { place } from '../decide/placement.ts'
import { compareIds } from '../decide/ranking.ts'
import { errorText, PintailError } from '../errors.ts'
import type { Clock, ServerRegistry } from '../ports.ts'
import { parseConnection, problemText } from '../rows.ts'
import type { Bus } from '../telling/bus.ts'
import { callOut, collect } from '../time.ts'
import type { Connection, ConnectionId, Coverage, MigrationReason, Plan, PlannedMigration, ServerId, Unplaced } from '../vocabulary.ts'
import type { Books, ServerBook } from './books.ts'

/** For listing the connections of one server, milliseconds. */
const listTimeoutMs = 30_000
/** Servers whose connections are counted at once. */
const countAtOnce = 16

export interface Listed {
  readonly connections: readonly Connection[]
  readonly coverage: Coverage
}

/** What the registry said for a plan. */
export interface Gathered {
  readonly sources: readonly ServerBook[]
  readonly listed: readonly Listed[]
}

/** Reads who is where and asks `decide/placement` where they could go. Changes nothing but counted loads. */
export class Planner {
  readonly #registry: ServerRegistry
  readonly #books: Books
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #stopped: AbortSignal

  constructor(registry: ServerRegistry, books: Books, bus: Bus, clock: Clock, stopped: AbortSignal) {
    this.#registry = registry
    this.#books = books
    this.#bus = bus
    this.#clock = clock
    this.#stopped = stopped
  }

  /**
   * Everybody on a server, each once. Unavailable is not empty: then the list kept from before the failure is given,
   * and says so.
   * @throws PintailError `unavailable` if there is none
   */
  async list(book: ServerBook): Promise<Listed> {
    const { server } = book
    const kind = this.#registry.coverage ?? 'assigned'
    const asOf = this.#clock.now()
    try {
      const rows = await callOut(this.#clock, listTimeoutMs, this.#stopped, 'the registry', (ctx) =>
        collect(this.#registry.listConnections(server, ctx)),
      )
      const connections = new Map<ConnectionId, Connection>()
      let skipped = 0
      let why = ''
      for (const row of rows) {
        const parsed = parseConnection(row)
        if (parsed.ok) {
          if (!connections.has(parsed.value.id)) connections.set(parsed.value.id, parsed.value)
        } else {
          skipped++
          why ||= problemText(parsed.problems)
        }
      }
      if (skipped > 0) {
        this.#books.skippedRows += skipped
        const message = `${skipped} connection row${skipped === 1 ? '' : 's'} of ${server.id} skipped, the first because ${why}`
        this.#bus.warn({ code: 'invalid_row', message, serverId: server.id, count: this.#books.skippedRows })
      }
      book.remembered = { connections: [...connections.values()], at: asOf }
      return { connections: book.remembered.connections, coverage: { kind, asOf, remembered: false } }
    } catch (error) {
      if (this.#stopped.aborted) throw error
      const message = `the connections of ${server.id} could not be listed: ${errorText(error)}`
      if (book.remembered) {
        this.#bus.warn({
          code: 'unavailable',
          message: `${message}; those known before are taken`,
          serverId: server.id,
        })
        return {
          connections: book.remembered.connections,
          coverage: { kind, asOf: book.remembered.at, remembered: true },
        }
      }
      throw new PintailError('unavailable', message, { cause: error, remedy: 'Check the registry; it is asked again.' })
    }
  }

  /** Where the registry tells no load, the connections of each possible target are counted. */
  async #count(sources: ReadonlySet<ServerId>): Promise<void> {
    const open = [...this.#books.servers.values()].filter(
      ({ server, detector }) => server.load === null && server.status === 'online' && detector.verdict === 'up' && !sources.has(server.id),
    )
    const next = async (): Promise<void> => {
      for (let book = open.pop(); book; book = open.pop()) {
        const at = this.#clock.now()
        try {
          const { connections, coverage } = await this.list(book)
          if (coverage.remembered) book.counted = null
          else {
            book.counted = { load: connections.length, at }
            this.#books.absorb(book.server.id, at)
          }
        } catch {
          // Unknown is not zero: it is excluded as `load_unknown`, and `list` has warned or the plan will say so.
          book.counted = null
        }
      }
    }
    await Promise.all(Array.from({ length: countAtOnce }, next))
  }

  /** Asks the registry for everything that a plan of these servers needs. */
  async gather(sources: readonly ServerBook[]): Promise<Gathered> {
    const listed = await Promise.all(sources.map((book) => this.list(book)))
    if (listed.some(({ connections }) => connections.length > 0)) await this.#count(new Set(sources.map(({ server }) => server.id)))
    return { sources, listed }
  }

  /**
   * The plan from what was gathered, for only these connections, to only this server, and without those already settled. Synchronous, so that whoever reserves
   * at once is never overtaken by another plan for the same room.
   */
  plan(
    { sources, listed }: Gathered,
    reason: MigrationReason,
    {
      refusals = new Map(),
      onlyConnections: only = null,
      toServerId = null,
      settled = new Set(),
      arrived = new Map(),
    }: {
      readonly refusals?: ReadonlyMap<ConnectionId, ReadonlySet<ServerId>>
      readonly onlyConnections?: readonly ConnectionId[] | null
      readonly toServerId?: ServerId | null
      readonly settled?: ReadonlySet<ConnectionId>
      readonly arrived?: ReadonlyMap<ServerId, number>
    } = {},
  ): Plan {
    const wanted = only && new Set(only)
    const claims = this.#books.claims()
    const moving: Unplaced[] = []
    const home = new Map<ConnectionId, ServerId>()
    const connections: Connection[] = []
    listed.forEach((part, index) => {
      for (const connection of part.connections) {
        if (home.has(connection.id) || settled.has(connection.id) || wanted?.has(connection.id) === false) continue
        home.set(connection.id, (sources[index] as ServerBook).server.id)
        const claim = claims.get(connection.id)
        if (claim === undefined) connections.push(connection)
        else moving.push({ connectionId: connection.id, code: 'being_moved', message: `being moved already, by migration ${claim}` })
      }
    })
    const ids = new Set(sources.map(({ server }) => server.id))
    const now = this.#clock.now()
    const { policy } = this.#books
    const { placed, unplaced, cohorts } = place({
      sources: [...ids],
      sourceDomains: sources.flatMap(({ server }) => server.failureDomain ?? []),
      only: toServerId,
      reason,
      connections,
      refusals,
      arrived,
      targets: this.#books.targets(now),
      policy: policy.placement,
      targetsPerConnection: policy.migration.targetsPerConnection,
    })
    const placements: PlannedMigration[] = []
    for (const [toServerId, arrivals] of placed) {
      const book = this.#books.servers.get(toServerId)
      if (!book) continue
      const loadBefore = this.#books.loadOf(book) ?? 0
      for (const fromServerId of ids) {
        const part = arrivals.filter(({ id }) => home.get(id) === fromServerId)
        if (part.length === 0) continue
        placements.push({
          fromServerId,
          toServerId,
          connections: part,
          loadBefore,
          loadAfter: loadBefore + arrivals.length,
          capacity: this.#books.capacityOf(book.server),
        })
      }
    }
    placements.sort((a, b) => compareIds(a.fromServerId, b.fromServerId) || compareIds(a.toServerId, b.toServerId))
    const basis = this.#basis(placements, ids)
    return {
      fingerprint: createHash('sha256')
        .update(JSON.stringify(Object.entries(basis).sort()))
        .digest('base64url')
        .slice(0, 22),
      createdAt: now,
      reason,
      fromServerIds: [...ids],
      onlyConnections: only,
      toServerId,
      placements,
      unplaced: [...unplaced, ...moving],
      cohorts,
      coverage: {
        kind: this.#registry.coverage ?? 'assigned',
        asOf: Math.min(now, ...listed.map(({ coverage }) => coverage.asOf)),
        remembered: listed.some(({ coverage }) => coverage.remembered),
      },
      basis,
    }
  }

  /** What the plan rests on, piece by piece: a changed world is told by the name of what changed. */
  #basis(placements: readonly PlannedMigration[], sources: ReadonlySet<ServerId>): Record<string, string> {
    const basis: Record<string, string> = {}
    const policy = this.#books.words.get('policy')
    basis.policy = `version ${policy?.version ?? 0}`
    for (const id of sources) basis[`source ${id}`] = this.#books.servers.get(id)?.detector.verdict === 'down' ? 'down' : 'not down'
    const arriving = new Map<ServerId, number>()
    for (const { toServerId, connections } of placements) arriving.set(toServerId, (arriving.get(toServerId) ?? 0) + connections.length)
    for (const [id, count] of arriving) {
      const book = this.#books.servers.get(id)
      const verdict = book?.server.status === 'online' ? book.detector.verdict : (book?.server.status ?? 'gone')
      const capacity = book && this.#books.capacityOf(book.server)
      const fits =
        capacity === null || (book !== undefined && (this.#books.loadOf(book) ?? Number.POSITIVE_INFINITY) + count <= (capacity ?? 0))
      basis[`target ${id}`] = [
        verdict,
        this.#books.isCordoned(id) ? 'cordoned' : 'not cordoned',
        `capacity ${capacity ?? 'unknown'}`,
        fits ? `room for ${count}` : `no room for ${count}`,
      ].join(', ')
    }
    return basis
  }
}

/** What differs between two plans' worlds, in words. */
export function differences(planned: Plan, now: Plan): string[] {
  return [...new Set([...Object.keys(planned.basis), ...Object.keys(now.basis)])]
    .filter((key) => planned.basis[key] !== now.basis[key])
    .sort()
    .map((key) => `${key}: was ${planned.basis[key] ?? 'not in the plan'}, is ${now.basis[key] ?? 'not in the plan'}`)
}
