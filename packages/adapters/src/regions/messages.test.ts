import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesOf, commandOf } from '../../test/region.ts'
import { type Command, encodeCommand, limits, parseCommand, parseSyncPage } from './messages.ts'

const refusal = (value: unknown): string => {
  try {
    parseCommand(value instanceof Uint8Array ? value : bytesOf(value))
  } catch (error) {
    return `${(error as { readonly code: string }).code}: ${(error as Error).message}`
  }
  return 'taken'
}

test('a command survives its encoding', () => {
  const id = fc.string({ minLength: 1, maxLength: 60 }).filter((one) => one !== '*' && !/\p{Cc}/u.test(one))
  fc.assert(
    fc.property(id, id, fc.nat(), fc.nat(), fc.jsonValue(), (connectionId, serverId, token, epoch, payload) => {
      const command = commandOf({ connectionId, serverId, token, epoch, payload: JSON.parse(JSON.stringify(payload)) })
      expect(parseCommand(encodeCommand(command))).toEqual(command)
    }),
    { seed: 10 },
  )
})

test('a command that is not one is refused', () => {
  const good = commandOf()
  const cases: readonly [string, unknown, RegExp][] = [
    ['no JSON', '{"v":1,', /^invalid_row: .*not JSON/],
    ['no UTF-8', Uint8Array.of(0xff, 0xfe, 0x7b), /^invalid_row: .*not JSON/],
    ['empty', '', /^invalid_row/],
    ['null', 'null', /^invalid_row/],
    ['a list', '[]', /^invalid_row/],
    ['a newer version', { ...good, v: 2 }, /^unsupported: .*version 2/],
    ['no version', { ...good, v: undefined }, /^invalid_row: .*v:/],
    ['another type', { ...good, type: 'access.burn' }, /type/],
    ['a token below 0', { ...good, token: -1 }, /token/],
    ['half a token', { ...good, token: 1.5 }, /token/],
    ['a token beyond 2^53', { ...good, token: 2 ** 60 }, /token/],
    ['a time without a zone', { ...good, issuedAt: '2026-01-01T00:00:00' }, /issuedAt/],
    ['an id with a line in it', { ...good, connectionId: 'a\nb' }, /connectionId/],
    ['an id that is too long', { ...good, serverId: 'x'.repeat(201) }, /serverId/],
    ['everybody in a grant', commandOf({ connectionId: '*' }), /connectionId/],
    ['one in a sync', commandOf({ type: 'access.sync', connectionId: 'c1' }), /connectionId/],
    ["another's key", commandOf({ idempotencyKey: 'grant:c2:de-1:1.1' }), /idempotencyKey/],
    ['no payload', { ...good, payload: undefined }, /payload/],
    ['a large payload', { ...good, payload: 'x'.repeat(limits.payloadBytes) }, /payload: has more/],
    ['too large', { ...good, more: 'x'.repeat(limits.messageBytes) }, /more than 262144 bytes/],
  ]
  for (const [what, value, why] of cases) expect(refusal(value), what).toMatch(why)
})

test('a refusal never quotes what it refuses', () => {
  const secret = 'sEcReTsEcReTsEcReT='
  for (const value of [`{"payload":"${secret}"`, { ...commandOf(), token: secret, payload: { privateKey: secret } }, { v: secret }])
    expect(refusal(value)).not.toContain(secret)
})

test('whatever comes is a command or a refusal, and nothing else is thrown', () => {
  const field = fc.constantFrom(...Object.keys(commandOf()))
  const type = fc.constantFrom<Command['type']>('access.grant', 'access.sync', 'access.check')
  fc.assert(
    fc.property(type, field, fc.jsonValue(), (kind, key, value) => {
      expect(refusal({ ...commandOf({ type: kind, payload: {} }), [key]: value })).toMatch(/^(taken|invalid_row|unsupported)/)
    }),
    { seed: 10, numRuns: 2000 },
  )
})

test('nothing larger than the bound is sent', () => {
  expect(() => encodeCommand(commandOf({ payload: 'x'.repeat(limits.payloadBytes) }))).toThrow(/payload has more/)
  expect(() => encodeCommand(commandOf({ type: 'access.sync', payload: 'x'.repeat(limits.messageBytes) }))).toThrow(/message has more/)
})

test('a field that is not known yet is left out, not refused', () => {
  const command = commandOf()
  expect(parseCommand(bytesOf({ ...command, priority: 9 }))).toEqual(command satisfies Command)
})

test('a page of a sync that cannot be is refused', () => {
  const good = { syncId: 's', page: 0, pages: 1, entries: [], leave: [] }
  expect(parseSyncPage(good)).toEqual(good)
  for (const [what, page] of [
    ['beyond the last', { ...good, page: 1 }],
    ['no pages', { ...good, pages: 0 }],
    ['too many pages', { ...good, pages: limits.syncPages + 1 }],
    ['an entry without a pair', { ...good, entries: [{ connectionId: 'c', payload: null }] }],
    [
      'an entry that is too large',
      { ...good, entries: [{ connectionId: 'c', token: 1, epoch: 1, payload: 'x'.repeat(limits.payloadBytes) }] },
    ],
    ['no object', []],
  ] as const)
    expect(() => parseSyncPage(page as never), what).toThrow(/not understood/)
})
