import type { Pintail } from '@pintail/core'
import pintail, { type Health } from '@pintail/fastify-plugin'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Figures } from './figures.ts'
import { type ServiceHealth, serviceHealth } from './health.ts'

interface HttpOptions {
  readonly engine: Pintail
  readonly logger: Logger
  readonly mode: string
  readonly version: string
  /** Null: none are told. */
  readonly figures?: Figures | null
}

const prefix = '/api'

/**
 * `GET /health` (200 or 503), `/health/live` (200 as long as the process answers) and `/health/ready` (the same as
 * `/health`), and `/metrics` where there are figures, for anybody. The engine's routes under `/api` are mounted and closed: nobody has an account here.
 */
export function createHttp({ engine, logger, figures = null, ...about }: HttpOptions): FastifyInstance {
  const app = Fastify({ logger: false, forceCloseConnections: true, requestTimeout: 10_000 })
  figures?.mount(app)
  app.register(pintail, { pintail: engine, routePrefix: prefix, authorize: () => false })
  const health = async (): Promise<ServiceHealth> => {
    const asked = await app.inject(`${prefix}/health`)
    return serviceHealth(asked.json<Health>(), engine.status(), about)
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
  return app
}

/** What to do where the port cannot be opened. */
export function listenRemedy(error: unknown, port: number): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return `Stop what uses port ${port} (ss -ltnp shows it), or give another one with PINTAIL_PORT, or none with PINTAIL_HTTP=off.`
  if (code === 'EACCES') return `Ports below 1024 need a right that this user does not have: give a higher one with PINTAIL_PORT.`
  if (code === 'EADDRNOTAVAIL') return 'This machine has no such address: give one of its own with PINTAIL_HOST, or 0.0.0.0 for all.'
  return 'Check PINTAIL_HOST and PINTAIL_PORT, or serve none with PINTAIL_HTTP=off.'
}
