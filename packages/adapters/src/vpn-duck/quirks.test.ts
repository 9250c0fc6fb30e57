import { inspect } from 'node:util'
import {
  type Connection,
  type ConnectionInput,
  type LogEntry,
  type Logger,
  type Move,
  type Server,
  type ServerInput,
  type ServerStatus,
  systemClock,
} from '@pintail/core'
import { afterEach, expect, test } from 'vitest'
import { listenAgain, unhurriedClock, unhurriedTimeouts } from '../../test/duck.ts'
import { type Dialect, type VpnDuckOptions, vpnDuck } from './index.ts'
import { createDatabaseService, type DatabaseServiceOptions } from './testing/index.ts'

interface Row {
  readonly id: string | number
  readonly user_id: number
  readonly status: string
  readonly geolocation_id: string | number
}
interface Body {
  readonly servers: readonly Row[]
  readonly connections: readonly Row[]
  readonly server: Row
  readonly geolocation_id: unknown
}
const bodyOf = async (response: Response): Promise<Body> => (await response.json()) as Body

/** What everybody writes first. Each quirk below is a test that it fails. */
const naive = (url: string) => ({
  servers: async () => (await bodyOf(await get(`${url}/servers/all`))).servers,
  server: async (id: unknown) => bodyOf(await get(`${url}/servers/${id}`)),
  users: async (id: unknown) => (await bodyOf(await get(`${url}/servers/${id}/connections`))).connections.map((row) => row.user_id),
  setStatus: async (id: unknown, status: string) => (await post(`${url}/servers/${id}/status`, { status })).ok,
  move: async (user: number, server: unknown, place: unknown) =>
    (await post(`${url}/configs/change_geolocation`, { user_id: user, geolocation_id: place, server_id: server })).ok,
  log: async (row: object) => (await post(`${url}/server_migrations/log`, row)).status === 200,
})
// A connection for each: one that is kept may be closed by the service just when it is used again.
const get = (url: string): Promise<Response> => fetch(url, { headers: { connection: 'close' } })
const post = (url: string, body: object): Promise<Response> =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', connection: 'close' }, body: JSON.stringify(body) })

const ctx = { signal: new AbortController().signal }
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function world(dialect: Dialect, options: Partial<DatabaseServiceOptions> = {}, own: Partial<VpnDuckOptions> = {}) {
  const service = createDatabaseService({ dialect, servers: 3, users: [{ id: 101, server: 1 }], ...options })
  const url = await service.listen()
  const lines: { level: string; data: object; text: string }[] = []
  const line =
    (level: string) =>
    (data: object, text: string): void =>
      void lines.push({ level, data, text })
  const logger: Logger = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  const duck = vpnDuck({ databaseServiceUrl: url, backoffMs: 2, timeouts: unhurriedTimeouts, clock: unhurriedClock, logger, ...own })
  ends.push(
    () => service.close(),
    () => duck.close(),
  )
  const list = async (): Promise<ServerInput[]> => [...((await duck.registry.listServers(ctx)) as readonly ServerInput[])]
  /** As core would hand it in. */
  const server = async (id: number): Promise<Server> => {
    const row = (await list()).find((one) => String(one.id) === String(id))
    return { ...(row ?? { id, host: 'a.example', meta: null }), id: String(id), rawId: row?.id ?? id } as unknown as Server
  }
  const users = async (id: number) =>
    ((await duck.registry.listConnections(await server(id), ctx)) as readonly ConnectionInput[]).map((row) => row.id).sort()
  const moveOf = async (user: number, from: number, to: number, key = `m/${user}/1`): Promise<Move> => {
    const connection = { id: String(user), rawId: user, meta: null } as unknown as Connection
    return { key, connection, from: await server(from), to: await server(to), reason: 'server-down', attempt: 1 } as unknown as Move
  }
  const setStatus = async (id: number, status: ServerStatus) => duck.registry.setServerStatus?.(await server(id), status, ctx)
  const statusOf = (id: number) => service.tables.servers.get(id)?.status
  const prefixed = dialect === 'v2' ? `${url}/api` : url
  return { service, duck, lines, list, server, users, moveOf, setStatus, statusOf, url, client: naive(prefixed) }
}

