import { createRequire } from 'node:module'
import fastifyHelmet from '@fastify/helmet'
import fastifyRateLimit from '@fastify/rate-limit'
import fastifySwagger from '@fastify/swagger'
import fastifyWebsocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { api } from '../test/api.ts'
import { endpoints } from '../test/document.ts'
import { world } from '../test/world.ts'
import pintail from './index.ts'
import { problemStatuses } from './routes/openapi.ts'

// Without its types: they say what request.user is in every program that has them.
const require = createRequire(import.meta.url)
const fastifyJwt = require('@fastify/jwt')
type Jwt = { readonly jwt: { sign(payload: object, options: object): string } }
type Verified = { jwtVerify(): Promise<unknown>; readonly user: unknown }

// A grown host: Ajv routes, its own error handler, helmet with its default CSP, an OpenAPI document, JWT, rate limits, and a
// scope that zod validates. Nothing of it may change because Pintail is there.

interface HostOptions {
  readonly version: '3.0.3' | '3.1.0'
  /** The host's transform is made for zod, and would choke on JSON Schema. */
  readonly transform: 'none' | 'zod'
  /** The compilers on the root are zod's. */
  readonly zodRoot: boolean
  readonly plugin: 'none' | 'one' | 'two'
}

async function host({ version, transform, zodRoot, plugin }: HostOptions): Promise<FastifyInstance> {
  const app = Fastify()
  if (zodRoot) app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
  app.setErrorHandler((error: Error & { validation?: unknown }, _request, reply) =>
    reply.code(error.validation ? 422 : 500).send({ oops: error.message }),
  )
  await app.register(fastifyHelmet)
  // What is left of the thousand is in each answer: a new minute must not begin between two of them.
  await app.register(fastifyRateLimit, { max: 1000, timeWindow: '1 day' })
  await app.register(fastifyJwt, { secret: 'a secret of a test' })
  await app.register(fastifyWebsocket)
  await app.register(fastifySwagger, {
    openapi: {
      openapi: version,
      info: { title: 'Host', version: '1.2.3' },
      tags: [{ name: 'own' }],
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    },
    ...(transform === 'zod' && { transform: jsonSchemaTransform }),
  })
  app.addHook('onRequest', async (request) => {
    if (request.url.startsWith('/me') || request.url.startsWith('/pintail/pause')) await (request as unknown as Verified).jwtVerify()
  })
  if (plugin !== 'none') {
    const { calls: _, ...parts } = world()
    await app.register(pintail, { ...parts, authorize: 'host' })
    if (plugin === 'two') await app.register(pintail, { ...parts, authorize: 'host', decoratorName: 'reserve', routePrefix: '/reserve' })
  }
  if (!zodRoot && transform === 'none') {
    const body = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } }
    app.post(
      '/validated',
      { schema: { tags: ['own'], body, response: { 200: { type: 'object', properties: { n: { type: 'integer' } } } } } },
      async (request) => request.body,
    )
  }
  app.get('/me', async (request) => (request as unknown as Verified).user)
  app.get('/fails', async () => {
    throw new Error('on purpose')
  })
  await app.register(async (scope) => {
    const zod = scope.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler).withTypeProvider<ZodTypeProvider>()
    // Its schema is for the document of a host whose transform knows zod.
    const schema = { body: z.object({ n: z.int() }), response: { 200: z.object({ n: z.int() }) }, hide: transform === 'none' }
    zod.post('/zod', { schema }, async ({ body }) => body)
  })
  return app
}

async function answers(app: FastifyInstance): Promise<unknown[]> {
  const token = (app as unknown as Jwt).jwt.sign({ name: 'ann' }, { noTimestamp: true })
  const asked = [
    { method: 'POST', url: '/validated', payload: { n: 1, extra: 2 } },
    { method: 'POST', url: '/validated', payload: { n: 'x' } },
    { method: 'GET', url: '/me' },
    { method: 'GET', url: '/me', headers: { authorization: `Bearer ${token}` } },
    { method: 'GET', url: '/fails' },
    { method: 'GET', url: '/nowhere' },
    { method: 'POST', url: '/zod', payload: { n: 1, extra: 2 } },
    { method: 'POST', url: '/zod', payload: { n: 'x' } },
  ] as const
  const all: unknown[] = []
  for (const request of asked) {
    const { statusCode, headers, body } = await app.inject(request)
    const { date: _, 'x-ratelimit-reset': __, ...rest } = headers
    all.push({ request, statusCode, headers: rest, body })
  }
  return all
}

const documentOf = async (app: FastifyInstance) => {
  await app.ready()
  const { paths = {}, ...rest } = app.swagger() as { paths?: Record<string, unknown> }
  const isOurs = (path: string) => path.startsWith('/pintail/') || path.startsWith('/reserve/')
  return {
    own: JSON.stringify({ ...rest, paths: Object.fromEntries(Object.entries(paths).filter(([path]) => !isOurs(path))) }),
    ours: Object.fromEntries(Object.entries(paths).filter(([path]) => isOurs(path))) as Record<string, Record<string, Operation>>,
  }
}
interface Operation {
  readonly operationId: string
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly required?: boolean }[]
  readonly requestBody?: unknown
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: unknown }> }>
}

