import { getEventListeners, once } from 'node:events'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTls, type TlsOptions as ServerOptions } from 'node:tls'
import type { Logger, ProbeResult, Prober, ProbeTarget, ServerId } from '@pintail/core'
import { proberContract } from '@pintail/core/testing'
import { generate } from 'selfsigned'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { patient } from '../../test/patient.ts'
import { unhurried } from '../../test/unhurried.ts'
import { until } from '../../test/until.ts'
import { type HttpOptions, http } from './http.ts'
import { type TlsOptions, tls } from './tls.ts'

const dayMs = 86_400_000
const now = Date.now()
type Pair = { readonly cert: string; readonly key: string }
/** Signed by the authority; `days` until it ends. */
async function certificate(names: readonly string[], days: number, ca?: Pair): Promise<Pair> {
  const altNames = names.map((name) => (/^[\d.]+$/.test(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name }))
  const { cert, private: key } = await generate([{ name: 'commonName', value: names[0] ?? 'authority' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - 100 * dayMs),
    notAfterDate: new Date(now + days * dayMs),
    extensions: [
      { name: 'basicConstraints', cA: names.length === 0, critical: true },
      ...(altNames.length > 0 ? [{ name: 'subjectAltName' as const, altNames }] : []),
    ],
    ...(ca && { ca }),
  })
  return { cert, key }
}

let ca: Pair
let good: Pair
let named: Pair
let ended: Pair
beforeAll(async () => {
  ca = await certificate([], 1000)
  good = await certificate(['127.0.0.1', 'vpn.example'], 90, ca)
  named = await certificate(['vpn.example'], 5.5, ca)
  ended = await certificate(['127.0.0.1'], -1, ca)
})

const cleanups: (() => unknown)[] = []
const cleanup = async (): Promise<void> => {
  for (const one of cleanups.splice(0).reverse()) await one()
}
afterEach(cleanup)
afterAll(cleanup)

/** Listens on a free port; knows how many connections there are, have been, and have said something. */
async function listen(server: Server): Promise<{ port: number; open: () => number; seen: () => number; heard: () => number }> {
  const open = new Set<Socket>()
  const all: Socket[] = []
  server.on('connection', (socket: Socket) => {
    all.push(socket)
    open.add(socket)
    socket.on('error', () => {}).on('close', () => open.delete(socket))
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of open) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return {
    port: (server.address() as AddressInfo).port,
    open: () => open.size,
    seen: () => all.length,
    heard: () => all.filter(({ bytesRead }) => bytesRead > 0).length,
  }
}
const tlsServer = (pair: Pair, options: ServerOptions = {}, onSecure = (socket: Socket): unknown => socket.resume()) =>
  listen(createTls({ ...pair, ...options }, (socket) => onSecure(socket.on('error', () => {}))))
const rawServer = (talk: (socket: Socket) => unknown) => listen(createServer((socket) => talk(socket)))
const silentServer = () => rawServer((socket) => socket.resume())
const plain = (listener: RequestListener) => listen(createHttp(listener))
/** Nobody is ever given it, as a free one is that somebody has just left. */
const closedPort = 1

const target = (over: Partial<ProbeTarget> = {}): ProbeTarget => ({
  serverId: 'ams-1' as ServerId,
  host: '127.0.0.1',
  port: null,
  packets: 1,
  // Longer than any machine stands still.
  timeoutMs: 60_000,
  ...over,
})
const run = async (prober: Prober, over: Partial<ProbeTarget>, signal = new AbortController().signal): Promise<ProbeResult> =>
  prober.probe(target(over), { signal })
/** A prober that says that this machine was too busy to judge is asked again, as the engine does. */
async function told(prober: Prober, over: Partial<ProbeTarget>): Promise<ProbeResult> {
  for (let left = 9; ; left -= 1) {
    try {
      return await run(prober, over)
    } catch (error) {
      if (left === 0 || !(error instanceof Error && error.message.includes('event loop was blocked'))) throw error
    }
  }
}
const byTls = (port: number, options: TlsOptions = {}, over: Partial<ProbeTarget> = {}) =>
  told(tls({ ca: ca.cert, ...options }), { port, ...over })
const byHttp = (port: number, options: HttpOptions = {}, over: Partial<ProbeTarget> = {}) =>
  told(http({ ca: ca.cert, secure: false, ...options }), { port, ...over })
/** What is told when the time of a probe is over: time passes when the server has done its part, and not before. */
async function inVain(timeoutMs: number, isThere: () => boolean, ask: () => Promise<ProbeResult>): Promise<ProbeResult> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  try {
    const told = ask()
    await until('the server has done its part', isThere)
    vi.advanceTimersByTime(timeoutMs)
    return await told
  } finally {
    vi.useRealTimers()
  }
}
/** A server has heard of us, and that is all. */
const unheard = (server: { heard: () => number }, timeoutMs: number, ask: () => Promise<ProbeResult>): Promise<ProbeResult> => {
  const before = server.heard()
  return inVain(timeoutMs, () => server.heard() > before, ask)
}
const passed = { sent: 1, received: 1, failure: null }
const failed = (layer: string, kind: string, detail?: RegExp) => ({
  sent: 1,
  received: 0,
  rttMs: [],
  failure: { layer, kind, ...(detail && { detail: expect.stringMatching(detail) }) },
})

