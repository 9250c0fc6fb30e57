import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { fakeClock } from '@pintail/core/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { until } from '../../test/until.ts'
import { type HttpCall, HttpClient, type HttpClientOptions } from './client.ts'

const ctx = { signal: new AbortController().signal }
// Longer than any machine stands still: only a test that turns the clock sees a time-out.
const timeoutMs = 600_000
const read: HttpCall = { method: 'GET', path: '/list', effect: 'none', lane: 'list', timeoutMs }
const once: HttpCall = { method: 'POST', path: '/move', effect: 'once', lane: 'move', timeoutMs, json: { user: 1 } }
const repeatable: HttpCall = { method: 'POST', path: '/status', effect: 'repeatable', lane: 'status', timeoutMs, json: { on: true } }

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

type Handler = (request: IncomingMessage, response: ServerResponse, nth: number) => unknown

/** A service of one handler, which sees each request with its number, from 1 on. */
async function world(handler: Handler, options: Partial<HttpClientOptions> = {}) {
  const requests: { path: string; headers: IncomingMessage['headers']; aborted: boolean }[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((request, response) => {
    const seen = { path: request.url ?? '', headers: request.headers, aborted: false }
    requests.push(seen)
    response.on('close', () => {
      seen.aborted = !response.writableFinished
    })
    handler(request, response, requests.length)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new HttpClient({ name: 'Panel', baseUrl, backoffMs: 2, ...options })
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  ends.push(stop, () => client.close())
  return { client, requests, sockets, baseUrl, stop }
}

const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Handler =>
  (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
const silent: Handler = () => {}
/** The first `times` answers are that, the later ones fine. */
const first =
  (times: number, handler: Handler): Handler =>
  (request, response, nth) =>
    nth <= times ? handler(request, response, nth) : json({ ok: true })(request, response, nth)

/** Virtual time, and how long each of its timers was to be. */
function noting() {
  const clock = fakeClock()
  const delays: number[] = []
  const setTimeout = (callback: () => void, delayMs: number) => {
    delays.push(delayMs)
    return clock.setTimeout(callback, delayMs)
  }
  return { virtual: clock, delays, clock: { ...clock, setTimeout } }
}

// -------------------------------------------------------------------------------------------------------------- retries

test('a reading is tried again after a fault of the service, at most as often as allowed', async () => {
  const { client, requests } = await world(first(2, json({ error: 'no' }, 500)))
  expect(await client.call(read, ctx)).toEqual({ status: 200, body: { ok: true } })
  expect(requests).toHaveLength(3)
  const bad = await world(json({ error: 'no' }, 500))
  await expect(bad.client.call(read, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  expect(bad.requests).toHaveLength(3)
})

test('what may happen only once is not repeated after a fault, and nobody is told that nothing happened', async () => {
  for (const fault of [json({ error: 'no' }, 500), json({ error: 'no' }, 502), ((request) => request.socket.destroy()) as Handler]) {
    const { client, requests } = await world(fault)
    await expect(client.call(once, ctx)).rejects.toMatchObject({ code: 'internal' })
    expect(requests).toHaveLength(1)
  }
})

test('what may happen only once is repeated when it surely has not: 429, 503, refused', async () => {
  for (const status of [429, 503, 408, 425]) {
    const { client, requests } = await world(first(1, json({ error: 'later' }, status)))
    await client.call(once, ctx)
    expect(requests).toHaveLength(2)
  }
  // Nobody is ever given this port, as a free one is that somebody has just left.
  const refused = new HttpClient({ name: 'Panel', baseUrl: 'http://127.0.0.1:1', backoffMs: 2 })
  await expect(refused.call(once, ctx)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('ECONNREFUSED') })
})

test('a repeatable write is tried again, and stays unclear when it never had a good answer', async () => {
  const { client, requests } = await world(json({ error: 'no' }, 500))
  await expect(client.call(repeatable, ctx)).rejects.toMatchObject({ code: 'internal' })
  expect(requests).toHaveLength(3)
})

test('a host name that does not resolve is unavailable: nothing was sent', async () => {
  const client = new HttpClient({ name: 'Panel', baseUrl: 'http://no-such-host.invalid', tries: 1 })
  await expect(client.call(once, ctx)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/) })
})

test('pauses double, between half and the whole of them by chance, up to the longest', async () => {
  const { clock, virtual, delays } = noting()
  const options = { clock, random: () => 0.5, tries: 6, backoffMs: 100, backoffMaxMs: 1000, breakAfter: 100 }
  const { client } = await world(json({}, 500), options)
  const called = client.call(read, ctx).catch(() => {})
  const pauses = () => delays.filter((delayMs) => delayMs !== timeoutMs)
  for (let nth = 1; nth <= 5; nth++) {
    await until(`pause ${nth}`, () => pauses().length === nth)
    await virtual.advance(pauses().at(-1) as number)
  }
  await called
  expect(pauses()).toEqual([75, 150, 300, 600, 750])
})

test('Retry-After is waited for: seconds or a date, also by the calls after it', async () => {
  const { clock, virtual, delays } = noting()
  for (const headerOf of [() => '2', () => new Date(clock.now() + 2000).toUTCString()]) {
    const { client, requests } = await world(first(1, json({}, 429, { 'retry-after': headerOf() })), { clock })
    const asked = client.call(once, ctx)
    await until('it waits', () => delays.includes(2000))
    const after = client.call(once, ctx)
    await virtual.advance(1999)
    await wait(20)
    expect(requests).toHaveLength(1)
    await virtual.advance(1)
    await Promise.all([asked, after])
    expect(requests).toHaveLength(3)
    delays.length = 0
  }
})

test('who is asked to wait longer than that makes sense gives up at once, and later calls are not sent', async () => {
  const { client, requests } = await world(json({ error: 'later' }, 503, { 'retry-after': '3600' }))
  await expect(client.call(read, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  await expect(client.call(read, ctx)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('asked us to wait') })
  expect(requests).toHaveLength(1)
})

// ------------------------------------------------------------------------------------------------- what an answer means

test.for([
  [400, 'rejected'],
  [403, 'rejected'],
  [404, 'rejected'],
  [409, 'rejected'],
  [422, 'rejected'],
  [401, 'unavailable'],
] as const)('a %i for a write is %s', async ([status, code]) => {
  const { client, requests } = await world(json({ error: 'so it is' }, status))
  const text = `Panel: POST /move answered ${status}: so it is`
  await expect(client.call(once, ctx)).rejects.toMatchObject({ code, message: text })
  expect(requests).toHaveLength(1)
})

test('a 404 that is a page is a missing route, not a missing user', async () => {
  const { client } = await world((_, response) => response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not Found</h1>'))
  await expect(client.call(once, ctx)).rejects.toMatchObject({ code: 'unavailable', facts: { isRouteMissing: true, status: 404 } })
})

test.for([
  ['HTML', 'text/html', '<!doctype html><h1>Welcome</h1>', 'with HTML: <!doctype html><h1>Welcome</h1>'],
  ['HTML that is called JSON', 'application/json', '<html>Welcome</html>', 'with HTML: <html>Welcome</html>'],
  ['JSON that is called HTML', 'text/html', '{"servers":[]}', 'with HTML: {"servers":[]}'],
  ['truncated JSON', 'application/json', '{"servers":[{"id":1,', 'with something that is no JSON: {"servers":[{"id":1,'],
  ['nothing', 'application/json', '', 'with nothing'],
] as const)('%s is told with path, status and its beginning', async ([, type, body, told]) => {
  const { client } = await world((_, response) => response.writeHead(200, { 'content-type': type }).end(body))
  await expect(client.call(read, ctx)).rejects.toMatchObject({ code: 'unavailable', message: `Panel: GET /list answered 200 ${told}` })
  // The write has been answered with success: what it did is not known.
  await expect(client.call(once, ctx)).rejects.toMatchObject({ code: 'internal', message: `Panel: POST /move answered 200 ${told}` })
})

test('JSON is JSON also without a content type', async () => {
  const { client } = await world((_, response) => response.end('{"a":1}'))
  expect((await client.call(read, ctx)).body).toEqual({ a: 1 })
})

test('a long text is cut at 80 characters, by characters and not by bytes', async () => {
  const { client } = await world(json({ error: '🦆'.repeat(200) }, 400))
  await expect(client.call(read, ctx)).rejects.toMatchObject({ message: `Panel: GET /list answered 400: ${'🦆'.repeat(79)}…` })
})

const cyrillic = (text: string, koi8 = false): Buffer => {
  const decoder = new TextDecoder(koi8 ? 'koi8-r' : 'windows-1251')
  const byCharacter = new Map(Array.from({ length: 256 }, (_, byte) => [decoder.decode(Uint8Array.of(byte)), byte]))
  return Buffer.from([...text].map((character) => byCharacter.get(character) ?? 0x3f))
}
const russian = 'Ошибка: нет места на сервере'

test.for([
  ['UTF-8', 'text/plain; charset=utf-8', Buffer.from(russian)],
  ['UTF-8 that nobody has declared', 'text/plain', Buffer.from(russian)],
  ['Windows-1251', 'text/plain; charset="windows-1251"', cyrillic(russian)],
  ['Windows-1251 that nobody has declared', 'text/plain', cyrillic(russian)],
  ['KOI8-R', 'text/plain; charset=koi8-r', cyrillic(russian, true)],
  ['an unknown charset', 'text/plain; charset=klingon', Buffer.from(russian)],
  ['UTF-16', 'text/plain', Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(russian, 'utf16le')])],
] as const)('a Russian text is readable in %s', async ([, type, body]) => {
  const { client } = await world((_, response) => response.writeHead(500, { 'content-type': type }).end(body))
  await expect(client.call(once, ctx)).rejects.toMatchObject({ message: `Panel: POST /move answered 500: ${russian}` })
})

test('an endless body is cut off and its socket closed', async () => {
  const pour: Handler = (_, response) => {
    response.writeHead(response.statusCode, { 'content-type': 'application/json' })
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    }
    response.on('drain', more)
    more()
  }
  const { client, requests, sockets } = await world(pour)
  await expect(client.call(read, ctx)).rejects.toMatchObject({ message: expect.stringContaining('longer than 1048576 bytes') })
  await until('no socket is left', () => sockets.size === 0)
  expect(requests).toHaveLength(1)
  const refusing = await world((request, response, nth) => {
    response.statusCode = 400
    pour(request, response, nth)
  })
  await expect(refusing.client.call(read, ctx)).rejects.toMatchObject({ code: 'rejected' })
})

test('something that does not speak HTTP is no answer', async () => {
  const other = createTcpServer(
    (socket) =>
      void socket
        .on('error', () => {})
        .resume()
        .end('SSH-2.0-OpenSSH_9.2\r\n'),
  )
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  ends.push(() => new Promise((resolve) => other.close(resolve)))
  const client = new HttpClient({ name: 'Panel', baseUrl: `http://127.0.0.1:${(other.address() as AddressInfo).port}`, tries: 1 })
  await expect(client.call(read, ctx)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('had no answer: HPE_'),
  })
  await expect(client.call(once, ctx)).rejects.toMatchObject({ code: 'internal' })
})

test('a redirect is not followed, wherever it leads', async () => {
  const { client, requests } = await world((_, response) =>
    response.writeHead(302, { location: 'http://evil.example/?token=abcdefgh' }).end(),
  )
  const message = 'Panel: GET /list answered 302: a redirect to http://evil.example/?token=***, which is not followed'
  await expect(client.call(read, ctx)).rejects.toMatchObject({ code: 'unavailable', message })
  await expect(client.call(once, ctx)).rejects.toMatchObject({ code: 'internal' })
  expect(requests).toHaveLength(2)
  const moved = await world((_, response) => response.writeHead(308, { location: '/move/' }).end())
  await expect(moved.client.call(once, ctx)).rejects.toMatchObject({ code: 'unavailable' })
})

test('any 2xx will do where nothing is expected, whatever its body', async () => {
  const { client, sockets } = await world((_, response, nth) => {
    response.writeHead(nth === 1 ? 204 : 201, { 'content-type': 'text/html' })
    if (nth === 1) response.end()
    else response.write('<h1>created, and more to come')
  })
  const call = { ...once, expect: 'nothing' } as const
  expect(await client.call(call, ctx)).toEqual({ status: 204, body: null })
  expect(await client.call(call, ctx)).toEqual({ status: 201, body: null })
  await until('no socket is left', () => sockets.size === 0)
})

// -------------------------------------------------------------------------------------------------------------- secrets

const wireguardKey = 'yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk='

test('no secret that an answer repeats gets into an error', async () => {
  const echo: Handler = (request, response) => {
    const body = `auth=${request.headers.authorization} ${request.headers['x-api-key']} {"private_key": "${wireguardKey}"} {\\"hmac_secret\\": \\"s3cr3t\\"} key ${wireguardKey}`
    response.writeHead(500, { 'content-type': 'text/plain' }).end(body)
  }
  const { client, baseUrl } = await world(echo, { headers: { 'x-api-key': 'abcdef-very-secret' } })
  const failed = await client.call(once, ctx).catch((error) => error)
  const shown = `${failed.message} ${failed.remedy} ${JSON.stringify(failed)} ${failed.facts.text}`
  for (const secret of ['abcdef-very-secret', wireguardKey, 's3cr3t']) expect(shown).not.toContain(secret)
  const url = baseUrl.replace('http://', 'http://operator:hunter2hunter2@')
  const other = new HttpClient({ name: 'Panel', baseUrl: `${url}/?token=query-secret-value` })
  ends.push(() => other.close())
  const refused = await other.call({ ...once, path: '/move/query-secret-value' }, ctx).catch((error) => error)
  const basic = Buffer.from('operator:hunter2hunter2').toString('base64')
  for (const secret of ['hunter2hunter2', 'query-secret-value', basic])
    expect(`${refused.message} ${refused.facts.text}`).not.toContain(secret)
  expect(refused.message).toContain('answered 500')
})

test('user and password of the URL become an Authorization header, and its path and query come with every call', async () => {
  const { requests, baseUrl } = await world(json({}))
  const client = new HttpClient({
    name: 'Panel',
    baseUrl: `${baseUrl.replace('http://', 'http://ann:p%40ss@')}/hidden/?key=1`,
    headers: { 'x-own': 'yes' },
  })
  ends.push(() => client.close())
  await client.call({ ...read, query: { page: '2' } }, ctx)
  expect(requests[0]).toMatchObject({
    path: '/hidden/list?key=1&page=2',
    headers: { authorization: `Basic ${Buffer.from('ann:p@ss').toString('base64')}`, 'x-own': 'yes', accept: 'application/json' },
  })
})

test.for(['', 'database-service:5002', 'ftp://host', 'http://', 'http://u:hunter2hunter2@h ost/'])('%j is no base', (baseUrl) => {
  let error: unknown
  try {
    new HttpClient({ name: 'Panel', baseUrl })
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ code: 'invalid_options' })
  expect(String(error)).not.toContain('hunter2hunter2')
})

