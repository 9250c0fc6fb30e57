/** The dashboard over the running engine, on loopback: what a Fastify host has with `dashboard: true`. */
import type { AddressInfo } from 'node:net'
import { errorText, type Pintail } from '@pintail/core'
import pintail from '@pintail/fastify-plugin'
import Fastify, { type FastifyInstance } from 'fastify'

/** The same each time, so that an open tab finds the next run; another one if somebody has it. */
const usualPort = 8642

export interface Page {
  /** Where it is; or, as text, why there is none. */
  readonly url: string | null
  readonly problem: string | null
  close(): Promise<void>
}

/** Never rejects: the quickstart is worth seeing without a page too. */
export async function servePage(engine: Pintail, port = usualPort): Promise<Page> {
  const app = Fastify({ forceCloseConnections: true })
  // Whoever is on this machine may do everything here, and nobody else: a name that some page has made point to this machine is refused.
  app.addHook('onRequest', async ({ hostname }, reply) => {
    if (!['127.0.0.1', 'localhost'].includes(hostname)) await reply.code(403).send()
  })
  try {
    await app.register(pintail, { pintail: engine, authorize: 'host', dashboard: true })
    await listen(app, port)
    const { port: taken } = app.server.address() as AddressInfo
    return { url: `http://127.0.0.1:${taken}/pintail/dashboard`, problem: null, close: () => app.close() }
  } catch (error) {
    await app.close()
    return { url: null, problem: errorText(error), close: async () => {} }
  }
}

async function listen(app: FastifyInstance, port: number): Promise<void> {
  try {
    await app.listen({ host: '127.0.0.1', port })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    await app.listen({ host: '127.0.0.1', port: 0 })
  }
}
