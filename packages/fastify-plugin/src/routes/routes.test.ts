import type { FleetStatus } from '@pintail/core'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { eventually, stubEngine, world } from '../../test/world.ts'
import pintail, { type Authorize } from '../index.ts'
import { events, webSocket } from '../live/routes.ts'
import { allEndpoints } from './index.ts'

const endpoints = [...allEndpoints({ failure: () => null }), events, webSocket]
const apps: FastifyInstance[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

async function host({ authorize, status, routePrefix, options = {}, before }: HostOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(options)
  apps.push(app)
  before?.(app)
  const engine = stubEngine({ status: { state: 'leading', ...status } })
  await app.register(pintail, { pintail: engine, ...(authorize && { authorize }), ...(routePrefix && { routePrefix }) } as never)
  return app
}
interface HostOptions {
  readonly authorize?: Authorize
  readonly status?: Partial<FleetStatus>
  readonly routePrefix?: string
  readonly options?: object
  readonly before?: (app: FastifyInstance) => void
}

const problem = 'application/problem+json; charset=utf-8'
const at = Date.UTC(2026, 0, 1)
const leader = { holder: 'me', token: 1 as never, since: at - 3_600_000 }
const servers = [{}] as unknown as FleetStatus['servers']

// ------------------------------------------------------------------------------------------------------------- health

test('the health of a real engine is green while it leads and probes, and red before and after', async () => {
  const app = Fastify()
  apps.push(app)
  const { calls, ...parts } = world()
  await app.register(pintail, { ...parts, authorize: 'host' })
  expect((await app.inject('/pintail/health')).json()).toEqual({
    status: 'failing',
    state: 'idle',
    reasons: ['not_started'],
    last_check_at: null,
    last_check_age_seconds: null,
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  await eventually(() => app.pintail.status().lastCheckAt !== null, 'a check')
  const answer = await fetch(`${address}/pintail/health`)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
  const health = (await answer.json()) as { last_check_at: string; last_check_age_seconds: number }
  expect(health).toMatchObject({ status: 'ok', state: 'leading', reasons: [] })
  expect(new Date(health.last_check_at).toISOString()).toBe(health.last_check_at)
  expect(health.last_check_age_seconds).toBeGreaterThanOrEqual(0)
  await app.pintail.stop()
  const stopped = await fetch(`${address}/pintail/health`)
  expect(stopped.status).toBe(503)
  expect(await stopped.json()).toMatchObject({ state: 'stopped', reasons: ['stopped'] })
})

test('the dead man: three rounds without a check turn the health red', async () => {
  // The stub's policy: a round is 60 s, a check may take 15 s, so that patience ends at 195 s.
  for (const [ageMs, code] of [
    [195_000, 200],
    [195_001, 503],
  ] as const) {
    const app = await host({ authorize: 'host', status: { at, leader, servers, lastCheckAt: at - ageMs } })
    const answer = await app.inject('/pintail/health')
    expect(answer.statusCode).toBe(code)
    expect(answer.json()).toMatchObject({
      reasons: code === 200 ? [] : ['no_checks'],
      last_check_at: new Date(at - ageMs).toISOString(),
      last_check_age_seconds: Math.round(ageMs) / 1000,
    })
  }
})

test('the dead man waits for the startup delay, and for nothing where there is nothing to check', async () => {
  const listed = { listedAt: at, stale: false, skippedRows: 0 }
  const cases: [Partial<FleetStatus>, readonly string[]][] = [
    [{ leader: { ...leader, since: at - 30_000 - 195_000 }, servers }, []],
    [{ leader: { ...leader, since: at - 30_000 - 195_001 }, servers }, ['no_checks']],
    [{ leader, servers: [], registry: listed }, []],
    // Never listed: nobody knows what there is to watch.
    [{ leader, servers: [] }, ['no_checks']],
  ]
  for (const [status, reasons] of cases) {
    const app = await host({ authorize: 'host', status: { at, ...status } })
    expect((await app.inject('/pintail/health')).json()).toMatchObject({ reasons })
  }
})

test('an engine on standby is well, one that cannot write is not', async () => {
  const standby = await host({ authorize: 'host', status: { state: 'standby' } })
  expect((await standby.inject('/pintail/health')).statusCode).toBe(200)
  const mute = await host({ authorize: 'host', status: { at, leader, servers, lastCheckAt: at, storeTrouble: 'disk full at /var/db' } })
  const answer = await mute.inject('/pintail/health')
  expect(answer.statusCode).toBe(503)
  expect(answer.json()).toMatchObject({ reasons: ['store_trouble'] })
  expect(answer.body).not.toContain('/var/db')
})

test('HEAD answers like GET, also in a host without HEAD routes', async () => {
  const app = await host({ authorize: 'host', options: { exposeHeadRoutes: false } })
  expect((await app.inject({ method: 'HEAD', url: '/pintail/health' })).statusCode).toBe(200)
})

// ---------------------------------------------------------------------------------------------------------- authorize

test('without authorize only the health answers: everything else under the prefix is 403 authorize_missing', async () => {
  const app = await host()
  expect((await app.inject('/pintail/health')).statusCode).toBe(200)
  const known = endpoints.map(({ method, url }) => [method, `/pintail${url.replace(':id', '7')}`] as const)
  const unknown = (['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).flatMap((method) =>
    ['/pintail', '/pintail/', '/pintail/nothing', '/pintail/a/b/c', '/pintail/health/'].map((url) => [method, url] as const),
  )
  for (const [method, url] of [...known, ...unknown, ['POST', '/pintail/health'] as const]) {
    const answer = await app.inject({ method, url })
    expect([method, url, answer.statusCode, answer.headers['content-type']]).toEqual([method, url, 403, problem])
    if (method !== 'HEAD') expect(answer.json()).toMatchObject({ code: 'authorize_missing', status: 403 })
  }
})

test('a refusal comes before the body is read: a broken one is refused alike', async () => {
  const app = await host()
  for (const [type, payload] of [
    ['application/json', '{"broken'],
    ['text/xml', '<x/>'],
  ] as const) {
    const answer = await app.inject({ method: 'POST', url: '/pintail/pause', headers: { 'content-type': type }, payload })
    expect(answer.json()).toMatchObject({ code: 'authorize_missing' })
  }
})

test('a problem is RFC 9457: type, title, status, detail, with the code and a remedy beside them', async () => {
  const app = await host()
  expect((await app.inject('/pintail/servers')).json()).toEqual({
    type: 'urn:pintail:problem:authorize_missing',
    title: expect.any(String),
    status: 403,
    detail: expect.any(String),
    code: 'authorize_missing',
    remedy: expect.stringContaining('authorize'),
    request_id: expect.any(String),
  })
})

test('authorize is asked about every route but the health, with the action of the route, before the request is judged', async () => {
  const asked: string[] = []
  const authorize = (request: FastifyRequest, action: string) => {
    asked.push(`${request.method} ${request.url} ${action}`)
    return false
  }
  const app = await host({ authorize })
  await app.inject('/pintail/health')
  expect(asked).toEqual([])
  for (const { method, url: path, action } of endpoints) {
    const url = `/pintail${path.replace(':id', '7')}`
    // What is sent is wrong for each of them: who may not do this is not told so.
    const answer = await app.inject({ method, url: `${url}?nonsense=1`, ...(method !== 'GET' && { payload: { nonsense: 1 } }) })
    expect([method, url, answer.statusCode, answer.json().code]).toEqual([method, url, 403, 'forbidden'])
    expect(asked.splice(0)).toEqual([`${method} ${url}?nonsense=1 ${action}`])
  }
  // HEAD tells as much as GET.
  await app.inject({ method: 'HEAD', url: '/pintail/servers' })
  expect(asked).toEqual(['HEAD /pintail/servers servers:read'])
})

test('where an answer may name users, authorize is asked whether they may be shown', async () => {
  const asked: string[] = []
  const app = await host({ authorize: (_request, action) => asked.push(action) > 0 })
  await app.inject('/pintail/servers')
  await app.inject('/pintail/status')
  expect(asked).toEqual(['servers:read', 'status:read', 'users:reveal'])
})

test('only the answer true allows', async () => {
  const answers: unknown[] = [false, undefined, null, 1, 'yes', {}, Promise.resolve(false), Promise.resolve('yes')]
  for (const given of answers) {
    const app = await host({ authorize: (() => given) as Authorize })
    const answer = await app.inject({ method: 'POST', url: '/pintail/servers/7/drain' })
    expect(answer.statusCode).toBe(403)
    expect(answer.json()).toMatchObject({ code: 'forbidden', detail: expect.stringContaining('servers:drain') })
  }
  const app = await host({ authorize: async () => true })
  expect((await app.inject('/pintail/servers')).statusCode).toBe(200)
})

test('an authorize that throws or rejects allows nothing: the error handler of the host answers', async () => {
  const throwing = () => {
    throw Object.assign(new Error('who are you?'), { statusCode: 401 })
  }
  for (const authorize of [throwing, async () => throwing()] as Authorize[]) {
    const before = (app: FastifyInstance) =>
      app.setErrorHandler((error: Error, _request, reply) => reply.code(418).send({ mine: error.message }))
    const app = await host({ authorize, before })
    const answer = await app.inject('/pintail/servers')
    expect([answer.statusCode, answer.json()]).toEqual([418, { mine: 'who are you?' }])
  }
})

test("authorize comes after the host's own hooks, and they may refuse before it", async () => {
  const before = (app: FastifyInstance) => {
    app.decorateRequest('role', '')
    app.addHook('preHandler', async (request, reply) => {
      if (!request.headers.authorization) return reply.code(401).send({ error: 'no key' })
      Object.assign(request, { role: request.headers.authorization })
    })
  }
  const asked: unknown[] = []
  const authorize: Authorize = (request) => {
    const { role } = request as unknown as { role: string }
    asked.push(role)
    return role === 'admin'
  }
  const app = await host({ authorize, before })
  expect((await app.inject('/pintail/servers')).statusCode).toBe(401)
  expect(asked).toEqual([])
  expect((await app.inject({ url: '/pintail/servers', headers: { authorization: 'guest' } })).statusCode).toBe(403)
  expect((await app.inject({ url: '/pintail/servers', headers: { authorization: 'admin' } })).statusCode).toBe(200)
  expect(asked).toEqual(['guest', 'admin'])
})

test("'host': nobody is asked, the host's hooks decide", async () => {
  const before = (app: FastifyInstance) =>
    app.addHook('onRequest', async (request, reply) => (request.headers.authorization ? undefined : reply.code(401).send('')))
  const app = await host({ authorize: 'host', before })
  expect((await app.inject('/pintail/servers')).statusCode).toBe(401)
  expect((await app.inject({ url: '/pintail/servers', headers: { authorization: 'key' } })).statusCode).toBe(200)
})

test('a path that is no route is a 404 of ours under the prefix, and of the host beside it', async () => {
  const app = await host({ authorize: 'host' })
  for (const url of ['/pintail', '/pintail/nothing', '/pintail/servers/7/explode'])
    expect((await app.inject(url)).json()).toMatchObject({ code: 'not_found', status: 404 })
  expect((await app.inject('/pintailed')).json()).toMatchObject({ message: 'Route GET:/pintailed not found' })
})

// ------------------------------------------------------------------------------------------------------------- prefix

test('routePrefix moves the routes, also within a scope that has a prefix of its own', async () => {
  const app = await host({ authorize: 'host', routePrefix: '/ops/vpn' })
  expect((await app.inject('/ops/vpn/health')).statusCode).toBe(200)
  expect((await app.inject('/pintail/health')).statusCode).toBe(404)

  const outer = Fastify()
  apps.push(outer)
  await outer.register(
    async (scope) => {
      await scope.register(pintail, { pintail: stubEngine({ status: { state: 'leading' } }), authorize: 'host' })
      expect(scope.hasDecorator('pintail')).toBe(true)
    },
    { prefix: '/v1' },
  )
  expect((await outer.inject('/v1/pintail/health')).statusCode).toBe(200)
  expect(outer.hasDecorator('pintail')).toBe(false)
})

test('routePrefix false mounts nothing and asks for no authorize', async () => {
  const app = Fastify()
  apps.push(app)
  const routes: string[] = []
  app.addHook('onRoute', ({ url }) => void routes.push(url))
  await app.register(pintail, { pintail: stubEngine({}), routePrefix: false })
  expect((await app.inject('/pintail/health')).statusCode).toBe(404)
  expect(routes).toEqual([])
  expect(app.pintail).toBeDefined()
})

test('the routes stand in hosts with other router options', async () => {
  for (const routerOptions of [
    { ignoreTrailingSlash: true },
    { ignoreDuplicateSlashes: true },
    { caseSensitive: false },
    { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false },
  ]) {
    const app = await host({ options: { routerOptions } })
    expect((await app.inject('/pintail/health')).statusCode).toBe(200)
    expect((await app.inject('/pintail/servers')).statusCode).toBe(403)
    expect((await app.inject('/pintail/')).statusCode).toBe(403)
  }
})

test('OPTIONS under the prefix is left to the CORS of the host', async () => {
  const before = (app: FastifyInstance) => app.options('*', async (_request, reply) => reply.code(204).send())
  const app = await host({ authorize: 'host', before })
  expect((await app.inject({ method: 'OPTIONS', url: '/pintail/servers' })).statusCode).toBe(204)
})

test('the error handler of the host answers what its hooks throw, and ours a body that cannot be read', async () => {
  const before = (app: FastifyInstance) => {
    app.setErrorHandler((error: Error, _request, reply) => reply.code(418).send({ mine: error.message }))
    app.addHook('onRequest', async (request) => refuseStrangers(request))
  }
  const app = await host({ authorize: 'host', before })
  expect((await app.inject('/pintail/servers')).json()).toEqual({ mine: 'who?' })
  const headers = { authorization: 'me', 'content-type': 'application/json' }
  const answer = await app.inject({ method: 'POST', url: '/pintail/pause', headers, payload: '{"broken' })
  expect([answer.statusCode, answer.json().code]).toEqual([400, 'invalid_body'])
})
const refuseStrangers = (request: FastifyRequest): void => {
  if (!request.headers.authorization) throw new Error('who?')
}
