import { createServer } from 'node:net'
import { Readable } from 'node:stream'
import { isPintailError, memoryStore } from '@pintail/core'
import { createFleet, seededRandom } from '@pintail/core/testing'
import type { WireMessage } from '@pintail/core/wire'
import { toWire } from '@pintail/core/wire'
import Fastify from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { type Api, type ApiOptions, api } from '../../test/api.ts'
import { listen, type Stream, until } from '../../test/streams.ts'
import pintail from '../index.ts'
import { hubLimits } from './hub.ts'

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function live(
  options: ApiOptions = {},
): Promise<Api & { readonly address: string; open(path?: string, headers?: Record<string, string>): Promise<Stream> }> {
  const made = await api({ servers: 4, connections: 3, ...options })
  const address = await made.app.listen({ host: '127.0.0.1', port: 0 })
  closing.push(() => made.close())
  return { ...made, address, open: (path = '/pintail/events', headers) => listen(address, path, headers) }
}

const seqs = (messages: readonly WireMessage[]) => messages.flatMap(({ seq, type }) => (seq > 0 && type !== 'snapshot' ? [seq] : []))
const snapshotOf = ({ messages }: Stream) => {
  const [first] = messages
  if (first?.type !== 'snapshot') throw new Error(`no snapshot, but ${first?.type}`)
  return first
}
const upTo = (stream: Stream, seq: number) => until(() => Number(stream.lastEventId) >= seq, `event ${seq}`)

// ------------------------------------------------------------------------------------------------------------ snapshot

