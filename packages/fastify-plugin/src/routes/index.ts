import type { Pintail } from '@pintail/core'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { endpoints, type PintailAction } from '../actions.ts'
import type { Life } from '../lifecycle.ts'
import type { Authorize } from '../options.ts'
import { healthOf } from './health.ts'
import { sendProblem } from './problem.ts'

/** Mounts the routes in a scope of their own: nothing that is set here reaches the host. */
export function mount(scope: FastifyInstance, engine: Pintail, life: Life, authorize: Authorize | undefined): void {
  scope.get('/health', { exposeHeadRoute: true }, async (_request, reply) => {
    const health = healthOf(engine, life.failure())
    return reply
      .code(health.status === 'ok' ? 200 : 503)
      .header('content-type', 'application/json; charset=utf-8')
      .header('cache-control', 'no-store')
      .send(JSON.stringify(health))
  })
  mountRest(scope, authorize === undefined ? refuseAll : notFound)
  if (authorize === undefined) return
  for (const [method, url, action] of endpoints)
    scope.route({ method, url, preHandler: asking(authorize, action), handler: (_request, reply) => notBuilt(reply, method, url) })
}

/** Everything under the prefix that has no route. OPTIONS is left to the host's CORS. Answered before any body is read. */
function mountRest(scope: FastifyInstance, answer: (request: FastifyRequest, reply: FastifyReply) => FastifyReply): void {
  for (const url of ['/', '/*'])
    scope.route({
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      url,
      exposeHeadRoute: true,
      onRequest: async (request, reply) => answer(request, reply),
      handler: answer,
    })
}

function asking(authorize: Authorize, action: PintailAction) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    // Exactly true: a truthy answer of untyped code is no permission.
    if (authorize === 'host' || (await authorize(request, action)) === true) return undefined
    return sendProblem(reply, 'forbidden', {
      status: 403,
      title: 'Not allowed',
      detail: `authorize does not allow ${action}`,
      remedy: 'Ask with an account that may do this.',
    })
  }
}

function refuseAll(_request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'authorize_missing', {
    status: 403,
    title: 'Nobody has said who may do this',
    detail: 'The plugin was registered without the option authorize: only /health answers.',
    remedy: "Register it with authorize: (request, action) => boolean, or 'host' if your own hooks decide.",
  })
}

function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'not_found', {
    status: 404,
    title: 'No such route',
    detail: `There is no ${request.method} here.`,
    remedy: 'Check the method and the path.',
  })
}

function notBuilt(reply: FastifyReply, method: string, url: string): FastifyReply {
  return sendProblem(reply, 'unsupported', {
    status: 501,
    title: 'Not built yet',
    detail: `${method} ${url} comes with the HTTP API.`,
    remedy: 'Until then, call the engine in your own routes: app.pintail has everything.',
  })
}