const both = ['v1', 'v2'] as const
/** How a call failed; undefined: it did not. */
const attempt = async (call: PromiseLike<unknown>): Promise<{ code?: string } | undefined> => {
  try {
    await call
    return undefined
  } catch (error) {
    return error as { code?: string }
  }
}

// -------------------------------------------------------------------------------------------------------------- dialects

test('the generation is found out, said once, and needs no option', async () => {
  for (const dialect of both) {
    const { duck, lines, list, url } = await world(dialect)
    await Promise.all([list(), list(), duck.dialect()])
    expect(await duck.dialect()).toBe(dialect)
    expect(lines.filter(({ text }) => text.includes('speaks'))).toMatchObject([{ level: 'info', data: { dialect } }])
    if (dialect === 'v2') await expect(naive(url).servers()).rejects.toThrow()
  }
})

test('a service that becomes the other generation under way is understood', async () => {
  const old = await world('v1')
  await old.list()
  const port = Number(new URL(old.url).port)
  await old.service.close()
  const next = createDatabaseService({ dialect: 'v2', servers: 3, users: [{ id: 101, server: 1 }] })
  ends.push(() => next.close())
  await listenAgain(next, port)
  await old.duck.mover.move(await old.moveOf(101, 1, 2), ctx)
  expect(next.homeOf(101)).toBe(2)
  expect(await old.duck.dialect()).toBe('v2')
  expect(old.lines.filter(({ text }) => text.includes('speaks'))).toHaveLength(2)
})

test('a URL that ends in /api gets it only once', async () => {
  const { url } = await world('v2')
  const duck = vpnDuck({ databaseServiceUrl: `${url}/api/` })
  ends.push(() => duck.close())
  expect(await duck.dialect()).toBe('v2')
})

test('a gateway that has v1 under /api is v1', async () => {
  const { service } = await world('v1')
  const own: typeof fetch = (input, init) => fetch(String(input).replace('/api/', '/'), init)
  const duck = vpnDuck({ databaseServiceUrl: service.url, fetch: own })
  ends.push(() => duck.close())
  expect(await duck.dialect()).toBe('v1')
  expect(await duck.registry.listServers(ctx)).toHaveLength(3)
})

test('something that is no database service is told so', async () => {
  const { service } = await world('v1')
  const duck = vpnDuck({ databaseServiceUrl: `${service.url}/elsewhere`, tries: 1 })
  ends.push(() => duck.close())
  await expect(duck.dialect()).rejects.toMatchObject({ code: 'unavailable', remedy: expect.stringContaining('database service') })
})

// --------------------------------------------------------------------------------------------------------------- secrets

test('no key and no secret of VPN Duck is in a row, an error, a log line or an access', async () => {
  for (const dialect of both) {
    const { client, list, users, setStatus, duck, moveOf, lines, service } = await world(dialect)
    const told = dialect === 'v1' ? await client.servers() : await client.server(1)
    expect(JSON.stringify(told)).toMatch(/private_key|api_key/)
    service.faults.set({ kind: 'error', path: 'metrics' })
    const failed = await duck.recordMetrics({ serverId: 1, latencyMs: 1, packetLossPercent: 0 }).catch((error) => error)
    const said = inspect(
      [await list(), await users(1), await setStatus(1, 'offline'), await duck.mover.move(await moveOf(101, 1, 2), ctx), lines, failed],
      {
        depth: 9,
      },
    )
    expect(said).not.toMatch(/private_key|api_key|hmac|oauth|hunter2/)
  }
})

// --------------------------------------------------------------------------------------------------------------- servers

