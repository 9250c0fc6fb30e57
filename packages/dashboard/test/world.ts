import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createFleet, type Fleet, type FleetOptions } from '@pintail/core/testing'
import pintail, { type Authorize } from '@pintail/fastify-plugin'
import Fastify, { type FastifyInstance } from 'fastify'

export interface WorldOptions extends FleetOptions {
  readonly authorize?: Authorize
  /** Default `/pintail`. */
  readonly routePrefix?: string
  /** Registered on the app before the plugin: a host's own hooks and pages. */
  readonly host?: (app: FastifyInstance) => void | Promise<void>
  /** How much faster than the wall's the world's clock runs; 0: only by `fleet.advance`. Default 1. */
  readonly speed?: number
  readonly dashboard?: boolean
  /** Where it listens. Default 127.0.0.1. */
  readonly address?: string
}

/** A real engine in virtual time, behind the real plugin on a free port of loopback. */
export interface World {
  readonly fleet: Fleet
  readonly origin: string
  /** Of the API. */
  readonly url: string
  /** Requests so far, as `GET /pintail/status`. */
  readonly requests: string[]
  /** Live streams that are open now. */
  readonly streams: () => number
  /** The HTTP server ends, and another begins on the same port, as soon as this has come. */
  restart(after?: Promise<unknown>): Promise<void>
  close(): Promise<void>
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const {
    authorize = 'host',
    routePrefix = '/pintail',
    host,
    speed = 1,
    dashboard = false,
    address = '127.0.0.1',
    ...fleetOptions
  } = options
  const fleet = await createFleet(fleetOptions)
  await fleet.advance(20_000)
  const requests: string[] = []
  let streams = 0
  const serve = async (port: number): Promise<FastifyInstance> => {
    const app = Fastify({ forceCloseConnections: true })
    app.addHook('onRequest', async ({ method, url }, reply) => {
      requests.push(`${method} ${url}`)
      if (!url.endsWith('/events')) return
      streams++
      reply.raw.once('close', () => streams--)
    })
    await host?.(app)
    await app.register(pintail, { pintail: fleet.pintail, authorize, routePrefix, dashboard })
    await app.listen({ host: address, port })
    return app
  }
  let app = await serve(0)
  const { port } = app.server.address() as AddressInfo
  const origin = `http://${address}:${port}`
  let isOver = false
  const pump = async (): Promise<void> => {
    for (let last = performance.now(); !isOver && speed > 0; ) {
      await pause(20)
      const passed = performance.now() - last
      last += passed
      await fleet.advance(Math.round(passed * speed))
    }
  }
  const pumping = pump()
  return {
    fleet,
    origin,
    url: origin + routePrefix,
    requests,
    streams: () => streams,
    async restart(after) {
      await app.close()
      await after
      app = await serve(port)
    },
    async close() {
      isOver = true
      await pumping
      await app.close()
      await fleet.stop()
    },
  }
}
