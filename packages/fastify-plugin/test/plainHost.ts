import type { Pintail } from '@pintail/core'
import Fastify, { type FastifyInstance } from 'fastify'
import pintail from '../src/index.ts'

/** A host with nothing but the plugin, at `/api`, on loopback; port 0: a free one. */
export async function plainHost(engine: Pintail, port = 0): Promise<{ readonly app: FastifyInstance; readonly address: string }> {
  const app = Fastify()
  await app.register(pintail, { pintail: engine, authorize: 'host', routePrefix: '/api' })
  return { app, address: await app.listen({ host: '127.0.0.1', port }) }
}
