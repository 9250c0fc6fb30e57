import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ProblemCode, RequestProblem, sendProblem } from './problem.ts'

/** JSON and nothing else, whatever parsers the host has. */
export function parseJsonOnly(scope: FastifyInstance): void {
  const parse = scope.getDefaultJsonParser('error', 'error')
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser<string>(/^application\/(?:[\w.-]+\+)?json(?:\s*;.*)?$/i, { parseAs: 'string' }, (request, body, done) => {
    // Clients name the type also where they send nothing.
    if (body.trim() === '') return done(null, undefined)
    return parse(request, body, (error, value) => {
      if (!error) return done(null, value)
      return done(new RequestProblem('invalid_body', { detail: 'The body is no JSON.', remedy: 'Send JSON.' }))
    })
  })
}

const ofFastify: Readonly<Record<string, readonly [ProblemCode, detail: string, remedy: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body_too_large', 'The body is larger than this route takes.', 'Send less at once.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'The body is not JSON by its content-type.', 'Send application/json.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid_body', 'The body is not as long as its content-length.', 'Send all of it.'],
  FST_ERR_CTP_EMPTY_TYPE: ['unsupported_media_type', 'The body has no content-type.', 'Send application/json.'],
}

/** Bodies that could not be read are ours to answer; what a hook of the host throws is for the error handler of the host. */
export function onError(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  if (error instanceof RequestProblem) {
    sendProblem(reply, error.code, error.text)
    return
  }
  const known = ofFastify[error.code]
  if (!known) throw error
  const [code, detail, remedy] = known
  sendProblem(reply, code, { detail, remedy })
}
