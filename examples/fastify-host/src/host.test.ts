import { type PolicyInput, tcp } from '@pintail/core'
import type { FastifyInstance } from 'fastify'
import { afterEach, expect, test, vi } from 'vitest'
import { Database } from './database.ts'
import { createHost } from './host.ts'
import { hostOf, Machines } from './machines.ts'

// For what hangs, not for what is slow.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const keys = {
  'user-0-key': { name: 'user-0', role: 'user' },
  'ops-key': { name: 'ops', role: 'admin' },
} as const
const asUser = { authorization: 'Bearer user-0-key' }
const asAdmin = { authorization: 'Bearer ops-key' }
const fast: PolicyInput = {
  mode: 'auto',
  registryRefreshMs: 50,
  guards: { recheckMs: 50 },
  // On loopback only this machine is slow.
  detect: {
    checkIntervalMs: 100,
    pingTimeoutMs: 500,
    latencyThresholdMs: 60_000,
    confirm: { intervalMs: 20, durationMs: 200, timeoutMs: 200 },
  },
}

interface Provider {
  readonly app: FastifyInstance
  readonly db: Database
  readonly machines: Machines
  readonly ports: ReadonlyMap<number, number>
}

/** Four servers for ten users each, with five on each: real listeners on 127.0.0.x, probed by real connections. */
async function provider(policy: PolicyInput = fast): Promise<Provider> {
  const machines = new Machines()
  const ports = new Map<number, number>()
  for (const id of [1, 2, 3, 4]) ports.set(id, await machines.plug(id, 0))
  const servers = [...ports].map(([id, port]) => ({ id, host: hostOf(id), port, region: 'eu', capacity: 10, status: 'online' as const }))
  const access = Array.from({ length: 20 }, (_, index) => ({ user_id: `user-${index}`, region: 'eu', server_id: 1 + (index % 4) }))
  const db = new Database(servers, access)
  const app = await createHost({ db, keys, probers: [tcp()], policy, logger: false })
  closing.push(
    async () => app.close(),
    () => machines.unplugAll(),
  )
  return { app, db, machines, ports }
}

async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const until = performance.now() + 60_000
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const listening = async ({ app }: Provider): Promise<void> => {
  await app.listen({ host: '127.0.0.1', port: 0 })
  await eventually(() => app.pintail.status().counts.up === 4, 'four servers up')
}

test('every route of the host and of the plugin needs a key, but the health', async () => {
  const { app } = await provider()
  for (const url of ['/me/server', '/admin/fleet', '/pintail/servers', '/pintail/policy']) {
    expect((await app.inject(url)).statusCode).toBe(401)
    expect((await app.inject({ url, headers: { authorization: 'Bearer wrong' } })).statusCode).toBe(401)
  }
  expect((await app.inject('/pintail/health')).json()).toMatchObject({ state: 'idle' })
})

test('a user may read, an admin may do', async () => {
  const { app } = await provider()
  const ask = async (method: 'GET' | 'POST', url: string, headers: Record<string, string>) =>
    (await app.inject({ method, url, headers })).json<{ code: string }>().code
  expect((await app.inject({ url: '/pintail/servers', headers: asUser })).statusCode).toBe(200)
  expect(await ask('POST', '/pintail/pause', asUser)).toBe('forbidden')
  // The engine has not been started: authorize has let it through.
  expect(await ask('POST', '/pintail/pause', asAdmin)).toBe('not_started')
  expect((await app.inject({ url: '/me/server', headers: asUser })).json()).toEqual({ server: 1 })
  expect((await app.inject({ url: '/admin/fleet', headers: asUser })).statusCode).toBe(403)
  expect((await app.inject({ url: '/admin/fleet', headers: asAdmin })).json()).toEqual([])
})

