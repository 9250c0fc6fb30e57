import { type ClientMessage, type ClientOptions, createClient, type PintailClient } from '@pintail/client'
import { perform } from './actions.ts'
import { Books, type Reading } from './books.ts'
import { browserEnvironment, type Environment } from './environment.ts'
import type { Model } from './model.ts'
import type { ActionRequest, Outcome } from './requests.ts'
import { follow } from './stream.ts'
import { troubleOf } from './trouble.ts'

export interface SessionOptions {
  /** Where the API is, as `/pintail` or `https://panel.example/pintail`. */
  readonly url: string
  /** Sent as `Authorization: Bearer …`. `signIn` replaces it. */
  readonly token?: string
  readonly headers?: ClientOptions['headers']
  readonly fetch?: typeof fetch
  /** In the place of one made from the above; who signs in is then its own matter. */
  readonly client?: PintailClient
  /**
   * Tabs of one origin with the same word share one live stream. It must differ between people who may see different things.
   * Default: the URL and a digest of the token; with `headers`, `fetch` or `client` none, as nobody knows whose they are.
   */
  readonly share?: string | null
  /** Tests give their own clock, page and locks. */
  readonly environment?: Partial<Environment>
}

export interface Subscription {
  cancel(): void
}

/** Least pause between two notifications of the listeners, milliseconds: ten pictures a second are live enough. */
const notifyMs = 100
/** Loads and round trips are no events: so often they are read all the same. */
const refreshMs = 15_000
/** Least pause between two readings; a picture that takes long is read more rarely, up to the longest. */
const shortestReadMs = 1000
const longestReadMs = 30_000
/** The same while its events do not get through; a part of `refreshMs`. */
const polledMs = 5000
const historyMs = 5000
/** A look at another tab is no reason to leave. */
const hiddenMs = 10_000
/** An element that is moved within the page leaves and comes back. */
const lingerMs = 1000
const retryMs = 5000
const longestRetryMs = 60_000

/**
 * The live picture of one Pintail, for any number of elements: read, followed by its events, and read anew where an event names only
 * what changed. Works while somebody subscribes and the page is visible; at all other times it holds no stream and no timer.
 */
export class Session {
  readonly url: string
  readonly client: PintailClient
  readonly #books = new Books()
  readonly #listeners = new Set<(model: Model) => void>()
  readonly #environment: Environment
  readonly #share: string | null | undefined
  #token: string | null
  #run: AbortController | null = null
  #lingering: Subscription | null = null
  #notifying: Subscription | null = null
  #notifiedAt = 0
  #wake: (() => void) | null = null
  /** What is to be read; the loop of readings takes it. */
  readonly #wanted = new Set<Reading>()
  #wantedChanged: (() => void) | null = null
  #lastReadMs = 0
  #isDisposed = false

  /** Makes no request and starts no timer. @throws ApiError `invalid_argument` */
  constructor(options: SessionOptions) {
    this.url = options.url
    this.#environment = { ...browserEnvironment(), ...options.environment }
    this.#token = options.token ?? null
    const { headers, fetch, client } = options
    this.#share = options.share === undefined && (headers || fetch || client) ? null : options.share
    this.client =
      client ??
      createClient({
        baseUrl: options.url,
        headers: async () => ({
          ...(typeof headers === 'function' ? await headers() : headers),
          ...(this.#token !== null && { authorization: `Bearer ${this.#token}` }),
        }),
        // Whoever meets the end of a token, also an element that reads for itself: the next reading says so.
        fetch: async (...request) => {
          const response = await (fetch ?? globalThis.fetch)(...request)
          if (response.status === 401) this.#want(['picture'])
          return response
        },
        clock: { setTimeout: (callback, delayMs) => this.#environment.setTimeout(callback, delayMs) },
        random: this.#environment.random,
      })
  }

  get model(): Model {
    return this.#books.model
  }

  /** Milliseconds since 1970 by the server's clock, so that a wrong clock here makes no wrong word. */
  now(): number {
    return this.#environment.now() + this.#books.model.clockOffsetMs
  }

  /** Told of each new model, at most ten times a second. The first subscriber starts it; after the last one it rests. */
  subscribe(listener: (model: Model) => void): Subscription {
    if (this.#isDisposed) return { cancel() {} }
    const mine = (model: Model): void => listener(model)
    this.#listeners.add(mine)
    this.#lingering?.cancel()
    this.#lingering = null
    if (!this.#run) this.#start()
    return {
      cancel: () => {
        if (!this.#listeners.delete(mine) || this.#listeners.size > 0) return
        this.#lingering = this.#environment.setTimeout(() => this.#stop(), lingerMs)
      },
    }
  }

  /** Goes on after 401, or as somebody else; null: without a token. */
  signIn(token: string | null): void {
    this.#token = token
    this.#books.forget()
    this.#restart()
  }

  /** Asks again now, whatever it was waiting for. */
  refresh(): void {
    this.#wake?.()
    this.#want(['picture', 'history'])
  }

  /** Does what a person asked for. Never rejects; the model follows. */
  async perform(request: ActionRequest): Promise<Outcome> {
    const outcome = await perform(this.client, this.#books, request)
    if (!outcome.ok && outcome.kind === 'forbidden') this.#books.deny(request.action)
    if (!outcome.ok && outcome.kind === 'signed-out') this.#books.setLink({ state: 'signed-out', why: outcome.why })
    this.#want(['picture'])
    this.#changed()
    return outcome
  }

  /** Leaves nothing behind: no stream, timer, lock or listener. */
  dispose(): void {
    this.#isDisposed = true
    this.#listeners.clear()
    this.#stop()
  }

  #start(): void {
    const run = new AbortController()
    this.#run = run
    void this.#live(run.signal)
  }

  #stop(): void {
    this.#lingering?.cancel()
    this.#lingering = null
    this.#notifying?.cancel()
    this.#notifying = null
    this.#run?.abort()
    this.#run = null
    this.#books.setLink({ state: 'resting' })
  }

  #restart(): void {
    if (!this.#run) return
    this.#run.abort()
    this.#start()
  }

  /** Never rejects: whatever goes wrong is part of the model. */
  async #live(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      await this.#untilVisible(signal)
      if (signal.aborted) return
      const visit = this.#visit(signal)
      try {
        if (this.model.fleet === null) this.#link({ state: 'loading' })
        await this.#look(visit.signal, () => {
          failures = 0
        })
      } catch (error) {
        if (signal.aborted) return
        if (!visit.signal.aborted) await this.#afterFailure(error, failures++, signal)
      } finally {
        visit.end()
      }
    }
  }