describe('tls keeps the contract of probers', () => {
  const host = '127.0.0.1'
  const world = async () => {
    const { port } = await tlsServer(good)
    return {
      prober: unhurried(tls({ ca: ca.cert }), (one) => one.port === port),
      answering: { host, port },
      silent: { host, port: (await silentServer()).port },
      refusing: { host, port: closedPort },
    }
  }
  for (const rule of proberContract(world, { without: ['probeMany', 'breakTool'], ...patient })) test(rule.name, rule.run)
})

describe('http keeps the contract of probers', () => {
  const host = '127.0.0.1'
  const world = async () => {
    const { port } = await plain((_, response) => response.end('fine'))
    return {
      prober: unhurried(http({ secure: false }), (one) => one.port === port),
      answering: { host, port },
      silent: { host, port: (await silentServer()).port },
      refusing: { host, port: closedPort },
    }
  }
  for (const rule of proberContract(world, { without: ['probeMany', 'breakTool'], ...patient })) test(rule.name, rule.run)
})

describe('what tls makes of a server', () => {
  test('each packet is a handshake of its own, timed without the TCP connection, and nothing stays open', async () => {
    const { port, seen, open } = await tlsServer(good)
    const result = await byTls(port, {}, { packets: 3 })
    expect(result).toMatchObject({ sent: 3, received: 3, failure: null })
    expect(result.rttMs).toHaveLength(3)
    for (const ms of result.rttMs) expect(ms > 0 && ms < 60_000).toBe(true)
    await expect.poll(() => [seen(), open()]).toEqual([3, 0])
  })

  test('the name is asked for, and is the one that the certificate must have', async () => {
    const asked: string[] = []
    const SNICallback: ServerOptions['SNICallback'] = (name, done) => {
      asked.push(name)
      done(null)
    }
    const { port } = await tlsServer(named, { SNICallback })
    expect(await byTls(port, { servername: 'vpn.example' })).toMatchObject(passed)
    expect(await byTls(port, { servername: ({ serverId }) => `${serverId}.example` })).toMatchObject(
      failed('tls', 'wrong_answer', /certificate for another name/),
    )
    // Of an address no name is asked for, and the certificate must have it.
    expect(await byTls(port)).toMatchObject(failed('tls', 'wrong_answer', /another name/))
    expect(asked).toEqual(['vpn.example', 'ams-1.example'])
    expect(await byTls(port, { verifyCertificate: false })).toMatchObject(passed)
  })

  test('a certificate that nobody trusts, or that has ended, is refused on the layer tls', async () => {
    const untrusted = await tlsServer(good)
    expect(await told(tls(), { port: untrusted.port })).toMatchObject(failed('tls', 'wrong_answer', /certificate refused/))
    const over = await tlsServer(ended)
    expect(await byTls(over.port)).toMatchObject(failed('tls', 'wrong_answer', /CERT_HAS_EXPIRED/))
    expect(await byTls(over.port, { verifyCertificate: false })).toMatchObject(passed)
  })

  test('refused, silent, hanging up and no TLS at all are four outcomes, with their layers', async () => {
    expect(await byTls(closedPort)).toMatchObject(failed('tcp', 'refused', /ECONNREFUSED/))
    const silent = await silentServer()
    expect(await unheard(silent, 150, () => byTls(silent.port, {}, { timeoutMs: 150 }))).toMatchObject(
      failed('tls', 'no_reply', /within 150 ms/),
    )
    expect(await byTls((await rawServer((socket) => socket.once('data', () => socket.destroy()))).port)).toMatchObject(
      failed('tls', 'refused'),
    )
    expect(await byTls((await rawServer((socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'))).port)).toMatchObject(
      failed('tls', 'wrong_answer', /no TLS/),
    )
    expect(await byTls((await plain((_, response) => response.end())).port)).toMatchObject(failed('tls', 'wrong_answer', /no TLS/))
    expect(await byTls((await tlsServer(good, { maxVersion: 'TLSv1.2', ciphers: 'PSK-AES128-CBC-SHA' })).port)).toMatchObject(
      failed('tls', 'wrong_answer', /no TLS/),
    )
  })

  test('a handshake in drips, and one without end, are lost when their time is over', async () => {
    const timers: NodeJS.Timeout[] = []
    cleanups.push(() => timers.forEach(clearInterval))
    let sent = 0
    // A record that says that it is long, one byte at a time.
    const drip = await rawServer((socket) => {
      const record = Buffer.concat([Buffer.from([22, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc]), Buffer.alloc(16_384)])
      timers.push(setInterval(() => socket.writable && socket.write(record.subarray(sent, ++sent)), 5))
    })
    const isDripping = (): boolean => drip.heard() === 1 && sent > 3
    expect(await inVain(200, isDripping, () => byTls(drip.port, {}, { timeoutMs: 200 }))).toMatchObject(failed('tls', 'no_reply'))
    await expect.poll(drip.open).toBe(0)
  })

  test('the most telling failure of a check is told, and one answer makes it none', async () => {
    let count = 0
    let isHeard = false
    const { port, seen } = await rawServer((socket) => {
      count += 1
      if (count === 3) socket.once('data', () => (isHeard = true))
      if (count % 3 === 2) socket.write('no TLS\n')
      else socket.resume()
    })
    // The second begins when the first has waited for a while, and the third when the second has its answer.
    const result = await inVain(
      250,
      () => {
        if (seen() === 1) vi.advanceTimersByTime(1)
        return isHeard
      },
      () => byTls(port, {}, { packets: 3, timeoutMs: 250 }),
    )
    expect(result.failure).toMatchObject({ layer: 'tls', kind: 'wrong_answer' })
  })

  test('the port of the options goes before that of the target, which is the port of its VPN; without either it is 443', async () => {
    const { port } = await tlsServer(good)
    const closed = closedPort
    expect(await told(tls({ ca: ca.cert, port }), { port: closed })).toMatchObject(passed)
    expect(await told(tls({ ca: ca.cert, port }), {})).toMatchObject(passed)
    expect(await told(tls({ ca: ca.cert }), { port })).toMatchObject(passed)
    expect((await told(tls({ ca: ca.cert }), {})).failure?.detail).toMatch(/^port 443: /)
    const web = await plain((_, response) => response.end())
    expect(await told(http({ secure: false, port: web.port }), { port: closed })).toMatchObject(passed)
    expect((await told(http({ secure: false }), {})).failure?.detail).toMatch(/^port 80: /)
  })
})

describe('a certificate that ends soon', () => {
  function recorder() {
    const warnings: object[] = []
    const none = () => {}
    const logger: Logger = { debug: none, info: none, error: none, warn: (data, message) => void warnings.push({ ...data, message }) }
    return { warnings, logger }
  }

  test('is a warning, once a day, and no failure', async () => {
    const { warnings, logger } = recorder()
    const { port } = await tlsServer(named)
    let time = now
    const prober = tls({ ca: ca.cert, servername: 'vpn.example', logger, clock: { now: () => time } })
    expect(await told(prober, { port, packets: 2 })).toMatchObject({ received: 2, failure: null })
    await told(prober, { port })
    expect(warnings).toEqual([
      {
        serverId: 'ams-1',
        host: '127.0.0.1',
        port,
        servername: 'vpn.example',
        endsAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        daysLeft: 5,
        message: 'the certificate of server ams-1 ends in 5 days',
      },
    ])
    time += dayMs
    await told(prober, { port })
    expect(warnings).toHaveLength(2)
    expect(warnings[1]).toMatchObject({ daysLeft: 4 })
  })

  test('is none while it is far off, or where nobody wants to know', async () => {
    const { warnings, logger } = recorder()
    const { port } = await tlsServer(good)
    await byTls(port, { logger })
    await byTls(port, { logger, warnBeforeDays: 0 })
    expect(warnings).toEqual([])
    await byTls(port, { logger, warnBeforeDays: 100 })
    expect(warnings).toHaveLength(1)
  })

  test('a logger that throws makes no server fail, and http warns too', async () => {
    const { warnings, logger } = recorder()
    const { port } = await listen(createHttps({ ...named }, (_, response) => response.end()))
    const warn = () => {
      throw new Error('the log is full')
    }
    const options = { secure: true, servername: 'vpn.example' }
    expect(await byHttp(port, { ...options, logger: { ...logger, warn } })).toMatchObject(passed)
    expect(await byHttp(port, { ...options, logger })).toMatchObject(passed)
    expect(warnings).toHaveLength(1)
  })
})

describe('what http makes of a server', () => {
  test('the status decides, and a redirect is an answer that is not followed', async () => {
    let asked = 0
    const { port } = await plain((request, response) => {
      asked += 1
      const status = Number(request.url?.slice(1))
      response.writeHead(status, { location: `http://127.0.0.1:${port}/200` }).end('x')
    })
    expect(await byHttp(port, { path: '/204' })).toMatchObject(passed)
    expect(await byHttp(port, { path: '/302' })).toMatchObject(passed)
    expect(await byHttp(port, { path: '/503' })).toMatchObject(failed('http', 'wrong_answer', /status 503/))
    expect(await byHttp(port, { path: '/302', status: [200] })).toMatchObject(failed('http', 'wrong_answer', /status 302/))
    expect(await byHttp(port, { path: '/401', status: (code) => code < 500 })).toMatchObject(passed)
    expect(asked).toBe(5)
  })

  test('the server is asked as a client would: method, path, name, and headers of ours', async () => {
    const seen: object[] = []
    const { port } = await plain((request, response) => {
      seen.push({ method: request.method, url: request.url, host: request.headers.host, key: request.headers['x-key'] })
      response.end()
    })
    await byHttp(port, { method: 'HEAD', path: '/health?full=1', headers: { 'X-Key': 'hidden' } })
    await byHttp(port, { servername: 'vpn.example' })
    await byHttp(port, { headers: { Host: 'other.example' } })
    expect(seen).toEqual([
      { method: 'HEAD', url: '/health?full=1', host: `127.0.0.1:${port}`, key: 'hidden' },
      { method: 'GET', url: '/', host: `vpn.example:${port}`, key: undefined },
      { method: 'GET', url: '/', host: 'other.example', key: undefined },
    ])
  })

  test('the body must have what is looked for, as a text or as an expression', async () => {
    const { port } = await plain((_, response) => response.end('{"status":"grün"}'))
    expect(await byHttp(port, { body: '"grün"' })).toMatchObject(passed)
    const body = /"gr.n"/gy
    // An expression with a memory must not pass every second time only.
    for (let turn = 0; turn < 3; turn += 1) expect(await byHttp(port, { body: new RegExp(body.source, 'g') })).toMatchObject(passed)
    expect(await byHttp(port, { body: 'rot' })).toMatchObject(
      failed('http', 'wrong_answer', /status 200, and what is looked for is not in/),
    )
  })

  test('an endless body is read up to its bound, and no further than until it matches', async () => {
    const endless = await plain((_, response) => {
      const fill = (): void => {
        while (!response.destroyed && response.write('x'.repeat(16_384)));
      }
      response.on('drain', fill)
      fill()
    })
    expect(await byHttp(endless.port, { body: 'y' })).toMatchObject(failed('http', 'wrong_answer', /first 65536 bytes/))
    expect(await byHttp(endless.port, { body: 'xxx' })).toMatchObject(passed)
    expect(await byHttp(endless.port)).toMatchObject(passed)
    await expect.poll(endless.open).toBe(0)
  })

  test('a server that never closes is believed as soon as it matches, and is lost when it does not', async () => {
    const server = await plain((_, response) => response.write('ready'))
    const { port, open } = server
    expect(await byHttp(port, { body: 'ready' })).toMatchObject(passed)
    expect(await unheard(server, 200, () => byHttp(port, { body: 'never' }, { timeoutMs: 200 }))).toMatchObject(failed('http', 'no_reply'))
    await expect.poll(open).toBe(0)
  })

  test('silence, hanging up and no HTTP are told apart, with the layer http', async () => {
    const silent = await silentServer()
    expect(await unheard(silent, 150, () => byHttp(silent.port, {}, { timeoutMs: 150 }))).toMatchObject(failed('http', 'no_reply'))
    expect(await byHttp((await rawServer((socket) => socket.once('data', () => socket.destroy()))).port)).toMatchObject(
      failed('http', 'refused'),
    )
    const says = (text: string) => rawServer((socket) => socket.once('data', () => socket.write(text)))
    expect(await byHttp((await says('SSH-2.0-OpenSSH_9.2\r\n')).port)).toMatchObject(failed('http', 'wrong_answer', /no HTTP/))
    const head = `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n`
    expect(await byHttp((await says(head)).port)).toMatchObject(failed('http', 'wrong_answer', /HEADER_OVERFLOW/))
    const informed = await says('HTTP/1.1 100 Continue\r\n\r\n'.repeat(100))
    expect(await unheard(informed, 150, () => byHttp(informed.port, {}, { timeoutMs: 150 }))).toMatchObject(failed('http', 'no_reply'))
    const switching = await says('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
    expect(await unheard(switching, 150, () => byHttp(switching.port, {}, { timeoutMs: 150 }))).toMatchObject({ received: 0 })
    const short = await says('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort')
    expect(await unheard(short, 200, () => byHttp(short.port, { body: 'z' }, { timeoutMs: 200 }))).toMatchObject(failed('http', 'no_reply'))
  })

  test('over TLS the layers below are told apart as tls() does', async () => {
    const { port } = await listen(createHttps({ ...good }, (_, response) => response.end('secured')))
    expect(await byHttp(port, { secure: true, body: 'secured' })).toMatchObject(passed)
    expect(await byHttp(port, { secure: true, servername: 'other.example' })).toMatchObject(failed('tls', 'wrong_answer', /another name/))
    const silent = await silentServer()
    expect(await unheard(silent, 150, () => byHttp(silent.port, { secure: true }, { timeoutMs: 150 }))).toMatchObject(
      failed('tls', 'no_reply'),
    )
    let isAsked = false
    const mute = await tlsServer(good, {}, (socket) => socket.on('data', () => (isAsked = true)))
    expect(
      await inVain(
        250,
        () => isAsked,
        () => byHttp(mute.port, { secure: true }, { timeoutMs: 250 }),
      ),
    ).toMatchObject(failed('http', 'no_reply'))
    expect(await byHttp(closedPort, { secure: true })).toMatchObject(failed('tcp', 'refused'))
  })

  test('neither headers of ours nor the body of the server are told', async () => {
    const { port } = await plain((_, response) => response.writeHead(500).end('a secret of the server'))
    const result = await byHttp(port, { headers: { authorization: 'Bearer hidden' } })
    expect(JSON.stringify(result)).not.toMatch(/hidden|secret/)
  })

  test('a judgement that throws says nothing about the server, and harms nobody', async () => {
    const { port } = await plain((_, response) => response.end())
    const status = () => {
      throw new Error('not today')
    }
    await expect(byHttp(port, { status })).rejects.toMatchObject({ code: 'prober_unavailable', message: 'http: status threw: not today' })
  })
})

describe('options and ends of tls and http', () => {
  test.each([
    { port: 0 },
    { port: 65_536 },
    { servername: 'a b' },
    { servername: '' },
    { warnBeforeDays: -1 },
    { warnBeforeDays: Number.NaN },
  ])('an option out of range is refused by both: %o', (options) => {
    for (const make of [tls, http]) expect(() => make(options)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  })

  test.each([
    { path: 'health' },
    { path: '/a b' },
    { path: '/a\r\nx: y' },
    { path: `/${'a'.repeat(3000)}` },
    { method: 'POST' },
    { headers: { 'a b': 'c' } },
    { headers: { a: 'b\r\nc: d' } },
    { status: [] },
    { status: [99] },
    { status: 200 },
    { body: 7 },
    { body: 'x', method: 'HEAD' },
    { maxBodyBytes: 0 },
  ])('an option of http out of range is refused: %o', (options) => {
    expect(() => http(options as HttpOptions)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  })

  test('a connect that this machine itself refuses is no evidence against the server', async () => {
    for (const prober of [tls(), http()])
      await expect(run(prober, { host: '255.255.255.255' })).rejects.toMatchObject({
        code: 'prober_unavailable',
        remedy: expect.stringContaining('routes'),
      })
  })

  test('a blocked event loop does not make a server slow or dead', async () => {
    const { port } = await tlsServer(good)
    const running = run(tls({ ca: ca.cert }), { port, timeoutMs: 100 })
    await new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)))
    const until = performance.now() + 400
    while (performance.now() < until);
    await expect(running).rejects.toMatchObject({ code: 'prober_unavailable', message: expect.stringContaining('blocked') })
  })

  test('an abort in the middle of a handshake, a request or a body closes the connection and leaves no listener', async () => {
    const half = await plain((_, response) => response.write('half'))
    const silent = await silentServer()
    const cases: [Prober, number, () => number][] = [
      [tls(), silent.port, silent.open],
      [http({ secure: false }), silent.port, silent.open],
      [http({ secure: false, body: 'whole' }), half.port, half.open],
    ]
    for (const [prober, port, open] of cases) {
      const controller = new AbortController()
      const running = run(prober, { port, timeoutMs: 30_000 }, controller.signal)
      await expect.poll(open).toBe(1)
      controller.abort(new Error('stop'))
      await expect(running).rejects.toMatchObject({ code: 'aborted', cause: { message: 'stop' } })
      await expect.poll(open).toBe(0)
      expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    }
  })
})
