import { createFleet, type Fleet } from '@pintail/core/testing'
import type { WireMessage } from '@pintail/core/wire'
import { afterEach, expect, test, vi } from 'vitest'
import { until } from '../../test/streams.ts'
import { masking } from '../privacy.ts'
import type { Batch } from './frames.ts'
import { Hub, hubLimits, type Sink } from './hub.ts'
import { SseSink } from './sse.ts'

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of closing.splice(0).reverse()) await close()
})

async function world(limits: Partial<typeof hubLimits> = {}): Promise<{ readonly fleet: Fleet; readonly hub: Hub }> {
  const fleet = await createFleet({ servers: 3, connections: 2 })
  await fleet.advance(20_000)
  const hub = new Hub(fleet.pintail, masking(), () => {}, { ...hubLimits, flushMs: 1, ...limits })
  closing.push(
    () => fleet.stop(),
    () => hub.close(),
  )
  return { fleet, hub }
}

/** A client that takes everything at once and remembers which pieces of memory it was given. */
class Taker implements Sink {
  readonly masked: boolean
  readonly pieces: Buffer[] = []
  reason: string | null = null
  constructor(masked = false) {
    this.masked = masked
  }
  buffered = 0
  send(batch: Batch): void {
    this.pieces.push(batch.sse(this.masked))
  }
  close(batch: Batch, reason: string): void {
    this.reason = reason
    this.send(batch)
  }
  beat = () => true
  drained = () => Promise.resolve()
  get messages(): WireMessage[] {
    const text = Buffer.concat(this.pieces).toString()
    return [...text.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json ?? ''))
  }
}

test('a thousand clients get the very same memory: an event is written once, and once more for all who may not see users', async () => {
  const { fleet, hub } = await world()
  const clients = Array.from({ length: 1000 }, (_, index) => new Taker(index % 2 === 1))
  await Promise.all(clients.map((client) => hub.add(client, null)))
  const before = clients.map(({ pieces }) => pieces.length)
  for (let index = 0; index < 20; index++) await fleet.pintail.pause('all', { reason: `pause ${index}` })
  const last = fleet.pintail.status().lastSeq
  await until(() => clients.every(({ messages }) => messages.at(-1)?.seq === last), 'all events')
  const given = new Set(clients.flatMap(({ pieces }, index) => pieces.slice(before[index])))
  const batches = clients[0]?.pieces.slice(before[0]).length ?? 0
  expect(batches).toBeGreaterThan(0)
  expect(given.size).toBe(batches * 2)
  // And the picture they began with was taken once.
  expect(new Set(clients.map(({ pieces }) => pieces[0]?.toString())).size).toBe(1)
})

test('a batch goes out in turns of the event loop, to fifty clients each, and none of them misses or doubles one', async () => {
  const { fleet, hub } = await world()
  const clients = Array.from({ length: 220 }, () => new Taker())
  await Promise.all(clients.map((client) => hub.add(client, null)))
  const first = fleet.pintail.health().lastSeq
  const had = () => clients.map(({ pieces }) => pieces.length)
  const inOneTurn: number[] = []
  let isOver = false
  const look = (before: readonly number[]): void => {
    const now = had()
    const count = now.filter((pieces, index) => pieces > (before[index] ?? 0)).length
    if (count > 0) inOneTurn.push(count)
    if (!isOver) setImmediate(look, now)
  }
  setImmediate(look, had())
  let late: Taker | null = null
  for (let index = 0; index < 30; index++) {
    await fleet.pintail.pause('all', { reason: `pause ${index}` })
    await new Promise((resolve) => setImmediate(resolve))
    if (index !== 15) continue
    // Whoever comes in the middle of it gets the picture, and each event after it once.
    late = new Taker()
    await hub.add(late, null)
  }
  const last = fleet.pintail.health().lastSeq
  await until(() => [...clients, late].every((client) => client?.messages.at(-1)?.seq === last), 'all events')
  isOver = true
  for (const { messages } of clients)
    expect(messages.slice(1).map(({ seq }) => seq)).toEqual(Array.from({ length: last - first }, (_, index) => first + 1 + index))
  const [picture, ...after] = late?.messages ?? []
  expect(after.map(({ seq }) => seq)).toEqual(
    Array.from({ length: last - (picture?.seq ?? 0) }, (_, index) => (picture?.seq ?? 0) + 1 + index),
  )
  // But for what went out at once when somebody came.
  expect(inOneTurn.filter((count) => count > 100).length).toBeLessThanOrEqual(2)
  expect(inOneTurn.length).toBeGreaterThan(5)
})

