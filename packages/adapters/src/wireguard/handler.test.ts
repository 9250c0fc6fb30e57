import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Json, PintailError } from '@pintail/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { UapiServer } from '../../test/uapiServer.ts'
import type { Access } from '../regions/index.ts'
import { fileLedger, memoryLedger, uapiDevice, type WireguardHandlerOptions, wireguardHandler } from './index.ts'

const ctx = { signal: new AbortController().signal, traceId: null }
const key = () => randomBytes(32).toString('base64')
const serverKey = key()

let server: UapiServer
let folder: string
beforeEach(async () => {
  server = await new UapiServer().listen()
  folder = mkdtempSync(join(tmpdir(), 'pintail-handler-'))
})
afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

const open = (options: Partial<WireguardHandlerOptions> = {}) =>
  wireguardHandler({
    devices: { de1: uapiDevice({ path: server.path, timeoutMs: 60_000 }) },
    client: { endpointOf: (id) => `${id}.example.net:51820`, publicKeyOf: () => serverKey, dns: ['10.7.0.1'] },
    addresses: ['10.7.0.0/16', 'fd07::/64'],
    ...options,
  })
const access = (connectionId: string, payload: Json, serverId = 'de1'): Access => ({
  serverId,
  connectionId,
  token: 1,
  epoch: 1,
  deadline: null,
  payload,
})
const peer = (ip: string, publicKey = key()) => ({ publicKey, allowedIps: [ip] })
const failureOf = (call: PromiseLike<unknown>): Promise<PintailError> =>
  Promise.resolve(call).then(
    () => Promise.reject(new Error('it was not refused')),
    (error) => error,
  )

test('a grant makes the peer and hands back all that the client needs but his private key; repeated, it changes nothing', async () => {
  const handler = open()
  const payload = peer('10.7.0.5/32')
  for (let times = 0; times < 2; times += 1)
    expect(await handler.grant(access('u1', payload), ctx)).toEqual({
      serverId: 'de1',
      publicKey: payload.publicKey,
      address: ['10.7.0.5/32'],
      dns: ['10.7.0.1'],
      mtu: null,
      server: { publicKey: serverKey, endpoint: 'de1.example.net:51820', allowedIps: ['0.0.0.0/0', '::/0'], persistentKeepalive: 25 },
    })
  expect(server.table()).toEqual({ [payload.publicKey]: ['10.7.0.5/32'] })
  expect(server.calls.set).toBe(1)
})

test('a revoke removes the peer, and is fine where there is none', async () => {
  const handler = open()
  const payload = peer('10.7.0.5/32')
  await handler.grant(access('u1', payload), ctx)
  expect(await handler.revoke(access('u1', null), ctx)).toEqual({ removed: 1 })
  expect(await handler.revoke(access('u1', null), ctx)).toEqual({ removed: 0 })
  expect(server.table()).toEqual({})
})

test('a user with a new key keeps his address, and the peer of his old one is gone', async () => {
  const handler = open()
  const [before, after] = [peer('10.7.0.5/32'), peer('10.7.0.5/32')]
  await handler.grant(access('u1', before), ctx)
  await handler.grant(access('u1', after), ctx)
  expect(server.table()).toEqual({ [after.publicKey]: ['10.7.0.5/32'] })
})

