import { ApiError, clientError, errorOf } from './error.ts'

/** What of the time and of chance the client uses; tests inject their own. */
export interface ClientClock {
  setTimeout(callback: () => void, delayMs: number): { cancel(): void }
}

type Awaitable<T> = T | PromiseLike<T>

export interface ClientOptions {
  /** Where the API is, as `https://panel.example/pintail`; in a browser also `/pintail`. */
  readonly baseUrl: string
  /** Sent as `Authorization: Bearer …`. A function is asked before each request, so that a token may be renewed. */
  readonly token?: string | (() => Awaitable<string>)
  /** Sent with each request. A function is asked before each. */
  readonly headers?: Readonly<Record<string, string>> | (() => Awaitable<Readonly<Record<string, string>>>)
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch
  /** For each try of a call, answer included, milliseconds, 1–600 000. Default 30 000. */
  readonly timeoutMs?: number
  /** How often a call without an answer is tried again, 0–10; PATCH and DELETE never are. Default 2. */
  readonly retries?: number
  /** Largest answer, and largest message of a stream, in characters. Default 64 Mi: a picture of 100,000 servers. */
  readonly mostChars?: number
  readonly clock?: ClientClock
  /** Uniform in [0, 1), for pauses. */
  readonly random?: () => number
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface Request extends CallOptions {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: object | undefined
  readonly body?: object | undefined
  readonly ifMatch?: string | undefined
  readonly idempotencyKey?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** Statuses beside 2xx whose body is an answer all the same. */
  readonly also?: readonly number[]
}

const systemClock: ClientClock = {
  setTimeout(callback, delayMs) {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** Somebody between, or a server that is just starting. */
const passing: readonly number[] = [408, 429, 502, 503, 504]
const longestPauseMs = 10_000

export function bounded(name: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value
  throw clientError('invalid_argument', `${name} must be a whole number from ${low} to ${high}, not ${value}`)
}

/** One path segment of an id. Dots alone would be another path, however they are written. */
export function segment(id: string | number): string {
  const text = String(id)
  if (text === '' || text === '.' || text === '..') throw clientError('invalid_argument', `${JSON.stringify(text)} is no id`)
  return encodeURIComponent(text)
}

export function aborted(signal: AbortSignal): unknown {
  return signal.reason ?? new DOMException('This operation was aborted', 'AbortError')
}

/** Requests of one client: headers, time-outs, tries again, bounds, problem details. */
export class Http {
  readonly #options: ClientOptions
  readonly #base: string
  readonly clock: ClientClock
  readonly random: () => number
  readonly mostChars: number
  readonly #timeoutMs: number
  readonly #retries: number

  constructor(options: ClientOptions) {
    this.#options = options
    if (typeof options.baseUrl !== 'string' || /[?#]/.test(options.baseUrl))
      throw clientError('invalid_argument', 'baseUrl must be a URL without query and fragment')
    this.#base = options.baseUrl.replace(/\/+$/, '')
    this.clock = options.clock ?? systemClock
    this.random = options.random ?? Math.random
    this.mostChars = bounded('mostChars', options.mostChars ?? 64 * 1024 * 1024, 1024, 1024 ** 3)
    this.#timeoutMs = bounded('timeoutMs', options.timeoutMs ?? 30_000, 1, 600_000)
    this.#retries = bounded('retries', options.retries ?? 2, 0, 10)
  }

  /** @throws ApiError; the signal's reason */
  async call(request: Request): Promise<{ readonly value: unknown; readonly etag: string | null }> {
    const { method = 'GET', signal } = request
    const isKeyed = method === 'POST'
    // The same key each time: a repeated one that has arrived before gets the first one's answer.
    const asked = isKeyed ? { ...request, idempotencyKey: request.idempotencyKey ?? newKey() } : request
    const tries = isKeyed || method === 'GET' ? this.#retries : 0
    for (let tried = 0; ; tried++) {
      try {
        return await this.#once(asked)
      } catch (error) {
        const isPassing = error instanceof ApiError && (error.status === 0 ? isNoAnswer(error) : passing.includes(error.status))
        if (!isPassing || tried >= tries || signal?.aborted) throw error
        const pause = error.retryAfterMs ?? 250 * 2 ** tried * (0.5 + this.random())
        await this.sleep(Math.min(pause, longestPauseMs), signal)
      }
    }
  }

  async #once(request: Request): Promise<{ readonly value: unknown; readonly etag: string | null }> {
    return this.within(this.#timeoutMs, request.signal, async (signal) => {
      const response = await this.send(request, signal)
      const text = await readText(response, this.mostChars)
      if (!response.ok && !request.also?.includes(response.status)) throw errorOf(response, text)
      const isJson = /^application\/([\w.-]+\+)?json/i.test(response.headers.get('content-type') ?? '')
      if (!response.ok && (!isJson || text.includes('"urn:pintail:problem:'))) throw errorOf(response, text)
      if (text === '') return { value: undefined, etag: null }
      if (!isJson) throw clientError('invalid_answer', `Not JSON but ${response.headers.get('content-type')}.`, undefined, response.status)
      return { value: parse(text, response.status), etag: response.headers.get('etag') }
    })
  }

  /** One request; resolves with the headers of the answer. @throws ApiError `network` */
  async send({ method = 'GET', path, query, body, ifMatch, idempotencyKey, headers }: Request, signal: AbortSignal): Promise<Response> {
    const { token, headers: own, fetch: ask = fetch } = this.#options
    const bearer = typeof token === 'function' ? await token() : token
    const sent: Record<string, string> = {
      accept: 'application/json, application/problem+json',
      ...(typeof own === 'function' ? await own() : own),
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(ifMatch !== undefined && { 'if-match': ifMatch }),
      ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
      ...headers,
    }
    const init = { method, headers: sent, signal, ...(body !== undefined && { body: JSON.stringify(body) }) }
    try {
      return await ask(`${this.#base}/${path}${queryOf(query)}`, init)
    } catch (error) {
      if (signal.aborted) throw aborted(signal)
      throw clientError('network', 'The server could not be reached, or the connection broke.', error)
    }
  }

  /** Gives the work up after a while, or when the caller does. @throws ApiError `timeout`; the signal's reason */
  async within<T>(timeoutMs: number, parent: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (parent?.aborted) throw aborted(parent)
    const controller = new AbortController()
    let stop = (): void => {}
    const given = new Promise<never>((_, reject) => {
      const end = (error: unknown): void => {
        reject(error)
        controller.abort(error)
      }
      const timer = this.clock.setTimeout(() => end(clientError('timeout', `No answer within ${timeoutMs} ms.`)), timeoutMs)
      const onParent = (): void => parent && end(aborted(parent))
      parent?.addEventListener('abort', onParent, { once: true })
      stop = () => {
        timer.cancel()
        parent?.removeEventListener('abort', onParent)
      }
    })
    try {
      const working = work(controller.signal)
      // Whoever ignores the signal is left alone.
      working.catch(() => {})
      return await Promise.race([working, given])
    } finally {
      stop()
    }
  }

  /** @throws the signal's reason */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel()
        reject(signal && aborted(signal))
      }
      const timer = this.clock.setTimeout(() => {
        signal?.removeEventListener('abort', end)
        resolve()
      }, ms)
      if (signal?.aborted) end()
      else signal?.addEventListener('abort', end, { once: true })
    })
  }
}

const isNoAnswer = ({ code }: ApiError): boolean => code === 'network' || code === 'timeout'

/** 128 bits. Not randomUUID: browsers have that for pages over https only. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function queryOf(query: object | undefined): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) params.set(key, String(value))
  return params.size === 0 ? '' : `?${params}`
}

/** @throws ApiError `invalid_answer` */
export function parse(text: string, status = 0): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw clientError('invalid_answer', 'The answer is broken JSON.', error, status)
  }
}

/** @throws ApiError `answer_too_large`, `network` */
async function readText(response: Response, mostChars: number): Promise<string> {
  if (!response.body) return ''
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  const pieces: string[] = []
  let size = 0
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw clientError('network', 'The connection broke in the middle of the answer.', error)
      })
      const piece = decoder.decode(value, { stream: !done })
      size += piece.length
      if (size > mostChars) throw clientError('answer_too_large', `The answer has more than ${mostChars} characters.`)
      pieces.push(piece)
      if (done) return pieces.join('')
    }
  } catch (error) {
    reader.cancel().catch(() => {})
    throw error
  }
}
