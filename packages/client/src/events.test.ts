import { memoryStore } from '@pintail/core'
import { seededRandom } from '@pintail/core/testing'
import { afterEach, expect, test } from 'vitest'
import { proxyTo, type TcpProxy, type Weather } from '../test/proxy.ts'
import { type Fake, fakeServer } from '../test/server.ts'
import { type World, world } from '../test/world.ts'
import { createClient, type PintailClient } from './client.ts'
import { ApiError } from './error.ts'
import type { ClientClock, ClientOptions } from './http.ts'
import type { ClientMessage, ConnectionState, EventsOptions } from './stream.ts'

const closing: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close()
})
const held = <T extends World | TcpProxy | Fake>(one: T): T => {
  closing.push(one)
  return one
}

/** Pauses are short; bounds of a line's silence (40 s) and of its first word (10 s) as long as they are. */
const hasty: ClientClock = {
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, ms >= 30_000 || ms === 10_000 ? ms : Math.min(ms, 5))
    return { cancel: () => clearTimeout(timer) }
  },
}
const clientOf = (baseUrl: string, more: Partial<ClientOptions> = {}): PintailClient => createClient({ baseUrl, clock: hasty, ...more })

/** Follows the stream in the background, as an application would. */
class Follower {
  readonly messages: ClientMessage[] = []
  readonly states: ConnectionState[] = []
  readonly ended: Promise<unknown>
  readonly #controller = new AbortController()