test('the listener in the engine does nothing but note: whoever is told, no event is written in the turn of the engine', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
  const { fleet, hub } = await world({ flushMs: 50 })
  const client = new Taker()
  await hub.add(client, null)
  const before = client.pieces.length
  await fleet.pintail.cordon('s1')
  vi.advanceTimersByTime(49)
  expect(client.pieces).toHaveLength(before)
  vi.advanceTimersByTime(1)
  expect(client.pieces.length).toBeGreaterThan(before)
})

test('a client further behind than it may be is cut with the reason, and resumes without a gap', async () => {
  const { fleet, hub } = await world({ buffer: 4096 })
  let isGone = false
  const sink = new SseSink(false, 1000, () => {
    isGone = true
    hub.remove(sink)
  })
  await hub.add(sink, null)
  const from = fleet.pintail.status().lastSeq
  // Nobody reads the stream: a socket that is full.
  for (let index = 0; index < 200 && hub.size > 0; index++) {
    await fleet.pintail.pause('all', { reason: 'x'.repeat(100) })
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  expect(hub.size).toBe(0)
  const held = sink.buffered
  const snapshot = 20_000
  expect(held).toBeLessThan(4096 + snapshot)
  let text = ''
  for await (const piece of sink.stream) text += piece
  expect(isGone).toBe(true)
  const messages: WireMessage[] = [...text.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json ?? ''))
  const last = messages.at(-1)
  if (last?.type !== 'stream.closed') throw new Error('it was not told why')
  expect(last.data.reason).toBe('too_slow')
  const again = new Taker()
  await hub.add(again, last.data.after)
  const got = [...messages, ...again.messages].flatMap(({ type, seq }) => (type === 'pause.set' ? [seq] : []))
  expect(got).toEqual(Array.from({ length: fleet.pintail.status().lastSeq - from }, (_, index) => from + 1 + index))
})

test('who was cut and never reads is torn off after the grace', async () => {
  const { fleet, hub } = await world({ buffer: 1024, graceMs: 20 })
  const sink = new SseSink(false, 1000, () => hub.remove(sink))
  sink.stream.on('error', () => {})
  await hub.add(sink, null)
  while (hub.size > 0) {
    await fleet.pintail.pause('all', { reason: 'x'.repeat(300) })
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await until(() => sink.stream.destroyed, 'the end')
})

test('a stream ends after its time, so that it is asked again who may read it', async () => {
  const { hub } = await world({ maxAgeMs: 30, beatMs: 5 })
  const client = new Taker()
  await hub.add(client, null)
  await until(() => client.reason !== null, 'the end')
  expect(client.messages.at(-1)).toMatchObject({ type: 'stream.closed', data: { reason: 'expired' } })
  expect(hub.size).toBe(0)
})

test('no more streams than the limit are taken, and one that leaves makes room', async () => {
  const { hub } = await world({ streams: 2 })
  const [a, b] = [new Taker(), new Taker()]
  await hub.add(a, null)
  expect(hub.isFull).toBe(false)
  await hub.add(b, null)
  expect(hub.isFull).toBe(true)
  hub.remove(a)
  expect(hub.isFull).toBe(false)
})

test('a store that does not answer ends the stream with that reason, and the next one finds it well again', async () => {
  const fleet = await createFleet({ servers: 3 })
  await fleet.advance(20_000)
  let isBroken = true
  const replay: typeof fleet.pintail.replay = async (query) => {
    if (isBroken) throw new Error('connect ECONNREFUSED')
    return fleet.pintail.replay(query)
  }
  // Everything else is the engine itself.
  const engine = new Proxy(fleet.pintail, {
    get: (target, key) => {
      if (key === 'replay') return replay
      const value = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const hub = new Hub(engine, masking(), () => {}, hubLimits)
  closing.push(
    () => hub.close(),
    () => fleet.stop(),
  )
  const unlucky = new Taker()
  await hub.add(unlucky, 0)
  expect(unlucky.messages.at(-1)).toMatchObject({ type: 'stream.closed', data: { reason: 'unavailable', after: 0 } })
  isBroken = false
  const lucky = new Taker()
  await hub.add(lucky, 0)
  expect(lucky.messages.map(({ seq }) => seq)).toEqual(fleet.events.filter(({ seq }) => seq > 0).map(({ seq }) => seq))
})

test('without a client nothing is followed: no timer is left, and the engine tells nobody', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
  const { fleet, hub } = await world()
  const client = new Taker()
  await hub.add(client, null)
  expect(vi.getTimerCount()).toBeGreaterThan(0)
  hub.remove(client)
  await fleet.pintail.cordon('s1')
  await fleet.advance(1000)
  expect(client.messages.filter(({ type }) => type === 'server.cordoned')).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})
