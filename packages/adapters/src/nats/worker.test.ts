import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { deskOn, fakeServers } from '../../test/region.ts'
import { memoryBook } from '../regions/book.ts'
import { setUpNats } from './setUp.ts'
import { runRegionWorker } from './worker.ts'

describe.skipIf(!hasNats)(`a worker of a region ${needsNats}`, () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await startNats()
  })
  afterAll(() => server?.stop())

  test('a grant has its effect, is answered, and only then taken from the stream', async () => {
    const nats = await server.connect()
    const prefix = 'a'
    await setUpNats(nats, { prefix })
    const servers = fakeServers()
    const desk = await deskOn(await server.connect(), prefix)
    await using worker = await runRegionWorker({ nats, prefix, region: 'de', handler: servers, book: memoryBook() })
    const result = await desk.ask({ payload: { key: 'k' } })
    expect(result).toMatchObject({ status: 'ok', code: null, payload: { address: '10.0.0.1/c1' } })
    expect(servers.calls).toEqual(['grant de-1/c1 1.1'])
    await expect.poll(desk.waiting).toBe(0)
    expect(worker.figures()).toMatchObject({ applied: 1, inFlight: 0 })
    expect(desk.events.map(({ type }) => type)).toEqual(['worker.started'])
  })
})
