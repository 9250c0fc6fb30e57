import type { JsonObject } from '@pintail/core'
import { z } from 'zod'
import type { Described, Endpoint, Target } from './endpoint.ts'
import { problem } from './schemas.ts'

// Made once each: a document has the schema of a migration twenty times.
const made = new Map<Target, WeakMap<object, JsonObject>>()

/** The schema as JSON Schema of this dialect, without its `$schema`. */
export function jsonSchema(schema: Described, target: Target, io: 'input' | 'output' = 'output'): JsonObject {
  const known = made.get(target) ?? new WeakMap<object, JsonObject>()
  made.set(target, known)
  const found = known.get(schema)
  if (found) return found
  const json = typeof schema === 'function' ? schema(target) : (z.toJSONSchema(schema, { target, io }) as unknown as JsonObject)
  const { $schema: _, ...rest } = json as JsonObject & { readonly $schema?: string }
  known.set(schema, rest)
  return rest
}

const descriptions: Readonly<Record<number, string>> = {
  400: 'The request is not understood',
  403: 'Not allowed',
  404: 'There is no such thing',
  409: 'Not now: its state, a guard or a changed plan forbids it',
  412: 'It has changed since it was read',
  413: 'The body is too large',
  415: 'JSON only',
  422: 'The Idempotency-Key was used for another request, or a part of this is not built yet',
  426: 'A WebSocket only',
  428: 'If-Match is missing',
  429: 'Too many live streams',
  503: 'The engine does not lead, or a part of it does not answer',
}

/**
 * Statuses of problems that this endpoint may answer.
 * @internal
 */
export function problemStatuses({ method, params, query, body, problems = [] }: Endpoint): readonly number[] {
  const all = new Set([403, 503, ...problems])
  if (params || query || method !== 'GET') all.add(400)
  if (method !== 'GET') all.add(413).add(415)
  if (method === 'POST') all.add(422)
  if (body) all.add(400)
  return [...all].sort((a, b) => a - b)
}

function headersOf({ method, ifMatch, url }: Endpoint): JsonObject | null {
  const headers = {
    ...(ifMatch && { 'if-match': { type: 'string', description: 'The ETag of what this was decided upon, or *' } }),
    ...(method === 'POST' && {
      'idempotency-key': {
        type: 'string',
        minLength: 1,
        maxLength: 255,
        description: 'A repeated request with the same key gets the first answer, and does nothing',
      },
    }),
    ...(url === '/events' && { 'last-event-id': { type: 'string', description: 'The cursor to go on from' } }),
  }
  if (Object.keys(headers).length === 0) return null
  return { type: 'object', properties: headers, ...(ifMatch === 'needed' && { required: ['if-match'] }) }
}

/** The route's schema for the document of the host. */
function documented(endpoint: Endpoint, name: string, target: Target): JsonObject {
  const { operation, summary, tag, params, query, body, success } = endpoint
  const headers = headersOf(endpoint)
  const contentType = success.contentType ?? 'application/json'
  const schema = success.schema ? jsonSchema(success.schema, target) : { type: 'string' }
  const answer =
    success.status === 204 ? { description: summary, type: 'null' } : { description: summary, content: { [contentType]: { schema } } }
  const refusal = { 'application/problem+json': { schema: jsonSchema(problem, target) } }
  return {
    operationId: `${name}${operation[0]?.toUpperCase()}${operation.slice(1)}`,
    summary,
    tags: [`${name} ${tag}`],
    ...(params && { params: jsonSchema(params, target, 'input') }),
    ...(query && { querystring: jsonSchema(query, target, 'input') }),
    ...(body && { body: jsonSchema(body, target, 'input') }),
    ...(headers && { headers }),
    response: {
      [success.status]: answer,
      ...Object.fromEntries(
        problemStatuses(endpoint).map((status) => [status, { description: descriptions[status] ?? 'A problem', content: refusal }]),
      ),
    },
  }
}

interface Documents {
  readonly url: string
  readonly openapiObject?: { readonly openapi?: string }
  readonly swaggerObject?: unknown
}

/** For @fastify/swagger: our own transform, whatever the host's is made for. Called when the document is made, if ever. */
export function transform(endpoint: Endpoint, name: string) {
  return ({ url, openapiObject }: Documents): { readonly schema: JsonObject; readonly url: string } => {
    const target = openapiObject?.openapi?.startsWith('3.1') ? 'draft-2020-12' : 'openapi-3.0'
    return { schema: documented(endpoint, name, target), url }
  }
}
