/**
 * What went wrong, for operators. Codes are part of the public surface: they are never renamed within a major version.
 * `rejected`, `unavailable` and every other throw are the three answers an adapter can give (see `ConnectionMover`).
 */
export type ErrorCode =
  | 'aborted'
  | 'already_started'
  | 'conflict'
  | 'events_lagged'
  | 'fenced'
  | 'guard_denied'
  | 'illegal_transition'
  | 'internal'
  | 'invalid_argument'
  | 'invalid_host'
  | 'invalid_options'
  | 'invalid_row'
  | 'not_found'
  | 'not_leader'
  | 'not_started'
  | 'nothing_to_move'
  | 'plan_stale'
  | 'policy_stale'
  | 'prober_unavailable'
  | 'rejected'
  | 'stopped'
  | 'target_full'
  | 'timeout'
  | 'unavailable'
  | 'unknown_host'
  | 'unsupported'

/** One thing wrong in an input: where, what, and what to do about it. */
export interface Problem {
  /** Dotted path into the input, e.g. `policy.detect.pingCount`; empty for the input itself. */
  readonly path: string
  readonly message: string
  /** The offending value, shortened to 80 characters; absent when it may hold a secret. */
  readonly value?: string
  readonly remedy?: string
}

export interface PintailErrorOptions {
  /** The error underneath, for developers. */
  readonly cause?: unknown
  /** What the operator can do about it. */
  readonly remedy?: string
  /** Every problem found, for `invalid_options` and `invalid_row`. */
  readonly problems?: readonly Problem[]
}

// A registered symbol, so that two copies of this package in one process recognise each other's errors.
const mark = Symbol.for('pintail.error')

/** Every error that Pintail throws on purpose. */
export class PintailError extends Error {
  override readonly name = 'PintailError'
  readonly code: ErrorCode
  readonly remedy: string | undefined
  readonly problems: readonly Problem[]
  readonly [mark] = true

  constructor(code: ErrorCode, message?: string, options: PintailErrorOptions = {}) {
    super(message ?? code, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.remedy = options.remedy
    this.problems = options.problems ?? []
  }
}

/** True for errors of Pintail, also those of another copy of the package; with `code`, only for that code. */
export function isPintailError(error: unknown, code?: ErrorCode): error is PintailError {
  if (typeof error !== 'object' || error === null || !(mark in error)) return false
  return code === undefined || (error as PintailError).code === code
}

/** The text of whatever was thrown, on one line, at most 300 characters, credentials masked: safe for logs, events and records. */
export function errorText(error: unknown): string {
  let text = 'something that has no text'
  try {
    text = String(error instanceof Error ? error.message || error.name : error)
  } catch {}
  return maskSecrets(text.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ')).slice(0, 300)
}

/** Clients put their credentials into their error messages: URLs with passwords, headers, tokens, keys. */
function maskSecrets(text: string): string {
  return text
    .replace(/(\w:\/\/)[^\s/@]*@/g, '$1***@')
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]+/gi, '$1 ***')
    .replace(
      /\b(\w*(?:password|passwd|pwd|secret|token|api[-_]?key|private[-_]?key|authorization))(["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;&}]+)/gi,
      '$1$2***',
    )
}

/** The answer of a part of the surface that is typed already and built later: never silently nothing. */
export function unsupported(what: string, comesWith: string): PintailError {
  return new PintailError('unsupported', `${what} is not built yet`, { remedy: `It comes with ${comesWith}.` })
}

/** @param changes what has changed, one problem each */
export function stalePlan(changes: readonly Problem[] = []): PintailError {
  const what = changes.map(({ message }) => message).join('; ')
  return new PintailError('plan_stale', `the world has changed since this plan${what && `: ${what}`}`, {
    remedy: 'Plan again, look at what it says now, and execute that.',
    problems: changes,
  })
}

export function underWay(evacuation: string, sources: readonly string[]): PintailError {
  return new PintailError('guard_denied', `evacuation ${evacuation} of ${sources.join(', ')} is under way`, {
    remedy: 'Wait for it, or cancel it first.',
  })
}

export function held(server: string, why: string): PintailError {
  return new PintailError('guard_denied', `no move off ${server} may start now: ${why}`, {
    remedy: 'Wait until the guard allows it; status() lists what forbids.',
  })
}

/** A refusal that tells who asked for what in vain. */
export function notFound(kind: string, id: string): PintailError {
  return new PintailError('not_found', `there is no ${kind} ${JSON.stringify(id.slice(0, 80))}`, {
    remedy: `List the ${kind}s to see which there are.`,
  })
}