test('a key twice, an address twice, an address of elsewhere, the server’s own key: refused by name, and nobody loses access', async () => {
  const keep = key()
  const handler = open({ keep: [keep] })
  const one = peer('10.7.0.5/32')
  await handler.grant(access('u1', one), ctx)
  const foreign = key()
  server.peer(foreign, '10.7.9.0/24')
  server.peer(key(), '0.0.0.0/0')
  const before = server.table()
  for (const [payload, code] of [
    [peer('10.7.0.6/32', one.publicKey), 'KEY_TAKEN'],
    [peer('10.7.0.6/32', foreign), 'KEY_TAKEN'],
    [peer('10.7.0.6/32', keep), 'KEY_TAKEN'],
    [peer('10.7.0.5/32'), 'ADDRESS_TAKEN'],
    [peer('10.7.9.7/32'), 'ADDRESS_TAKEN'],
    [{ ...peer('10.7.0.6/32'), allowedIps: ['10.7.0.6/32', '10.7.0.5'] }, 'ADDRESS_TAKEN'],
    [peer('10.8.0.5/32'), 'OUT_OF_POOL'],
    [peer('10.7.0.6/32', serverKey), 'OWN_KEY'],
  ] as const) {
    const failure = await failureOf(handler.grant(access('u2', payload), ctx))
    expect(failure).toMatchObject({ code: 'rejected', message: expect.stringMatching(`^${code}: `), remedy: expect.any(String) })
  }
  expect(server.table()).toEqual(before)
  // A peer that leads elsewhere with everything does not stand in the way.
  await handler.grant(access('u2', peer('10.7.0.6/32')), ctx)
})

test.each([
  ['nothing', null],
  ['a list', []],
  ['no key', { allowedIps: ['10.7.0.5/32'] }],
  ['a short key', { publicKey: 'abc', allowedIps: ['10.7.0.5/32'] }],
  ['a key of zeros', { publicKey: Buffer.alloc(32).toString('base64'), allowedIps: ['10.7.0.5/32'] }],
  ['no address', { publicKey: key(), allowedIps: [] }],
  ['a network', { publicKey: key(), allowedIps: ['10.7.0.0/24'] }],
  ['everything', { publicKey: key(), allowedIps: ['0.0.0.0/0'] }],
  ['one address twice', { publicKey: key(), allowedIps: ['10.7.0.5/32', '10.7.0.5'] }],
  ['a line of its own', { publicKey: key(), allowedIps: ['10.7.0.5/32\npublic_key=00'] }],
  ['a private key', { publicKey: key(), allowedIps: ['10.7.0.5/32'], privateKey: 'hush-hush' }],
  ['a preshared key', { publicKey: key(), allowedIps: ['10.7.0.5/32'], presharedKey: 'hush-hush' }],
])('a payload with %s is refused, without its values in the error, and the daemon is not asked', async (_, payload) => {
  const failure = await failureOf(open().grant(access('u1', payload), ctx))
  expect(failure).toMatchObject({ code: 'rejected', message: expect.stringMatching(/^BAD_PAYLOAD: /) })
  expect(`${failure.message} ${JSON.stringify(failure.problems)}`).not.toContain('hush')
  expect(server.calls).toEqual({ get: 0, set: 0 })
})

test('a server that is not here is refused', async () => {
  for (const name of ['nl1', 'toString', '__proto__'])
    expect(await failureOf(open().grant(access('u1', peer('10.7.0.5/32'), name), ctx))).toMatchObject({
      code: 'rejected',
      message: expect.stringMatching(/^UNKNOWN_SERVER/),
    })
})

test('many at once share one look and one change, and two who want one address do not both get it', async () => {
  const handler = open()
  let letGo = (): void => {}
  server.gate = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const first = handler.grant(access('u0', peer('10.7.1.0/32')), ctx)
  await expect.poll(() => server.calls.get).toBe(1)
  const others = Array.from({ length: 100 }, (_, index) =>
    handler.grant(access(`u${index + 1}`, peer(`10.7.1.${Math.max(1, index)}/32`)), ctx),
  )
  const settled = Promise.allSettled([first, ...others])
  letGo()
  const failed = (await settled).filter(({ status }) => status === 'rejected')
  expect(failed).toHaveLength(1)
  expect(failed[0]).toMatchObject({ reason: { message: expect.stringMatching(/^ADDRESS_TAKEN/) } })
  expect(server.peers.size).toBe(100)
  expect(server.calls).toEqual({ get: 2, set: 2 })
})

