import { once } from 'node:events'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { Prober, ServerId } from '@pintail/core'
import { afterEach, expect, test } from 'vitest'
import { http } from './http.ts'
import { tls } from './tls.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})
async function listen(server: Server): Promise<number> {
  servers.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

const timeoutMs = 300
const probe = (prober: Prober, port: number) =>
  prober.probe({ serverId: 'ams-1' as ServerId, host: '127.0.0.1', port, packets: 1, timeoutMs }, { signal: new AbortController().signal })
/** Nothing has its turn until then: the timer is hardly late, and nobody has seen what came meanwhile. */
const blockUntil = (moment: number): void => {
  while (performance.now() < moment);
}
const unseen = { code: 'prober_unavailable', message: expect.stringContaining('blocked') }

test('a connection that stands there when time is up is no silence, however little late the look at it is', async () => {
  const running = probe(tls(), await listen(createServer((socket) => socket.on('error', () => {}))))
  await new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)))
  blockUntil(performance.now() + timeoutMs)
  await expect(running).rejects.toMatchObject(unseen)
})

test('nor is an answer', async () => {
  let begun = 0
  const answer: RequestListener = (_, response) => {
    response.end('fine')
    blockUntil(begun + timeoutMs)
  }
  const port = await listen(createHttp(answer))
  begun = performance.now() + 2
  await expect(probe(http({ secure: false }), port)).rejects.toMatchObject(unseen)
})

test('a server that says nothing is silent', async () => {
  const port = await listen(createServer((socket) => socket.on('error', () => {})))
  // A busy machine may be late itself, and says so.
  for (const prober of [tls(), http({ secure: false })])
    await expect
      .poll(() =>
        probe(prober, port).then(
          ({ failure }) => failure?.kind,
          ({ code }) => code,
        ),
      )
      .toBe('no_reply')
})
