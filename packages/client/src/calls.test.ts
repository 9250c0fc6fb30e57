import { afterEach, expect, test } from 'vitest'
import { type Fake, fakeServer, json } from '../test/server.ts'
import { createClient } from './client.ts'
import { ApiError } from './error.ts'
import type { ClientClock, ClientOptions } from './http.ts'

let server: Fake | null = null
afterEach(async () => {
  await server?.close()
  server = null
})

/** Timers that fire at once, and what they were set to. */
function impatient() {
  const pauses: number[] = []
  const clock: ClientClock = {
    setTimeout(callback, ms) {
      if (ms >= 30_000) return { cancel: () => {} }
      pauses.push(ms)
      const timer = setTimeout(callback, 0)
      return { cancel: () => clearTimeout(timer) }
    },
  }
  return { clock, pauses }
}
const client = (fake: Fake, more: Partial<ClientOptions> = {}) =>
  createClient({ baseUrl: `${fake.url}/api/`, clock: impatient().clock, random: () => 0.5, ...more })
const problem = (code: string, status: number) => ({
  type: `urn:pintail:problem:${code}`,
  title: 'A title',
  status,
  detail: 'A detail.',
  code,
  remedy: 'Do this.',
})

test('a refusal is an ApiError with the problem details of the server', async () => {
  server = await fakeServer((_, reply) => json(reply, 409, { ...problem('plan_stale', 409), differences: ['x is down'] }))
  const refused = await client(server)
    .servers.drain('a')
    .catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(ApiError)
  expect(refused).toMatchObject({
    type: 'urn:pintail:problem:plan_stale',
    code: 'plan_stale',
    status: 409,
    title: 'A title',
    detail: 'A detail.',
    remedy: 'Do this.',
    differences: ['x is down'],
  })
  expect(server.requests).toHaveLength(1)
})

test("a proxy's page is an ApiError too, and is not told on", async () => {
  server = await fakeServer((_, reply) => void reply.writeHead(418, { 'content-type': 'text/html' }).end('<h1>secret</h1>'))
  await expect(client(server).stats()).rejects.toMatchObject({
    type: 'about:blank',
    code: 'http_418',
    status: 418,
    message: expect.not.stringContaining('secret'),
  })
})

