import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { PintailError } from '@pintail/core'
import { fakeClock } from '@pintail/core/testing'
import { Webhook as Verifier } from 'standardwebhooks'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Webhook, type WebhookOptions, webhook } from './index.ts'

const ctx = { signal: new AbortController().signal }
const secretOf = (byte: number) => `whsec_${Buffer.alloc(32, byte).toString('base64')}`

interface Received {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

let server: Server
let received: Received[]
/** The answers to come; then 204. 0: none at all. */
let answers: (number | { status: number; headers: Record<string, string>; body?: string })[]
const open: Webhook[] = []
beforeEach(async () => {
  received = []
  answers = []
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ url: request.url ?? '', headers: request.headers, body })
    const answer = answers.shift() ?? 204
    if (answer === 0) return
    const { status, headers = {}, body: text = '' } = typeof answer === 'number' ? { status: answer } : answer
    response.writeHead(status, headers).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const base = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
function make(options: Partial<WebhookOptions> = {}): Webhook {
  const one = webhook({ url: `${base()}/hooks/vpn?team=7`, secret: secretOf(1), backoffMs: 1, timeoutMs: 60_000, ...options })
  open.push(one)
  return one
}
const verify = (secret: string, { body, headers }: Received) => new Verifier(secret).verify(body, headers as Record<string, string>)
const failureOf = (call: Promise<unknown>): Promise<PintailError> =>
  call.then(
    () => Promise.reject(new Error('it was delivered')),
    (error) => error,
  )

test('a message verifies with the package of Standard Webhooks, and with another secret it does not', async () => {
  await make().send('m1/u1/1', { type: 'access.moved', name: 'Zoë ✓' }, ctx)
  const [one] = received as [Received]
  expect(one.url).toBe('/hooks/vpn?team=7')
  expect(one.headers).toMatchObject({ 'webhook-id': 'm1/u1/1', 'content-type': 'application/json' })
  expect(verify(secretOf(1), one)).toEqual({ type: 'access.moved', name: 'Zoë ✓' })
  expect(() => verify(secretOf(2), one)).toThrow()
  expect(() => verify(secretOf(1), { ...one, body: one.body.replace('moved', 'gone') })).toThrow()
})

test('while a secret is replaced both verify', async () => {
  await make({ secret: [secretOf(1), secretOf(2)] }).send('m1', {}, ctx)
  for (const byte of [1, 2]) verify(secretOf(byte), received[0] as Received)
})

test('each try has the same id and is signed anew by the time of that moment', async () => {
  answers = [500, { status: 503, headers: { 'retry-after': '0' } }, 429, 200]
  let now = Date.now() - 60_000
  const clock = {
    now: () => {
      now += 1000
      return now
    },
    setTimeout: (callback: () => void, ms: number) => {
      const timer = setTimeout(callback, ms)
      return { cancel: () => clearTimeout(timer) }
    },
  }
  await make({ tries: 4, clock }).send('m1', { n: 1 }, ctx)
  expect(received.map(({ headers }) => headers['webhook-id'])).toEqual(['m1', 'm1', 'm1', 'm1'])
  expect(new Set(received.map(({ headers }) => headers['webhook-signature'])).size).toBe(4)
  for (const one of received) verify(secretOf(1), one)
})

test.each([
  [400, 'rejected'],
  [410, 'rejected'],
  [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, 'internal'],
] as const)('the answer %j is told at once', async (answer, code) => {
  answers = [answer]
  expect(await failureOf(make().send('m1', {}, ctx))).toMatchObject({ code })
  expect(received).toHaveLength(1)
})

test('no answer, and nobody there; neither the secret nor the path of the URL is in the error', async () => {
  answers = [0]
  const url = `${base()}/hooks/s3cr3t-path`
  const clock = fakeClock()
  const unanswered = failureOf(make({ url, timeoutMs: 100, clock }).send('m1', {}, ctx))
  await expect.poll(() => received.length).toBe(1)
  await clock.advance(100)
  const silent = await unanswered
  expect(silent).toMatchObject({ code: 'timeout' })
  const gone = await failureOf(make({ url: 'http://127.0.0.1:1/hooks/s3cr3t-path' }).send('m1', {}, ctx))
  expect(gone).toMatchObject({ code: 'unavailable' })
  for (const { message, remedy } of [silent, gone]) expect(`${message} ${remedy}`).not.toMatch(/s3cr3t|whsec/)
})

test('an id that is no plain text becomes one, the same for the same', async () => {
  const one = make()
  for (const id of ['a.b', 'a.b', 'x\r\nevil: 1', 'y'.repeat(300)]) await one.send(id, {}, ctx)
  const ids = received.map(({ headers }) => String(headers['webhook-id']))
  expect(ids[0]).toBe(ids[1])
  expect(new Set(ids).size).toBe(3)
  for (const id of ids) expect(id).toMatch(/^sha256_[0-9a-f]{64}$/)
  for (const message of received) verify(secretOf(1), message)
  expect(await failureOf(one.send('', {}, ctx))).toMatchObject({ code: 'invalid_argument' })
})

test('who gives up is let go at once, and after close nothing is sent', async () => {
  answers = [0]
  const one = make()
  const leaving = new AbortController()
  const sending = failureOf(one.send('m1', {}, { signal: leaving.signal }))
  await expect.poll(() => received.length).toBe(1)
  leaving.abort()
  expect(await sending).toMatchObject({ code: 'aborted' })
  await one.close()
  expect(await failureOf(one.send('m2', {}, ctx))).toMatchObject({ code: 'stopped' })
})

test.each<Partial<WebhookOptions>>([
  { secret: 'hunter2hunter2hunter2hunter2hunter2' },
  { secret: 'whsec_' },
  { secret: `whsec_${Buffer.alloc(23, 7).toString('base64')}` },
  { secret: `whsec_${Buffer.alloc(65, 7).toString('base64')}` },
  { secret: `${secretOf(1)} ` },
  { secret: [] },
  { secret: Array.from({ length: 6 }, () => secretOf(1)) },
  { url: 'http://hooks.example.net/' },
  { url: 'ftp://127.0.0.1/' },
  { url: 'x' },
  { tries: 0 },
  { timeoutMs: 0 },
  { concurrency: 0 },
])('options %j are refused, without the secret', (options) => {
  let failure: PintailError | null = null
  try {
    make(options)
  } catch (error) {
    failure = error as PintailError
  }
  expect(failure).toMatchObject({ code: 'invalid_options' })
  expect(failure?.message).not.toMatch(/hunter2|BwcH/)
})

test('http to another machine is taken where somebody says so', () => {
  make({ url: 'http://10.0.0.5/hooks', allowHttp: true })
})