test('who comes without a cursor gets the whole picture first, and then what comes after it', async () => {
  const { fleet, open } = await live()
  const stream = await open()
  expect([stream.status, stream.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8'])
  await until(() => stream.messages.length > 0, 'a snapshot')
  const { seq, data } = snapshotOf(stream)
  expect(seq).toBe(fleet.pintail.status().lastSeq)
  expect(data).toMatchObject({ state: 'leading', last_seq: seq, counts: { up: 4 } })
  await fleet.pintail.cordon('s1')
  await fleet.pintail.uncordon('s1')
  await upTo(stream, seq + 2)
  expect(stream.messages.slice(1)).toEqual(fleet.events.filter((event) => event.seq > seq).map(toWire))
  expect(stream.lastEventId).toBe(String(seq + 2))
})

test('a transient event goes out without an id, so that the cursor of the client stays where it is', async () => {
  const { fleet, open } = await live({ policy: { mode: 'auto' } })
  const stream = await open()
  await until(() => stream.messages.length > 0, 'a snapshot')
  await fleet.pintail.drain('s1')
  await fleet.advance(10_000)
  // Nothing is told after the event that is waited for.
  expect(fleet.events.at(-1)?.seq).toBe(fleet.pintail.status().lastSeq)
  await upTo(stream, fleet.pintail.status().lastSeq)
  const progress = stream.messages.filter(({ type }) => type === 'migration.progress')
  expect(progress.length).toBeGreaterThan(0)
  expect(progress.every(({ seq }) => seq === 0)).toBe(true)
  // All that was told is there, in its order, the transient ones in their places.
  expect(stream.messages.slice(1)).toEqual(fleet.events.slice(-(stream.messages.length - 1)).map(toWire))
})

// -------------------------------------------------------------------------------------------------------------- replay

test('Last-Event-ID goes on after that event, from memory or from the journal', async () => {
  const { fleet, open } = await live()
  const before = fleet.pintail.status().lastSeq
  for (let index = 0; index < 1500; index++) await fleet.pintail.pause('all', { reason: `pause ${index}` })
  const last = fleet.pintail.status().lastSeq
  for (const after of [0, before, last - 1200, last - 3, last]) {
    const stream = await open('/pintail/events', { 'last-event-id': String(after) })
    await fleet.pintail.cordon('s2')
    await fleet.pintail.uncordon('s2')
    const end = fleet.pintail.status().lastSeq
    await upTo(stream, end)
    expect(seqs(stream.messages)).toEqual(Array.from({ length: end - after }, (_, index) => after + index + 1))
    expect(stream.messages[0]?.type).not.toBe('snapshot')
    stream.cut()
  }
  const byQuery = await open(`/pintail/events?after=${last}`)
  await upTo(byQuery, last + 1)
  expect(seqs(byQuery.messages)[0]).toBe(last + 1)
})

test('whatever breaks between, no client misses an event or gets one twice', async () => {
  const { fleet, open } = await live({ policy: { mode: 'auto' }, servers: 6, connections: 6 })
  const random = seededRandom(7)
  const clients = await Promise.all(
    Array.from({ length: 8 }, async () => {
      let stream = await open()
      const all: WireMessage[] = []
      await until(() => stream.messages.length > 0, 'a snapshot')
      return {
        all: () => [...all, ...stream.messages],
        last: () => Number(stream.lastEventId),
        async again() {
          stream.cut()
          all.push(...stream.messages)
          stream = await open('/pintail/events', { 'last-event-id': stream.lastEventId ?? '' })
        },
      }
    }),
  )
  for (let round = 0; round < 40; round++) {
    const server = `s${1 + Math.floor(random() * 6)}`
    if (random() < 0.5) await fleet.pintail.drain(server).catch((error) => isPintailError(error) || Promise.reject(error))
    else await fleet.pintail.uncordon(server)
    await fleet.advance(Math.floor(random() * 3000))
    for (const client of clients) if (random() < 0.4) await client.again()
  }
  const end = fleet.pintail.status().lastSeq
  await until(() => clients.every((client) => client.last() >= end), 'all events')
  const told = fleet.events.filter(({ seq }) => seq > 0).map(toWire)
  for (const client of clients) {
    const messages = client.all()
    const from = messages[0]?.seq ?? 0
    expect(messages.filter(({ seq, type }) => seq > 0 && type !== 'snapshot')).toEqual(told.filter(({ seq }) => seq > from))
  }
}, 240_000)

test('a cursor older than the journal is told so, and gets a fresh picture to go on from', async () => {
  const { fleet, open } = await live({ replace: () => ({ store: memoryStore({ journalLimit: 1000 }) }) })
  for (let index = 0; index < 2600; index++) await fleet.pintail.pause('all', { reason: `pause ${index}` })
  const stream = await open('/pintail/events', { 'last-event-id': '7' })
  await until(() => stream.messages.length > 1, 'a snapshot')
  const [reset, snapshot] = stream.messages
  expect(reset).toMatchObject({ type: 'stream.reset', data: { reason: 'cursor_too_old', after: 7 } })
  expect(snapshot).toMatchObject({ type: 'snapshot', data: { pauses: [{ reason: 'pause 2599' }] } })
  await fleet.pintail.cordon('s1')
  await upTo(stream, fleet.pintail.status().lastSeq)
  expect(seqs(stream.messages)).toEqual([(snapshot?.seq ?? 0) + 1])
}, 30_000)

test('a cursor that is none, or of another journal, begins anew too: a browser would give up on a refusal', async () => {
  const { fleet, open } = await live()
  for (const cursor of ['garbage', '-1', '1e9', '99999999', '9'.repeat(40), '1.5']) {
    const stream = await open('/pintail/events', { 'last-event-id': cursor })
    await until(() => stream.messages.length > 1, 'a snapshot')
    const [reset, snapshot] = stream.messages
    expect(reset).toMatchObject({ type: 'stream.reset', data: { reason: 'cursor_unknown' } })
    expect(snapshot).toMatchObject({ type: 'snapshot', seq: fleet.pintail.status().lastSeq })
    stream.cut()
  }
  const refused = await open('/pintail/events?after=garbage')
  expect(refused.status).toBe(400)
})

// ------------------------------------------------------------------------------------------------------- other engines

test('an engine on standby streams what the leader does, and has no picture to give', async () => {
  const world = await live()
  const { fleet } = world
  // A second engine over the same store: the lease is the first one's.
  const standby = await createFleet({
    servers: 4,
    replace: () => ({ store: fleet.store, leases: { acquire: async () => null, renew: async () => false, release: async () => {} } }),
  })
  const app = Fastify()
  await app.register(pintail, { pintail: standby.pintail, authorize: 'host' })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  closing.push(async () => {
    await app.close()
    await standby.stop()
  })
  expect(standby.pintail.status().state).toBe('standby')
  for (const path of ['/events', '/status', '/servers']) {
    const refused = await fetch(`${address}/pintail${path}`)
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, 'not_leader'])
  }
  const after = fleet.pintail.status().lastSeq
  const stream = await listen(address, `/pintail/events?after=${after}`)
  await fleet.pintail.cordon('s1')
  await fleet.pintail.cordon('s2')
  await upTo(stream, after + 2)
  expect(stream.messages.map(({ type, seq }) => [type, seq])).toEqual([
    ['server.cordoned', after + 1],
    ['server.cordoned', after + 2],
  ])
  // Records are in the store, so that everybody can read them.
  expect((await fetch(`${address}/pintail/migrations`)).status).toBe(200)
})