  /** Everything that goes on while the page is visible. @throws ApiError */
  async #look(signal: AbortSignal, onSuccess: () => void): Promise<void> {
    const own = new AbortController()
    const both = AbortSignal.any([signal, own.signal])
    const name = await this.#streamName()
    // Followed first, so that what happens while the picture is read is not missed.
    try {
      await this.#readPicture(both)
      onSuccess()
      this.#link({ state: 'live' })
      await Promise.all([
        follow(this.client, this.#environment, name, both, {
          after: () => this.#books.seq,
          message: (message) => this.#take(message),
          // Its tries to hear fail again and again, and the picture is fresh all the same.
          link: (link) => this.#link(link.state === 'stale' && this.model.link.state === 'polled' ? { ...link, state: 'polled' } : link),
        }),
        this.#keepReading(both),
      ])
    } finally {
      own.abort()
    }
  }

  #take(message: ClientMessage): void {
    if (message.type === 'snapshot') {
      this.#want(this.#books.take(message.data, this.#books.model.clockOffsetMs))
    } else if (message.type === 'stream.reset') {
      this.#want(['picture', 'history'])
    } else if (message.seq === 0 || message.seq > this.#books.seq) {
      // A tab that follows may have missed something that the leading one told.
      if (message.seq > this.#books.seq + 1) this.#want(['picture', 'history'])
      this.#want(this.#books.apply(message))
    } else return
    this.#changed()
  }

  async #readPicture(signal: AbortSignal): Promise<void> {
    const { now } = this.#environment
    const begun = now()
    this.#books.beginReading()
    const status = await this.client.snapshot({ signal })
    const ended = now()
    this.#lastReadMs = ended - begun
    this.#want(this.#books.take(status, Math.round(Date.parse(status.at) - (begun + ended) / 2)))
    const { link } = this.model
    if (link.state === 'stale') this.#link({ state: 'polled', why: link.why })
    this.#changed()
  }

  /** What is over, and the policy. Who may not read them goes without. */
  async #readHistory(signal: AbortSignal): Promise<void> {
    const { client } = this
    const orNull = <T>(work: Promise<T>): Promise<T | null> =>
      work.catch((error: unknown) => {
        if (signal.aborted || troubleOf(error).status === 401) throw error
        return null
      })
    const [migrations, evacuations, incidents, policy] = await Promise.all([
      orNull(client.migrations.list({ status: ['completed', 'failed', 'cancelled'], limit: 100 }, { signal })),
      orNull(client.evacuations.list({ limit: 50 }, { signal })),
      orNull(client.incidents.list({ limit: 50 }, { signal })),
      orNull(client.policy.get({ signal })),
    ])
    this.#books.takeHistory(migrations?.migrations ?? [], evacuations?.evacuations ?? [], incidents?.incidents ?? [])
    this.#books.setPolicy(policy)
    this.#changed()
  }

  /** Reads what is wanted, with pauses, and the picture now and then. Ends with the signal. @throws ApiError */
  async #keepReading(signal: AbortSignal): Promise<void> {
    let historyAt = 0
    this.#wanted.add('history')
    while (!signal.aborted) {
      const { now } = this.#environment
      if (this.#wanted.has('history') && now() >= historyAt) {
        this.#wanted.delete('history')
        await this.#readHistory(signal)
        historyAt = now() + historyMs
      } else if (this.#wanted.has('picture')) {
        this.#wanted.delete('picture')
        await this.#readPicture(signal)
      }
      await this.#sleep(Math.min(Math.max(10 * this.#lastReadMs, shortestReadMs), longestReadMs), signal)
      if (this.#wanted.size === 0) await this.#untilWanted(signal)
      if (this.#wanted.size === 0) this.#wanted.add('picture')
    }
  }

  #want(readings: readonly Reading[]): void {
    for (const one of readings) this.#wanted.add(one)
    if (readings.length > 0) this.#wantedChanged?.()
  }

  async #untilWanted(signal: AbortSignal): Promise<void> {
    for (let waited = 0; waited < refreshMs && this.#wanted.size === 0 && !signal.aborted; waited += polledMs) {
      await this.#sleep(polledMs, signal, (end) => {
        this.#wantedChanged = end
      })
      // Who hears no events has to ask also for what is over.
      const { state } = this.model.link
      if (state === 'stale' || state === 'polled') this.#want(['picture', 'history'])
    }
  }

  async #afterFailure(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    const why = troubleOf(error)
    if (why.status === 401) {
      this.#link({ state: 'signed-out', why })
      // Only signIn() or refresh() help; or somebody comes back to the page, and has signed in elsewhere meanwhile.
      const back = this.#environment.page?.onChange(() => this.#wake?.())
      await this.#sleep(Number.POSITIVE_INFINITY, signal)
      back?.cancel()
      return
    }
    const passes = why.status === 0 || why.status === 408 || why.status === 429 || why.status >= 500
    this.#link({ state: passes ? 'stale' : 'refused', why })
    const pause = Math.min(retryMs * 2 ** Math.min(failures, 10), longestRetryMs)
    await this.#sleep(pause * (0.5 + this.#environment.random() / 2), signal)
  }

  #link(link: Model['link']): void {
    const old = this.model.link
    if (old.state === link.state && !('why' in link)) return
    this.#books.setLink(link)
    this.#changed()
  }

  /** A visit ends when the page has been hidden for a while, or the session ends. */
  #visit(parent: AbortSignal): { readonly signal: AbortSignal; end(): void } {
    const { page } = this.#environment
    const controller = new AbortController()
    let timer: Subscription | null = null
    const judge = (): void => {
      timer?.cancel()
      timer = page?.isHidden() ? this.#environment.setTimeout(() => controller.abort(), hiddenMs) : null
    }
    // A stream that waits for its next try, or a line that died in a sleep, begins anew when the network is back.
    const online = (): void => {
      if (this.model.link.state !== 'live') controller.abort()
    }
    const watched = [page?.onChange(judge), page?.onOnline(online)]
    judge()
    return {
      signal: AbortSignal.any([parent, controller.signal]),
      end: () => {
        timer?.cancel()
        for (const one of watched) one?.cancel()
        controller.abort()
      },
    }
  }

  async #untilVisible(signal: AbortSignal): Promise<void> {
    const { page } = this.#environment
    if (!page?.isHidden()) return
    this.#link({ state: 'resting' })
    await new Promise<void>((resolve) => {
      const end = (): void => {
        if (!signal.aborted && page.isHidden()) return
        watched.cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const watched = page.onChange(end)
      signal.addEventListener('abort', end, { once: true })
    })
  }

  /** Resolves after the time, with the signal, or when it is woken. */
  #sleep(ms: number, signal: AbortSignal, onEnd: (end: () => void) => void = this.#wakeable): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = (): void => {
        timer?.cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = ms === Number.POSITIVE_INFINITY ? null : this.#environment.setTimeout(end, ms)
      signal.addEventListener('abort', end, { once: true })
      onEnd(end)
    })
  }

  readonly #wakeable = (end: () => void): void => {
    this.#wake = end
  }

  async #streamName(): Promise<string | null> {
    if (this.#share !== undefined) return this.#share === null ? null : `pintail:${this.#share}`
    const { location, crypto } = globalThis as Partial<typeof globalThis>
    // Browsers have digests, as they have locks, for https and localhost only.
    if (!crypto?.subtle) return null
    const url = location ? new URL(this.url, location.href).href : this.url
    const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`${url}\n${this.#token ?? ''}`))
    return `pintail:${Array.from(new Uint8Array(bytes).slice(0, 12), (byte) => byte.toString(16).padStart(2, '0')).join('')}`
  }

  /** At once after a calm, and then at most ten times a second. */
  #changed(): void {
    if (this.#notifying || this.#listeners.size === 0) return
    const { now, setTimeout } = this.#environment
    const wait = Math.max(0, Math.min(notifyMs, this.#notifiedAt + notifyMs - now()))
    this.#notifying = setTimeout(() => {
      this.#notifying = null
      this.#notifiedAt = now()
      for (const listener of [...this.#listeners]) {
        try {
          listener(this.model)
        } catch (error) {
          // One element's fault is no reason for the others to stand still.
          reportError(error)
        }
      }
    }, wait)
  }
}
