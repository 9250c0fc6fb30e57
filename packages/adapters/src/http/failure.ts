import { type ErrorCode, PintailError, type PintailErrorOptions } from '@pintail/core'

/**
 * What a repetition of the call would do. `none`: a reading. `repeatable`: the same again changes nothing more.
 * `once`: repeated only when the first one surely had no effect.
 */
export type Effect = 'none' | 'repeatable' | 'once'

interface FailureFacts {
  /** Null: no answer came. */
  readonly status: number | null
  /** Another try of the same call is safe, by its effect, and may go better. */
  readonly isTransient: boolean
  /** The service is at fault, not the call: counts for the circuit breaker. */
  readonly isFault: boolean
  /** The service does not know this path at all: another version of it, or another service. */
  readonly isRouteMissing?: boolean
  /** When the service asks not to be asked again before that, milliseconds from now. */
  readonly retryAfterMs?: number | null
  /** The text of the answer, decoded and masked, at most 300 characters. */
  readonly text?: string
}

/**
 * How a call ended that did not succeed. `rejected` and `unavailable` mean that nothing has happened; every other code
 * leaves open what has.
 */
export class HttpFailure extends PintailError {
  readonly facts: FailureFacts

  constructor(code: ErrorCode, message: string, facts: FailureFacts, options: PintailErrorOptions = {}) {
    super(code, message, options)
    this.facts = facts
  }
}

/** Of an answer that is no success: what it means, for a call with this effect. */
export function ofStatus(status: number, effect: Effect, isJson: boolean): { code: ErrorCode } & Omit<FailureFacts, 'status'> {
  const calm = { isTransient: false, isFault: false }
  if (status < 400) {
    // 307 and 308 ask for the same call elsewhere; after the others it may have been carried out.
    return { ...calm, code: effect === 'none' || status === 307 || status === 308 ? 'unavailable' : 'internal' }
  }
  if ([404, 405].includes(status) && !isJson) return { ...calm, code: 'unavailable', isRouteMissing: true }
  // Credentials are about us and not about what was asked: when they are right again the same call works.
  if ([401, 407].includes(status)) return { ...calm, code: 'unavailable' }
  if ([408, 425, 429].includes(status)) return { ...calm, code: 'unavailable', isTransient: true }
  if (status < 500) return { ...calm, code: 'rejected' }
  if (status === 503) return { code: 'unavailable', isTransient: true, isFault: true }
  return { code: effect === 'none' ? 'unavailable' : 'internal', isTransient: effect !== 'once', isFault: true }
}

// Each of these comes before a request is written: the name did not resolve, no connection, no trust in the peer.
const beforeSending = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
const certificate = /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/

/** Whether an error of `fetch` proves that the request never left: only then nothing can have happened. */
export function isUnsent(error: unknown): boolean {
  const { cause, code, syscall, errors, message } = (error ?? {}) as Record<string, unknown>
  if (Array.isArray(errors) && errors.length > 0) return errors.every(isUnsent)
  if (typeof code === 'string' && (beforeSending.has(code) || certificate.test(code))) return true
  if (syscall === 'connect' || syscall === 'getaddrinfo') return true
  // fetch refuses some ports altogether.
  if (message === 'bad port') return true
  return cause !== undefined && isUnsent(cause)
}

/** The innermost reason that has a code or a text: `fetch failed` alone tells nobody anything. */
export function reasonOf(error: unknown): string {
  const { cause, code, message, errors } = (error ?? {}) as Record<string, unknown>
  if (cause !== undefined && cause !== null) return reasonOf(cause)
  if (Array.isArray(errors) && errors.length > 0) return reasonOf(errors[0])
  return [code, message].filter((part) => typeof part === 'string' && part !== '').join(': ') || String(error)
}

/** `Retry-After`: seconds, or a date. Milliseconds from now; null: there is none that can be read. */
export function retryAfter(header: string | null, now: number): number | null {
  if (header === null || header.trim() === '') return null
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}
