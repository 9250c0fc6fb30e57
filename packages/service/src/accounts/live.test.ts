import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { listen, until } from '../../../fastify-plugin/test/streams.ts'
import { access } from '../../test/access.ts'
import { bearer } from '../../test/credentials.ts'

// Over real sockets. What is looked at every second in a service is looked at here when the test says so.

async function live() {
  const time = { now: Date.now() }
  const world = await access({ now: () => time.now, isQuiet: true })
  const address = await world.app.listen({ host: '127.0.0.1', port: 0 })
  const token = (other: object = {}) => world.credentials.hs256(world.credentials.claims('viewer', { ...other }))
  const stream = async (headers: Readonly<Record<string, string>>) => {
    const opened = await listen(address, '/api/events', headers)
    if (opened.status === 200) await until(() => opened.messages.length > 0, 'a first message')
    return opened
  }
  const socket = async (protocols: string[]) => {
    const opened = new WebSocket(`${address.replace('http', 'ws')}/api/ws`, protocols)
    const closed: { code: number; reason: string }[] = []
    const messages: unknown[] = []
    opened.addEventListener('error', () => {})
    opened.addEventListener('close', ({ code, reason }) => closed.push({ code, reason }))
    opened.addEventListener('message', ({ data }) => messages.push(JSON.parse(String(data))))
    await until(() => messages.length > 0 || closed.length > 0, 'a first message or the end')
    return { opened, closed, messages }
  }
  return { world, time, address, token, stream, socket, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}

test('a stream ends when its token expires, and others go on', async () => {
  await using made = await live()
  const { world, time, token, stream, socket } = made
  const seconds = Math.floor(time.now / 1000)
  const short = await token({ exp: seconds + 60 })
  const [ending, staying, keyed] = [
    await stream(bearer(short)),
    await stream(bearer(await token())),
    await stream(bearer(world.credentials.key('viewer'))),
  ]
  const line = await socket(['pintail', `pintail.bearer.${short}`])
  await world.gate.look()
  expect([ending.isOver, line.closed]).toEqual([false, []])
  // The tolerance of the clock counts here as it does at the door.
  time.now = (seconds + 65) * 1000
  await world.gate.look()
  await until(() => ending.isOver && line.closed.length === 1, 'two ends')
  expect(ending.messages.at(-1)).toMatchObject({ type: 'stream.closed', data: { reason: 'expired' } })
  expect(line.closed).toEqual([{ code: 1001, reason: 'expired' }])
  expect((await stream(bearer(short))).status).toBe(401)
  expect([staying.isOver, keyed.isOver]).toEqual([false, false])
})

test('a stream ends when its token or its key is revoked, and when that cannot be seen any more', async () => {
  await using made = await live()
  const { world, token, stream } = made
  const [one, other, keyed] = [
    await stream(bearer(await token({ jti: 'x' }))),
    await stream(bearer(await token())),
    await stream(bearer(world.credentials.key('viewer'))),
  ]
  world.credentials.write('revoked.json', { tokens: ['x'], keys: ['viewer'] })
  await world.gate.look()
  await until(() => one.isOver && keyed.isOver, 'two ends')
  expect(other.isOver).toBe(false)
  world.credentials.write('revoked.json', '{')
  await world.gate.look()
  await until(() => other.isOver, 'the end of the rest')
})

test('nobody has to look: in a service it happens by itself', async () => {
  await using made = await live()
  const { time, token, stream } = made
  const ending = await stream(bearer(await token({ exp: Math.floor(time.now / 1000) + 60 })))
  time.now += 120_000
  await until(() => ending.isOver, 'the end')
})

test('a WebSocket of a browser offers its token as a protocol, and is answered with another one', async () => {
  await using made = await live()
  const { world, token, socket } = made
  const line = await socket(['pintail', `pintail.bearer.${await token()}`])
  expect([line.opened.protocol, line.messages[0]]).toMatchObject(['pintail', { type: 'snapshot' }])
  const byKey = await socket(['pintail', `pintail.bearer.${world.credentials.key('viewer')}`])
  expect(byKey.messages[0]).toMatchObject({ type: 'snapshot' })
  for (const protocols of [
    ['pintail'],
    ['pintail', 'pintail.bearer.garbage'],
    [],
    ['pintail', `pintail.bearer.${await token({ jti: 'revoked' })}`],
  ]) {
    const refused = await socket(protocols)
    expect([protocols.length, refused.messages, refused.closed]).toEqual([protocols.length, [], [{ code: 1006, reason: '' }]])
  }
  expect(world.log()).not.toContain('pintail.bearer.ey')
})

test('closing the app ends all streams, and nothing is left open', async () => {
  await using made = await live()
  const { world, token, stream, socket } = made
  const streams = await Promise.all(Array.from({ length: 5 }, async () => stream(bearer(await token()))))
  await socket(['pintail', `pintail.bearer.${await token()}`])
  const server: Server = world.app.server
  expect((server.address() as AddressInfo).port).toBeGreaterThan(0)
  await world.app.close()
  await until(() => streams.every(({ isOver }) => isOver), 'all ends')
  expect(await new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0)
})