test('"3" and 3 are one server: nobody is moved onto the dead one', async () => {
  const { client, list, url } = await world('v2')
  const optimal = (await bodyOf(await post(`${url}/api/servers/select_optimal`, { user_id: 1, geolocation_id: 2 }))).server
  const listed = (await client.servers()).find(({ id }) => String(id) === String(optimal.id))
  expect(optimal.id === listed?.id).toBe(false)
  expect((await list()).map(({ id }) => String(id))).toEqual(['1', '2', '3'])
})

test('servers in every status are listed: one that nobody probes never comes back', async () => {
  const { client, list, service } = await world('v1')
  for (const [id, word] of [
    [1, 'inactive'],
    [2, 'maintenance'],
    [3, 'degraded'],
  ] as const)
    service.operatorSets(id, word)
  expect((await client.servers()).filter(({ status }) => status === 'active')).toEqual([])
  expect((await list()).map(({ status }) => status)).toEqual(['offline', 'maintenance', 'online'])
})

test('early v2 lists no status: it follows from is_active', async () => {
  const { service, url } = await world('v2')
  service.operatorSets(2, 'inactive')
  const early: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    const { servers, ...rest } = await bodyOf(response)
    return Response.json({ ...rest, servers: servers?.map(({ status, ...row }) => row) }, { status: response.status })
  }
  const duck = vpnDuck({ databaseServiceUrl: url, fetch: early })
  ends.push(() => duck.close())
  const rows = (await duck.registry.listServers(ctx)) as readonly ServerInput[]
  expect(rows.map(({ status }) => status)).toEqual(['online', 'offline', 'online'])
})

test('a server without an endpoint is listed, cannot be probed, and is warned about once', async () => {
  const { list, lines } = await world('v2', {
    servers: [{ id: 1, endpoint: null }, { id: 2, endpoint: '-oProxyCommand=reboot' }, { id: 3 }],
  })
  await list()
  const rows = await list()
  expect(rows.map(({ host }) => host)).toEqual(['server-1.endpoint-missing.invalid', 'server-2.endpoint-missing.invalid', '127.0.0.13'])
  expect(lines.filter(({ level }) => level === 'warn').map(({ data }) => data)).toMatchObject([{ server: '1' }, { server: '2' }])
})

test('a status that nobody knows counts as maintenance, and is warned about once', async () => {
  const { list, lines } = await world('v1', { servers: [{ id: 1, status: 'quarantined' }, { id: 2 }] })
  await list()
  expect((await list()).map(({ status }) => status)).toEqual(['maintenance', 'online'])
  expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([{ data: { server: '1', status: 'quarantined' } }])
})

test('a server that is listed twice is one, and rows without an id are none', async () => {
  const { service, url } = await world('v1')
  const doubled: typeof fetch = async (input, init) => {
    const { servers = [], ...rest } = await bodyOf(await fetch(input, init))
    return Response.json({ ...rest, servers: [...servers, { ...servers[0], endpoint: 'other.example' }, { endpoint: 'nobody.example' }] })
  }
  const duck = vpnDuck({ databaseServiceUrl: url, fetch: doubled, dialect: 'v1' })
  ends.push(() => duck.close())
  const rows = (await duck.registry.listServers(ctx)) as readonly ServerInput[]
  expect(rows.map(({ id, host }) => [id, host])).toEqual([
    [1, '127.0.0.11'],
    [2, '127.0.0.12'],
    [3, '127.0.0.13'],
  ])
  expect(service.calls.every(({ path }) => path === '/servers/all')).toBe(true)
})

test('10 000 servers are listed', async () => {
  for (const dialect of both) {
    const { list } = await world(dialect, { servers: Array.from({ length: 10_000 }, (_, index) => ({ id: index + 1 })) })
    expect(new Set((await list()).map(({ id }) => String(id))).size).toBe(10_000)
  }
})

