import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { decodeToken, encodeToken, natsSubjects } from './subjects.ts'

const hostile = ['a.b', '*', '>', 'de.*', 'a b', 'de\u00a0', 'ключ', '=2E', '..', '$JS.API', '💥', 'x'.repeat(200)]

test('an id never gets out of its token, and comes back as it was', () => {
  const id = fc.oneof(
    fc.constantFrom(...hostile),
    fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }),
    fc.string({ minLength: 1, maxLength: 200 }),
  )
  fc.assert(
    fc.property(id, (one) => {
      const token = encodeToken(one)
      expect(token).toMatch(/^[\w=-]+$/)
      expect(decodeToken(token)).toBe(one)
    }),
    { seed: 10 },
  )
})

test('a token that no id has is nobody', () => {
  for (const token of ['', 'a.b', '=2e', '=2', '=61', '=FF', '*', '>']) expect(decodeToken(token), token).toBeNull()
})

test('only a reply subject of this prefix is one', () => {
  const { isReply, reply } = natsSubjects()
  expect(isReply(reply('engine 1.a'))).toBe(true)
  for (const subject of ['vpn.reply.', 'vpn.reply.*', 'vpn.reply.a.b', 'vpn.reply.>', '$JS.API.STREAM.DELETE.VPN_CMD', 'vpn.cmd.de.1'])
    expect(isReply(subject), subject).toBe(false)
})

test('a prefix that is no prefix is refused', () => {
  for (const prefix of ['', '.', 'a.', 'a..b', 'a b', 'a.*', '>']) expect(() => natsSubjects(prefix), prefix).toThrow(/prefix/)
  expect(natsSubjects('acme.vpn').streams.commands).toBe('ACME_VPN_CMD')
})

describe.skipIf(!hasNats)(`over a real broker ${needsNats}`, () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await startNats()
  })
  afterAll(() => server?.stop())

  test('a hostile id reaches its own subject and no other', async () => {
    const nats = await server.connect()
    const subjects = natsSubjects()
    const seen: string[] = []
    nats.subscribe('vpn.cmd.>', { callback: (_, message) => void seen.push(message.subject) })
    await nats.flush()
    for (const id of hostile) nats.publish(subjects.command('de', id), 'x')
    await nats.flush()
    expect(seen.map((subject) => subjects.addressOf(subject))).toEqual(hostile.map((serverId) => ({ region: 'de', serverId })))
  })
})
