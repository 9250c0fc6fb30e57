import type { AddressInfo } from 'node:net'
import { createFleet, type Fleet, type FleetOptions } from '@pintail/core/testing'
import pintail from '@pintail/fastify-plugin'
import Fastify from 'fastify'
import { Session } from '../src/session/session.ts'

/** A real engine in virtual time, behind the real plugin on loopback, and a session that asks it. */
export interface Served {
  readonly fleet: Fleet
  readonly session: Session
  close(): Promise<void>
}

export async function serve(options: FleetOptions): Promise<Served> {
  const fleet = await createFleet(options)
  await fleet.advance(20_000)
  const app = Fastify({ forceCloseConnections: true })
  await app.register(pintail, { pintail: fleet.pintail, authorize: 'host' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const session = new Session({ url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/pintail` })
  return {
    fleet,
    session,
    async close() {
      session.dispose()
      await app.close()
      await fleet.stop()
    },
  }
}