test('the trace of the host goes with the call', async () => {
  const { client, requests } = await world(json({}))
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await client.call(read, { ...ctx, traceparent })
  await client.call(read, ctx)
  expect(requests.map(({ headers }) => headers.traceparent)).toEqual([traceparent, undefined])
})

// --------------------------------------------------------------------------------------------------- time-outs and ends

test('a call without an answer ends with its time-out, is not repeated, and leaves no socket', async () => {
  const clock = fakeClock()
  const { client, requests, sockets } = await world(silent, { clock })
  for (const [index, call] of [read, once, repeatable].entries()) {
    const failed = expect(client.call({ ...call, timeoutMs: 40 }, ctx)).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('had no answer within 40 ms'),
    })
    await until('it is sent', () => requests.length === index + 1)
    await clock.advance(40)
    await failed
  }
  await until('no socket is left', () => sockets.size === 0)
  expect(requests.map(({ aborted }) => aborted)).toEqual([true, true, true])
})

test('a time-out before the connection stands is no doubt: nothing was sent', async () => {
  // RFC 5737: nobody answers there; some networks refuse it at once, which is the same.
  const client = new HttpClient({ name: 'Panel', baseUrl: 'http://192.0.2.1:9', tries: 1 })
  await expect(client.call({ ...once, timeoutMs: 50 }, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  await client.close()
})

test('an answer that stops in the middle ends with the time-out too', async () => {
  const clock = fakeClock()
  const { client } = await world((_, response) => response.writeHead(200, { 'content-type': 'application/json' }).write('{"servers":['), {
    clock,
  })
  let begun = 0
  const begins = (): void => void begun++
  const channel = 'http.client.response.finish'
  subscribe(channel, begins)
  ends.push(() => unsubscribe(channel, begins))
  const message = expect.stringContaining('broke off after its 200 within 40 ms')
  const failed = expect(client.call({ ...read, timeoutMs: 40 }, ctx)).rejects.toMatchObject({ code: 'timeout', message })
  await until('the answer begins', () => begun === 1)
  await clock.advance(40)
  await failed
})

test('an abort ends a call at once: on its way, while it waits for its place, its turn or its next try', async () => {
  const { client, sockets, requests } = await world(silent, { concurrency: 1 })
  const abort = new AbortController()
  const calls = [client.call(once, { signal: abort.signal }), client.call(once, { signal: abort.signal })]
  await until('one is sent', () => requests.length === 1)
  abort.abort(new Error('enough'))
  const [sent, unsent] = await Promise.allSettled(calls)
  expect(sent).toMatchObject({ reason: { code: 'aborted' } })
  expect(unsent).toMatchObject({ reason: { code: 'unavailable', message: expect.stringContaining('before it was sent') } })
  await until('no socket is left', () => sockets.size === 0)

  const { clock, delays } = noting()
  const failing = await world(json({}, 500), { clock, random: () => 1, backoffMs: 60_000, backoffMaxMs: 60_000 })
  const later = new AbortController()
  const waiting = failing.client.call(read, { signal: later.signal })
  await until('it waits for its next try', () => delays.includes(60_000))
  later.abort()
  await expect(waiting).rejects.toMatchObject({ message: expect.stringContaining('answered 500') })
  expect(failing.requests).toHaveLength(1)

  const slow = await world(json({}), { clock: fakeClock(), rate: { perSecond: 0.01, burst: 1 } })
  await slow.client.call(read, ctx)
  const turn = new AbortController()
  const queued = slow.client.call(read, { signal: turn.signal })
  turn.abort()
  await expect(queued).rejects.toMatchObject({ code: 'unavailable' })
  expect(slow.requests).toHaveLength(1)
})

test('a call whose signal has fired already is not sent', async () => {
  const { client, requests } = await world(json({}))
  await expect(client.call(once, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'unavailable' })
  expect(requests).toHaveLength(0)
})

test('close ends what is under way; later calls are refused; no socket and no timer is left', async () => {
  const { client, sockets, requests } = await world(json({ ok: true }), { concurrency: 2 })
  await Promise.all(Array.from({ length: 10 }, () => client.call(read, ctx)))
  // Without keep-alive no socket outlives its call.
  await until('no socket is left', () => sockets.size === 0)
  expect(requests.every(({ headers }) => headers.connection === 'close')).toBe(true)
  const hanging = await world(silent, { concurrency: 2 })
  const calls = Array.from({ length: 5 }, () => hanging.client.call(once, ctx))
  await until('two are sent', () => hanging.requests.length === 2)
  const settled = Promise.allSettled(calls)
  await hanging.client.close()
  expect((await settled).map(({ status }) => status)).toEqual(Array(5).fill('rejected'))
  await until('no socket is left', () => hanging.sockets.size === 0)
  await expect(hanging.client.call(read, ctx)).rejects.toMatchObject({ code: 'stopped' })
  await hanging.client.close()
})

test('every timer of a call is taken back when it ends', async () => {
  const clock = fakeClock()
  let open = 0
  const counting = {
    ...clock,
    setTimeout: (callback: () => void, delayMs: number) => {
      open++
      const timer = clock.setTimeout(callback, delayMs)
      const cancel = (): void => {
        open--
        timer.cancel()
      }
      return { cancel }
    },
  }
  const { client } = await world(json({}), { clock: counting })
  await Promise.all(Array.from({ length: 20 }, () => client.call(read, ctx)))
  expect(open).toBe(0)
})

test('a fetch of the host is used as it is, and one that looks at no signal hangs nobody', async () => {
  const inits: RequestInit[] = []
  const own: typeof fetch = (_, init) => {
    inits.push(init ?? {})
    return inits.length === 1 ? Promise.resolve(Response.json({ a: 1 })) : new Promise(() => {})
  }
  const { client } = await world(silent, { fetch: own })
  expect((await client.call(read, ctx)).body).toEqual({ a: 1 })
  // Keep-alive is the host's own concern then.
  expect(inits[0]).toMatchObject({ method: 'GET', redirect: 'manual', signal: expect.any(AbortSignal) })
  expect(inits[0]?.headers).not.toHaveProperty('connection')
  await expect(client.call({ ...read, timeoutMs: 20 }, ctx)).rejects.toMatchObject({ code: 'timeout' })
})

test('a fetch of the host that follows redirects all the same is not believed', async () => {
  const own: typeof fetch = async () => Object.defineProperty(Response.json({ a: 1 }), 'redirected', { value: true })
  const { client } = await world(silent, { fetch: own })
  await expect(client.call(once, ctx)).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('was redirected') })
})

