import type { AddressInfo } from 'node:net'
import { createFleet, type Fleet, type FleetOptions } from '@pintail/core/testing'
import pintail, { type Authorize } from '@pintail/fastify-plugin'
import Fastify, { type FastifyInstance } from 'fastify'

export interface World {
  readonly fleet: Fleet
  readonly port: number
  readonly url: string
  /** The HTTP server ends and another one begins over the same engine, on another port: the old one may be somebody's by then. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** An engine in virtual time, which goes on by itself, behind the real plugin on a real socket. */
export async function world({ authorize = 'host', ...options }: FleetOptions & { readonly authorize?: Authorize } = {}): Promise<World> {
  const fleet = await createFleet(options)
  await fleet.advance(20_000)
  const serve = async (): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(pintail, { pintail: fleet.pintail, authorize })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return app
  }
  let app = await serve()
  const portOf = ({ server }: FastifyInstance): number => (server.address() as AddressInfo).port
  let port = portOf(app)
  let isOver = false
  const pump = async (): Promise<void> => {
    while (!isOver) {
      await fleet.advance(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const pumping = pump()
  return {
    fleet,
    get port() {
      return port
    },
    url: `http://127.0.0.1:${port}/pintail`,
    async restart() {
      await app.close()
      app = await serve()
      port = portOf(app)
    },
    async close() {
      await app.close()
      isOver = true
      await pumping
      await fleet.stop()
    },
  }
}
