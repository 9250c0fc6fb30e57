import { createHash } from 'node:crypto'
import { errorText, type Pintail } from '@pintail/core'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { PintailAction } from '../actions.ts'
import type { Life } from '../lifecycle.ts'
import { liveRoutes } from '../live/routes.ts'
import type { Authorize, MetricsRegistry, OnStream } from '../options.ts'
import { type Mask, masking, type Permits } from '../privacy.ts'
import { onError, parseJsonOnly } from './bodies.ts'
import type { Answer, Endpoint } from './endpoint.ts'
import { evacuationEndpoints } from './evacuations.ts'
import { fleetEndpoints } from './fleet.ts'
import { healthOf } from './health.ts'
import { Idempotency, type Kept } from './idempotency.ts'
import { incidentEndpoints } from './incidents.ts'
import { migrationEndpoints } from './migrations.ts'
import { transform } from './openapi.ts'
import { policyEndpoints } from './policy.ts'
import { etagOf } from './precondition.ts'
import { problemOfError, RequestProblem, sendProblem } from './problem.ts'
import { health } from './schemas.ts'
import { serverEndpoints } from './servers.ts'
import { serviceEndpoints } from './services.ts'
import { refuseInvalid, routeSchema, validatorFor } from './validation.ts'

export interface Mounting {
  readonly engine: Pintail
  readonly life: Life
  readonly authorize: Authorize | undefined
  readonly metricsRegistry: MetricsRegistry | undefined
  readonly onStream: OnStream | undefined
  /** Begins the names of operations, so that two engines in one app have different ones. */
  readonly name: string
}

/** Mounts the routes in a scope of their own: nothing that is set here reaches the host. */
export function mount(scope: FastifyInstance, mounting: Mounting): void {
  const { engine, life, authorize, metricsRegistry, onStream, name } = mounting
  scope.setValidatorCompiler(validatorFor as never)
  scope.setSerializerCompiler(() => JSON.stringify)
  scope.get('/health', { exposeHeadRoute: true, config: swaggered(healthEndpoint, name) }, async (_request, reply) => {
    const body = healthOf(engine, life.failure())
    return reply
      .code(body.status === 'ok' ? 200 : 503)
      .header('content-type', 'application/json; charset=utf-8')
      .header('cache-control', 'no-store')
      .send(JSON.stringify(body))
  })
  mountRest(scope, authorize === undefined ? refuseAll : notFound)
  if (authorize === undefined) return
  parseJsonOnly(scope)
  const revealed = new WeakSet<FastifyRequest>()
  const permits: Permits = { mayReveal: (request) => revealed.has(request), mask: masking() }
  const idempotency = new Idempotency()
  const mountOne = (endpoint: Endpoint, own: Partial<RouteOptions> = {}): void => {
    const { method, url, action, bodyLimit = 65_536 } = endpoint
    scope.route({
      method,
      url,
      bodyLimit,
      exposeHeadRoute: method === 'GET',
      schema: routeSchema(endpoint),
      // Who may not do this is told so before he is told what is wrong with his request.
      attachValidation: true,
      config: { ...swaggered(endpoint, name), rateLimit: rateOf(endpoint), pintailAction: action },
      preHandler: asking(authorize, action, endpoint.namesUsers ? revealed : null),
      errorHandler: onError,
      handler: (request, reply) => answer(request, reply, endpoint, engine, permits, idempotency),
      ...own,
    } as RouteOptions)
  }
  for (const endpoint of allEndpoints(life, metricsRegistry)) mountOne(endpoint)
  liveRoutes(scope, engine, permits, mountOne, onStream)
}

const healthEndpoint: Endpoint = {
  method: 'GET',
  url: '/health',
  action: 'services:read',
  operation: 'getHealth',
  summary: 'Whether somebody is watching the fleet: 200, else 503 with the same body',
  tag: 'health',
  success: { status: 200, schema: health },
  handle: () => ({ body: null }),
}

/**
 * Every route but the health and the live streams.
 * @internal
 */
export function allEndpoints(life: Life, registry?: MetricsRegistry): readonly Endpoint[] {
  return [
    ...serverEndpoints,
    ...migrationEndpoints,
    ...evacuationEndpoints,
    ...incidentEndpoints,
    ...fleetEndpoints,
    ...policyEndpoints,
    ...serviceEndpoints(life, registry),
  ]
}

