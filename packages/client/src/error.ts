import type { WireProblem } from '@pintail/core/wire'

/** What the client itself found wrong; all others are the server's own codes. */
export type ClientCode = 'network' | 'timeout' | 'invalid_answer' | 'answer_too_large' | 'invalid_argument'

const prefix = 'urn:pintail:problem:'

/** A call that failed: problem details (RFC 9457) of the server, or what kept the answer from coming. */
export class ApiError extends Error implements WireProblem {
  override readonly name = 'ApiError'
  /** Stable, as `urn:pintail:problem:plan_stale`; `about:blank` where somebody between answered. */
  readonly type: string
  /** The last part of `type`; of other types the status, as `http_502`. */
  readonly code: string
  /** HTTP status; 0: there was no answer. */
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly remedy?: string
  readonly errors?: NonNullable<WireProblem['errors']>
  readonly differences?: readonly string[]
  readonly request_id?: string
  /** After how many milliseconds the server may be asked again, where it says so. */
  readonly retryAfterMs: number | null

  constructor(problem: Omit<WireProblem, 'code'>, options: { readonly cause?: unknown; readonly retryAfterMs?: number | null } = {}) {
    super(`${problem.title}: ${problem.detail}`, options.cause === undefined ? undefined : { cause: options.cause })
    this.type = problem.type
    this.code = problem.type.startsWith(prefix) ? problem.type.slice(prefix.length) : `http_${problem.status}`
    this.status = problem.status
    this.title = problem.title
    this.detail = problem.detail
    if (problem.remedy !== undefined) this.remedy = problem.remedy
    if (problem.errors) this.errors = problem.errors
    if (problem.differences) this.differences = problem.differences
    if (problem.request_id !== undefined) this.request_id = problem.request_id
    this.retryAfterMs = options.retryAfterMs ?? null
  }
}

const titles: Readonly<Record<ClientCode, string>> = {
  network: 'No answer',
  timeout: 'No answer in time',
  invalid_answer: 'The answer is not understood',
  answer_too_large: 'The answer is too large',
  invalid_argument: 'The call is not understood',
}

export function clientError(code: ClientCode, detail: string, cause?: unknown, status = 0): ApiError {
  return new ApiError({ type: prefix + code, title: titles[code], status, detail }, { cause })
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** @param body what came, whatever it is: a proxy's page is no problem details */
export function errorOf(response: { readonly status: number; readonly headers: Headers }, body: string): ApiError {
  const { status, headers } = response
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  const options = { retryAfterMs: seconds >= 0 ? seconds * 1000 : null }
  try {
    const found: unknown = JSON.parse(body)
    const { type, title, detail, ...more } = found as Partial<WireProblem>
    if (isText(type) && isText(title) && isText(detail)) return new ApiError({ ...more, type, title, detail, status }, options)
  } catch {}
  return new ApiError({ type: 'about:blank', title: `HTTP ${status}`, status, detail: 'The answer has no problem details.' }, options)
}
