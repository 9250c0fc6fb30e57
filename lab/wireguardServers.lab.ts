// Real WireGuard servers as a region's worker handles them: peers of the daemon itself, a client who pings through his
// tunnel, a drain, and two ways in which a server dies.
import {
  memoryLedger,
  uapiDevice,
  type WireGuardAccess,
  type WireguardHandler,
  wgDevice,
  wireguardHandler,
  wireguardNotifier,
} from '@pintail/adapters/wireguard'
import type { Json, Move } from '@pintail/core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { newKeys } from './wireguard.ts'
import { type Client, gateway, startClient, startServer, tunnelNetwork, type VpnServer, vpnPort } from './wireguardFleet.ts'
import { makeWorld, type World } from './world.ts'

const ctx = { signal: new AbortController().signal }
const call = { ...ctx, traceId: null }
const probe = newKeys()
let world: World
const servers: VpnServer[] = []
let client: Client
beforeAll(async () => {
  world = await makeWorld()
  for (const [index, id] of ['de1', 'nl1', 'fr1'].entries())
    servers.push(await startServer(world, id, index + 1, [{ publicKey: probe.publicKey }]))
  client = await startClient(world, 'client', '10.7.0.5')
})
afterEach(() => world.faults.heal())
afterAll(() => world?.destroy())

const server = (id: string): VpnServer => servers.find((one) => one.id === id) as VpnServer
const devices = {
  uapi: ({ wireguard }: VpnServer) => uapiDevice({ interface: wireguard.name }),
  wg: ({ wireguard }: VpnServer) => wgDevice({ interface: wireguard.name }),
}
const handlerOver = (kind: keyof typeof devices): WireguardHandler =>
  wireguardHandler({
    devices: Object.fromEntries(servers.map((one) => [one.id, devices[kind](one)])),
    client: {
      endpointOf: (id) => `${server(id).host}:${vpnPort}`,
      publicKeyOf: (id) => server(id).wireguard.keys.publicKey,
      allowedIps: [tunnelNetwork],
    },
    addresses: [tunnelNetwork],
    ledger: memoryLedger(),
  })
const access = (serverId: string, connectionId: string, payload: { publicKey: string; allowedIps: string[] }) => ({
  serverId,
  connectionId,
  token: 1,
  epoch: 1,
  deadline: null,
  payload,
})
const own = () => ({ publicKey: client.keys.publicKey, allowedIps: [`${client.address}/32`] })
const moveOf = (from: string, to: string) =>
  ({
    key: `m/${from}/${to}`,
    connection: { id: 'u1', userId: null },
    from: { id: from },
    to: { id: to },
    reason: 'server-down',
  }) as unknown as Move

/** How the client follows: at once, or between two of his pings. */
let following = (follow: () => Promise<void>): Promise<void> => follow()

/** Grant on the target, the client follows, revoke on the source if it lives: what the engine does, by hand. */
async function moved(handler: WireguardHandler, from: string, to: string, sourceLives: boolean): Promise<void> {
  const notifier = wireguardNotifier({
    deliver: (update) => following(() => client.follow(update)),
    publicKeyOf: ({ id }) => server(id).wireguard.keys.publicKey,
  })
  const granted = await handler.grant(access(to, 'u1', own()), call)
  await notifier.deliver(moveOf(from, to), granted as Json, ctx)
  if (sourceLives) await handler.revoke(access(from, 'u1', own()), call)
}

