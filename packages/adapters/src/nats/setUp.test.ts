import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { setUpNats } from './setUp.ts'

describe.skipIf(!hasNats)(`the streams ${needsNats}`, () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await startNats()
  })
  afterAll(() => server?.stop())

  test('are made once, and brought to new limits later', async () => {
    const nats = await server.connect()
    const all = ['VPN_CMD', 'VPN_DEAD', 'VPN_SAMPLES']
    expect(await setUpNats(nats)).toEqual({ made: all, changed: [], unchanged: [] })
    expect(await setUpNats(nats)).toEqual({ made: [], changed: [], unchanged: all })
    expect(await setUpNats(nats, { commandBytes: 1024 * 1024 })).toEqual({
      made: [],
      changed: ['VPN_CMD'],
      unchanged: ['VPN_DEAD', 'VPN_SAMPLES'],
    })
    const { config } = await (await jetstreamManager(nats)).streams.info('VPN_CMD')
    expect(config).toMatchObject({
      retention: 'workqueue',
      discard: 'new',
      storage: 'file',
      max_bytes: 1024 * 1024,
      subjects: ['vpn.cmd.>'],
    })
  })

  test('may be set up by several at the same time', async () => {
    const nats = await Promise.all([server.connect(), server.connect(), server.connect()])
    const results = await Promise.all(nats.map((one) => setUpNats(one, { prefix: 'many' })))
    expect(results.map(({ changed }) => changed)).toEqual([[], [], []])
  })

  test('samples and dead letters let the oldest go, commands refuse what is new', async () => {
    const nats = await server.connect()
    const mebibyte = 1024 * 1024
    await setUpNats(nats, { prefix: 'small', commandBytes: mebibyte, sampleBytes: mebibyte, deadBytes: mebibyte })
    const stream = jetstream(nats)
    const fill = async (subject: string): Promise<number> => {
      for (let count = 0; count < 8; count++) {
        const full = await stream.publish(subject, new Uint8Array(200_000)).then(
          () => false,
          () => true,
        )
        if (full) return count
      }
      return 8
    }
    expect([await fill('small.cmd.de.1'), await fill('small.dead.de'), await fill('small.samples.v')]).toEqual([5, 8, 8])
  })

  test('of somebody else are left as they are', async () => {
    const nats = await server.connect()
    const { streams } = await jetstreamManager(nats)
    await streams.add({ name: 'OTHER_CMD', subjects: ['other.cmd.>'] })
    await expect(setUpNats(nats, { prefix: 'other' })).rejects.toMatchObject({
      code: 'invalid_options',
      remedy: expect.stringMatching(/another prefix/),
    })
    expect((await streams.info('OTHER_CMD')).config.retention).toBe('limits')
    await streams.add({ name: 'TAKEN', subjects: ['taken.cmd.de.>'] })
    await expect(setUpNats(nats, { prefix: 'taken' })).rejects.toMatchObject({ code: 'invalid_options' })
  })

  test('limits that cannot be are refused', async () => {
    const nats = await server.connect()
    for (const options of [
      { replicas: 0 },
      { commandBytes: 1 },
      { duplicateWindowMs: 1.5 },
      { prefix: 'a b' },
      { sampleAgeMs: Number.NaN },
    ])
      await expect(setUpNats(nats, options), JSON.stringify(options)).rejects.toMatchObject({ code: 'invalid_options' })
  })
})

test.skipIf(!hasNats)(`a broker without JetStream says so ${needsNats}`, async () => {
  await using server = await startNats({ jetstream: null })
  await expect(setUpNats(await server.connect())).rejects.toMatchObject({ code: 'unsupported', remedy: expect.stringMatching(/JetStream/) })
})
