import type { WireProblem } from '@pintail/core/wire'
import type { FastifyReply } from 'fastify'

interface Kind {
  readonly status: number
  readonly title: string
  /** The error of RFC 6750 in WWW-Authenticate; null: none, as nothing was presented. */
  readonly challenge?: 'invalid_token' | null
}

/** The last part of every `type` that the service itself answers with. Never renamed within a major version. */
const kinds = {
  accounts_missing: { status: 403, title: 'Nobody has an account here' },
  accounts_unavailable: { status: 503, title: 'Accounts cannot be checked' },
  credentials_missing: { status: 401, title: 'Who are you?', challenge: null },
  credentials_invalid: { status: 401, title: 'The credentials are not valid', challenge: 'invalid_token' },
  credentials_expired: { status: 401, title: 'The credentials have expired', challenge: 'invalid_token' },
  credentials_revoked: { status: 401, title: 'The credentials have been revoked', challenge: 'invalid_token' },
  forbidden: { status: 403, title: 'Not allowed' },
  internal: { status: 500, title: 'Something went wrong' },
  invalid_request: { status: 400, title: 'The request is not understood' },
  not_found: { status: 404, title: 'Not found' },
  origin_refused: { status: 403, title: 'Not from here' },
  too_many_requests: { status: 429, title: 'Too many requests' },
} as const satisfies Record<string, Kind>

export type RefusalCode = keyof typeof kinds

interface RefusalText {
  readonly detail: string
  readonly remedy?: string
}

/** A request that the service refuses before, or in the place of, the routes of the plugin. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: RefusalCode
  /** For @fastify/rate-limit, which asks for it. */
  readonly statusCode: number
  readonly text: RefusalText
  /** Whose credential it was, as far as that is proved; null: nobody knows. */
  readonly who: string | null

  constructor(code: RefusalCode, text: RefusalText, options: { readonly who?: string | null; readonly cause?: unknown } = {}) {
    super(text.detail, { cause: options.cause })
    this.code = code
    this.statusCode = kinds[code].status
    this.text = text
    this.who = options.who ?? null
  }
}

/** Problem details (RFC 9457), in the form of the plugin's. */
export function sendRefusal(reply: FastifyReply, { code, text }: Pick<Refusal, 'code' | 'text'>): FastifyReply {
  const { status, title, challenge }: Kind = kinds[code]
  const { detail, remedy } = text
  const problem: WireProblem = {
    type: `urn:pintail:problem:${code}`,
    title,
    status,
    detail,
    code,
    ...(remedy !== undefined && { remedy }),
    request_id: String(reply.request.id),
  }
  if (challenge !== undefined) reply.header('www-authenticate', challengeOf(challenge, title))
  if (status === 503) reply.header('retry-after', '5')
  return reply
    .code(status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(JSON.stringify(problem))
}

/** RFC 6750: without an error where nothing was presented. */
const challengeOf = (error: 'invalid_token' | null, title: string): string =>
  `Bearer realm="pintail"${error === null ? '' : `, error="${error}", error_description="${title}"`}`