test('an engine that was killed and its successor are one journal to a client', async () => {
  const world = await live({ policy: { mode: 'auto' } })
  const stream = await world.open()
  await until(() => stream.messages.length > 0, 'a snapshot')
  await world.fleet.pintail.cordon('s1')
  await upTo(stream, world.fleet.pintail.status().lastSeq)
  const next = await world.fleet.crash()
  await next.advance(60_000)
  const app = Fastify()
  await app.register(pintail, { pintail: next.pintail, authorize: 'host' })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  closing.push(async () => {
    await app.close()
    await next.stop()
  })
  const again = await listen(address, '/pintail/events', { 'last-event-id': stream.lastEventId ?? '' })
  await next.pintail.uncordon('s1')
  await upTo(again, next.pintail.status().lastSeq)
  const got = [...seqs(stream.messages), ...seqs(again.messages)]
  expect(got).toEqual(Array.from({ length: got.length }, (_, index) => snapshotOf(stream).seq + 1 + index))
  expect(again.messages.map(({ type }) => type)).toContain('leader.acquired')
})

// -------------------------------------------------------------------------------------------------------------- limits

test('a client that takes nothing is cut with the reason, the others go on, and it resumes where it was', async () => {
  // What has been written for the first client and not been taken, as the host's hook sees it.
  const written: Readable[] = []
  const { fleet, open, address } = await live({
    before: (app) =>
      app.addHook('onSend', async (_request, _reply, payload) => {
        if (payload instanceof Readable) written.push(payload)
        return payload
      }),
  })
  const lazy = await open()
  const brisk = await open()
  await until(() => lazy.messages.length > 0 && brisk.messages.length > 0, 'snapshots')
  lazy.stall()
  const reason = 'x'.repeat(300)
  const last = () => fleet.pintail.status().lastSeq
  const pauses = async (count: number) => {
    for (let index = 0; index < count; index++) await fleet.pintail.pause('all', { reason })
    await upTo(brisk, last())
  }
  // Until the buffers of two sockets are full, and the client lies further behind than it may; with the next events it is cut.
  while ((written[0]?.readableLength ?? 0) <= hubLimits.buffer) await pauses(500)
  await pauses(100)
  // At once, as what it does not take soon it does not get.
  lazy.resume()
  await until(() => lazy.isOver, 'the end of the slow stream')
  const word = lazy.messages.at(-1)
  if (word?.type !== 'stream.closed') throw new Error(`it was not told why, but ${word?.type}`)
  expect(word.data).toEqual({ reason: 'too_slow', after: Number(lazy.lastEventId) })
  expect(word.data.after).toBeLessThan(last())
  const again = await listen(address, '/pintail/events', { 'last-event-id': lazy.lastEventId ?? '' })
  await upTo(again, last())
  const got = [...seqs(lazy.messages), ...seqs(again.messages)]
  expect(got).toEqual(Array.from({ length: last() - snapshotOf(lazy).seq }, (_, index) => snapshotOf(lazy).seq + 1 + index))
}, 120_000)