  constructor(client: PintailClient, options: EventsOptions = {}, onMessage: (message: ClientMessage) => unknown = () => {}) {
    const follow = async (): Promise<void> => {
      const onConnection = (state: ConnectionState): void => void this.states.push(state)
      for await (const message of client.events({ signal: this.#controller.signal, onConnection, ...options })) {
        this.messages.push(message)
        await onMessage(message)
      }
    }
    this.ended = follow().catch((error: unknown) => error)
  }

  get seqs(): number[] {
    return this.messages.flatMap(({ type, seq }) => (seq > 0 && type !== 'snapshot' ? seq : []))
  }

  async until(holds: (follower: Follower) => boolean, what: string): Promise<void> {
    const end = performance.now() + 100_000
    while (!holds(this)) {
      if (performance.now() > end)
        throw new Error(`never: ${what}; ${this.messages.length} messages, last ${JSON.stringify(this.states.at(-1))}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  async stop(): Promise<void> {
    this.#controller.abort()
    await this.ended
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)
/** The cordoned servers, as somebody knows them who has only the stream. */
function book(messages: readonly ClientMessage[]): string[] {
  let known = new Set<string>()
  for (const message of messages) {
    if (message.type === 'snapshot') known = new Set(message.data.servers.flatMap((one) => (one.cordoned ? one.server_id : [])))
    if (message.type === 'server.cordoned') known.add(message.data.server_id)
    if (message.type === 'server.uncordoned') known.delete(message.data.server_id)
  }
  return [...known].sort()
}

test('first the picture, then what comes after it, without gap and double, and a signal ends it quietly', async () => {
  const { fleet, url } = held(await world({ servers: 4, connections: 5 }))
  const client = clientOf(url)
  const follower = new Follower(client)
  await follower.until(({ messages }) => messages.length > 0, 'a snapshot')
  const [snapshot] = follower.messages
  if (snapshot?.type !== 'snapshot') throw new Error(`first came ${snapshot?.type}`)
  expect(snapshot.data.servers).toHaveLength(4)
  expect(snapshot.data.last_seq).toBe(snapshot.seq)
  fleet.kill('s1')
  await follower.until(({ messages }) => messages.some(({ type }) => type === 'evacuation.completed'), 'an evacuation')
  expect(follower.seqs).toEqual(range(snapshot.seq + 1, follower.seqs.at(-1) ?? 0))
  const moved = follower.messages.filter(({ type }) => type === 'connection.moved')
  expect(moved).toHaveLength(5)
  await follower.stop()
  expect(await follower.ended).toBeUndefined()
})

test('the picture of snapshot() and events after its cursor fit together', async () => {
  const { fleet, url } = held(await world())
  const client = clientOf(url)
  const picture = await client.snapshot()
  await fleet.pintail.cordon('s2')
  const follower = new Follower(client, { after: picture.last_seq })
  await follower.until(({ seqs }) => seqs.length > 0, 'an event')
  expect(follower.messages[0]).toMatchObject({ type: 'server.cordoned', seq: picture.last_seq + 1, data: { server_id: 's2' } })
  await follower.stop()
})

test('whatever breaks between, no event is missed or doubled: cuts, delays, pieces, buffers, restarts', { timeout: 240_000 }, async () => {
  const random = seededRandom(7)
  const any = (most: number): number => Math.floor(random() * most)
  const there = held(await world({ servers: 12, connections: 3 }))
  const storm = (): Weather => {
    const kind = any(6)
    if (kind === 0) return { cutAfter: any(400) }
    if (kind === 1) return { cutAfter: 8000 + any(20_000), pieces: 1 + any(30) }
    if (kind === 2) return { cutAfter: 12_000 + any(20_000), delayMs: any(4) }
    if (kind === 3) return { buffer: 100 + any(500), cutAfter: 20_000 + any(20_000) }
    return { cutAfter: 15_000 + any(40_000) }
  }
  let isCalm = false
  const proxy = held(
    await proxyTo(
      () => there.port,
      () => (isCalm ? {} : storm()),
    ),
  )
  // On a busy machine a restart outlasts many tries: their pauses stay below those that `hasty` leaves as they are.
  const follower = new Follower(clientOf(`${proxy.url}/pintail`, { random }), { longestPauseMs: 1000 })
  await follower.until(({ messages }) => messages.length > 0, 'a snapshot')
  const cordoned = new Set<string>()
  for (let round = 0; round < 600; round++) {
    const id = `s${1 + any(12)}`
    if (cordoned.delete(id)) await there.fleet.pintail.uncordon(id)
    else {
      cordoned.add(id)
      await there.fleet.pintail.cordon(id)
    }
    if (round % 7 === 0) await new Promise((resolve) => setTimeout(resolve, any(8)))
    if (round % 25 === 24) {
      const { connections } = proxy
      proxy.cut()
      await follower.until(() => proxy.connections > connections, 'another connection')
    }
    if (round % 150 === 149) await there.restart()
  }
  isCalm = true
  proxy.cut()
  const last = there.fleet.pintail.status().lastSeq
  await follower.until(({ seqs }) => (seqs.at(-1) ?? 0) >= last, `event ${last}`)
  const [first] = follower.messages
  expect(follower.messages.filter(({ type }) => type === 'snapshot' || type === 'stream.reset')).toHaveLength(1)
  expect(follower.seqs).toEqual(range((first?.seq ?? 0) + 1, follower.seqs.at(-1) ?? 0))
  expect(follower.seqs.length).toBeGreaterThanOrEqual(600)
  expect(book(follower.messages)).toEqual([...cordoned].sort())
  expect(proxy.connections).toBeGreaterThan(20)
  await follower.stop()
})

test('a cursor that the journal does not reach back to is told, and a fresh picture comes', { timeout: 240_000 }, async () => {
  const there = held(await world({ replace: () => ({ store: memoryStore({ journalLimit: 1000 }) }) }))
  const follower = new Follower(clientOf(there.url), { after: 1 })
  for (let round = 0; round < 700; round++) {
    await there.fleet.pintail.cordon('s1')
    await there.fleet.pintail.uncordon('s1')
  }
  await follower.stop()
  const late = new Follower(clientOf(there.url), { after: 1 })
  await late.until(({ messages }) => messages.length >= 2, 'two messages')
  expect(late.messages.slice(0, 2)).toMatchObject([
    { type: 'stream.reset', data: { reason: 'cursor_too_old', after: 1 } },
    { type: 'snapshot', seq: there.fleet.pintail.status().lastSeq },
  ])
  await there.fleet.pintail.cordon('s1')
  await late.until(({ seqs }) => seqs.length > 0, 'an event after it')
  await late.stop()
})

test('a cursor of another journal is told, and a fresh picture comes', async () => {
  const there = held(await world())
  const follower = new Follower(clientOf(there.url), { after: 1_000_000 })
  await follower.until(({ messages }) => messages.length >= 2, 'two messages')
  expect(follower.messages.map(({ type }) => type)).toEqual(['stream.reset', 'snapshot'])
  await follower.stop()
})

test('a line that is silent is left, and the next one goes on where it was', async () => {
  const there = held(await world())
  const proxy = held(
    await proxyTo(
      () => there.port,
      // Whoever gives a connection up may have a spare one: some are silent.
      (connection) => ({ swallow: connection < 5 }),
    ),
  )
  const client = createClient({ baseUrl: `${proxy.url}/pintail`, random: () => 0 })
  const impatient = new Follower(client, { idleMs: 1000, longestPauseMs: 10 })
  await impatient.until(({ messages }) => messages.length > 0, 'a snapshot')
  const why = impatient.states.flatMap((one) => (one.state === 'waiting' ? one.why.code : []))
  expect(new Set(why)).toEqual(new Set(['timeout']))
  await impatient.stop()
})

test('who may not read events is told so at once, and not asked again and again', async () => {
  const there = held(await world({ authorize: ({ headers }) => headers.authorization === 'Bearer right' }))
  const follower = new Follower(clientOf(there.url, { token: 'wrong' }))
  const refused = await follower.ended
  expect(refused).toBeInstanceOf(ApiError)
  expect(refused).toMatchObject({ status: 403, code: 'forbidden', remedy: expect.any(String) })
  expect(String((refused as ApiError).stack) + JSON.stringify(refused)).not.toContain('Bearer')
  const allowed = new Follower(clientOf(there.url, { token: () => 'right' }))
  await allowed.until(({ messages }) => messages.length > 0, 'a snapshot')
  await allowed.stop()
})

/** A stream of this text on each connection. */
const streaming = (text: (count: number) => string): Promise<Fake> =>
  fakeServer((_, reply, count) => {
    reply.writeHead(200, { 'content-type': 'text/event-stream' })
    reply.end(text(count))
  })
const event = (seq: number): string =>
  `id: ${seq}\ndata: ${JSON.stringify({ type: 'server.cordoned', seq, timestamp: '2026-01-01T00:00:00.000Z', data: { server_id: 'a' } })}\n\n`

test('what comes twice is told once, and over a gap the stream is asked for again', async () => {
  const fake = held(await streaming((count) => (count === 1 ? event(5) + event(6) + event(6) + event(8) : event(6) + event(7) + event(8))))
  const follower = new Follower(clientOf(fake.url), { after: 4 })
  await follower.until(({ seqs }) => seqs.at(-1) === 8, 'event 8')
  await follower.stop()
  expect(follower.seqs).toEqual([5, 6, 7, 8])
  expect(fake.requests.slice(0, 2).map(({ headers }) => headers['last-event-id'])).toEqual(['4', '6'])
})

test.each([
  ['a gap that stays', event(5) + event(9)],
  ['a message that stays broken', `${event(5)}data: {"type":\n\n`],
  ['messages that are none', 'data: 7\n\n'],
])('%s ends it, and is not asked for again and again', async (_, text) => {
  const fake = held(await streaming((count) => (count === 1 ? text : text.replace(event(5), ''))))
  const follower = new Follower(clientOf(fake.url), { after: 4 })
  expect(await follower.ended).toMatchObject({ code: 'invalid_answer' })
  expect(fake.requests.length).toBeLessThan(6)
})

test('a message without a bound is given up', async () => {
  const fake = held(await streaming(() => `data: ${'x'.repeat(100_000)}`))
  expect(await new Follower(clientOf(fake.url, { mostChars: 5000 })).ended).toMatchObject({ code: 'answer_too_large' })
  expect(fake.requests).toHaveLength(1)
})

test('pauses grow up to their bound, are spread, and obey the server; one good message makes them short again', async () => {
  const waits: number[] = []
  const clock: ClientClock = {
    setTimeout(callback, ms) {
      // Bounds of a line's silence, and of its first word.
      if (ms === 40_000 || ms === 10_000) return { cancel: () => {} }
      waits.push(ms)
      const timer = setTimeout(callback, 0)
      return { cancel: () => clearTimeout(timer) }
    },
  }
  const fake = held(
    await fakeServer((_, reply, count) => {
      if (count < 8) return void reply.writeHead(503, count === 7 ? { 'retry-after': '25' } : {}).end()
      reply.writeHead(200, { 'content-type': 'text/event-stream' }).end(count === 8 ? `retry: 2000\n\n${event(5)}` : '')
    }),
  )
  const follower = new Follower(createClient({ baseUrl: fake.url, clock, random: () => 0.5 }), { after: 4 })
  await follower.until(() => waits.length >= 10, 'ten pauses')
  await follower.stop()
  expect(waits.slice(0, 10)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 2000, 4000, 8000])
})

test('the end of the iteration ends the connection', async () => {
  let open = 0
  const fake = held(
    await fakeServer((request, reply) => {
      open++
      request.socket.on('close', () => open--)
      reply.writeHead(200, { 'content-type': 'text/event-stream' }).write(event(5))
    }),
  )
  for await (const message of clientOf(fake.url).events({ after: 4 })) {
    expect(message.seq).toBe(5)
    break
  }
  await expect.poll(() => open, { interval: 5 }).toBe(0)
})

test('a slow reader holds nothing up, and gets everything', { timeout: 240_000 }, async () => {
  const there = held(await world())
  const follower = new Follower(clientOf(there.url), {}, ({ seq }) =>
    seq % 50 === 0 ? new Promise((resolve) => setTimeout(resolve, 20)) : null,
  )
  await follower.until(({ messages }) => messages.length > 0, 'a snapshot')
  for (let round = 0; round < 300; round++) {
    await there.fleet.pintail.cordon('s1')
    await there.fleet.pintail.uncordon('s1')
  }
  const last = there.fleet.pintail.status().lastSeq
  await follower.until(({ seqs }) => (seqs.at(-1) ?? 0) >= last, `event ${last}`)
  expect(follower.seqs).toEqual(range((follower.messages[0]?.seq ?? 0) + 1, last))
  await follower.stop()
})

test.each([{ after: -1 }, { after: 1.5 }, { idleMs: 10 }, { longestPauseMs: 0 }])('options are checked: %j', async (options) => {
  expect(await new Follower(clientOf('http://127.0.0.1:9'), options).ended).toMatchObject({ code: 'invalid_argument' })
})
