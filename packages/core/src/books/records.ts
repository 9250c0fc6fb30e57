import { foundIn, sumsOf } from '../figures/found.ts'
import { migrationStats } from '../figures/stats.ts'
import type { CallContext, Clock, Found, FoundKind, MigrationStore, RecordQuery, StoreKind, StoreRecords } from '../ports.ts'
import { callOut, collect } from '../time.ts'
import type { MigrationStats, MoveRecord } from '../vocabulary.ts'

/** Rows of one answer when everything that matches is wanted, and parents that are asked for at once. */
const atOnce = 1000

/** `of`: any number. */
export type Wanted = Omit<RecordQuery, 'limit' | 'offset'>

/** Later than any time: what is not over. */
export const notOver = Number.MAX_SAFE_INTEGER

/**
 * What the store keeps, asked for by what is wanted of it, so that nothing is read for what is long over. A store that
 * cannot `find` is read whole each time: it works the same, and costs what it keeps.
 */
export class Records {
  readonly #store: MigrationStore
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #ends: AbortSignal

  /** @param timeoutMs for each call of the store, milliseconds */
  constructor(store: MigrationStore, clock: Clock, timeoutMs: number, ends: AbortSignal) {
    this.#store = store
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#ends = ends
  }

  #call<T>(call: (ctx: CallContext) => PromiseLike<T>): Promise<T> {
    return callOut(this.#clock, this.#timeoutMs, this.#ends, 'the store', call)
  }

  get<K extends StoreKind>(kind: K, id: string): Promise<StoreRecords[K] | null> {
    return this.#call((ctx) => this.#store.get(kind, id, ctx))
  }

  /** Every record of a kind, oldest first. */
  list<K extends StoreKind>(kind: K): Promise<readonly StoreRecords[K][]> {
    return this.#call((ctx) => collect(this.#store.list(kind, {}, ctx)))
  }

  movesOf(migrationId: string): Promise<readonly MoveRecord[]> {
    return this.#call((ctx) => collect(this.#store.list('move', { migrationId }, ctx)))
  }

  /** One page, newest first. */
  async page<K extends FoundKind>(kind: K, query: RecordQuery): Promise<Found<StoreRecords[K]>> {
    const { find } = this.#store
    if (!find) return foundIn(kind, await this.list(kind), query)
    return this.#call((ctx) => find.call(this.#store, kind, query, ctx) as PromiseLike<Found<StoreRecords[K]>>)
  }

  /** Everything that matches, oldest first. What begins or ends meanwhile may be missing. */
  async all<K extends FoundKind>(kind: K, wanted: Wanted): Promise<readonly StoreRecords[K][]> {
    const { of } = wanted
    if (!this.#store.find) return (await this.page(kind, { ...wanted, limit: notOver, offset: 0 })).records.toReversed()
    if (!of) return this.#every(kind, wanted)
    const found: StoreRecords[K][] = []
    for (let at = 0; at < of.length; at += atOnce)
      for (const one of await this.#every(kind, { ...wanted, of: of.slice(at, at + atOnce) })) found.push(one)
    return found
  }

  async #every<K extends FoundKind>(kind: K, wanted: Wanted): Promise<readonly StoreRecords[K][]> {
    // By id, because what is new pushes the others a place further.
    const found = new Map<string, StoreRecords[K]>()
    for (let offset = 0; ; offset += atOnce) {
      const { records, total } = await this.page(kind, { ...wanted, limit: atOnce, offset })
      for (const record of records) found.set(record.id, record)
      if (offset + records.length >= total || records.length === 0) return [...found.values()].reverse()
    }
  }

  async stats(): Promise<MigrationStats> {
    const { sumMigrations } = this.#store
    if (!sumMigrations) return migrationStats(sumsOf(await this.list('migration')))
    return migrationStats(await this.#call((ctx) => sumMigrations.call(this.#store, ctx)))
  }
}
