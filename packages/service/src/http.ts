import { randomUUID } from 'node:crypto'
import type { Pintail } from '@pintail/core'
import type { Health } from '@pintail/fastify-plugin'
import Fastify, { type FastifyBaseLogger, type FastifyError, type FastifyInstance, LogController } from 'fastify'
import type { Logger } from 'pino'
import { type Accounts, createAccounts } from './accounts/accounts.ts'
import { Audit } from './accounts/audit.ts'
import { Gate } from './accounts/gate.ts'
import { Refusal, sendRefusal } from './accounts/refusal.ts'
import { mountApi, prefix } from './api.ts'
import { mountDocs } from './docs.ts'
import type { Figures } from './figures.ts'
import { type ServiceHealth, serviceHealth } from './health.ts'

interface HttpOptions {
  readonly engine: Pintail
  readonly logger: Logger
  readonly mode: string
  readonly version: string
  /** Null: none are told. */
  readonly figures?: Figures | null
  /** Default: nobody has one, and `/api` is closed. */
  readonly accounts?: Accounts
  readonly audit?: Audit
  /** `/docs`. Default false. */
  readonly docs?: boolean
  /** Whether `/metrics` asks for an account. Default false. */
  readonly guardMetrics?: boolean
  /** What else keeps users from being moved; null: nothing. Default: nothing ever. */
  readonly trouble?: () => 'broker_away' | null
  /** @see Gate */
  readonly refusedPerMinute?: number
}

export interface Http {
  readonly app: FastifyInstance
  readonly gate: Gate
}

/**
 * For anybody: `GET /health` (200 or 503), `/health/live` (200 as long as the process answers), `/health/ready` (the same as
 * `/health`), `/metrics` where there are figures, unless it is guarded, and `/docs`. For those who have an account: the
 * routes of the engine under `/api`, and `/health/services`.
 */
export async function createHttp({ engine, logger, figures = null, ...options }: HttpOptions): Promise<Http> {
  const { mode, version, docs = false, guardMetrics = false, refusedPerMinute } = options
  const app = Fastify({
    // Its own lines, of requests that come and go, are not for this log; what went wrong in one is.
    loggerInstance: quiet(logger),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: ({ headers }) => requestIdOf(headers['x-request-id']),
    frameworkErrors: (_error, _request, reply) => {
      sendRefusal(reply, notUnderstood)
    },
    forceCloseConnections: true,
    requestTimeout: 10_000,
  })
  answerProblems(app)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  const { accounts = nobody(logger), audit = new Audit({ logger }) } = options
  const gate = await Gate.of(app, { accounts, audit, ...(refusedPerMinute !== undefined && { refusedPerMinute }) })
  figures?.mount(app, guardMetrics ? (request) => gate.demand(request, 'metrics:read') : undefined)
  if (docs && gate.mode !== 'closed') await mountDocs(app, version)
  await mountApi(app, { engine, gate, ...(figures && { metricsRegistry: figures.registry }) })
  mountHealth(app, { engine, gate, about: { mode, version }, trouble: options.trouble ?? (() => null) })
  return { app, gate }
}

const nobody = (logger: Logger): Accounts =>
  createAccounts(
    {
      api: 'off',
      apiKeys: [],
      jwtSecret: '',
      jwtJwks: '',
      jwtIssuer: '',
      jwtAudience: 'pintail',
      jwtRoleClaim: 'role',
      jwtClockTolerance: 0,
      revocations: '',
    },
    logger,
  )

const quiet = (logger: Logger): FastifyBaseLogger =>
  (logger.isLevelEnabled('warn') ? logger.child({}, { level: 'warn' }) : logger) as FastifyBaseLogger

/** An id from in front of this service goes on, as far as it is one. */
function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID()
}

const notUnderstood = { code: 'invalid_request', text: { detail: 'The request is not understood.', remedy: 'See /docs.' } } as const

/** Problem details for all that no route has answered. */
function answerProblems(app: FastifyInstance): void {
  app.setNotFoundHandler((request, reply) =>
    sendRefusal(reply, {
      code: 'not_found',
      text: { detail: `There is no ${request.method} here.`, remedy: 'Check the method and the path.' },
    }),
  )
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof Refusal) return sendRefusal(reply, error)
    const { statusCode = 500 } = error
    if (statusCode < 500) return sendRefusal(reply, notUnderstood)
    request.log.error({ err: error }, `${request.method} ${request.routeOptions.url} failed`)
    return sendRefusal(reply, { code: 'internal', text: { detail: 'The log of the server has the error.' } })
  })
}

interface HealthOptions {
  readonly engine: Pintail
  readonly gate: Gate
  readonly about: { readonly mode: string; readonly version: string }
  readonly trouble: () => 'broker_away' | null
}

function mountHealth(app: FastifyInstance, { engine, gate, about, trouble }: HealthOptions): void {
  const health = async (): Promise<ServiceHealth> => {
    const asked = await app.inject(`${prefix}/health`)
    return serviceHealth(asked.json<Health>(), engine.status(), { ...about, trouble: trouble() })
  }
  for (const url of ['/health', '/health/ready'])
    app.get(url, async (_request, reply) => {
      const answer = await health()
      return reply
        .code(answer.ready ? 200 : 503)
        .header('cache-control', 'no-store')
        .send(answer)
    })
  app.get('/health/live', async (_request, reply) => reply.header('cache-control', 'no-store').send({ live: true, version: about.version }))
  // Where seed 001 has it. Answered by the route of the plugin, and so for the same accounts.
  app.get('/health/services', { onRequest: (request) => gate.demand(request, 'services:read') }, async (request, reply) => {
    const { authorization, 'x-api-key': key, host } = request.headers
    const headers = {
      ...(authorization && { authorization }),
      ...(key && { 'x-api-key': key }),
      ...(host && { host }),
      'x-request-id': request.id,
    }
    const { statusCode, headers: answered, body } = await app.inject({ url: `${prefix}/health/services`, headers })
    return reply.code(statusCode).header('content-type', answered['content-type']).header('cache-control', 'no-store').send(body)
  })
}
