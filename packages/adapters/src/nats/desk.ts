import type { Msg, NatsConnection } from '@nats-io/nats-core'
import type { Clock, Logger, Pintail, ServerInput, ServerRegistry } from '@pintail/core'
import { errorText, PintailError } from '@pintail/core'
import { type FleetServer, fleetLimits, fleetSubjects, listRequest, type Page, pageFrom, pageOf, pagesFor, parseFleet } from './fleet.ts'

/** Requests that are answered in one second, at most: a list of a million servers has two thousand pages. */
const answersASecond = 5000
/** Pages that are made before everything else gets a turn. */
const pagesAtOnce = 16
/** While something is suspected, vantages are asked again so often, and go on for so long after the last request, milliseconds. */
const askEveryMs = 1000
const lookMs = 3000
/** One that is suspected for so long is no matter of closeness any more, milliseconds. */
const longestLookMs = 60_000
const readTimeoutMs = 30_000

export interface DeskOptions {
  readonly nats: NatsConnection
  readonly prefix: string
  readonly servers: Pick<ServerRegistry, 'listServers'> | null
  readonly refreshMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Tells vantages which servers there are, when they ask, and which to look at closely, when the engine suspects one. */
export class Desk {
  readonly #options: DeskOptions
  #pages: readonly Page[] = []
  #readAt: number | null = null
  #isTold = false
  /** Which audiences of a server are in doubt, and since when. */
  readonly #doubts = new Map<string, { readonly audiences: Set<string>; readonly since: number }>()
  #open = 0
  answered = 0
  unanswered = 0

  constructor(options: DeskOptions) {
    this.#options = options
  }

  /** Works until the signal fires. */
  run(signal: AbortSignal): void {
    const { nats, prefix, servers } = this.#options
    if (signal.aborted) return
    this.#open++
    signal.addEventListener('abort', () => this.#open--, { once: true })
    this.#every(askEveryMs, signal, () => this.#ask())
    if (!servers) return
    let answers = 0
    const subscription = nats.subscribe(fleetSubjects(prefix).list, {
      callback: (error, message) => {
        if (error || ++answers > answersASecond || !this.#answer(message)) this.unanswered++
        else this.answered++
      },
    })
    signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true })
    this.#every(1000, signal, () => {
      answers = 0
    })
    void this.#follow(servers, signal)
  }

  /** Whoever asks gets the list's head, or one page of it. */
  #answer(message: Msg): boolean {
    const request = parseFleet(listRequest, message.data)
    if (!request || this.#readAt === null) return false
    if (request.page !== null) {
      const page = this.#pages[request.page]
      return page !== undefined && message.respond(page.data)
    }
    const ageMs = Math.max(0, this.#options.clock.now() - this.#readAt)
    return message.respond(JSON.stringify({ v: 1, ageMs, pages: this.#pages.map(({ hash }) => hash) }))
  }

  #every(ms: number, signal: AbortSignal, act: () => void): void {
    const { clock } = this.#options
    let timer = clock.setTimeout(function again() {
      act()
      timer = clock.setTimeout(again, ms)
    }, ms)
    signal.addEventListener('abort', () => timer.cancel(), { once: true })
  }

  async #follow(registry: Pick<ServerRegistry, 'listServers'>, signal: AbortSignal): Promise<void> {
    const { clock, refreshMs, logger } = this.#options
    while (!signal.aborted) {
      try {
        const bound = AbortSignal.any([signal, AbortSignal.timeout(readTimeoutMs)])
        const pages = await this.#read(registry, bound)
        this.#pages = pages
        this.#readAt = clock.now()
        this.#isTold = false
      } catch (error) {
        if (signal.aborted) return
        // The last list stays, and says how old it is.
        if (!this.#isTold)
          logger.warn({ code: 'unavailable' }, `the servers for vantages cannot be read: ${errorText(error)}; they keep the last list`)
        this.#isTold = true
      }
      await pause(clock, refreshMs, signal)
    }
  }

  async #read(registry: Pick<ServerRegistry, 'listServers'>, signal: AbortSignal): Promise<readonly Page[]> {
    const servers: FleetServer[] = []
    for await (const rows of listed(registry.listServers({ signal }))) {
      signal.throwIfAborted()
      for (const { id, host, port } of rows) if (isServer(id, host, port)) servers.push({ id: String(id), host, port: port ?? null })
      if (servers.length > fleetLimits.servers) throw new PintailError('unavailable', `more than ${fleetLimits.servers} servers`)
    }
    const count = pagesFor(servers.length)
    const buckets: FleetServer[][] = Array.from({ length: count }, () => [])
    for (const server of servers) buckets[pageOf(server.id, count)]?.push(server)
    const pages: Page[] = []
    for (const [index, bucket] of buckets.entries()) {
      pages.push(pageFrom(index, bucket))
      if (index % pagesAtOnce === pagesAtOnce - 1) await new Promise((resolve) => setImmediate(resolve))
    }
    return pages
  }

  // --------------------------------------------------------------------------------------------------------------- looks

  /** Asks vantages to look closely at what this engine suspects, as long as it does. */
  follow(pintail: Pick<Pintail, 'on'>): Disposable {
    const verdicts = pintail.on('server.verdict_changed', ({ serverId, audience, verdict }) => {
      const doubt = this.#doubts.get(serverId) ?? { audiences: new Set(), since: this.#options.clock.now() }
      const key = audience ?? ''
      if (verdict === 'suspect') doubt.audiences.add(key)
      else doubt.audiences.delete(key)
      if (doubt.audiences.size === 0) this.#doubts.delete(serverId)
      else if (!this.#doubts.has(serverId)) {
        this.#doubts.set(serverId, doubt)
        this.#ask([serverId])
      }
    })
    const removed = pintail.on('server.removed', ({ serverId }) => void this.#doubts.delete(serverId))
    return {
      [Symbol.dispose]: () => {
        verdicts[Symbol.dispose]()
        removed[Symbol.dispose]()
        this.#doubts.clear()
      },
    }
  }

  #ask(servers: readonly string[] = this.#doubted()): void {
    const { nats, prefix } = this.#options
    if (this.#open === 0 || servers.length === 0 || nats.isClosed() || nats.isDraining()) return
    nats.publish(fleetSubjects(prefix).look, JSON.stringify({ v: 1, servers, forMs: lookMs }))
  }

  /** The newest doubts first: a whole fleet in doubt is a prober's failure. */
  #doubted(): string[] {
    const since = this.#options.clock.now() - longestLookMs
    for (const [server, doubt] of this.#doubts) if (doubt.since < since) this.#doubts.delete(server)
    return [...this.#doubts.keys()].slice(-fleetLimits.looks)
  }
}

const isServer = (id: unknown, host: unknown, port: unknown): boolean =>
  (typeof id === 'number' ? Number.isSafeInteger(id) : typeof id === 'string' && id.length >= 1 && id.length <= 200) &&
  typeof host === 'string' &&
  host.length >= 1 &&
  host.length <= 253 &&
  (port == null || (Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65_535))

/** One answer, or pages. */
async function* listed(listing: ReturnType<ServerRegistry['listServers']>): AsyncGenerator<readonly ServerInput[]> {
  if ('then' in listing) yield await listing
  else yield* listing
}

/** Resolves after the time, or when the signal fires. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
