import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify, { type FastifyInstance } from 'fastify'
import { expect, test } from 'vitest'
import { world } from '../test/world.ts'
import pintail from './index.ts'

// A host is never harmed: what it set stays set, and its answers are the same bytes with and without the plugin.

interface HostOptions {
  /** A reply serializer takes the place of serializer compilers: each has its own host. */
  readonly envelope: boolean
  readonly plugin: 'none' | 'first' | 'last'
  readonly options?: object
}

/** A host that has changed everything that can be changed, and routes that show each of the changes. */
function opinionated({ envelope, plugin, options }: HostOptions): FastifyInstance {
  const app = Fastify({ ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true } } })
  if (plugin === 'first') app.register(pintail, options as never)
  if (envelope) app.setReplySerializer((payload) => JSON.stringify({ envelope: payload }))
  app.setErrorHandler((error: Error & { validation?: unknown }, _request, reply) =>
    reply.code(error.validation ? 422 : 500).send({ oops: error.message }),
  )
  app.setNotFoundHandler((request, reply) => reply.code(404).send({ lost: request.url }))
  app.addContentTypeParser('application/xml', { parseAs: 'string' }, (_request, body, done) => done(null, { xml: body }))
  app.removeContentTypeParser('text/plain')
  app.decorateReply('shout', function (this: { send(payload: unknown): unknown }, text: string) {
    return this.send({ shout: text })
  })
  app.addHook('preSerialization', async (_request, _reply, payload) => ({ hooked: payload }))
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.header('x-host', 'yes')
    return payload
  })
  const body = { type: 'object', required: ['n'], properties: { n: { type: 'integer' }, m: { type: 'integer' } } }
  app.post('/validated', { schema: { body } }, async (request) => request.body)
  app.post('/any', async (request) => request.body)
  app.get('/serialized', { schema: { response: { 200: { type: 'object', properties: { a: { type: 'string' } } } } } }, async () => ({
    a: 1,
    hidden: true,
  }))
  app.get('/shout', (_request, reply) => (reply as unknown as { shout(text: string): unknown }).shout('hi'))
  app.get('/fails', async () => {
    throw new Error('on purpose')
  })
  app.register(async (scope) => {
    scope.setValidatorCompiler(() => () => ({ error: new Error('own compiler') }))
    scope.setSerializerCompiler(() => () => '"own serializer"')
    scope.post('/own', { schema: { body } }, async () => 'ok')
    scope.get('/own', { schema: { response: { 200: { type: 'object' } } } }, async () => ({}))
  })
  if (plugin === 'last') app.register(pintail, options as never)
  return app
}

const requests = [
  { method: 'POST', url: '/validated', payload: { n: 1, extra: true } },
  { method: 'POST', url: '/validated', payload: { n: '1', m: 'x' } },
  { method: 'POST', url: '/validated', payload: '{"broken', headers: { 'content-type': 'application/json' } },
  { method: 'POST', url: '/any', payload: '<a/>', headers: { 'content-type': 'application/xml' } },
  { method: 'POST', url: '/any', payload: 'text', headers: { 'content-type': 'text/plain' } },
  { method: 'GET', url: '/serialized' },
  { method: 'GET', url: '/shout' },
  { method: 'GET', url: '/fails' },
  { method: 'GET', url: '/nowhere' },
  { method: 'DELETE', url: '/shout' },
  { method: 'OPTIONS', url: '/shout' },
  { method: 'POST', url: '/own', payload: { n: 1 } },
  { method: 'GET', url: '/own' },
] as const

async function answers(app: FastifyInstance): Promise<unknown[]> {
  const all: unknown[] = []
  for (const request of requests) {
    const { statusCode, headers, body } = await app.inject(request)
    const { date: _, ...rest } = headers
    all.push({ request, statusCode, headers: rest, body })
  }
  return all
}