test('what the daemon refuses one for does not hold up the others', async () => {
  const handler = open()
  const bad = peer('fd07::6/128')
  server.refused = bad.publicKey
  const settled = await Promise.allSettled([
    handler.grant(access('u1', peer('10.7.0.5/32')), ctx),
    handler.grant(access('u2', bad), ctx),
    handler.grant(access('u3', peer('10.7.0.7/32')), ctx),
  ])
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(settled[1]).toMatchObject({ reason: { code: 'internal' } })
  expect(server.peers.size).toBe(2)
})

test('who gives up before his turn has no part in it', async () => {
  const handler = open()
  let letGo = (): void => {}
  server.gate = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const first = handler.grant(access('u1', peer('10.7.0.5/32')), ctx)
  await expect.poll(() => server.calls.get).toBe(1)
  const leaving = new AbortController()
  const second = failureOf(handler.grant(access('u2', peer('10.7.0.6/32')), { ...ctx, signal: leaving.signal }))
  const third = handler.grant(access('u3', peer('10.7.0.7/32')), ctx)
  await Promise.resolve()
  leaving.abort(new Error('enough'))
  expect(await second).toMatchObject({ message: 'enough' })
  letGo()
  await Promise.all([first, third])
  expect(Object.values(server.table()).flat()).toEqual(['10.7.0.5/32', '10.7.0.7/32'])
})

test('the list is the daemon’s own: others’ peers belong to nobody, and what somebody changed by hand shows', async () => {
  const handler = open()
  const [one, two] = [{ publicKey: key(), allowedIps: ['10.7.0.5', 'fd07:0::5/128'] }, peer('10.7.0.6/32')]
  await handler.grant(access('u1', one), ctx)
  await handler.grant(access('u2', two), ctx)
  const foreign = key()
  server.peer(foreign, '10.9.0.1/32')
  server.peers.get(two.publicKey)?.allowedIps.clear()
  const listed = await handler.list('de1', ctx)
  expect(listed).toHaveLength(3)
  // In the words of whoever asked: another spelling is no difference.
  expect(listed).toContainEqual({ connectionId: 'u1', payload: one })
  expect(listed).toContainEqual({ connectionId: 'u2', payload: { ...two, allowedIps: [] } })
  expect(listed).toContainEqual({ connectionId: null, payload: { publicKey: foreign, allowedIps: ['10.9.0.1/32'] } })
  await handler.grant(access('u2', two), ctx)
  expect(server.table()[two.publicKey]).toEqual(['10.7.0.6/32'])
})

test('`ownsAll`: peers that nobody is noted for can be removed by the name that the list gives them; probes and `keep` stay', async () => {
  const [probe, kept, old] = [key(), key(), key()]
  const handler = open({ ownsAll: true, keep: [kept] })
  server.peer(probe)
  server.peer(kept, '10.9.0.1/32')
  server.peer(old, '10.7.0.9/32')
  const listed = await handler.list('de1', ctx)
  expect(listed.map(({ connectionId }) => connectionId)).toEqual([null, null, `unowned:${old}`])
  for (const one of [old, kept, probe]) await handler.revoke(access(`unowned:${one}`, null), ctx)
  expect(Object.keys(server.table())).toEqual([probe, kept])
  // Without it such a name is a connection like any other.
  server.peer(old, '10.7.0.9/32')
  await open().revoke(access(`unowned:${old}`, null), ctx)
  expect(server.peers.has(old)).toBe(true)
})

test('a peer that was somebody’s without a name and is granted meanwhile is not removed by its old name', async () => {
  const handler = open({ ownsAll: true })
  const one = peer('10.7.0.5/32')
  server.peer(one.publicKey, ...one.allowedIps)
  await handler.grant(access('u1', one), ctx)
  await handler.revoke(access(`unowned:${one.publicKey}`, null), ctx)
  expect(server.peers.size).toBe(1)
  expect(server.calls.set).toBe(0)
})