test('inject() moves nobody, even off a dead server', async () => {
  const { app, db, machines } = await provider()
  await machines.unplug(1)
  const before = structuredClone(db.access)
  for (let asked = 0; asked < 5; asked++) {
    await app.inject({ url: '/me/server', headers: asUser })
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  expect(app.pintail.status().state).toBe('idle')
  expect(db.access).toEqual(before)
})

test('a dead server is evacuated while the host listens, and put back when it answers again', async () => {
  const world = await provider()
  const { app, db, machines, ports } = world
  await listening(world)
  await machines.unplug(1)
  await eventually(() => db.accessOn(1).length === 0, 'nobody on the dead server')
  for (const { id, capacity } of db.servers) expect(db.accessOn(id).length).toBeLessThanOrEqual(capacity)
  expect(db.access).toHaveLength(20)
  await eventually(() => db.servers[0]?.status === 'offline', 'the status of the dead server')
  const { server } = (await app.inject({ url: '/me/server', headers: asUser })).json<{ server: number }>()
  expect([2, 3, 4]).toContain(server)

  await machines.plug(1, ports.get(1) ?? 0)
  await eventually(() => db.servers[0]?.status === 'online', 'the status of the recovered server')
})

test('in mode suggest nobody moves until an admin approves', async () => {
  const world = await provider({ ...fast, mode: 'suggest' })
  const { app, db, machines } = world
  await listening(world)
  await machines.unplug(1)
  const list = async () => (await app.inject({ url: '/admin/evacuations', headers: asAdmin })).json<{ id: string; status: string }[]>()
  await eventually(async () => (await list()).length > 0, 'a suggestion')
  const [evacuation] = await list()
  expect(evacuation).toMatchObject({ status: 'suggested', reason: 'server-down', from: ['1'], connections: 5 })
  expect(db.accessOn(1)).toHaveLength(5)
  const url = `/pintail/evacuations/${evacuation?.id}`
  const { etag } = (await app.inject({ url, headers: asAdmin })).headers
  const approve = (headers: Record<string, string>) =>
    app.inject({ method: 'POST', url: `${url}/approve`, headers: { ...headers, 'if-match': String(etag) } })
  expect((await approve(asUser)).statusCode).toBe(403)
  expect((await approve(asAdmin)).statusCode).toBe(200)
  await eventually(() => db.accessOn(1).length === 0, 'nobody on the dead server')
})

test("a drain through the host's own route empties a living server; errors of the engine become answers of the host", async () => {
  const world = await provider()
  const { app, db } = world
  await listening(world)
  const drain = (id: string, why = 'new disks') =>
    app.inject({ method: 'POST', url: `/admin/servers/${id}/drain`, headers: asAdmin, payload: { why } })
  expect((await drain('99')).statusCode).toBe(404)
  expect((await drain('2', '')).statusCode).toBe(422)
  expect((await drain('2')).statusCode).toBe(202)
  await eventually(() => db.accessOn(2).length === 0, 'nobody on the drained server')
})

test('the document of the host has its own routes and those of the plugin; its headers are on both', async () => {
  const { app } = await provider()
  const { paths } = (await app.inject({ url: '/openapi.json', headers: asUser })).json<{ paths: Record<string, unknown> }>()
  for (const path of ['/me/server', '/admin/servers/{id}/drain', '/pintail/migrations', '/pintail/events'])
    expect(paths).toHaveProperty([path])
  for (const url of ['/me/server', '/pintail/servers'])
    expect((await app.inject({ url, headers: asUser })).headers['content-security-policy']).toContain("default-src 'self'")
})

test('a user may look, and sees of other users only pseudonyms; an admin sees who they are', async () => {
  const world = await provider()
  await listening(world)
  const plan = async (headers: Record<string, string>) => (await world.app.inject({ url: '/pintail/plan?drain=1', headers })).body
  // A pseudonym is of 16 hexadecimal digits, one in two thousand of them decimal ones only.
  expect(await plan(asUser)).not.toMatch(/"user-\d{1,15}"/)
  expect(await plan(asAdmin)).toMatch(/"user-\d{1,15}"/)
})
