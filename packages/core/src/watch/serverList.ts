import { newDetector } from '../decide/detector.ts'
import { droppedAfter, goneAfter } from '../decide/incident.ts'
import { type Books, becomeStrange, newBook } from '../engine/books.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { Clock, ServerInput, ServerRegistry } from '../ports.ts'
import { parseServer, problemText, shorten } from '../rows.ts'
import { callOut, collect, sleep } from '../time.ts'
import type { Server } from '../vocabulary.ts'
import type { Warnings } from './warnings.ts'

/** For reading the server list, milliseconds. */
const registryTimeoutMs = 10_000

export interface ServerListHooks {
  /** The server list was read, or could not be. */
  listed(): void
  /** Whether anything is open that names a server. */
  hasOpen(): boolean
  added(server: Server): void
  removed(server: Server): void
}

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
    let rows: readonly ServerInput[]
    try {
      rows = await callOut(clock, registryTimeoutMs, this.#stopped, 'the registry', (ctx) => collect(registry.listServers(ctx)))
      const known = [...this.#books.servers.keys()].filter((id) => this.#books.missing(id) === 0).length
      // After a restart what is open tells that there were servers.
      if (rows.length === 0 && (this.#books.servers.size > 0 || this.#hooks.hasOpen()))
        throw new PintailError('unavailable', 'the server list came back empty')
      // Half an answer of a panel looks like this too: it is believed when it comes again.
      const isHalved = rows.length * 2 < known && !this.#doubted
      this.#doubted = isHalved
      if (isHalved) throw new PintailError('unavailable', `the server list fell from ${known} servers to ${rows.length} at once`)
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
      return
    }
    this.#warnings.over('registry')
    const seen = new Set<string>()
    for (const row of rows) {
      const parsed = parseServer(row)
      const id = parsed.ok ? parsed.value.id : parsed.id
      if (!parsed.ok || seen.has(parsed.value.id)) this.#skip(id, parsed.ok ? 'its id is there twice' : problemText(parsed.problems))
      else this.#take(parsed.value, begunAt)
      // A known server whose row is broken now is still there: its last good row holds.
      if (id !== null) seen.add(id)
    }
    // Lists that follow upon each other tell the same: what misses a server is counted once in a while.
    if (begunAt - this.#countedAt >= this.#books.policy.registryRefreshMs / 2) {
      this.#books.listings++
      this.#countedAt = begunAt
    }
    for (const { server } of [...this.#books.servers.values()])
      if (seen.has(server.id)) this.#books.named.set(server.id, this.#books.listings)
      else if (this.#books.missing(server.id) >= droppedAfter) this.#drop(server)
    // When it was last named is known until it is gone for good, also of one that was dropped: its status may still be ours.
    for (const id of this.#books.named.keys()) if (this.#books.missing(id) > goneAfter) this.#books.named.delete(id)
    this.#books.stale = false
    this.#books.listedAt = begunAt
    this.#books.changed()
    this.#hooks.listed()
  }

  #skip(id: string | null, why: string): void {
    this.#books.skippedRows++
    const which = id === null ? 'a server row without a usable id' : `the row of server ${shorten(id)}`
    this.#warnings.once(`row/${id}/${why}`, 'invalid_row', `${which} is skipped: ${why}`, { count: this.#books.skippedRows })
  }

  #take(server: Server, begunAt: number): void {
    const book = this.#books.servers.get(server.id)
    if (!book) {
      const fresh = newBook(server, newDetector(begunAt))
      this.#books.servers.set(server.id, fresh)
      this.#hooks.added(server)
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