test('`check` is true for a handshake since the grant that is not old', async () => {
  let now = 1_700_000_000_500
  const handler = open({ clock: { now: () => now } })
  const one = peer('10.7.0.5/32')
  const usable = () => handler.check(access('u1', one), ctx)
  expect(await usable()).toBe(false)
  await handler.grant(access('u1', one), ctx)
  expect(await usable()).toBe(false)
  const there = server.peers.get(one.publicKey) as { handshakeAt: number }
  there.handshakeAt = now - 5000
  expect(await usable()).toBe(false)
  // In whole seconds, as `wg` tells it.
  there.handshakeAt = 1_700_000_000_000
  expect(await usable()).toBe(true)
  now += 180_001
  expect(await usable()).toBe(false)
  there.handshakeAt = now - 1000
  expect(await usable()).toBe(true)
  // The same grant again is no new one.
  await handler.grant(access('u1', one), ctx)
  expect(await usable()).toBe(true)
})

test('a dry run says what it would do, to the log too, and does nothing', async () => {
  const said: object[] = []
  const log = (data: object) => void said.push(data)
  const handler = open({ dryRun: true, logger: { debug: log, info: log, warn: log, error: log } })
  const one = peer('10.7.0.5/32')
  expect(await handler.grant(access('u1', one), ctx)).toMatchObject({ serverId: 'de1', dryRun: true, would: { set: [one], remove: [] } })
  expect(await handler.revoke(access('u1', one), ctx)).toEqual({ dryRun: true, would: { set: [], remove: [] } })
  expect(await handler.check(access('u1', one), ctx)).toBe(false)
  expect(await failureOf(handler.grant(access('u1', peer('10.8.0.5/32')), ctx))).toMatchObject({ code: 'rejected' })
  expect(server.calls.set).toBe(0)
  expect(said).toEqual([
    { serverId: 'de1', connectionId: 'u1', set: 1, remove: 0 },
    { serverId: 'de1', connectionId: 'u1', set: 0, remove: 0 },
  ])
})

test('a preshared key comes from this machine alone', async () => {
  const presharedKey = key()
  const one = peer('10.7.0.5/32')
  await open({ presharedKeyOf: () => presharedKey }).grant(access('u1', one), ctx)
  expect(server.peers.get(one.publicKey)?.presharedKey).toBe(presharedKey)
  const failure = await failureOf(open({ presharedKeyOf: () => 'no key' }).grant(access('u2', peer('10.7.0.6/32')), ctx))
  expect(failure).toMatchObject({ code: 'unavailable' })
  expect(failure.message).not.toContain('no key:')
})

test('what clients cannot be told is found out before anything is changed', async () => {
  for (const client of [
    { endpointOf: () => 'no port', publicKeyOf: () => serverKey },
    { endpointOf: () => 'x:1\nPostUp = rm -rf /', publicKeyOf: () => serverKey },
    { endpointOf: () => 'x:1', publicKeyOf: () => undefined as never },
    { endpointOf: () => 'x:1', publicKeyOf: () => serverKey, dns: ['10.7.0.1\nPostUp = x'] },
    { endpointOf: () => 'x:1', publicKeyOf: () => serverKey, mtu: 1 },
  ])
    expect(await failureOf(open({ client }).grant(access('u1', peer('10.7.0.5/32')), ctx))).toMatchObject({
      code: 'unavailable',
      remedy: expect.stringMatching(/client/),
    })
  expect(server.calls).toEqual({ get: 0, set: 0 })
})

test('a daemon that is away is unavailable, and when it is back all is as before', async () => {
  const handler = open()
  await handler.grant(access('u1', peer('10.7.0.5/32')), ctx)
  server.trouble = 'cut'
  expect(await failureOf(handler.grant(access('u2', peer('10.7.0.6/32')), ctx))).toMatchObject({ code: 'unavailable' })
  expect(await failureOf(handler.list('de1', ctx))).toMatchObject({ code: 'unavailable' })
  server.trouble = null
  await handler.grant(access('u2', peer('10.7.0.6/32')), ctx)
  expect(server.peers.size).toBe(2)
})

