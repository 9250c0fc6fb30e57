import type { FastifyReply } from 'fastify'

export type ProblemCode = 'authorize_missing' | 'forbidden' | 'not_found' | 'unsupported'

export interface ProblemText {
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly remedy: string
}

/** Answers with problem details (RFC 9457). As a string, so that no serializer or hook of the host rewrites it. */
export function sendProblem(reply: FastifyReply, code: ProblemCode, { status, title, detail, remedy }: ProblemText): FastifyReply {
  const body = JSON.stringify({ type: `urn:pintail:problem:${code}`, title, status, detail, code, remedy })
  return reply.code(status).header('content-type', 'application/problem+json; charset=utf-8').send(body)
}
