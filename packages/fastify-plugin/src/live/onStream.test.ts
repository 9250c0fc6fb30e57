import fastifyWebsocket from '@fastify/websocket'
import { afterEach, expect, test } from 'vitest'
import { api } from '../../test/api.ts'
import { listen, until } from '../../test/streams.ts'

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Held {
  readonly url: string
  readonly end: () => void
  isOver: boolean
}

async function live() {
  const held: Held[] = []
  const made = await api({
    servers: 3,
    connections: 1,
    before: (app) => app.register(fastifyWebsocket),
    onStream: ({ url }, end) => {
      const one = { url, end, isOver: false }
      held.push(one)
      return {
        [Symbol.dispose]() {
          one.isOver = true
        },
      }
    },
  })
  const address = await made.app.listen({ host: '127.0.0.1', port: 0 })
  closing.push(() => made.close())
  const socket = async () => {
    const opened = new WebSocket(`${address.replace('http', 'ws')}/pintail/ws`)
    const closed: { code: number; reason: string }[] = []
    opened.addEventListener('close', ({ code, reason }) => closed.push({ code, reason }))
    await until(() => opened.readyState === WebSocket.OPEN, 'a WebSocket')
    return { opened, closed }
  }
  return { ...made, address, held, socket }
}

test('a stream of either kind ends when its host says so, with the reason and the cursor to go on from, and all others go on', async () => {
  const { fleet, address, held, socket } = await live()
  const [ended, other] = [await listen(address, '/pintail/events'), await listen(address, '/pintail/events')]
  const line = await socket()
  await until(() => held.length === 3 && [ended, other].every(({ messages }) => messages.length > 0), 'three streams')
  const ends = held.filter(({ url }) => url.endsWith('/ws')).concat(held.slice(0, 1))
  for (const { end } of ends) end()
  await until(() => ended.isOver && line.closed.length === 1, 'two ends')
  const last = ended.messages.at(-1)
  expect(last).toMatchObject({ type: 'stream.closed', data: { reason: 'expired', after: fleet.pintail.status().lastSeq } })
  expect(line.closed).toEqual([{ code: 1001, reason: 'expired' }])
  await until(() => ends.every(({ isOver }) => isOver), 'both given back')
  expect(held.filter(({ isOver }) => !isOver)).toHaveLength(1)
  // A second word for a stream that is over says nothing.
  for (const { end } of ends) end()
  await fleet.pintail.cordon('s1')
  await until(() => other.messages.some(({ type }) => type === 'server.cordoned'), 'the next event')
  expect(ended.messages.at(-1)).toBe(last)
})

test('what the host holds of a stream is given back when the client goes, and when the app closes', async () => {
  const { app, address, held, socket } = await live()
  const gone = await listen(address, '/pintail/events')
  const line = await socket()
  await listen(address, '/pintail/events')
  await until(() => held.length === 3, 'three streams')
  gone.cut()
  line.opened.close()
  await until(() => held.filter(({ isOver }) => isOver).length === 2, 'two given back')
  await app.close()
  expect(held.every(({ isOver }) => isOver)).toBe(true)
})

test('a request that begins no stream is not told of', async () => {
  const { ask, held } = await live()
  expect((await ask('GET', '/events?after=x')).status).toBe(400)
  expect((await ask('GET', '/ws')).status).toBe(426)
  expect(held).toEqual([])
})

test('problem details name the request as the log knows it', async () => {
  const made = await api({ servers: 3, server: { genReqId: () => 'request-7' } })
  closing.push(() => made.close())
  expect((await made.ask('GET', '/migrations/none')).body).toMatchObject({ status: 404, request_id: 'request-7' })
  expect((await made.ask('GET', '/nowhere')).body).toMatchObject({ status: 404, request_id: 'request-7' })
})
