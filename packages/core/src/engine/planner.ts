import { createHash } from 'node:crypto'
import { type Books, kindFor, type ServerBook } from '../books/books.ts'
import { changesSince, type Looked, lookedAt, makePlan, type PlanScope, type PlanWorld } from '../decide/plan.ts'
import { errorText, PintailError, stalePlan } from '../errors.ts'
import type { Clock, ServerRegistry } from '../ports.ts'
import { parseConnection, problemText } from '../rows.ts'
import type { Bus } from '../telling/bus.ts'
import { callOut, collect } from '../time.ts'
import type { Connection, ConnectionId, Coverage, MigrationReason, Plan, ServerId } from '../vocabulary.ts'

/** For listing the connections of one server, milliseconds. */
const listTimeoutMs = 30_000
/** Servers whose connections are counted at once. */
const countAtOnce = 16
/** Plans that can still be carried out by their fingerprint alone after the world around them has moved on. */
const plansKept = 16

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
  readonly #looked = new Map<string, Looked>()

  constructor(registry: ServerRegistry, books: Books, bus: Bus, clock: Clock, stopped: AbortSignal) {
    this.#registry = registry
    this.#books = books
    this.#bus = bus
    this.#clock = clock
    this.#stopped = stopped
  }

  /** What the registry's lists of connections hold: everybody, or who was active lately. */
  get coverage(): Coverage['kind'] {
    return this.#registry.coverage ?? 'assigned'
  }

  /**
   * Everybody on a server, each once. Unavailable is not empty: then the list kept from before the failure is given,
   * and says so.
   * @throws PintailError `unavailable` if there is none
   */
  async list(book: ServerBook): Promise<Listed> {
    const { server } = book
    const kind = this.coverage
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
      if (server.load === null) {
        book.counted = { load: connections.size, at: asOf }
        this.#books.absorb(server.id, asOf)
      }
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

  /** Counts a server whose load the registry does not tell; false: that could not be done. */
  count(book: ServerBook): Promise<boolean> {
    return this.list(book).then(
      ({ coverage }) => !coverage.remembered,
      () => false,
    )
  }

  /** The same, unless the registry tells the load itself, or the last count is as young as its last list. */
  async recount(id: ServerId): Promise<boolean> {
    const book = this.#books.servers.get(id)
    const { registryRefreshMs } = this.#books.policy
    if (!book || book.server.load !== null) return true
    return (book.counted !== null && this.#clock.now() - book.counted.at < registryRefreshMs) || this.count(book)
  }

  /** Where the registry tells no load, the connections of each possible target are counted. */
  async countAll(sources: ReadonlySet<ServerId> = new Set()): Promise<void> {
    const open = [...this.#books.servers.values()].filter(
      (book) =>
        book.server.load === null && book.server.status === 'online' && kindFor(book, null) === 'up' && !sources.has(book.server.id),
    )
    const next = async (): Promise<void> => {
      for (let book = open.pop(); book; book = open.pop()) {
        // Unknown is not zero: it is excluded as `load_unknown`, and `list` has warned or the plan will say so.
        if (!(await this.count(book))) book.counted = null
      }
    }
    await Promise.all(Array.from({ length: countAtOnce }, next))
  }

  /** Asks the registry for everything that a plan of these servers needs. */
  async gather(sources: readonly ServerBook[]): Promise<Gathered> {
    const listed = await Promise.all(sources.map((book) => this.list(book)))
    if (listed.some(({ connections }) => connections.length > 0)) await this.countAll(new Set(sources.map(({ server }) => server.id)))
    return { sources, listed }
  }

  /**
   * The plan from what was gathered. Synchronous, so that whoever reserves at once is never overtaken by another plan for
   * the same room.
   */
  plan(gathered: Gathered, reason: MigrationReason, scope: PlanScope = {}): Plan {
    return makePlan(this.#world(gathered), reason, scope)
  }

  /** Keeps of a plan that is being looked at what its fingerprint alone does not say. */
  remember(plan: Plan): void {
    this.#looked.delete(plan.fingerprint)
    this.#looked.set(plan.fingerprint, lookedAt(plan))
    for (const oldest of this.#looked.keys()) {
      if (this.#looked.size <= plansKept) break
      this.#looked.delete(oldest)
    }
  }

  /**
   * The plan that was looked at, by what is so now: whoever has left is skipped, whoever has come is planned beside, all
   * others go where it says.
   * @throws PintailError `plan_stale` if they cannot any more; of a plan that is remembered no more nothing may have changed
   */
  again(plan: string | Plan, gathered: Gathered, reason: MigrationReason, scope: PlanScope): Plan {
    const looked = typeof plan === 'string' ? this.#looked.get(plan) : lookedAt(plan)
    const fresh = this.plan(gathered, reason, { ...scope, ...(looked && { keep: looked.assignments }) })
    if (!looked && fresh.fingerprint !== plan) throw stalePlan()
    const changes = looked ? changesSince(looked, fresh, this.#world(gathered)) : []
    if (changes.length > 0) throw stalePlan(changes.map((message) => ({ path: 'plan', message })))
    return fresh
  }

  #world({ sources, listed }: Gathered): PlanWorld {
    const books = this.#books
    const now = this.#clock.now()
    return {
      now,
      sources: sources.map((book, index) => {
        return { server: book.server, isDown: kindFor(book, null) === 'down', connections: listed[index]?.connections ?? [] }
      }),
      coverage: {
        kind: this.coverage,
        asOf: Math.min(now, ...listed.map(({ coverage }) => coverage.asOf)),
        remembered: listed.some(({ coverage }) => coverage.remembered),
      },
      targets: books.targets(now),
      policy: books.policy,
      policyVersion: books.words.get('policy')?.version ?? 0,
      claims: books.claims(),
      regions: books.regions,
      moveMs: books.moveMs,
      digest: (value) => createHash('sha256').update(JSON.stringify(value)).digest('base64url'),
    }
  }
}
