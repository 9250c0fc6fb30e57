import { createServer } from 'node:net'
import { type CallContext, createPintail, memoryMover, memoryRegistry, type ServerInput, type ServerRegistry, tcp } from '@pintail/core'
import pino from 'pino'
import { expect, test } from 'vitest'
import { eventually } from '../test/service.ts'
import { createHttp } from './http.ts'

const about = { mode: 'auto', version: '1.2.3', logger: pino({ level: 'silent' }) }

/** @param gate what its list of servers waits for */
async function fleet(more: Partial<ServerRegistry> = {}, gate?: Promise<void>) {
  const vpn = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => vpn.listen(0, '127.0.0.1', resolve))
  const { port } = vpn.address() as { port: number }
  const registry = memoryRegistry({ servers: [1, 2, 3].map((id) => ({ id, host: '127.0.0.1', port, capacity: 10 })), connections: {} })
  const { listServers } = registry
  const held = async (ctx: CallContext) => {
    await gate
    return (await listServers(ctx)) as readonly ServerInput[]
  }
  if (gate) Object.assign(registry, { listServers: held })
  const engine = createPintail({
    registry: Object.assign(registry, more),
    mover: memoryMover(registry),
    probers: [tcp()],
    policy: { detect: { checkIntervalMs: 50 }, registryRefreshMs: 50 },
  })
  const { app } = await createHttp({ engine, ...about })
  return {
    engine,
    app,
    registry,
    health: async (path = '/health') => {
      const answer = await app.inject(path)
      return { code: answer.statusCode, body: answer.json() }
    },
    [Symbol.asyncDispose]: async () => {
      await engine.stop()
      await app.close()
      vpn.close()
    },
  }
}

test('an engine that has not been started is alive and not ready', async () => {
  await using world = await fleet()
  expect(await world.health()).toMatchObject({ code: 503, body: { status: 'failing', live: true, ready: false, reasons: ['not_started'] } })
  expect(await world.health('/health/live')).toEqual({ code: 200, body: { live: true, version: '1.2.3' } })
})

test('it is ready once it leads, knows the servers and a check has come back, and tells how long ago that was', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  await using world = await fleet({}, gate)
  await world.engine.start()
  const { body: early } = await world.health()
  expect(early.ready).toBe(false)
  expect(early.reasons).toContain('no_server_list')
  open()
  await eventually(async () => (await world.health()).body.servers.up === 3, 'three servers up')
  // A moment in which this process stands still makes it not ready, as its checks are old then.
  let answer = await world.health('/health/ready')
  await eventually(async () => {
    answer = await world.health('/health/ready')
    return answer.code === 200
  }, 'ready')
  const { body } = answer
  expect(body).toMatchObject({ ready: true, reasons: [], state: 'leading', mode: 'auto', version: '1.2.3', server_list: { stale: false } })
  expect(body.last_check_age_seconds).toBeGreaterThanOrEqual(0)
  expect(Date.parse(body.last_check_at)).toBeGreaterThan(0)
})

test('a database service that was never there, or is gone, makes it not ready', async () => {
  const away = () => Promise.reject(new Error('ECONNREFUSED'))
  await using never = await fleet({ listServers: away })
  await never.engine.start()
  await eventually(async () => (await never.health()).body.reasons.includes('server_list_stale'), 'a list that cannot be had')
  expect((await never.health()).code).toBe(503)

  await using world = await fleet()
  await world.engine.start()
  await eventually(async () => (await world.health()).code === 200, 'ready')
  world.registry.listServers = away as never
  await eventually(async () => {
    const { code, body } = await world.health()
    return code === 503 && body.reasons.join() === 'server_list_stale'
  }, 'not ready for the list alone')
})

test("the engine's own routes are mounted and closed", async () => {
  await using world = await fleet()
  expect((await world.app.inject('/api/health')).statusCode).toBe(503)
  for (const [method, url] of [
    ['GET', '/api/servers'],
    ['POST', '/api/servers/1/drain'],
    ['DELETE', '/api/policy'],
  ] as const)
    expect((await world.app.inject({ method, url })).statusCode, url).toBe(403)
  expect((await world.app.inject('/nowhere')).statusCode).toBe(404)
})
