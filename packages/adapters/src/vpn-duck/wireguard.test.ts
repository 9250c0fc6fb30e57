import type { Connection, ConnectionInput, Move, Server, ServerInput } from '@pintail/core'
import { connectionMoverContract, type MoverHarness } from '@pintail/core/testing'
import { afterEach, expect, test } from 'vitest'
import { listenAgain, unhurriedClock, unhurriedTimeouts } from '../../test/duck.ts'
import { patient } from '../../test/patient.ts'
import { type VpnDuck, vpnDuck } from './index.ts'
import { createDatabaseService, createWireGuardService, type WireGuardServiceOptions } from './testing/index.ts'

const ctx = { signal: new AbortController().signal }

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** A WireGuard service on each server; the users have the peers that VPN Duck's configurations name. */
async function world(more: Partial<WireGuardServiceOptions> = {}) {
  const users = [101, 102, 103].map((id) => ({ id, server: 1 }))
  const service = createDatabaseService({ dialect: 'v1', servers: 3, users })
  const wireguards = [1, 2, 3].map(() => createWireGuardService({ dialect: 'v1', ...more }))
  for (const wireguard of wireguards) await wireguard.listen()
  const on = (server: number | string) => wireguards[Number(server) - 1] as (typeof wireguards)[number]
  for (const [user, row] of service.tables.configurations) {
    row.publicKey = row.publicKey.replaceAll('/', 'x')
    on(row.server).peers.set(row.publicKey, user)
  }
  const wireguard = { url: ({ id }: Server) => on(id).url, timeoutMs: 120_000 }
  const duck = vpnDuck({
    databaseServiceUrl: await service.listen(),
    backoffMs: 5,
    timeouts: unhurriedTimeouts,
    clock: unhurriedClock,
    wireguard,
  })
  return { service, duck, wireguards, on }
}

async function listed(duck: VpnDuck) {
  const servers = (await duck.registry.listServers(ctx)) as unknown as readonly [ServerInput, ServerInput, ServerInput]
  const [from, to] = servers.map((one) => ({ ...one, id: String(one.id), rawId: one.id })) as unknown as readonly [Server, Server]
  const connections = (await duck.registry.listConnections(from, ctx)) as unknown as ConnectionInput[]
  const [first] = connections.map((one) => ({ ...one, id: String(one.id), rawId: one.id })) as unknown as readonly [Connection]
  const move = { key: 'm1/101/1', connection: first, from, to, reason: 'server-down', attempt: 1, sourceAlive: true } as unknown as Move
  return { servers, connections, move }
}

async function moverWorld(): Promise<MoverHarness> {
  const { service, duck, wireguards, on } = await world()
  const { servers, connections } = await listed(duck)
  const [from, to, other] = servers
  return {
    mover: duck.mover,
    from,
    to,
    other,
    connections,
    homeOf: (id) => service.homeOf(id),
    grantsOf: (id) =>
      wireguards.flatMap(({ peers }, index) => [...peers.values()].filter((user) => user === Number(id)).map(() => index + 1)),
    assign: (id, server) => service.assign(id, server),
    sourceDies: () => on(1).close(),
    goDown: () => Promise.all([service, ...wireguards].map((one) => one.close())),
    fallSilent: () => service.faults.set('silent'),
    comeBack: async () => {
      service.faults.clear()
      await service.close()
      await listenAgain(service)
      for (const wireguard of wireguards) {
        await wireguard.close()
        await listenAgain(wireguard)
      }
    },
    dispose: async () => {
      await duck.close()
      await Promise.all([service, ...wireguards].map((one) => one.close()))
    },
  }
}

for (const rule of connectionMoverContract(moverWorld, { without: ['verify', 'moveMany', 'fencing', 'refused'], ...patient }))
  test(rule.name, rule.run)

/** As `world`, closed after the test. */
async function lone(more: Partial<WireGuardServiceOptions> = {}) {
  const here = await world(more)
  ends.push(() => Promise.all([here.duck.close(), here.service.close(), ...here.wireguards.map((one) => one.close())]))
  return { ...here, ...(await listed(here.duck)) }
}

test('the access that a move resolves with is what the new server’s WireGuard has made', async () => {
  const { duck, move, on } = await lone()
  const access = await duck.mover.move(move, ctx)
  const [publicKey] = on(2).peers.keys()
  expect(access).toEqual({ publicKey, config: expect.stringContaining('[Interface]') })
  expect(await duck.mover.move(move, ctx)).toEqual(access)
})

test('a WireGuard that is not running gets nobody', async () => {
  const { duck, move, on } = await lone()
  on(2).isRunning = false
  await expect(duck.mover.prepare?.(move.from, move.to, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  on(2).isRunning = true
  await duck.mover.prepare?.(move.from, move.to, ctx)
})

test('a user whom the books refuse to move keeps no peer on the target', async () => {
  const { duck, move, on, service } = await lone()
  service.faults.set({ kind: 'gone', path: 'change_geolocation' })
  await expect(duck.mover.move(move, ctx)).rejects.toMatchObject({ code: 'rejected' })
  expect(on(2).peers.size).toBe(0)
  expect([...on(1).peers.values()]).toContain(101)
})

test('a proxy that chooses another server than Pintail is told so, and keeps no peer', async () => {
  const { duck, move, on, service } = await lone({ dialect: 'v2', chooses: 'srv-elsewhere' })
  await expect(duck.mover.move(move, ctx)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('srv-elsewhere') })
  expect(on(2).peers.size).toBe(0)
  expect(service.homeOf(101)).toBe(1)
})

test('a key with a / cannot be removed by WireGuard’s own route: whoever must do it by hand is told how', async () => {
  const { duck, move, on, service } = await lone()
  const old = `${service.tables.configurations.get(101)?.publicKey.slice(0, 43).replace(/.$/, '/')}=`
  const connection = { ...move.connection, meta: { publicKey: old, server: '1' } }
  on(1).peers.set(old, 101)
  await duck.mover.move({ ...move, connection }, ctx)
  await expect(duck.mover.complete?.({ ...move, connection }, ctx)).rejects.toMatchObject({
    code: 'rejected',
    remedy: expect.stringContaining(`wg set wg0 peer ${old} remove`),
  })
})

test('a peer whose key nobody knows is not said to be gone', async () => {
  const { duck, move } = await lone()
  const connection = { ...move.connection, meta: null }
  await duck.mover.move({ ...move, connection }, ctx)
  await expect(duck.mover.complete?.({ ...move, connection }, ctx)).rejects.toMatchObject({ code: 'rejected' })
})