// ---------------------------------------------------------------------------------------------- breaker, bulkhead, rate

test('a lane whose calls keep failing is left alone for a while, the other lanes go on, and it comes back by itself', async () => {
  // cockatiel asks for the time of day alone.
  vi.useFakeTimers({ toFake: ['Date'] })
  ends.push(() => vi.useRealTimers())
  let isWell = false
  const { client, requests } = await world(
    (request, response, nth) => (isWell || request.url === '/status' ? json({}) : json({}, 500))(request, response, nth),
    { tries: 1, breakAfter: 3, breakMs: 1500 },
  )
  for (let calls = 0; calls < 3; calls++) await client.call(once, ctx).catch(() => {})
  const leftAlone = { code: 'unavailable', message: expect.stringContaining('left alone') }
  await expect(client.call(once, ctx)).rejects.toMatchObject(leftAlone)
  await client.call(repeatable, ctx)
  isWell = true
  vi.setSystemTime(Date.now() + 1499)
  await expect(client.call(once, ctx)).rejects.toMatchObject(leftAlone)
  expect(requests.filter(({ path }) => path === '/move')).toHaveLength(3)
  vi.setSystemTime(Date.now() + 1)
  await client.call(once, ctx)
  await Promise.all(Array.from({ length: 5 }, () => client.call(once, ctx)))
})