test('behind a proxy that rewrites the path everything works, because nothing in an answer is absolute', async () => {
  const { address, fleet } = await live({ policy: { mode: 'suggest' } })
  const port = Number(new URL(address).port)
  const { createServer: createHttp, request } = await import('node:http')
  const proxy = createHttp((incoming, outgoing) => {
    const path = (incoming.url ?? '').replace(/^\/ops\/vpn/, '/pintail')
    const onward = request({ port, host: '127.0.0.1', path, method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  closing.push(
    () => proxy.closeAllConnections(),
    () => proxy.close(),
  )
  const outside = `http://127.0.0.1:${(proxy.address() as { port: number }).port}/ops/vpn`
  const stream = await listen(outside, '/events')
  await until(() => stream.messages.length > 0, 'a snapshot')
  const asked = fetch(`${outside}/migrations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ server_id: 's1' }),
  })
  let isOver = false
  void asked.finally(() => {
    isOver = true
  })
  while (!isOver) await fleet.advance(10)
  const created = await asked
  expect(created.status).toBe(201)
  const found = await fetch(new URL(created.headers.get('location') ?? '', `${outside}/migrations`))
  expect(await found.json()).toMatchObject({ id: ((await created.json()) as { id: string }).id, status: 'suggested' })
  await upTo(stream, fleet.pintail.status().lastSeq)
  expect(stream.messages.map(({ type }) => type)).toContain('migration.created')
  stream.cut()
})

test('the last client that leaves takes the listener with it', async () => {
  const world = await live()
  const first = await world.open()
  const second = await world.open()
  await until(() => first.messages.length + second.messages.length > 1, 'snapshots')
  first.cut()
  second.cut()
  // A listener that was left would read the journal: the store would be asked when a gap is told.
  const third = await world.open()
  await until(() => third.messages.length > 0, 'a snapshot')
  expect(snapshotOf(third).seq).toBe(world.fleet.pintail.status().lastSeq)
  third.cut()
})

test('the app closes long before the time of a slow stream is over, with 50 open ones, and each is told why', async () => {
  const world = await live()
  const streams = await Promise.all(Array.from({ length: 50 }, () => world.open()))
  await until(() => streams.every(({ messages }) => messages.length > 0), 'snapshots')
  for (const stream of streams.slice(0, 5)) stream.stall()
  const reason = 'x'.repeat(300)
  for (let index = 0; index < 3000; index++) await world.fleet.pintail.pause('all', { reason })
  const began = performance.now()
  await world.app.close()
  expect(performance.now() - began).toBeLessThan(hubLimits.graceMs)
  await until(() => streams.slice(5).every(({ isOver }) => isOver), 'the end of all streams')
  for (const { messages } of streams.slice(5))
    expect(messages.at(-1)).toMatchObject({ type: 'stream.closed', data: { reason: 'shutting_down' } })
}, 120_000)

test('the port of a closed app is free, and no socket is left', async () => {
  const made = await api()
  closing.push(() => made.close())
  // On an address of its own: on the usual one another process may take the port meanwhile.
  const host = process.platform === 'linux' ? `127.46.${(process.pid >> 8) & 255}.${process.pid & 255}` : '127.0.0.1'
  const address = await made.app.listen({ host, port: 0 })
  const stream = await listen(address, '/pintail/events')
  await until(() => stream.messages.length > 0, 'a snapshot')
  await made.app.close()
  const { port } = new URL(address)
  const again = createServer()
  await new Promise<void>((resolve, reject) => again.once('error', reject).listen(Number(port), host, resolve))
  await new Promise((resolve) => again.close(resolve))
})
