import { type ErrorCode, isPintailError, type PintailError, type Problem } from '@pintail/core'
import type { WireProblem } from '@pintail/core/wire'
import type { FastifyReply } from 'fastify'

/** What can be wrong with a request before the engine is asked. */
type RequestCode =
  | 'authorize_missing'
  | 'body_too_large'
  | 'forbidden'
  | 'idempotency_key_reused'
  | 'invalid_body'
  | 'invalid_request'
  | 'metrics_missing'
  | 'precondition_failed'
  | 'precondition_required'
  | 'too_many_streams'
  | 'unsupported_media_type'
  | 'upgrade_required'
  | 'websocket_missing'

/** The last part of every `type`. Never renamed within a major version. */
export type ProblemCode = RequestCode | ErrorCode

type Kind = readonly [status: number, title: string]

const kinds: Readonly<Record<ProblemCode, Kind>> = {
  authorize_missing: [403, 'Nobody has said who may do this'],
  body_too_large: [413, 'The body is too large'],
  forbidden: [403, 'Not allowed'],
  idempotency_key_reused: [422, 'This Idempotency-Key belongs to another request'],
  invalid_body: [400, 'The body cannot be read'],
  invalid_request: [400, 'The request is not understood'],
  metrics_missing: [404, 'No metrics here'],
  precondition_failed: [412, 'It has changed since'],
  precondition_required: [428, 'If-Match is missing'],
  too_many_streams: [429, 'Too many live streams'],
  unsupported_media_type: [415, 'JSON only'],
  upgrade_required: [426, 'A WebSocket only'],
  websocket_missing: [404, 'No WebSocket here'],
  // The engine's own.
  aborted: [503, 'Given up'],
  already_started: [409, 'Started already'],
  conflict: [409, 'Somebody else was faster'],
  events_lagged: [410, 'The cursor is too old'],
  fenced: [503, 'Another engine leads'],
  guard_denied: [409, 'A guard forbids it'],
  illegal_transition: [409, 'Not in this state'],
  internal: [500, 'Something went wrong'],
  invalid_argument: [400, 'The request is not understood'],
  invalid_host: [400, 'Not a host'],
  invalid_options: [400, 'Not a policy'],
  invalid_row: [400, 'Not a row'],
  not_found: [404, 'Not found'],
  not_leader: [503, 'Another engine leads'],
  not_started: [503, 'The engine does not run'],
  nothing_to_move: [409, 'Nobody to move'],
  plan_stale: [409, 'The plan is out of date'],
  policy_stale: [412, 'The policy has changed since'],
  prober_unavailable: [503, 'Cannot probe'],
  rejected: [409, 'Refused'],
  stopped: [503, 'The engine has stopped'],
  target_full: [409, 'The target is full'],
  timeout: [503, 'No answer in time'],
  unavailable: [503, 'Not available'],
  unknown_host: [400, 'Not a host'],
  // Asking for what is not built is the request's fault, not the server's.
  unsupported: [422, 'Not built yet'],
}

export type ProblemText = Pick<WireProblem, 'detail' | 'remedy' | 'errors' | 'differences'>

/** The body of problem details (RFC 9457). */
function problemOf(code: ProblemCode, text: ProblemText, requestId: string): WireProblem {
  const [status, title] = kinds[code]
  const { detail, ...more } = text
  return { type: `urn:pintail:problem:${code}`, title, status, detail, code, ...more, request_id: requestId }
}

/** Answers with problem details. As a string, so that no serializer or hook of the host rewrites it. */
export function sendProblem(reply: FastifyReply, code: ProblemCode, text: ProblemText): FastifyReply {
  const problem = problemOf(code, text, String(reply.request.id))
  if (problem.status === 503) reply.header('retry-after', '5')
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(JSON.stringify(problem))
}

/** An error to be told to the caller; every other one is told as `internal`, and logged. */
export class RequestProblem extends Error {
  readonly code: ProblemCode
  readonly text: ProblemText

  constructor(code: ProblemCode, text: ProblemText) {
    super(text.detail)
    this.code = code
    this.text = text
  }
}

/** What the caller is told of an error, whatever it is: never a stack, a path or what an adapter said. */
export function problemOfError(error: unknown): { readonly code: ProblemCode; readonly text: ProblemText } {
  if (error instanceof RequestProblem) return error
  if (!isPintailError(error)) return { code: 'internal', text: { detail: 'The log of the server has the error.' } }
  // Errors of another copy of the package may have codes that this one does not know.
  const code: ProblemCode = error.code in kinds ? error.code : 'internal'
  const [status] = kinds[code]
  const remedy = error.remedy === undefined ? {} : { remedy: snakeWords(error.remedy) }
  // Of an outage the text may name an address or a file: the log has it.
  if (status >= 500) return { code, text: { detail: details[code] ?? 'The log of the server has the error.', ...remedy } }
  const { problems, message } = error
  if (code === 'plan_stale') return { code, text: { detail: message, ...remedy, differences: problems.map((one) => one.message) } }
  if (problems.length === 0) return { code, text: { detail: snakeWords(message), ...remedy } }
  return { code, text: { detail: firstLine(error), ...remedy, errors: problems.slice(0, mostErrors).map(wireError) } }
}

const mostErrors = 50
const details: Partial<Record<ProblemCode, string>> = {
  not_leader: 'This engine is on standby: another one leads.',
  fenced: 'Another engine has taken over.',
  not_started: 'The engine has not been started.',
  stopped: 'The engine has been stopped.',
  timeout: 'A part that was asked did not answer in time; whether anything was done is in the listings.',
  unavailable: 'A part that was asked does not answer.',
}

const firstLine = ({ message }: PintailError): string => snakeWords(message.split('\n')[0] ?? '').replace(/:$/, '')

function wireError({ path, message, remedy }: Problem): NonNullable<WireProblem['errors']>[number] {
  return { path: snakeWords(path), message: snakeWords(message), ...(remedy !== undefined && { remedy: snakeWords(remedy) }) }
}

/** Names of fields as they are on the wire: the engine speaks of `pingCount`, the caller wrote `ping_count`. */
function snakeWords(text: string): string {
  return text.replace(/(?<![\w-])[a-z]+(?:[A-Z][a-z]*)+(?![\w-])/g, (word) =>
    word.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  )
}