test.each([
  { version: '3.0.3', transform: 'none', zodRoot: false },
  { version: '3.1.0', transform: 'none', zodRoot: false },
  { version: '3.0.3', transform: 'zod', zodRoot: false },
  { version: '3.1.0', transform: 'zod', zodRoot: true },
] as const)('answers and document of a grown host are the same bytes before and after: %o', async (options) => {
  const plain = await host({ ...options, plugin: 'none' })
  const expected = await answers(plain)
  const before = await documentOf(plain)
  expect(before.ours).toEqual({})
  expect(JSON.stringify(expected)).toContain("default-src 'self'")
  await plain.close()
  for (const plugin of ['one', 'two'] as const) {
    const app = await host({ ...options, plugin })
    expect(await answers(app)).toEqual(expected)
    const after = await documentOf(app)
    expect(after.own).toBe(before.own)
    const prefixes = plugin === 'one' ? ['/pintail'] : ['/pintail', '/reserve']
    const paths = new Set(endpoints.map(({ url }) => url.replace(':id', '{id}')))
    expect(Object.keys(after.ours).sort()).toEqual(
      prefixes.flatMap((prefix) => [...paths, '/health'].map((path) => `${prefix}${path}`)).sort(),
    )
    const ids = Object.values(after.ours).flatMap((path) => Object.values(path).map(({ operationId }) => operationId))
    expect(new Set(ids).size).toBe(ids.length)
    // The hooks of the host guard our routes as they do its own.
    expect((await app.inject({ method: 'POST', url: '/pintail/pause' })).json()).toMatchObject({
      oops: expect.stringContaining('Authorization'),
    })
    expect((await app.inject('/pintail/servers')).headers['content-security-policy']).toContain("default-src 'self'")
    await app.close()
  }
})

test('the document has every route with its parameters, its body, each of its answers, and its problems', async () => {
  const app = await host({ version: '3.1.0', transform: 'none', zodRoot: false, plugin: 'one' })
  const { ours } = await documentOf(app)
  for (const endpoint of endpoints) {
    const { method, url, query, params, body, ifMatch, success, operation } = endpoint
    const found = ours[`/pintail${url.replace(':id', '{id}')}`]?.[method.toLowerCase()]
    if (!found) throw new Error(`${method} ${url} is not in the document`)
    expect(found.operationId).toBe(`pintail${operation[0]?.toUpperCase()}${operation.slice(1)}`)
    const named = (where: string) => (found.parameters ?? []).filter((one) => one.in === where).map(({ name }) => name)
    if (params) expect(named('path')).toEqual(['id'])
    if (query) expect(named('query').length).toBeGreaterThan(0)
    expect(named('header').includes('if-match')).toBe(ifMatch !== undefined)
    expect(found.requestBody !== undefined).toBe(body !== undefined)
    expect(Object.keys(found.responses)).toEqual([success.status, ...problemStatuses(endpoint)].sort((a, b) => a - b).map(String))
    const refused = found.responses['403']?.content?.['application/problem+json']?.schema
    expect(refused).toMatchObject({ properties: { type: {}, title: {}, status: {}, detail: {}, code: {} } })
    if (success.schema) expect(found.responses[success.status]?.content?.['application/json']?.schema).toMatchObject({ type: 'object' })
  }
  const patch = JSON.stringify(ours['/pintail/policy']?.patch?.requestBody)
  expect(patch).toContain('"ping_count"')
  expect(patch).not.toContain('pingCount')
  await app.close()
})

test("rate limits of the host are told our routes' own, where it has them", async () => {
  const app = await host({ version: '3.0.3', transform: 'none', zodRoot: false, plugin: 'one' })
  const limits: unknown[] = []
  for (const [method, url] of [
    ['GET', '/fails'],
    ['GET', '/pintail/servers'],
    ['POST', '/pintail/resume'],
    ['GET', '/pintail/health'],
  ] as const)
    limits.push((await app.inject({ method, url })).headers['x-ratelimit-limit'])
  expect(limits).toEqual(['1000', '600', '60', '1000'])
  await app.close()
})

test('an inject() test suite of a host moves nobody, whatever it asks of our routes', async () => {
  const { calls, ...parts } = world(['a'])
  const app = Fastify()
  await app.register(pintail, { ...parts, authorize: 'host', policy: { mode: 'auto' } })
  for (const { method, url } of endpoints.filter((one) => one.url !== '/events')) {
    const answer = await app.inject({
      method,
      url: `/pintail${url.replace(':id', 'a')}`,
      headers: { 'if-match': '*' },
      ...(method === 'POST' && { payload: {} }),
    })
    expect([method, url, answer.statusCode < 500 || answer.json().code === 'not_started']).toEqual([method, url, true])
  }
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(calls).toEqual({ lists: 0, probes: 0, moves: 0 })
  await app.close()
})

test('no answer has a CORS header of ours, and those of the host are on streams too', async () => {
  const world = await api({
    before: (app) =>
      app.addHook('onRequest', async (_request, reply) => void reply.header('access-control-allow-origin', 'https://ops.example')),
  })
  const address = await world.app.listen({ host: '127.0.0.1', port: 0 })
  const stream = await fetch(`${address}/pintail/events`)
  expect([stream.headers.get('access-control-allow-origin'), stream.headers.get('content-type')]).toEqual([
    'https://ops.example',
    'text/event-stream; charset=utf-8',
  ])
  await stream.body?.cancel()
  await world.close()
})