describe.each(['uapi', 'wg'] as const)('over %s', (kind) => {
  const device = (id: string) => devices[kind](server(id))

  test('peers are added, changed, listed and removed in wireguard-go itself', async () => {
    const [one, two] = [newKeys().publicKey, newKeys().publicKey]
    await device('de1').apply(
      {
        set: [
          { publicKey: one, allowedIps: ['10.7.1.1/32', 'fd07::1/128'] },
          { publicKey: two, allowedIps: ['10.7.1.2/32'], presharedKey: newKeys().publicKey },
        ],
        remove: [],
      },
      ctx,
    )
    await device('de1').apply({ set: [{ publicKey: one, allowedIps: ['10.7.1.3/32'] }], remove: [] }, ctx)
    const peers = await device('de1').peers(ctx)
    expect(peers.find(({ publicKey }) => publicKey === one)).toMatchObject({
      allowedIps: ['10.7.1.3/32'],
      latestHandshakeAt: null,
      endpoint: null,
    })
    // The daemon's own word, by its own tool.
    const dump = await server('de1').wireguard.dump()
    expect(dump).toMatch(new RegExp(`^${two.replace(/[+]/g, '\\$&')}\\t(?!\\(none\\))\\S+\\t.*10\\.7\\.1\\.2/32`, 'm'))
    await device('de1').apply({ set: [], remove: [one, two, newKeys().publicKey] }, ctx)
    expect(await device('de1').peers(ctx)).toMatchObject([{ publicKey: probe.publicKey, allowedIps: [] }])
  })

  test('an address that another peer has is refused, where WireGuard itself would take it away silently', async () => {
    const [owner, thief] = [newKeys().publicKey, newKeys().publicKey]
    await device('de1').apply({ set: [{ publicKey: owner, allowedIps: ['10.7.1.1/32'] }], remove: [] }, ctx)
    await expect(device('de1').apply({ set: [{ publicKey: thief, allowedIps: ['10.7.1.1/32'] }], remove: [] }, ctx)).rejects.toMatchObject({
      code: 'rejected',
    })
    await server('de1').wireguard.peer({ publicKey: thief, allowedIps: '10.7.1.1/32' })
    const peers = await device('de1').peers(ctx)
    expect(peers.find(({ publicKey }) => publicKey === owner)?.allowedIps).toEqual([])
    await device('de1').apply({ set: [], remove: [owner, thief] }, ctx)
  })

  test('an interface that is not there is unavailable, with what to do', async () => {
    const gone = kind === 'uapi' ? uapiDevice({ interface: 'wgnone' }) : wgDevice({ interface: 'wgnone' })
    await expect(gone.peers(ctx)).rejects.toMatchObject({ code: 'unavailable', remedy: expect.any(String) })
    await expect(gone.apply({ set: [], remove: [newKeys().publicKey] }, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('a grant lets the client through, `check` sees his handshake, a revoke shuts him out', async () => {
    const handler = handlerOver(kind)
    const granted = (await handler.grant(access('de1', 'u1', own()), call)) as unknown as WireGuardAccess
    expect(await handler.check(access('de1', 'u1', own()), call)).toBe(false)
    await client.connect(granted)
    const pinging = await client.ping(50)
    await pinging.answered(0)
    expect(await handler.check(access('de1', 'u1', own()), call)).toBe(true)
    const [mine] = (await handler.list('de1', call)).filter(({ connectionId }) => connectionId === 'u1')
    expect(mine).toEqual({ connectionId: 'u1', payload: own() })
    await handler.revoke(access('de1', 'u1', own()), call)
    const last = await pinging.sent()
    await expect(world.exec('client', 'ping', '-n', '-c', '3', '-W', '1', gateway)).rejects.toThrow()
    // Nothing that has left since.
    expect(Math.max(...pinging.answers.keys())).toBeLessThanOrEqual(last)
    await pinging.stop()
    await client.follow({ steps: [{ do: 'remove_peer', publicKey: null }] })
  })

  test('a drain of a living server: no ping is lost', async () => {
    const handler = handlerOver(kind)
    await client.connect((await handler.grant(access('de1', 'u1', own()), call)) as unknown as WireGuardAccess)
    const pinging = await client.ping(200)
    await pinging.answered(0)
    following = (follow) => pinging.between(follow)
    for (const [from, to] of [
      ['de1', 'nl1'],
      ['nl1', 'fr1'],
      ['fr1', 'de1'],
    ] as const) {
      await moved(handler, from, to, true)
      const at = Date.now()
      for (let times = 0, after = at; times < 6; times += 1) after = await pinging.answered(after)
    }
    following = (follow) => follow()
    const { sent } = await pinging.stop()
    expect(sent).toBeGreaterThan(18)
    // All but what was sent after the last answer, just before the end.
    expect(Math.max(...pinging.answers.keys()) - pinging.answers.size).toBe(0)
    await handler.revoke(access('de1', 'u1', own()), call)
    await client.follow({ steps: [{ do: 'remove_peer', publicKey: null }] })
  })

  test('the daemon is killed; the client goes on elsewhere; when it is back, what it has lost is found and granted again', async () => {
    const handler = handlerOver(kind)
    await client.connect((await handler.grant(access('nl1', 'u1', own()), call)) as unknown as WireGuardAccess)
    const other = { publicKey: newKeys().publicKey, allowedIps: ['10.7.2.2/32'] }
    await handler.grant(access('nl1', 'u2', other), call)
    const pinging = await client.ping(50)
    await pinging.answered(0)
    await server('nl1').wireguard.kill()
    await expect(
      Promise.resolve(handler.grant(access('nl1', 'u3', { publicKey: newKeys().publicKey, allowedIps: ['10.7.2.3/32'] }), call)),
    ).rejects.toMatchObject({ code: 'unavailable' })
    await moved(handler, 'nl1', 'fr1', false)
    await pinging.answered(Date.now())
    await pinging.stop()
    await server('nl1').restart()
    // A daemon that was started anew knows nobody.
    expect((await handler.list('nl1', call)).filter(({ connectionId }) => connectionId !== null)).toEqual([])
    await handler.grant(access('nl1', 'u2', other), call)
    expect(await handler.revoke(access('nl1', 'u1', own()), call)).toEqual({ removed: 0 })
    expect(new Set((await handler.list('nl1', call)).map(({ connectionId }) => connectionId))).toEqual(new Set([null, 'u2']))
    await handler.revoke(access('nl1', 'u2', other), call)
    await handler.revoke(access('fr1', 'u1', own()), call)
    await client.follow({ steps: [{ do: 'remove_peer', publicKey: null }] })
  })

  test('its port is dropped while ping answers: the client goes on elsewhere', async () => {
    const handler = handlerOver(kind)
    await client.connect((await handler.grant(access('de1', 'u1', own()), call)) as unknown as WireGuardAccess)
    const pinging = await client.ping(50)
    await pinging.answered(0)
    await world.faults.dropUdp([server('de1').host], vpnPort)
    expect(await world.exec('client', 'ping', '-n', '-c', '1', '-W', '60', server('de1').host)).toMatch(/1 received/)
    await moved(handler, 'de1', 'nl1', false)
    await pinging.answered(Date.now())
    await pinging.stop()
    // The interface is there all the while: the worker's own way does not go through the port.
    expect(await handler.revoke(access('de1', 'u1', own()), call)).toEqual({ removed: 1 })
    await handler.revoke(access('nl1', 'u1', own()), call)
    await client.follow({ steps: [{ do: 'remove_peer', publicKey: null }] })
  })
})