const swaggered = (endpoint: Endpoint, name: string): object => ({ swaggerTransform: transform(endpoint, name) })

/** Hints for @fastify/rate-limit, where the host has it: a minute's requests of one client. */
function rateOf({ method, tag }: Endpoint): object {
  return { max: tag === 'live' ? 30 : method === 'GET' ? 600 : 60, timeWindow: 60_000 }
}

/** Everything under the prefix that has no route. OPTIONS is left to the host's CORS. Answered before any body is read. */
function mountRest(scope: FastifyInstance, answerAll: (request: FastifyRequest, reply: FastifyReply) => FastifyReply): void {
  for (const url of ['/', '/*'])
    scope.route({
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      url,
      exposeHeadRoute: true,
      schema: { hide: true } as object,
      onRequest: async (request, reply) => answerAll(request, reply),
      handler: answerAll,
    })
}

function asking(authorize: Authorize, action: PintailAction, revealed: WeakSet<FastifyRequest> | null) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    // Exactly true: a truthy answer of untyped code is no permission.
    const may = async (what: PintailAction) => authorize === 'host' || (await authorize(request, what)) === true
    if (!(await may(action)))
      return sendProblem(reply, 'forbidden', {
        detail: `authorize does not allow ${action}`,
        remedy: 'Ask with an account that may do this.',
      })
    if (revealed && (await may('users:reveal'))) revealed.add(request)
    return undefined
  }
}

async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  endpoint: Endpoint,
  engine: Pintail,
  permits: Permits,
  idempotency: Idempotency,
): Promise<FastifyReply> {
  try {
    refuseInvalid(request)
    const shown = !endpoint.namesUsers || permits.mayReveal(request)
    const work = async () => kept(await endpoint.handle(callOf(request, engine)), shown ? null : permits.mask)
    const { status, headers, body } = await once(request, endpoint, idempotency, shown, work)
    return reply.code(status).headers(headers).send(body)
  } catch (error) {
    const { code, text } = problemOfError(error)
    if (problemIsOurs(code)) request.log.error({ err: error }, `pintail: ${endpoint.operation} failed: ${errorText(error)}`)
    return sendProblem(reply, code, text)
  }
}

/** An outage of a part: the caller is told little, so that the log has to have it. */
const problemIsOurs = (code: string): boolean => ['internal', 'unavailable', 'timeout', 'aborted', 'fenced'].includes(code)

function callOf(request: FastifyRequest, engine: Pintail) {
  const { params, query, body, headers } = request
  return { engine, request, params: params as never, query: query as never, body: body as never, ifMatch: headers['if-match'] }
}

function kept({ status = 200, body, tag, headers = {} }: Answer, mask: Mask | null): Kept {
  const isText = typeof body === 'string'
  const text = isText ? body : JSON.stringify(mask ? mask(body) : body)
  return {
    status,
    body: text,
    headers: {
      ...(!isText && { 'content-type': 'application/json; charset=utf-8' }),
      'cache-control': 'no-store',
      ...(tag !== undefined && { etag: etagOf(tag, text) }),
      ...headers,
    },
  }
}

/** With an `Idempotency-Key` a POST is done once. */
async function once(
  request: FastifyRequest,
  { method }: Endpoint,
  idempotency: Idempotency,
  shown: boolean,
  work: () => Promise<Kept>,
): Promise<Kept> {
  const key = request.headers['idempotency-key']
  if (method !== 'POST' || key === undefined) return work()
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key))
    throw new RequestProblem('invalid_request', {
      detail: 'The Idempotency-Key is not understood.',
      remedy: 'Give 1 to 255 visible characters, such as a UUID.',
      errors: [{ path: 'headers.idempotency-key', message: 'must be 1 to 255 visible characters' }],
    })
  const asked = [request.url, request.headers['if-match'] ?? null, request.body ?? null, shown]
  const fingerprint = createHash('sha256').update(JSON.stringify(asked)).digest('base64url')
  const { replayed, ...found } = await idempotency.run(key, fingerprint, work)
  return replayed ? { ...found, headers: { ...found.headers, 'idempotent-replayed': 'true' } } : found
}

function refuseAll(_request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'authorize_missing', {
    detail: 'The plugin was registered without the option authorize: only /health answers.',
    remedy: "Register it with authorize: (request, action) => boolean, or 'host' if your own hooks decide.",
  })
}

function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'not_found', { detail: `There is no ${request.method} here.`, remedy: 'Check the method and the path.' })
}
