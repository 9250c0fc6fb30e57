import { type CallContext, type Clock, errorText, PintailError, type Random, type Rate, systemClock } from '@pintail/core'
import { decode, readBytes } from './body.ts'
import { type Effect, HttpFailure, isUnsent, ofStatus, reasonOf, retryAfter } from './failure.ts'
import { Lane, type LaneOptions } from './lane.ts'
import { RateLimit } from './rate.ts'
import { beginning, excerpt, withoutSecrets } from './secrets.ts'
import { type Sending, send } from './transport.ts'
import { pause, untilAborted } from './waiting.ts'

export interface HttpClientOptions extends Partial<LaneOptions> {
  /** What stands at the beginning of every message, e.g. `VPN Duck`. */
  readonly name: string
  /** May have a path, which comes before every path, and `user:password@`, which becomes an `Authorization` header. */
  readonly baseUrl: string | URL
  /** Default: one connection for each try, which ends with it. With a fetch of the host its sockets are the host's. */
  readonly fetch?: typeof fetch | undefined
  /** Sent with each call; their values are masked wherever they would be shown. */
  readonly headers?: Readonly<Record<string, string>>
  /** Calls in all, the first included, 1–20. Default 3. */
  readonly tries?: number
  /** First pause, milliseconds; doubles each time, half to the whole of it at random. Default 200. */
  readonly backoffMs?: number
  /** Longest pause, milliseconds. Default 5 000. */
  readonly backoffMaxMs?: number
  /** Whoever is asked by `Retry-After` to wait longer gives up at once, milliseconds. Default 30 000. */
  readonly retryAfterMaxMs?: number
  /** All calls together. Default: no limit. */
  readonly rate?: Rate | null
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the base, beginning with `/`; its parts must be encoded already. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly json?: unknown
  /** Further headers, made anew for each try from the body as it is sent: signatures, which have the time in them. */
  readonly sign?: (body: string) => Readonly<Record<string, string>>
  readonly effect: Effect
  /** Calls of one lane share a circuit breaker and a bulkhead: what ails one kind of call does not stop the others. */
  readonly lane: string
  /** For each try, milliseconds. Default 10 000. */
  readonly timeoutMs?: number
  /** Longest answer, bytes. Default 1 MiB. */
  readonly maxBytes?: number
  /** `nothing`: any 2xx will do, whatever its body is. Default `json`. */
  readonly expect?: 'json' | 'nothing'
}

export interface HttpAnswer {
  readonly status: number
  /** The JSON of the answer; null with `expect: 'nothing'`. */
  readonly body: unknown
}

/**
 * The HTTP client of all adapters. Retries what is safe to repeat, with growing pauses and `Retry-After`; a circuit
 * breaker and a bulkhead for each lane (cockatiel), and a rate limit for all. Redirects are not followed: a base that
 * moves is a mistake to be told, and a body with users' names goes nowhere but where it was sent.
 *
 * cockatiel's retry is not used, because its pause can neither be aborted nor put on another clock; its breaker reads
 * `Date.now()`, which is therefore the one clock here that cannot be injected.
 */
