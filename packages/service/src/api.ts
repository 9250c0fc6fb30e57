import fastifyWebsocket from '@fastify/websocket'
import type { Pintail } from '@pintail/core'
import { pageFiles } from '@pintail/dashboard/page'
import pintail, { type MetricsRegistry } from '@pintail/fastify-plugin'
import type { FastifyInstance } from 'fastify'
import { protocol } from './accounts/credential.ts'
import type { Gate } from './accounts/gate.ts'
import { roles } from './accounts/roles.ts'

/** Where the routes of the engine are, as in seed 004. */
export const prefix = '/api'
/** A load balancer has no account; the page has no data, and asks for everything with the account of who looks at it. */
const isOpen = (url: string | undefined): boolean =>
  url === `${prefix}/health` || url === `${prefix}/dashboard` || (url?.startsWith(`${prefix}/dashboard/`) ?? false)
/** What a client may say at once over a WebSocket, bytes: it has nothing to say. */
const mostSaid = 1024

interface ApiOptions {
  readonly engine: Pintail
  readonly gate: Gate
  readonly metricsRegistry?: MetricsRegistry
}

/** For the document, and for nothing else: what is sent is as it is. */
const accountSchema = {
  operationId: 'getAccount',
  summary: 'Who asks, and what he may do: whether a token or a key is believed',
  tags: ['account'],
  response: {
    200: {
      description: 'The account',
      type: 'object',
      required: ['kind', 'name', 'role', 'expires_at', 'actions'],
      properties: {
        kind: { type: 'string', enum: ['token', 'key', 'open'] },
        name: { type: 'string' },
        role: { type: 'string', enum: [...roles, null], nullable: true },
        expires_at: { type: 'string', format: 'date-time', nullable: true },
        actions: { type: 'array', items: { type: 'string' } },
      },
    },
  },
}

/** The routes of `@pintail/fastify-plugin` under `/api`, for those who have an account. */
export async function mountApi(app: FastifyInstance, { engine, gate, metricsRegistry }: ApiOptions): Promise<void> {
  await app.register(fastifyWebsocket, {
    // A browser has to offer its token as a protocol; what is answered is never that one.
    options: { maxPayload: mostSaid, handleProtocols: (offered: Set<string>) => (offered.has(protocol) ? protocol : false) },
  })
  await app.register(async (scope) => {
    // Before a body is read, and before anything is looked at that it asks for.
    scope.addHook('onRequest', async (request) => {
      if (!isOpen(request.routeOptions.url)) await gate.enter(request)
    })
    scope.get(
      `${prefix}/account`,
      { schema: accountSchema as object, config: { rateLimit: { max: 600, timeWindow: 60_000 } } },
      async (request, reply) => reply.header('cache-control', 'no-store').send(gate.describe(request)),
    )
    await scope.register(pintail, {
      pintail: engine,
      routePrefix: prefix,
      authorize: gate.authorize,
      onStream: gate.onStream,
      // Without an account it could show nothing.
      dashboard: gate.mode !== 'closed' && (await pageIsThere()),
      ...(metricsRegistry && { metricsRegistry }),
    })
  })
}

/** In a clone that was not built there is none. */
async function pageIsThere(): Promise<boolean> {
  try {
    return (await pageFiles()).length > 0
  } catch {
    return false
  }
}
