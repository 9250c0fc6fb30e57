import { randomBytes } from 'node:crypto'
import type { Json, Move, PintailError } from '@pintail/core'
import { expect, test } from 'vitest'
import { type ClientUpdate, type WireguardNotifierOptions, wireguardNotifier } from './index.ts'

const ctx = { signal: new AbortController().signal }
const key = () => randomBytes(32).toString('base64')
const [oldKey, newKey, userKey] = [key(), key(), key()]
const access = {
  serverId: 'nl1',
  publicKey: userKey,
  address: ['10.7.0.5/32', 'fd07::5/128'],
  dns: ['10.7.0.1'],
  mtu: 1380,
  server: { publicKey: newKey, endpoint: '[2001:db8::1]:51820', allowedIps: ['0.0.0.0/0', '::/0'], persistentKeepalive: 25 },
}
const move = (key = 'm1/u1/1') =>
  ({
    key,
    connection: { id: 'u1', userId: '7' },
    from: { id: 'de1' },
    to: { id: 'nl1' },
    reason: 'server-down',
    attempt: 1,
  }) as unknown as Move

async function told(given: Json, options: Partial<WireguardNotifierOptions> = {}, one = move()): Promise<ClientUpdate> {
  const updates: ClientUpdate[] = []
  await wireguardNotifier({ deliver: (update) => void updates.push(update), ...options }).deliver(one, given, ctx)
  expect(updates).toHaveLength(1)
  return updates[0] as ClientUpdate
}
const refusal = (given: Json, options: Partial<WireguardNotifierOptions> = {}): Promise<PintailError> =>
  told(given, options).then(
    () => Promise.reject(new Error('it was delivered')),
    (error) => error,
  )

test('a client is told to remove the old peer and to add the new one, never to change an endpoint', async () => {
  const update = await told(access, { publicKeyOf: ({ id }) => (id === 'de1' ? oldKey : null) })
  expect(update).toEqual({
    type: 'access.moved',
    id: 'm1/u1/1',
    connectionId: 'u1',
    userId: '7',
    fromServerId: 'de1',
    toServerId: 'nl1',
    reason: 'server-down',
    access,
    config: expect.any(String),
    steps: [
      { do: 'remove_peer', publicKey: oldKey },
      { do: 'add_peer', peer: access.server },
    ],
  })
  expect((await told(access)).steps[0]).toEqual({ do: 'remove_peer', publicKey: null })
})

test('the configuration is a file of wg-quick with a place for the private key', async () => {
  expect((await told(access)).config).toBe(`[Interface]
PrivateKey = <the private key of this device>
Address = 10.7.0.5/32, fd07::5/128
DNS = 10.7.0.1
MTU = 1380

[Peer]
PublicKey = ${newKey}
Endpoint = [2001:db8::1]:51820
AllowedIPs = 0.0.0.0/0, ::/0
PersistentKeepalive = 25
`)
  const privateKey = key()
  expect((await told(access, { privateKeyOf: async () => privateKey })).config).toContain(`PrivateKey = ${privateKey}\n`)
  expect((await told(access, { render: ({ serverId }) => serverId })).config).toBe('nl1')
})

test('who is brought back is told where he belongs, and what he has there if the host knows it', async () => {
  const undone = move('m1/u1/1/undo')
  expect(await told(null, {}, undone)).toMatchObject({ type: 'access.kept', access: null, config: null, steps: [], toServerId: 'nl1' })
  expect(await told(null, { accessOf: () => access }, undone)).toMatchObject({
    type: 'access.kept',
    access,
    steps: [{ do: 'remove_peer' }, { do: 'add_peer' }],
  })
})

test.each<[string, Json]>([
  ['a text', 'x'],
  ['a dry run', { ...access, dryRun: true }],
  ['another server', { ...access, serverId: 'de1' }],
  ['an endpoint with a line of its own', { ...access, server: { ...access.server, endpoint: 'x:1\nPostUp = reboot' } }],
  ['a resolver with a line of its own', { ...access, dns: ['10.7.0.1\nPostUp = reboot'] }],
  ['an address with a line of its own', { ...access, address: ['10.7.0.5/32\nPostUp = reboot'] }],
  ['no key', { ...access, server: { ...access.server, publicKey: 'x' } }],
])('an access with %s is delivered to nobody', async (_, given) => {
  expect(await refusal(given)).toMatchObject({ code: 'rejected' })
})

test('what is no private key comes into no file and no error', async () => {
  const failure = await refusal(access, { privateKeyOf: () => 'secret\nPostUp = reboot' })
  expect(failure).toMatchObject({ code: 'rejected' })
  expect(failure.message).not.toContain('reboot')
})

test('what the delivery throws is the engine’s to try again; without one the notifier is refused', async () => {
  await expect(told(access, { deliver: () => Promise.reject(new Error('no network')) })).rejects.toThrow('no network')
  for (const deliver of [undefined, {}, 'x'])
    expect(() => wireguardNotifier({ deliver: deliver as never })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
})
