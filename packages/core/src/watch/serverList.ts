import { type Books, becomeStrange, newBook } from '../books/books.ts'
import { droppedAfter, goneAfter } from '../decide/incident.ts'
import { newDetector } from '../detect/detector.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { Clock, Listing, ServerInput, ServerRegistry } from '../ports.ts'
import { type Parsed, parseServer, problemText, shorten } from '../rows.ts'
import { callOut, defer, pagesOf, sleep } from '../time.ts'
import type { Server, ServerId } from '../vocabulary.ts'
import type { Warnings } from './warnings.ts'

/** For reading the server list, milliseconds. */
const registryTimeoutMs = 10_000
/** Rows that are read in one turn of the event loop: about a millisecond. */
const sliceRows = 500

export interface ServerListHooks {
  /** The server list was read, or could not be. */
  listed(): void
  /** Whether anything is open that names a server. */
  hasOpen(): boolean
  /** @param listed how many rows the list has that brought it */
  added(server: Server, listed: number): void
  removed(server: Server): void
}

/** A server, or what is wrong with its row. */
type Row = Server | Extract<Parsed<Server>, { ok: false }>

/** Reads the registry's servers into the books: what one list says is believed only if it is likely. */
export class ServerList {
  readonly #ports: { readonly registry: ServerRegistry; readonly clock: Clock }
  readonly #books: Books
  readonly #warnings: Warnings
  readonly #hooks: ServerListHooks
  readonly #stopped: AbortSignal
  #refreshing: Promise<void> | null = null
  /** The newest list was not believed because it named too few. */
  #doubted = false
  #countedAt = 0
  /** Servers that the newest list named, and its number, also of those that are not counted. */
  #known = 0
  #number = 0

  constructor(
    ports: { registry: ServerRegistry; clock: Clock },
    books: Books,
    warnings: Warnings,
    hooks: ServerListHooks,
    stopped: AbortSignal,
  ) {
    this.#ports = ports
    this.#books = books
    this.#warnings = warnings
    this.#hooks = hooks
    this.#stopped = stopped
  }