test('the answers of a host are the same bytes with and without the plugin, registered first or last', async () => {
  for (const envelope of [true, false]) {
    const plain = opinionated({ envelope, plugin: 'none' })
    const expected = await answers(plain)
    await plain.close()
    // The host's own marks are there, so that equal does not mean that nothing was tested.
    const marks = ['hooked', 'oops', 'lost', 'shout', 'own compiler', envelope ? 'envelope' : 'own serializer']
    for (const mark of marks) expect(JSON.stringify(expected)).toContain(mark)
    for (const plugin of ['first', 'last'] as const)
      for (const authorize of ['host', undefined]) {
        const { calls: _, ...parts } = world()
        const app = opinionated({ envelope, plugin, options: { ...parts, start: 'ready', ...(authorize && { authorize }) } })
        expect(await answers(app)).toEqual(expected)
        expect(app.pintail.status().state).not.toBe('idle')
        await app.close()
      }
  }
})

test('compilers, error handler, serializer and parsers of the host are the very same objects afterwards', async () => {
  const { calls: _, ...parts } = world()
  const app = Fastify()
  const validator = () => () => true
  const serializer = () => () => 'x'
  app.setValidatorCompiler(validator)
  app.setSerializerCompiler(serializer)
  app.setErrorHandler(() => {})
  const bare = Fastify()
  const nameOf = (one: FastifyInstance) => Reflect.ownKeys(one).map(String).sort()
  const handler = app.errorHandler
  await app.register(pintail, { ...parts, authorize: 'host' })
  await app.ready()
  await bare.ready()
  expect(app.validatorCompiler).toBe(validator)
  expect(app.serializerCompiler).toBe(serializer)
  expect(app.errorHandler).toBe(handler)
  for (const type of ['application/json', 'text/plain', 'application/xml', '*'])
    expect(app.hasContentTypeParser(type)).toBe(bare.hasContentTypeParser(type))
  expect(nameOf(app).filter((name) => !nameOf(bare).includes(name))).toEqual(['pintail'])
  await app.close()
  await bare.close()
})

test('the answers under the prefix are ours: no serializer of the host rewrites them', async () => {
  const { calls: _, ...parts } = world()
  const app = opinionated({ envelope: true, plugin: 'last', options: { ...parts, authorize: () => false } })
  expect((await app.inject('/pintail/health')).json()).toMatchObject({ status: 'failing', state: 'idle' })
  expect((await app.inject('/pintail/servers')).json()).toMatchObject({ code: 'forbidden' })
  // Its hooks on the way do run: an access log or a CORS header belongs to the host.
  expect((await app.inject('/pintail/health')).headers['x-host']).toBe('yes')
  await app.close()
})

test('it loads by a dynamic import, as a module namespace', async () => {
  const { calls: _, ...parts } = world()
  const app = Fastify()
  await app.register(import('./index.ts'), { ...parts, authorize: 'host' })
  expect(app.pintail.status().state).toBe('idle')
  await app.close()
})

test('it loads by @fastify/autoload, from a folder that gives it a prefix, with its options beside it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pintail-autoload-'))
  const key = Symbol.for('pintail.autoload.test')
  const { calls: _, ...parts } = world()
  Object.assign(globalThis, { [key]: { default: pintail, parts } })
  await writeFile(
    join(folder, 'pintail.mjs'),
    `const { default: pintail, parts } = globalThis[Symbol.for('pintail.autoload.test')]
     export default pintail
     export const autoConfig = { ...parts, authorize: 'host' }`,
  )
  const app = Fastify()
  try {
    await app.register(autoload, { dir: folder, forceESM: true })
    expect((await app.inject('/pintail/health')).json()).toMatchObject({ state: 'idle' })
    expect(app.hasPlugin('@pintail/fastify-plugin')).toBe(true)
    expect(app.pintail.status().state).toBe('idle')
  } finally {
    await app.close()
    delete (globalThis as Record<symbol, unknown>)[key]
    await rm(folder, { recursive: true })
  }
})

test('it names itself and the Fastify that it is for', () => {
  const marks = pintail as unknown as Record<symbol, unknown>
  expect(marks[Symbol.for('skip-override')]).toBe(true)
  expect(marks[Symbol.for('plugin-meta')]).toEqual({ name: '@pintail/fastify-plugin', fastify: '5.x' })
})
