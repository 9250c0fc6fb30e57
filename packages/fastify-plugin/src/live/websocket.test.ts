import { request } from 'node:http'
import { connect } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import { toWire, type WireMessage } from '@pintail/core/wire'
import Fastify from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { type Api, type ApiOptions, api } from '../../test/api.ts'
import { until } from '../../test/streams.ts'
import pintail from '../index.ts'
import { hubLimits } from './hub.ts'

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function live(options: ApiOptions = {}): Promise<Api & { readonly address: string }> {
  const before = async (app: Api['app']) => {
    await app.register(fastifyWebsocket)
    await options.before?.(app)
  }
  const made = await api({ servers: 4, connections: 3, ...options, before })
  const address = await made.app.listen({ host: '127.0.0.1', port: 0 })
  closing.push(() => made.close())
  return { ...made, address }
}

interface Line {
  readonly messages: WireMessage[]
  readonly socket: WebSocket
  readonly closed: () => { readonly code: number; readonly reason: string } | null
}

async function open(address: string, path = '/pintail/ws'): Promise<Line> {
  const socket = new WebSocket(`${address.replace('http', 'ws')}${path}`)
  const messages: WireMessage[] = []
  let closed: { code: number; reason: string } | null = null
  socket.addEventListener('message', ({ data }) => messages.push(JSON.parse(String(data))))
  socket.addEventListener('close', ({ code, reason }) => {
    closed = { code, reason }
  })
  socket.addEventListener('error', () => {})
  await until(() => socket.readyState !== WebSocket.CONNECTING, 'a connection')
  return { messages, socket, closed: () => closed }
}

test('a WebSocket says the same as the stream: a picture, then one message an event', async () => {
  const { fleet, address } = await live({ policy: { mode: 'auto' } })
  const line = await open(address)
  await until(() => line.messages.length > 0, 'a snapshot')
  expect(line.messages[0]).toMatchObject({ type: 'snapshot', seq: fleet.pintail.status().lastSeq })
  const seq = line.messages[0]?.seq ?? 0
  await fleet.pintail.drain('s1')
  await fleet.advance(10_000)
  const last = fleet.pintail.status().lastSeq
  // Nothing is told after the event that is waited for.
  expect(fleet.events.at(-1)?.seq).toBe(last)
  await until(() => line.messages.some((one) => one.seq === last), 'the last event')
  const told = fleet.events.filter((event) => event.seq === 0 || event.seq > seq).map(toWire)
  expect(line.messages.slice(1)).toEqual(told.slice(-(line.messages.length - 1)))
  const again = await open(address, `/pintail/ws?after=${seq}`)
  await until(() => again.messages.some((one) => one.seq === last), 'the replay')
  expect(again.messages.map((one) => one.seq)).toEqual(Array.from({ length: last - seq }, (_, index) => seq + 1 + index))
})

test('a cursor that the journal does not have is told so, with a fresh picture', async () => {
  const { address } = await live()
  const line = await open(address, '/pintail/ws?after=999999')
  await until(() => line.messages.length > 1, 'a snapshot')
  expect(line.messages.map(({ type }) => type)).toEqual(['stream.reset', 'snapshot'])
})

test('who is not allowed to read is refused before the upgrade', async () => {
  const { address } = await live({ authorize: (_request, action) => action !== 'events:read' })
  const line = await open(address)
  await until(() => line.closed() !== null, 'the refusal')
  expect(line.messages).toEqual([])
})

test('a client that talks is cut: garbage, JSON and binary alike, and the others go on', async () => {
  const { fleet, address } = await live()
  const good = await open(address)
  await until(() => good.messages.length > 0, 'a snapshot')
  for (const words of ['garbage', '{"type":"subscribe"}', new Uint8Array(100), '']) {
    const line = await open(address)
    line.socket.send(words)
    await until(() => line.closed() !== null, 'the end')
    expect(line.closed()).toEqual({ code: 1008, reason: 'this stream takes no messages' })
  }
  await fleet.pintail.cordon('s1')
  await until(() => good.messages.at(-1)?.type === 'server.cordoned', 'an event')
})