test('bad options are all told at once', () => {
  const all = () => wireguardHandler({ devices: {}, client: {} as never, addresses: ['x'], keep: ['y'], handshakeMs: 1 })
  expect(all).toThrow(expect.objectContaining({ code: 'invalid_options' }))
  for (const name of ['devices', 'client.endpointOf', 'client.publicKeyOf', 'addresses', 'keep', 'handshakeMs']) expect(all).toThrow(name)
})

// ---------------------------------------------------------------------------------------------------------------- ledger

test('after a restart the ledger still says whose peer it is, and without one the peer is let be until it is asked for', async () => {
  const path = join(folder, 'ledger.db')
  const [one, two] = [peer('10.7.0.5/32'), peer('10.7.0.6/32')]
  const ledger = fileLedger({ path })
  const before = open({ ledger })
  await before.grant(access('u1', one), ctx)
  await before.grant(access('u2', two), ctx)
  await before.revoke(access('u2', two), ctx)
  ledger.close()
  const again = fileLedger({ path })
  expect(await open({ ledger: again }).list('de1', ctx)).toEqual([{ connectionId: 'u1', payload: one }])
  again.close()
  const forgetful = open()
  expect(await forgetful.list('de1', ctx)).toEqual([{ connectionId: null, payload: one }])
  expect(await failureOf(forgetful.grant(access('u2', { ...two, publicKey: one.publicKey }), ctx))).toMatchObject({
    message: expect.stringMatching(/^KEY_TAKEN/),
  })
  // Who has left meanwhile, and whose revoke says his peer.
  expect(await forgetful.revoke(access('u1', one), ctx)).toEqual({ removed: 1 })
  server.peer(one.publicKey, ...one.allowedIps)
  await forgetful.grant(access('u1', one), ctx)
  expect(await forgetful.list('de1', ctx)).toEqual([{ connectionId: 'u1', payload: one }])
})

test('a crash in the middle of a change of keys locks nobody out', async () => {
  const ledger = memoryLedger()
  const [before, after] = [peer('10.7.0.5/32'), peer('10.7.0.5/32')]
  const handler = open({ ledger })
  await handler.grant(access('u1', before), ctx)
  server.refused = after.publicKey
  expect(await failureOf(handler.grant(access('u1', after), ctx))).toMatchObject({ code: 'internal' })
  server.refused = null
  // The old peer is gone or not; a new worker with the same ledger knows that both are his.
  server.peer(before.publicKey, '10.7.0.5/32')
  await open({ ledger }).grant(access('u1', after), ctx)
  expect(server.table()).toEqual({ [after.publicKey]: ['10.7.0.5/32'] })
  expect(await ledger.of('de1')).toMatchObject([{ publicKey: after.publicKey }])
  await open({ ledger }).revoke(access('u1', null), ctx)
  expect(server.table()).toEqual({})
  expect(await ledger.of('de1')).toEqual([])
})

test('the file of a ledger is for one process, for its user alone, and no other database is taken for one', async () => {
  const path = join(folder, 'ledger.db')
  const first = fileLedger({ path })
  expect(() => fileLedger({ path })).toThrow(
    expect.objectContaining({ code: 'unavailable', message: expect.stringMatching(/another process/) }),
  )
  expect(statSync(path).mode & 0o777).toBe(0o600)
  first.close()
  fileLedger({ path }).close()
  writeFileSync(join(folder, 'text'), 'this is not a database, and long enough to be looked at as one. '.repeat(20))
  expect(() => fileLedger({ path: join(folder, 'text') })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
  expect(() => fileLedger({ path: join(folder, 'none', 'x') })).toThrow(expect.objectContaining({ code: 'unavailable' }))
  expect(existsSync(join(folder, 'none'))).toBe(false)
  expect(() => fileLedger({ path: '' })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
})