  /** Runs until stopped. */
  async run(): Promise<void> {
    const { clock, registry } = this.#ports
    try {
      await sleep(clock, this.#books.policy.startupDelayMs, this.#stopped)
      if (registry.watch) void this.#watch(registry.watch.bind(registry))
      while (true) {
        await this.refresh()
        await sleep(clock, this.#books.policy.registryRefreshMs, this.#stopped)
      }
    } catch (error) {
      if (!isPintailError(error, 'aborted')) throw error
    }
  }

  async #watch(watch: NonNullable<ServerRegistry['watch']>): Promise<void> {
    while (!this.#stopped.aborted) {
      try {
        for await (const _ of watch({ signal: this.#stopped })) {
          await this.refresh()
          await sleep(this.#ports.clock, 1000, this.#stopped)
        }
        return
      } catch (error) {
        if (this.#stopped.aborted) return
        this.#warnings.once('watch', 'unavailable', `watching the registry failed: ${errorText(error)}`)
        await sleep(this.#ports.clock, 10_000, this.#stopped).catch(() => {})
      }
    }
  }

  async settled(): Promise<void> {
    await this.#refreshing
  }

  /** Reads the server list now; calls while one is under way share it. Never rejects: a failure marks the list stale. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  async #refresh(): Promise<void> {
    const { clock, registry } = this.#ports
    const begunAt = clock.now()
    try {
      const rows = await callOut(clock, registryTimeoutMs, this.#stopped, 'the registry', (ctx) => this.#read(registry.listServers(ctx)))
      // After a restart what is open tells that there were servers.
      if (rows.length === 0 && (this.#books.servers.size > 0 || this.#hooks.hasOpen()))
        throw new PintailError('unavailable', 'the server list came back empty')
      if (this.#isDoubtful(rows.length)) this.#hooks.listed()
      else await this.#takeAll(rows, begunAt)
    } catch (error) {
      if (this.#stopped.aborted) return
      this.#books.stale = true
      this.#warnings.once(
        'registry',
        'registry_stale',
        `the server list could not be read: ${errorText(error)}; the last known one is kept`,
        {
          remedy: 'Nobody is judged by a stale list; probing goes on. Check the registry.',
        },
      )
      this.#hooks.listed()
    }
  }

  /** Row by row as they come: of what is known already no copy is kept, so that a long list is no large heap. */
  async #read(listing: Listing<ServerInput>): Promise<readonly Row[]> {
    const rows: Row[] = []
    for await (const page of pagesOf(listing))
      await this.#slices(page, (row) => {
        const parsed = parseServer(row)
        const known = parsed.ok ? this.#books.servers.get(parsed.value.id)?.server : null
        rows.push(!parsed.ok ? parsed : known && isSame(known, parsed.value) ? known : parsed.value)
      })
    return rows
  }

  /** Half an answer of a panel looks like a fleet that was halved: it is believed when the next list says so too. */
  #isDoubtful(listed: number): boolean {
    const { registryRefreshMs } = this.#books.policy
    const known = this.#known
    const isHalved = listed * 2 < known
    this.#doubted = isHalved && !this.#doubted
    if (!isHalved) this.#warnings.over('registry/fell')
    if (!this.#doubted) return false
    this.#books.stale = true
    const gone = known - listed
    this.#warnings.once(
      'registry/fell',
      'registry_stale',
      `the server list fell from ${known} servers to ${listed} at once; it is not believed yet, the last known one is kept`,
      {
        count: gone,
        remedy: `If the next list says so too, ${gone} servers get nobody any more and are dropped when a further list misses them. Check the registry within ${Math.round(registryRefreshMs / 1000)} s if they still exist.`,
      },
    )
    return true
  }

  async #takeAll(rows: readonly Row[], begunAt: number): Promise<void> {
    this.#warnings.over('registry')
    // Lists that follow upon each other tell the same: what misses a server is counted once in a while.
    const isCounted = begunAt - this.#countedAt >= this.#books.policy.registryRefreshMs / 2
    const listing = this.#books.listings + (isCounted ? 1 : 0)
    const number = ++this.#number
    /** Named by rows that nothing could be made of. */
    const strange = new Set<string>()
    let named = 0
    await this.#slices(rows, (row) => {
      const broken = 'problems' in row ? row.problems : null
      const id = row.id as ServerId | null
      const isThere = id !== null && (strange.has(id) || this.#books.servers.get(id)?.number === number)
      if (broken || isThere) this.#skip(id, broken ? problemText(broken) : 'its id is there twice')
      else this.#take(row as Server, begunAt, rows.length)
      if (id === null || isThere) return
      // A known server whose row is broken now is still there: its last good row holds.
      const book = this.#books.servers.get(id)
      if (!book) strange.add(id)
      if (!book) return
      book.number = number
      this.#books.named.set(id, listing)
      named++
    })
    // Only now, so that nobody is missed while a long list is still being read.
    this.#books.listings = listing
    this.#known = named
    if (isCounted) this.#countedAt = begunAt
    // Looked for only if there are some: with a large fleet a look at all of them is long.
    if (named < this.#books.servers.size)
      for (const { server } of this.#books.servers.values()) if (this.#books.missing(server.id) >= droppedAfter) this.#drop(server)
    // When it was last named is known until it is gone for good, also of one that was dropped: its status may still be ours.
    if (named < this.#books.named.size)
      for (const id of this.#books.named.keys()) if (this.#books.missing(id) > goneAfter) this.#books.named.delete(id)
    this.#books.stale = false
    this.#books.listedAt = begunAt
    this.#books.changed()
    this.#hooks.listed()
  }

  /** A long list must not hold up probes and moves: in slices, with turns of the event loop between them. */
  async #slices<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
    for (let from = 0; from < items.length; from += sliceRows) {
      if (from > 0) await new Promise<void>((resolve) => defer(this.#ports.clock, resolve))
      if (this.#stopped.aborted) throw new PintailError('aborted')
      for (const item of items.slice(from, from + sliceRows)) work(item)
    }
  }

  #skip(id: string | null, why: string): void {
    this.#books.skippedRows++
    const which = id === null ? 'a server row without a usable id' : `the row of server ${shorten(id)}`
    this.#warnings.once(`row/${id}/${why}`, 'invalid_row', `${which} is skipped: ${why}`, { count: this.#books.skippedRows })
  }

  #take(server: Server, begunAt: number, listed: number): void {
    const book = this.#books.servers.get(server.id)
    if (!book) {
      const fresh = newBook(server, newDetector(begunAt))
      this.#books.servers.set(server.id, fresh)
      this.#hooks.added(server, listed)
      return
    }
    if (book.server.host !== server.host || book.server.port !== server.port)
      becomeStrange(book, { ...newDetector(begunAt), lastSentAt: begunAt })
    if (book.server.status !== server.status) book.statusSince = begunAt
    book.server = server
    if (server.load !== null) this.#books.absorb(server.id, begunAt)
  }

  #drop(server: Server): void {
    // While something is open for it, it stays: the registry may be wrong, and its users need it.
    if (this.#books.incidents.has(server.id)) return
    this.#books.servers.delete(server.id)
    this.#hooks.removed(server)
  }
}

/** Whether two plain values, as a parser makes them, say the same. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}