test('a flood of half a message is torn off long before it is whole', async () => {
  const { address } = await live()
  const { port } = new URL(address)
  const socket = connect(Number(port), '127.0.0.1')
  closing.push(() => socket.destroy())
  let isOver = false
  socket.on('close', () => {
    isOver = true
  })
  socket.on('error', () => {})
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  socket.write(
    `GET /pintail/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  )
  await new Promise((resolve) => socket.once('data', resolve))
  // A text frame of 64 MiB, of which one KiB after the other comes.
  socket.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]))
  for (let sent = 0; !isOver && sent < 256; sent++) {
    socket.write(Buffer.alloc(1024))
    await new Promise((resolve) => setImmediate(resolve))
  }
  // No more comes: a line that waits for the rest stays open.
  await until(() => isOver, 'the end of the flood')
  const still = await fetch(`${address}/pintail/health`)
  expect(still.status).toBe(200)
}, 120_000)

test('broken frames close that line and nothing else', async () => {
  const { address } = await live()
  const { port } = new URL(address)
  for (const bytes of [
    [0xff, 0xff, 0xff],
    [0x81, 0x05, 1, 2, 3, 4, 5],
    [0x00, 0x80, 0, 0, 0, 0],
    [0x89, 0xfe, 0xff, 0xff],
  ]) {
    const socket = connect(Number(port), '127.0.0.1')
    closing.push(() => socket.destroy())
    let isOver = false
    socket
      .on('error', () => {})
      .on('close', () => {
        isOver = true
      })
    socket.write(
      'GET /pintail/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    await new Promise((resolve) => socket.once('data', resolve))
    socket.resume()
    socket.write(Buffer.from(bytes))
    await until(() => isOver, 'the end')
  }
  expect((await fetch(`${address}/pintail/health`)).status).toBe(200)
})

test('an ordinary request for the WebSocket is told what it is', async () => {
  const { ask } = await live()
  const answer = await ask('GET', '/ws')
  expect([answer.status, answer.body.code, answer.headers.upgrade]).toEqual([426, 'upgrade_required', 'websocket'])
})

test('without @fastify/websocket in the host its upgrades are left alone, and the route says what is missing', async () => {
  const made = await api()
  closing.push(() => made.close())
  const upgraded: string[] = []
  // The host answers its own upgrades.
  made.app.server.on('upgrade', (incoming, socket) => {
    upgraded.push(incoming.url ?? '')
    socket.end('HTTP/1.1 418 Mine\r\nConnection: close\r\n\r\n')
  })
  const address = await made.app.listen({ host: '127.0.0.1', port: 0 })
  expect((await made.ask('GET', '/ws')).body).toMatchObject({ code: 'websocket_missing', status: 404 })
  const status = await new Promise((resolve, reject) => {
    const asked = request(`${address}/own`, { headers: { connection: 'upgrade', upgrade: 'websocket' } }, (answer) =>
      resolve(answer.statusCode),
    )
    asked.on('error', reject).end()
  })
  expect([status, upgraded]).toEqual([418, ['/own']])
})

test('two engines in one app share the @fastify/websocket of the host', async () => {
  const first = await live()
  const second = await api()
  closing.push(() => second.close())
  await first.app.close()
  const app = Fastify()
  await app.register(fastifyWebsocket)
  await app.register(pintail, { pintail: first.fleet.pintail, authorize: 'host' })
  await app.register(pintail, { pintail: second.fleet.pintail, authorize: 'host', decoratorName: 'reserve', routePrefix: '/reserve' })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  closing.push(() => app.close())
  const [a, b] = [await open(address), await open(address, '/reserve/ws')]
  await until(() => a.messages.length > 0 && b.messages.length > 0, 'snapshots')
  await second.fleet.pintail.cordon('s1')
  await until(() => b.messages.at(-1)?.type === 'server.cordoned', 'an event')
  expect(a.messages).toHaveLength(1)
})

test('the app closes long before the time of a slow client is over, with 50 open WebSockets', async () => {
  const world = await live()
  const lines = await Promise.all(Array.from({ length: 50 }, () => open(world.address)))
  await until(() => lines.every(({ messages }) => messages.length > 0), 'snapshots')
  const began = performance.now()
  await world.app.close()
  expect(performance.now() - began).toBeLessThan(hubLimits.graceMs)
  // In the words of the host's plugin, whose own hook comes before ours: a close without a code.
  await until(() => lines.every((line) => line.closed() !== null), 'the end of all')
}, 120_000)