test('a page with status 200 is no answer', async () => {
  server = await fakeServer((_, reply) => void reply.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Log in</h1>'))
  await expect(client(server).stats()).rejects.toMatchObject({ code: 'invalid_answer' })
})

test('token and headers go along, asked anew each time', async () => {
  server = await fakeServer((_, reply) => json(reply, 200, {}))
  let count = 0
  const one = client(server, { token: async () => `t${++count}`, headers: () => ({ 'x-tenant': 'a' }) })
  await one.stats()
  await one.decision('d')
  expect(server.requests.map(({ url, headers }) => [url, headers.authorization, headers['x-tenant']])).toEqual([
    ['/api/stats', 'Bearer t1', 'a'],
    ['/api/decisions/d', 'Bearer t2', 'a'],
  ])
})

test('ids and queries are encoded, and an id that is a path is refused', async () => {
  server = await fakeServer((_, reply) => json(reply, 200, {}))
  const one = client(server)
  await one.servers.migrations('a/../b?c', { status: ['failed', 'completed'], limit: 5 })
  await one.migrations.list({ server_id: 'x&y', offset: 10 })
  expect(server.requests.map(({ url }) => url)).toEqual([
    '/api/servers/a%2F..%2Fb%3Fc/migrations?status=failed%2Ccompleted&limit=5',
    '/api/migrations?server_id=x%26y&offset=10',
  ])
  for (const id of ['', '.', '..']) expect(() => one.servers.cordon(id)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  expect(server.requests).toHaveLength(2)
})

test('what may pass is tried again: a POST with the same key, and as long as the server asks for', async () => {
  const statuses = [502, 503, 201]
  server = await fakeServer((_, reply, count) => {
    const status = statuses[count - 1] ?? 500
    json(reply, status, status < 300 ? { id: 'm1' } : problem('unavailable', status), status === 503 ? { 'retry-after': '7' } : {})
  })
  const { clock, pauses } = impatient()
  await expect(client(server, { clock }).migrations.create({ server_id: 'a' })).resolves.toEqual({ id: 'm1' })
  const keys = new Set(server.requests.map(({ headers }) => headers['idempotency-key']))
  expect(keys.size).toBe(1)
  expect([...keys][0]).toMatch(/^[0-9a-f]{32}$/)
  expect(pauses).toEqual([250, 7000])
})

test('a change without a key is never repeated, and neither is a refusal', async () => {
  server = await fakeServer((_, reply) => json(reply, 503, problem('unavailable', 503)))
  await expect(client(server).policy.update({}, { ifMatch: '*' })).rejects.toMatchObject({ status: 503 })
  expect(server.requests).toHaveLength(1)
  await server.close()
  server = await fakeServer((_, reply) => json(reply, 400, problem('invalid_request', 400)))
  await expect(client(server).migrations.create({ server_id: 'a' })).rejects.toMatchObject({ status: 400 })
  expect(server.requests).toHaveLength(1)
})

test('tries are bounded', async () => {
  server = await fakeServer((request) => request.socket.destroy())
  await expect(client(server, { retries: 3 }).stats()).rejects.toMatchObject({ code: 'network', status: 0 })
  expect(server.requests).toHaveLength(4)
})

test('a server that never answers is given up, and a signal ends the call at once', async () => {
  // The time of each try is over when the server has it.
  const bounds: (() => void)[] = []
  const { clock, pauses } = impatient()
  const bounding: ClientClock = {
    setTimeout(callback, ms) {
      if (ms === 20_000) bounds.push(callback)
      return ms === 20_000 ? { cancel: () => {} } : clock.setTimeout(callback, ms)
    },
  }
  server = await fakeServer(() => bounds.shift()?.())
  const silent = createClient({ baseUrl: server.url, clock: bounding, timeoutMs: 20_000, retries: 1, random: () => 0 })
  await expect(silent.stats()).rejects.toMatchObject({ code: 'timeout' })
  expect(server.requests).toHaveLength(2)
  expect(pauses).toEqual([125])
  const controller = new AbortController()
  const asked = client(server).stats({ signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(asked).rejects.toThrow('enough')
  await expect(client(server).stats({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
})

test('an answer is bounded, and a broken one is told so', async () => {
  server = await fakeServer((request, reply) => {
    if (request.url?.includes('stats'))
      return void reply.writeHead(200, { 'content-type': 'application/json' }).end(`"${'x'.repeat(5000)}"`)
    reply.writeHead(200, { 'content-type': 'application/json' }).end('{"a":')
  })
  const one = client(server, { mostChars: 2048 })
  await expect(one.stats()).rejects.toMatchObject({ code: 'answer_too_large' })
  await expect(one.snapshot()).rejects.toMatchObject({ code: 'invalid_answer' })
  expect(server.requests).toHaveLength(2)
})

test('a record is changed upon what it was when it was read', async () => {
  server = await fakeServer((_, reply, count) => json(reply, 200, { id: 'm1' }, count === 1 ? { etag: '"suggested.abc"' } : {}))
  const one = client(server)
  const record = await one.migrations.get('m1')
  expect(one.etagOf(record)).toBe('"suggested.abc"')
  await one.migrations.approve(record)
  await one.migrations.cancel('m1')
  await one.migrations.cancel('m1', { ifMatch: '*' })
  await one.migrations.retry(record, { ifMatch: '"other"' })
  expect(server.requests.map(({ headers }) => headers['if-match'])).toEqual([undefined, '"suggested.abc"', undefined, '*', '"other"'])
})

test('health answers also while it is failing; a problem is none', async () => {
  server = await fakeServer((_, reply, count) => {
    if (count === 1) reply.writeHead(503, { 'content-type': 'application/json' }).end('{"status":"failing"}')
    else json(reply, 503, problem('unavailable', 503))
  })
  const one = client(server, { retries: 0 })
  expect(await one.health()).toEqual({ status: 'failing' })
  await expect(one.health()).rejects.toMatchObject({ code: 'unavailable' })
})

test.each([
  [{ baseUrl: 'http://x/?a=1' }],
  [{ baseUrl: 5 as never }],
  [{ baseUrl: '/a', timeoutMs: 0 }],
  [{ baseUrl: '/a', retries: 11 }],
  [{ baseUrl: '/a', mostChars: 1 }],
])('options are checked: %j', (options) => {
  expect(() => createClient(options)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
})