test('v2’s max_peers is the capacity; v1’s load_factor is a percentage and counts nobody', async () => {
  const servers = [{ id: 1, maxPeers: 250, loadFactor: 40 }]
  expect((await (await world('v2', { servers })).list())[0]).toMatchObject({ capacity: 250, region: 'Россия' })
  const [row] = await (await world('v1', { servers })).list()
  expect(row).toMatchObject({ capacity: null, region: '1', country: 'Россия', coordinates: { latitude: 55.7, longitude: 37.6 } })
  expect(row).not.toHaveProperty('load')
})

// ----------------------------------------------------------------------------------------------------------------- users

test('a user with several rows is one connection', async () => {
  for (const dialect of both) {
    const { client, users } = await world(dialect, {
      users: [
        { id: 101, server: 1, rows: 3 },
        { id: 102, server: 1 },
      ],
    })
    expect(await client.users(1)).toHaveLength(4)
    expect(await users(1)).toEqual([101, 102])
  }
})

test('a moved user stays in VPN Duck’s list of the old server, and lives on the new one all the same', async () => {
  for (const dialect of both) {
    const { client, users, duck, moveOf } = await world(dialect)
    await duck.mover.move(await moveOf(101, 1, 2), ctx)
    expect(await client.users(1)).toEqual([101])
    expect(await users(1)).toEqual([])
    // He takes up room there, though he has not been seen yet.
    expect(await users(2)).toEqual([101])
  }
})

test('v2: a client that goes on with its old file is not moved off the old server again', async () => {
  const { client, users, duck, moveOf, service } = await world('v2')
  await duck.mover.move(await moveOf(101, 1, 2), ctx)
  service.tables.connect(101, 1)
  expect(await client.users(1)).toEqual([101, 101])
  expect(await users(1)).toEqual([])
  expect(await users(2)).toEqual([101])
})

test('whom nobody has seen for an hour after his move takes up no room any more, as everybody else', async () => {
  let late = 0
  const begun = systemClock.now()
  const clock = { ...unhurriedClock, now: () => begun + late }
  for (const dialect of both) {
    late = 0
    const { users, duck, moveOf } = await world(dialect, {}, { clock })
    await duck.mover.move(await moveOf(101, 1, 2), ctx)
    late = 3_599_000
    expect(await users(2)).toEqual([101])
    late = 3_601_000
    expect(await users(2)).toEqual([])
    expect(await users(1)).toEqual([])
  }
})

test('v1: whom another process has moved is not moved again', async () => {
  const { client, users, service } = await world('v1', {
    users: [
      { id: 101, server: 1 },
      { id: 102, server: 1 },
    ],
  })
  await client.move(101, 3, 1)
  expect(service.homeOf(101)).toBe(3)
  expect((await client.users(1)).sort()).toEqual([101, 102])
  expect(await users(1)).toEqual([102])
})

test('v2: who was seen elsewhere later does not live where his old row is', async () => {
  const { client, users, service } = await world('v2', {
    users: [
      { id: 101, server: 1, idleMs: 86_400_000 },
      { id: 102, server: 1 },
    ],
  })
  service.assign(101, 3)
  expect((await client.users(1)).sort()).toEqual([101, 102])
  expect(await users(1)).toEqual([102])
  expect(await users(3)).toEqual([101])
})

test('v1: when configurations cannot be read, the list is taken as it is', async () => {
  const { users, service } = await world('v1')
  service.faults.set({ kind: 'error', path: '/config/' })
  expect(await users(1)).toEqual([101])
})

test('rows without a user are left out and warned about', async () => {
  const { url } = await world('v1')
  const own: typeof fetch = async (input, init) => {
    const body = await bodyOf(await fetch(input, init))
    return Response.json(body.connections ? { connections: [...body.connections, { id: 5 }, null] } : body)
  }
  const lines: string[] = []
  const logger = { debug: () => {}, info: () => {}, warn: (_: object, text: string) => void lines.push(text), error: () => {} }
  const duck = vpnDuck({ databaseServiceUrl: url, fetch: own, dialect: 'v1', logger })
  ends.push(() => duck.close())
  const [row] = (await duck.registry.listServers(ctx)) as readonly ServerInput[]
  const one = { ...row, id: '1', rawId: 1 } as unknown as Server
  expect(await duck.registry.listConnections(one, ctx)).toMatchObject([{ id: 101 }])
  expect(lines).toEqual([expect.stringContaining('2 connections without a user')])
})

