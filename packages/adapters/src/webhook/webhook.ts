import { createHash } from 'node:crypto'
import { type CallContext, type Clock, type Json, PintailError, type Random, systemClock } from '@pintail/core'
import { HttpClient } from '../http/client.ts'
import { keyOf, signed } from './signature.ts'

export interface WebhookOptions {
  /** Where it goes: https, or http on this machine. Redirects are not followed. */
  readonly url: string | URL
  /** `whsec_…`, as Standard Webhooks has it; several while one is replaced by another: each message is signed by all, at most 5. */
  readonly secret: string | readonly string[]
  /** http to another machine, where the network between is your own. Default false. */
  readonly allowHttp?: boolean
  /** Default: one connection for each try, which ends with it. */
  readonly fetch?: typeof fetch
  /** For each try, milliseconds, 1–60 000. Default 10 000. */
  readonly timeoutMs?: number
  /** Tries of one `send`, 1–20. Default 3. Whoever calls may try again later with the same id. */
  readonly tries?: number
  /** First pause between tries, milliseconds; doubles each time. Default 200. */
  readonly backoffMs?: number
  /** Deliveries at the same time; more wait. 1–1 000. Default 20. */
  readonly concurrency?: number
  readonly clock?: Clock
  readonly random?: Random
}

export interface Webhook {
  /**
   * Posts the payload as JSON until it is answered with a 2xx; every other answer throws.
   * `id` becomes `webhook-id`: the receiver knows a repetition by it. What is no plain text of at most 200 characters is
   * replaced by its hash.
   * Errors: `rejected` (the receiver refuses it for good), `unavailable` (nothing was delivered), any other: it may have been.
   */
  send(id: string, payload: Json, ctx: CallContext): Promise<void>
  /** Aborts what is under way, and resolves when nothing is left of it. */
  close(): Promise<void>
}

/**
 * A receiver of the host's, told over HTTP as Standard Webhooks (https://www.standardwebhooks.com) has it, so that it can
 * verify with a library of any language. Retries what may go better, with growing pauses and `Retry-After`, a circuit
 * breaker and a bulkhead; each try is signed anew, because receivers refuse what is older than five minutes.
 * @throws PintailError `invalid_options`; neither a secret nor the path of the URL is in any error
 */
export function webhook(options: WebhookOptions): Webhook {
  const { secret, tries = 3, backoffMs = 200, concurrency = 20, timeoutMs = 10_000, clock = systemClock, random } = options
  const url = parseUrl(options.url, options.allowHttp ?? false)
  const secrets = typeof secret === 'string' ? [secret] : secret
  if (!Array.isArray(secrets) || secrets.length < 1 || secrets.length > 5)
    throw new PintailError('invalid_options', 'webhook: give one to five secrets')
  const keys = secrets.map(keyOf)
  inRange('timeoutMs', timeoutMs, 60_000)
  inRange('tries', tries, 20)
  inRange('concurrency', concurrency, 1000)
  const http = new HttpClient({
    name: `webhook ${url.host}`,
    baseUrl: url,
    fetch: options.fetch,
    tries,
    backoffMs,
    concurrency,
    clock,
    random,
  })
  const path = url.pathname.length > 1 && url.pathname.endsWith('/') ? '/' : ''
  return {
    async send(id, payload, ctx) {
      const name = idOf(id)
      const sign = (body: string) => signed(name, Math.floor(clock.now() / 1000), body, keys)
      await http.call({ method: 'POST', path, json: payload, sign, effect: 'repeatable', lane: 'send', timeoutMs, expect: 'nothing' }, ctx)
    },
    close: () => http.close(),
  }
}

/** A dot would make what is signed ambiguous, and a line break a header of its own. */
function idOf(id: string): string {
  if (typeof id === 'string' && /^[A-Za-z0-9_:/@+-]{1,200}$/.test(id)) return id
  if (typeof id !== 'string' || id === '') throw new PintailError('invalid_argument', 'webhook: a message needs an id')
  return `sha256_${createHash('sha256').update(id).digest('hex')}`
}

function parseUrl(given: string | URL, allowHttp: boolean): URL {
  const url = URL.parse(String(given))
  const isLocal = url !== null && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && (isLocal || allowHttp))) return url
  throw new PintailError('invalid_options', 'webhook: url must be https, or http on this machine', {
    remedy: 'Use https: users’ addresses go over it. `allowHttp: true` is for a private network.',
  })
}

function inRange(option: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new PintailError('invalid_options', `webhook: ${option} must be a whole number from 1 to ${most}`)
}