test('refusals open no circuit: they are about the call, not about the service', async () => {
  const { client, requests } = await world(json({ error: 'no such user' }, 404), { breakAfter: 2 })
  for (let calls = 0; calls < 6; calls++) await expect(client.call(once, ctx)).rejects.toMatchObject({ code: 'rejected' })
  expect(requests).toHaveLength(6)
})

test('at most so many calls of a lane are under way at once, and too many waiting are refused', async () => {
  const answers: (() => void)[] = []
  let now = 0
  let most = 0
  const { client } = await world(
    (request, response, nth) => {
      most = Math.max(most, ++now)
      answers.push(() => {
        now--
        json({})(request, response, nth)
      })
    },
    { concurrency: 3, queue: 5, tries: 1 },
  )
  const calls = Promise.allSettled(Array.from({ length: 12 }, () => client.call(once, ctx)))
  for (let answered = 0; answered < 8; answered++) {
    const there = Math.min(8, answered + 3)
    await until(`${there} have been sent`, () => answers.length === there)
    answers[answered]?.()
  }
  const ended = await calls
  expect(most).toBe(3)
  expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(8)
  expect(ended.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'unavailable' } })
})

test('the rate holds for all lanes together', async () => {
  const clock = fakeClock()
  const { client, requests } = await world(json({}), { rate: { perSecond: 10, burst: 3 }, clock })
  const calls = Promise.all(Array.from({ length: 8 }, (_, index) => client.call(index % 2 === 0 ? read : once, ctx)))
  await until('three are sent', () => requests.length === 3)
  for (let expected = 4; expected <= 8; expected++) {
    await clock.advance(99)
    await wait(5)
    expect(requests).toHaveLength(expected - 1)
    await clock.advance(1)
    await until(`${expected} are sent`, () => requests.length === expected)
  }
  await calls
})