// ----------------------------------------------------------------------------------------------------------------- moves

test('v2 says success when it has moved nobody: who has no configuration is refused', async () => {
  const users = [
    { id: 100, server: 1, hasConfiguration: false },
    { id: 101, server: 1, hasConfiguration: false },
    { id: 102, server: 1 },
  ]
  const { client, duck, moveOf, service } = await world('v2', { users })
  expect(await client.move(101, 2, 2)).toBe(true)
  for (const user of [100, 101]) await expect(duck.mover.move(await moveOf(user, 1, 2), ctx)).rejects.toMatchObject({ code: 'rejected' })
  await duck.mover.move(await moveOf(102, 1, 2), ctx)
  expect(service.homeOf(102)).toBe(2)
})

test('v2 whose table of configurations is empty cannot be asked: users are moved, and it is said once', async () => {
  const { duck, moveOf, service, lines } = await world('v2', {
    users: Array.from({ length: 5 }, (_, index) => ({ id: 101 + index, server: 1 })),
  })
  service.tables.userConfigs.clear()
  for (const user of [101, 102, 103]) await duck.mover.move(await moveOf(user, 1, 2), ctx)
  expect([101, 102, 103].map((user) => service.homeOf(user))).toEqual([2, 2, 2])
  expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
})

test('v2 without that route moves users all the same', async () => {
  const { duck, moveOf, service } = await world('v2', { configurations: 'missing' })
  await duck.mover.move(await moveOf(101, 1, 2), ctx)
  expect(service.homeOf(101)).toBe(2)
  expect(await duck.dialect()).toBe('v2')
})

test('v1’s 404 is a refusal, and so is a user without a configuration', async () => {
  const { duck, moveOf } = await world('v1', { users: [{ id: 101, server: 1, hasConfiguration: false }] })
  await expect(duck.mover.move(await moveOf(101, 1, 2), ctx)).rejects.toMatchObject({ code: 'rejected' })
  await expect(duck.mover.move(await moveOf(101, 1, 99), ctx)).rejects.toMatchObject({ code: 'rejected' })
})

test('all four fields are sent, with the geolocation of the target, also when the server row is wrapped', async () => {
  for (const dialect of both) {
    const { client, duck, moveOf, service, server } = await world(dialect)
    const place = (await client.server(2)).geolocation_id
    if (dialect === 'v2') expect(place).toBeUndefined()
    const move = await moveOf(101, 1, 2)
    await duck.mover.move({ ...move, to: { ...(await server(2)), meta: null } as Server }, ctx)
    const sent = service.calls.filter(({ path }) => path.endsWith('change_geolocation')).map(({ body }) => body)
    expect(sent).toEqual([{ user_id: 101, geolocation_id: 2, server_id: 2, migration_reason: 'server_down' }])
  }
})

test('a target without a geolocation gets nobody, and the remedy says what is missing', async () => {
  const { duck, moveOf, service } = await world('v2', { servers: [{ id: 1 }, { id: 2, geolocationId: null }] })
  const refused = { code: 'rejected', remedy: expect.stringContaining('geolocation') }
  await expect(duck.mover.move(await moveOf(101, 1, 2), ctx)).rejects.toMatchObject(refused)
  expect(service.homeOf(101)).toBe(1)
})

test('a file that cannot connect is not handed on: VPN Duck writes a placeholder in place of the private key', async () => {
  const { duck, moveOf, service } = await world('v1', {
    users: [
      { id: 101, server: 1 },
      { id: 102, server: 1 },
    ],
  })
  expect(await duck.mover.move(await moveOf(101, 1, 2), ctx)).toEqual({ config: null })
  service.tables.texts.set('102/2', '[Interface]\nPrivateKey = c2VjcmV0\n')
  expect(await duck.mover.move(await moveOf(102, 1, 2), ctx)).toEqual({ config: '[Interface]\nPrivateKey = c2VjcmV0\n' })
})

