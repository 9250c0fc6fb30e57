import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import { isPintailError, type PolicyInput, type Prober } from '@pintail/core'
import pintail from '@pintail/fastify-plugin'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { authenticate, type User } from './auth.ts'
import type { Database } from './database.ts'
import { createVpn } from './vpn.ts'

export interface HostOptions {
  readonly db: Database
  readonly keys: Readonly<Record<string, User>>
  readonly probers: readonly Prober[]
  readonly policy: PolicyInput
  readonly logger: NonNullable<FastifyServerOptions['logger']>
}

/** A VPN provider's backend: its own accounts, document, security headers, error handler and routes, and Pintail beside them. */
export async function createHost({ db, keys, probers, policy, logger }: HostOptions): Promise<FastifyInstance> {
  const app = Fastify({ logger })
  await app.register(helmet)
  await app.register(swagger, { openapi: { info: { title: 'A VPN provider', version: '1.0.0' } } })
  // Before the plugin, so that its routes are guarded too. A load balancer has no key.
  authenticate(app, { keys, open: ['/pintail/health'] })
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    if (isPintailError(error, 'not_found')) return reply.code(404).send({ error: error.message })
    if (isPintailError(error, 'illegal_transition')) return reply.code(409).send({ error: error.message, remedy: error.remedy })
    if (error.validation) return reply.code(422).send({ error: error.message })
    return reply.send(error)
  })

  // These ten lines add Pintail.
  const { registry, mover } = createVpn(db)
  await app.register(pintail, {
    registry,
    mover,
    probers,
    policy,
    authorize: (request, action) => action.endsWith(':read') || request.user.role === 'admin',
  })

  app.get('/openapi.json', async () => app.swagger())
  app.get('/me/server', { schema: { querystring: { type: 'object', additionalProperties: false } } }, async (request, reply) => {
    const access = db.accessOf(request.user.name)
    if (!access) return reply.code(404).send({ error: `${request.user.name} has no access` })
    return { server: access.server_id }
  })
  await app.register(admin, { prefix: '/admin' })
  return app
}

/** The host's own pages over the engine, in its own words. */
async function admin(scope: FastifyInstance): Promise<void> {
  scope.addHook('preHandler', async ({ user }, reply) =>
    user.role === 'admin' ? undefined : reply.code(403).send({ error: 'for admins' }),
  )

  scope.get('/fleet', async () =>
    scope.pintail.status().servers.map(({ serverId, status, verdict, load, capacity }) => ({
      id: serverId,
      status,
      verdict: verdict.verdict,
      why: verdict.reasons[0].message,
      load,
      capacity,
    })),
  )
  scope.get('/evacuations', async () =>
    (await scope.pintail.evacuations.list()).map(({ id, status, reason, fromServerIds, moved, connections }) => ({
      id,
      status,
      reason,
      from: fromServerIds,
      moved,
      connections,
    })),
  )
  // Ajv's, with a body that has to be right: who drains a server says why.
  const body = { type: 'object', required: ['why'], additionalProperties: false, properties: { why: { type: 'string', minLength: 3 } } }
  scope.post<{ Params: { id: string }; Body: { why: string } }>('/servers/:id/drain', { schema: { body } }, async (request, reply) => {
    const { params } = request
    request.log.info({ server: params.id, by: request.user.name, why: request.body.why }, 'a drain was asked for')
    const { id, status } = await scope.pintail.drain(params.id)
    return reply.code(202).send({ evacuation: id, status })
  })
}