export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #base: URL
  readonly #headers: Readonly<Record<string, string>>
  readonly #secrets: readonly string[]
  readonly #clock: Clock
  readonly #random: Random
  readonly #rate: RateLimit | null
  readonly #lanes = new Map<string, Lane>()
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  /** @throws PintailError `invalid_options` */
  constructor(options: HttpClientOptions) {
    this.#options = options
    const { base, credentials } = parseBase(options.baseUrl)
    this.#base = base
    this.#headers = { accept: 'application/json', ...(credentials && { authorization: credentials }), ...options.headers }
    const { searchParams } = base
    const given = [...Object.values(options.headers ?? {}), ...(credentials ? [credentials.slice(6)] : []), ...searchParams.values()]
    // What stands after the scheme is the secret; a header without one is a secret as a whole.
    this.#secrets = given.flatMap((value) => [value, ...value.split(' ').slice(1)]).filter((value) => value.length >= 8)
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? Math.random
    this.#rate = options.rate ? new RateLimit(options.rate, this.#clock) : null
  }

  /**
   * One call with all its tries.
   * @throws HttpFailure `rejected`, `unavailable`: nothing happened; any other code: it may have
   */
  async call(call: HttpCall, ctx: CallContext): Promise<HttpAnswer> {
    if (this.#closing.signal.aborted) throw new PintailError('stopped', `${this.#options.name}: the client is closed`)
    const signal = AbortSignal.any([ctx.signal, this.#closing.signal])
    const running = this.#tries(call, signal, ctx.traceparent)
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Aborts what is under way, and resolves when nothing is left of it. Later calls reject with `stopped`. */
  async close(): Promise<void> {
    this.#closing.abort(new PintailError('stopped', `${this.#options.name}: the client was closed`))
    await Promise.allSettled(this.#running)
  }

  async #tries(call: HttpCall, signal: AbortSignal, traceparent: string | undefined): Promise<HttpAnswer> {
    const { tries: most = 3, backoffMs = 200, backoffMaxMs = 5000, retryAfterMaxMs = 30_000 } = this.#options
    const lane = this.#lane(call.lane)
    for (let tries = 1; ; tries++) {
      const failure = await this.#try(call, lane, signal, traceparent)
      if (!(failure instanceof HttpFailure)) return failure
      const { facts } = failure
      const asked = facts.retryAfterMs ?? 0
      if (asked > 0) lane.hold(this.#clock.now() + asked)
      if (tries >= most || !facts.isTransient || asked > retryAfterMaxMs || signal.aborted) throw failure
      const backoff = Math.min(backoffMaxMs, backoffMs * 2 ** (tries - 1)) * (0.5 + this.#random() / 2)
      // The failure before the abort stands: it says what has happened.
      const goesOn = await pause(this.#clock, Math.max(backoff, asked), signal).then(
        () => true,
        () => false,
      )
      if (!goesOn) throw failure
    }
  }

  /** One try: its answer or its failure, and at once when the signal fires. */
  async #try(call: HttpCall, lane: Lane, signal: AbortSignal, traceparent: string | undefined): Promise<HttpAnswer | HttpFailure> {
    let isSent = false
    const held = lane.heldUntil - this.#clock.now()
    try {
      if (held > 0) {
        if (held > (call.timeoutMs ?? 10_000)) return this.#unsent(call, `asked us to wait for ${Math.ceil(held / 1000)} s more`, null)
        await pause(this.#clock, held, signal)
      }
      await this.#rate?.take(signal)
      const run = async (): Promise<HttpAnswer> => {
        // It may have waited in the bulkhead's queue while its signal fired.
        signal.throwIfAborted()
        return this.#send(call, signal, traceparent, () => {
          isSent = true
        })
      }
      return await untilAborted(lane.run(run), signal)
    } catch (error) {
      if (error instanceof HttpFailure) return error
      if (!isSent) return this.#unsent(call, signal.aborted ? 'was given up before it was sent' : lane.refusal(error), error)
      const text = `${this.#title(call)} was given up without an answer`
      const facts = { status: null, isTransient: false, isFault: false }
      return new HttpFailure(call.effect === 'none' ? 'unavailable' : 'aborted', text, facts, { cause: error })
    }
  }

  #unsent(call: HttpCall, why: string, cause: unknown): HttpFailure {
    const facts = { status: null, isTransient: true, isFault: false }
    return new HttpFailure('unavailable', `${this.#title(call)} ${why}`, facts, cause === null ? {} : { cause })
  }

  async #send(call: HttpCall, signal: AbortSignal, traceparent: string | undefined, sent: () => void): Promise<HttpAnswer> {
    const { timeoutMs = 10_000, json, sign } = call
    const body = json === undefined ? undefined : JSON.stringify(json)
    const own = new AbortController()
    const timer = this.#clock.setTimeout(() => own.abort(new PintailError('timeout')), timeoutMs)
    const both = AbortSignal.any([signal, own.signal])
    let response: Response | null = null
    let isSent = false
    try {
      const fetched = this.#dispatch(this.#url(call), {
        method: call.method,
        headers: {
          ...this.#headers,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(traceparent && { traceparent }),
          ...sign?.(body ?? ''),
        },
        ...(body !== undefined && { body }),
        signal: both,
        onSent: () => {
          isSent = true
          sent()
        },
      })
      // An injected fetch may not look at the signal.
      response = await untilAborted(fetched, both)
      return await untilAborted(this.#answer(call, response), both)
    } catch (error) {
      if (error instanceof HttpFailure) throw error
      if (signal.aborted) throw error
      throw this.#broken(call, error, { timedOutMs: own.signal.aborted ? timeoutMs : null, response, isSent })
    } finally {
      timer.cancel()
      // Whatever has not been read must not keep its socket.
      response?.body?.cancel().catch(() => {})
    }
  }

  async #answer(call: HttpCall, response: Response): Promise<HttpAnswer> {
    const { status } = response
    if (response.redirected) throw this.#refused(call, response, 302, 'it was redirected, which is not followed', false)
    if (status >= 300 && status < 400) {
      const to = withoutSecrets(response.headers.get('location') ?? 'nowhere', this.#secrets)
      throw this.#refused(call, response, status, `a redirect to ${excerpt(to)}, which is not followed`, false)
    }
    if (response.ok && call.expect === 'nothing') return { status, body: null }
    const type = response.headers.get('content-type')
    const text = decode(await readBytes(response, response.ok ? (call.maxBytes ?? 1 << 20) : 1 << 16).catch(emptyIf(!response.ok)), type)
    const body = parseJson(text, type)
    if (response.ok && body !== undefined) return { status, body }
    const { error, message, detail } = isObject(body) ? body : {}
    const told = [error, message, detail].find((part) => typeof part === 'string')
    if (!response.ok) throw this.#refused(call, response, status, typeof told === 'string' ? told : text, body !== undefined)
    const what = /html/i.test(type ?? '') || /^\s*</.test(text) ? 'HTML' : text.trim() === '' ? 'nothing' : 'something that is no JSON'
    const facts = { status, isTransient: call.effect !== 'once', isFault: true, text: beginning(text, this.#secrets) }
    const begin = text.trim() === '' ? '' : `: ${excerpt(text, this.#secrets)}`
    throw new HttpFailure(
      call.effect === 'none' ? 'unavailable' : 'internal',
      `${this.#title(call)} answered ${status} with ${what}${begin}`,
      facts,
      {
        remedy: `Check that ${this.#base.origin} is ${this.#options.name}, and nothing in front of it.`,
      },
    )
  }

  #refused(call: HttpCall, response: Response, status: number, text: string, isJson: boolean): HttpFailure {
    const { code, ...facts } = ofStatus(status, call.effect, isJson)
    const shown = excerpt(text, this.#secrets)
    return new HttpFailure(
      code,
      `${this.#title(call)} answered ${status}${shown && `: ${shown}`}`,
      {
        ...facts,
        status,
        retryAfterMs: retryAfter(response.headers.get('retry-after'), this.#clock.now()),
        text: beginning(text, this.#secrets),
      },
      [401, 403, 407].includes(status) ? { remedy: 'Check the credentials.' } : {},
    )
  }

  /** No answer, or half of one. */
  #broken(
    call: HttpCall,
    error: unknown,
    { timedOutMs, response, isSent }: { timedOutMs: number | null; response: Response | null; isSent: boolean },
  ): HttpFailure {
    const facts = { status: response?.status ?? null, isFault: true }
    const isOver = timedOutMs !== null
    const unsent = !isSent || (response === null && isUnsent(error))
    const what = unsent ? 'could not be sent' : response ? `broke off after its ${response.status}` : 'had no answer'
    const why = isOver ? ` within ${timedOutMs} ms` : `: ${excerpt(errorText(reasonOf(error)), this.#secrets)}`
    const code = isOver && !unsent ? 'timeout' : unsent || call.effect === 'none' ? 'unavailable' : 'internal'
    // What has used up its time is not worth as much again.
    const isTransient = !isOver && (unsent || call.effect !== 'once') && !(error instanceof PintailError)
    return new HttpFailure(
      code,
      `${this.#title(call)} ${what}${why}`,
      { ...facts, isTransient },
      { cause: error, ...(unsent && { remedy: `Check that ${this.#base.origin} is right and can be reached.` }) },
    )
  }

  /** Of a fetch of the host nobody knows when it has sent: it counts as sent. */
  #dispatch(url: URL, sending: Sending): Promise<Response> {
    const { fetch } = this.#options
    if (!fetch) return send(url, sending)
    const { onSent, ...init } = sending
    onSent()
    return fetch(url, { ...init, redirect: 'manual' })
  }

  #url({ path, query = {} }: HttpCall): URL {
    const url = new URL(this.#base)
    url.pathname = `${url.pathname.replace(/\/$/, '')}${path}`
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    return url
  }

  /** The path without its query and without the base's own path: some panels are hidden behind one that nobody is to know. */
  #title({ method, path }: HttpCall): string {
    return `${this.#options.name}: ${method} ${withoutSecrets(path, this.#secrets)}`
  }

  #lane(name: string): Lane {
    const { backoffMs: breakMs = 200 } = this.#options
    const lane = this.#lanes.get(name) ?? new Lane({ breakMs, ...this.#options })
    this.#lanes.set(name, lane)
    return lane
  }
}

function parseBase(given: string | URL): { base: URL; credentials: string | null } {
  const base = URL.parse(String(given))
  if (!base || !['http:', 'https:'].includes(base.protocol) || base.hash !== '')
    throw new PintailError('invalid_options', `not the URL of a service: ${excerpt(withoutSecrets(String(given)))}`, {
      remedy: 'Give an http or https URL, e.g. http://database-service:5002.',
    })
  const { username, password } = base
  base.username = base.password = ''
  if (username === '' && password === '') return { base, credentials: null }
  return { base, credentials: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}` }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Undefined: it is no JSON. A page that is called HTML is none, whatever it holds. */
function parseJson(text: string, type: string | null): unknown {
  if (/html/i.test(type ?? '')) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Of a refusal the status counts; that its text could not be read does not change it. */
function emptyIf(isRefusal: boolean) {
  return (error: unknown): Uint8Array => {
    if (isRefusal) return new Uint8Array()
    throw error
  }
}