test('v2 is never asked for a server by a text: it would make one', async () => {
  const { client, duck, moveOf, server, setStatus, service } = await world('v2')
  await client.server('srv-00000000')
  expect(service.tables.servers.size).toBe(4)
  const strange = { ...(await server(2)), id: 'srv-11111111', rawId: 'srv-11111111', meta: null } as unknown as Server
  await expect(duck.mover.move({ ...(await moveOf(101, 1, 2)), to: strange }, ctx)).rejects.toMatchObject({ code: 'rejected' })
  await expect(duck.registry.setServerStatus?.(strange, 'offline', ctx)).rejects.toMatchObject({ code: 'rejected' })
  await setStatus(1, 'offline')
  expect(service.tables.servers.size).toBe(4)
})

test('v2: where a user is after a move without an answer is not known, and the move may be repeated', async () => {
  const { duck, moveOf, service } = await world('v2')
  const move = await moveOf(101, 1, 2)
  service.faults.set({ kind: 'reset', path: 'change_geolocation', times: 1 })
  const ended = await attempt(duck.mover.move(move, ctx))
  expect([undefined, 'rejected', 'unavailable']).not.toContain(ended?.code)
  expect(service.homeOf(101)).toBe(2)
  // He is still listed on the old server and on no other: that proves nothing.
  await expect(duck.mover.locate?.(move, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  await duck.mover.move(move, ctx)
  expect(await duck.mover.locate?.(move, ctx)).toBe('on_target')
})

test('v2: a client that has connected to the new server shows where he is', async () => {
  const { duck, moveOf, service } = await world('v2', { clients: 'follow' })
  const move = await moveOf(101, 1, 2)
  service.faults.set({ kind: 'reset', path: 'change_geolocation', times: 1 })
  await expect(duck.mover.move(move, ctx)).rejects.toThrow()
  expect(await duck.mover.locate?.(move, ctx)).toBe('on_target')
})

test('v1: a move without an answer is found out', async () => {
  for (const kind of ['reset', 'error'] as const) {
    const { duck, moveOf, service } = await world('v1')
    const move = await moveOf(101, 1, 2)
    service.faults.set({ kind, path: 'change_geolocation', times: 1 })
    const ended = await attempt(duck.mover.move(move, ctx))
    expect([undefined, 'rejected', 'unavailable']).not.toContain(ended?.code)
    expect(await duck.mover.locate?.(move, ctx)).toBe(kind === 'reset' ? 'on_target' : 'on_source')
  }
})

test('whom nobody lists is not absent: lists name only who has been seen lately', async () => {
  const { duck, moveOf, service } = await world('v2', { configurations: 'missing' })
  service.tables.sessions.length = 0
  await expect(duck.mover.locate?.(await moveOf(101, 1, 2), ctx)).rejects.toMatchObject({ code: 'unavailable' })
})

test('an evacuation goes on while the lists of connections fail', async () => {
  for (const dialect of both) {
    const { duck, moveOf, service } = await world(dialect)
    const move = await moveOf(101, 1, 2)
    service.faults.set({ kind: 'error', path: '/connections' })
    service.faults.set({ kind: 'error', path: '/config/' })
    await duck.mover.move(move, ctx)
    expect(service.homeOf(101)).toBe(2)
  }
})

// ---------------------------------------------------------------------------------------------------------------- status

test('a status for a server that does not exist is refused, though v2 answers 200', async () => {
  for (const dialect of both) {
    const { client, setStatus } = await world(dialect)
    expect(await client.setStatus(99, 'inactive')).toBe(dialect === 'v2')
    await expect(setStatus(99, 'offline')).rejects.toMatchObject({ code: 'rejected' })
  }
})

test('a server that goes away between the look and the write is found out by reading back', async () => {
  for (const dialect of both) {
    let isLeaving = false
    const { duck, service, server } = await world(dialect, {
      // As soon as it has been looked at: what is written comes later.
      onCall: ({ path }) => {
        if (isLeaving && path.endsWith('/servers/1')) service.tables.servers.delete(1)
      },
    })
    const one = await server(1)
    isLeaving = true
    await expect(duck.registry.setServerStatus?.(one, 'offline', ctx)).rejects.toMatchObject({ code: 'rejected' })
    // v1 says so itself.
    expect(service.calls.at(-1)?.path).toBe(dialect === 'v1' ? '/servers/1/status' : '/api/servers/1')
  }
})

test('statuses that are set at the same time are one call, and each of them has its own end', async () => {
  for (const dialect of both) {
    const { duck, server, service, statusOf } = await world(dialect, { servers: 5 })
    const wanted = [await server(1), await server(2), await server(3), await server(99)]
    service.operatorSets(3, 'inactive')
    const ended = await Promise.allSettled(wanted.map((one) => duck.registry.setServerStatus?.(one, 'offline', ctx)))
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    expect([1, 2, 3, 4].map(statusOf)).toEqual(['inactive', 'inactive', 'inactive', 'active'])
    const writes = service.calls.filter(({ method }) => method === 'POST')
    expect(writes.map(({ path, body }) => [path.replace('/api', ''), body])).toEqual([
      [
        '/servers/update_status_batch',
        {
          servers: [
            { id: 1, status: 'inactive' },
            { id: 2, status: 'inactive' },
          ],
        },
      ],
    ])
  }
})

test('an operator’s word that has come since the last list is not overwritten', async () => {
  const { setStatus, service, server, duck, statusOf } = await world('v1')
  const [one, two] = [await server(1), await server(2)]
  service.operatorSets(1, 'maintenance')
  await expect(duck.registry.setServerStatus?.(one, 'offline', ctx)).rejects.toMatchObject({ code: 'conflict' })
  expect(statusOf(1)).toBe('maintenance')
  await duck.registry.setServerStatus?.(two, 'offline', ctx)
  service.operatorSets(2, 'maintenance')
  await expect(setStatus(2, 'online')).rejects.toMatchObject({ code: 'conflict' })
  expect(statusOf(2)).toBe('maintenance')
})

test('v2 keeps no word but active: there an operator’s maintenance looks like our inactive', async () => {
  const { setStatus, service, statusOf, list } = await world('v2')
  await setStatus(1, 'offline')
  service.operatorSets(1, 'maintenance')
  expect((await list())[0]?.status).toBe('offline')
  await setStatus(1, 'online')
  expect(statusOf(1)).toBe('active')
})

test('what was degraded before comes back as degraded', async () => {
  const { setStatus, service, statusOf } = await world('v1')
  service.operatorSets(1, 'degraded')
  await setStatus(1, 'offline')
  expect(statusOf(1)).toBe('inactive')
  await setStatus(1, 'online')
  expect(statusOf(1)).toBe('degraded')
})

test('maintenance is v1’s own word, and in v2 the server is out of service', async () => {
  for (const dialect of both) {
    const { setStatus, statusOf } = await world(dialect)
    if (dialect === 'v1') await setStatus(1, 'maintenance')
    else await expect(setStatus(1, 'maintenance')).rejects.toMatchObject({ code: 'conflict' })
    expect(statusOf(1)).toBe(dialect === 'v1' ? 'maintenance' : 'inactive')
  }
})

// ------------------------------------------------------------------------------------------------------------------- log

const entry = (id: string, more: Partial<LogEntry> = {}): LogEntry =>
  ({
    id,
    at: 1,
    type: 'connection.moved',
    connectionId: '101',
    fromServerId: '1',
    toServerId: '2',
    reason: 'server-down',
    success: true,
    data: {},
    ...more,
  }) as LogEntry

test('201 and 200 are both fine, and one entry is one row however often it is written', async () => {
  for (const dialect of both) {
    const { client, duck, service } = await world(dialect)
    const row = { user_id: 101, from_server_id: 1, to_server_id: 2, migration_reason: 'server_down' }
    expect(await client.log(row)).toBe(dialect === 'v2')
    service.tables.migrations.length = 0
    for (let times = 0; times < 3; times++) await duck.log.write(entry('journal-1'), ctx)
    await duck.log.write(entry('journal-2', { reason: 'user-request' }), ctx)
    expect(service.tables.migrations).toMatchObject([
      { userId: 101, from: 1, to: 2, reason: 'server_down', success: true },
      { userId: 101, from: 1, to: 2, reason: 'user_request', success: true },
    ])
  }
})

test('a failed move is no migration: v2 is told so, and v1, which cannot be, is not told', async () => {
  for (const dialect of both) {
    const { duck, service } = await world(dialect)
    await duck.log.write(entry('journal-1', { type: 'connection.move_failed', success: false }), ctx)
    await duck.log.write(entry('journal-2', { type: 'incident.opened', success: null, connectionId: null }), ctx)
    expect(service.tables.migrations.map(({ success }) => success)).toEqual(dialect === 'v2' ? [false] : [])
  }
})

test('an entry that the database will never take is dropped with a warning, and holds no other', async () => {
  const { duck, service, lines } = await world('v2')
  service.tables.legacyServers.delete(1)
  const hopeless = entry('journal-1')
  for (let times = 1; times <= 2; times++)
    await expect(duck.log.write(hopeless, ctx)).rejects.toMatchObject({ message: expect.stringContaining('500') })
  await duck.log.write(hopeless, ctx)
  await duck.log.write(entry('journal-2', { fromServerId: '3' as never }), ctx)
  expect(service.tables.migrations).toMatchObject([{ from: 3 }])
  expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([{ data: { entry: 'journal-1', connectionId: '101' } }])
  // What has been dropped is not tried again.
  const calls = service.calls.length
  await duck.log.write(hopeless, ctx)
  expect(service.calls).toHaveLength(calls)
})

test('an entry with ids that are no numbers is dropped with a warning', async () => {
  const { duck, lines, service } = await world('v1')
  await duck.log.write(entry('journal-1', { connectionId: 'ann' as never }), ctx)
  expect(lines).toMatchObject([{ level: 'warn', data: { entry: 'journal-1' } }])
  expect(service.calls).toEqual([])
})

test('a log that is down loses nothing: each entry is refused until it has been taken', async () => {
  const { duck, service } = await world('v2')
  service.faults.set({ kind: 'error', path: 'server_migrations' })
  for (let times = 0; times < 20; times++) await expect(duck.log.write(entry('journal-1'), ctx)).rejects.toThrow()
  service.faults.clear()
  await expect
    .poll(() =>
      Promise.resolve(duck.log.write(entry('journal-1'), ctx))
        .then(() => service.tables.migrations.length)
        .catch(() => 0),
    )
    .toBe(1)
})

test('an answer of the log is not read, whatever it is', async () => {
  for (const kind of ['html', 'endless'] as const) {
    const { duck, service } = await world('v1')
    service.faults.set({ kind, path: 'server_migrations', times: 1 })
    await duck.log.write(entry('journal-1'), ctx)
    await expect.poll(() => service.sockets).toBe(0)
  }
})

// --------------------------------------------------------------------------------------------------------------- figures

test('figures arrive in the words of both generations', async () => {
  for (const dialect of both) {
    const { duck, service } = await world(dialect)
    await duck.recordMetrics({ serverId: '2', latencyMs: 42.1, packetLossPercent: 0, jitterMs: 1.5 })
    await duck.recordMetrics({ serverId: 3, latencyMs: null, packetLossPercent: 100 })
    expect(service.tables.metrics).toEqual([
      { server: 2, latency: 42.1, packetLoss: 0, jitter: 1.5 },
      { server: 3, latency: null, packetLoss: 100, jitter: null },
    ])
  }
})
