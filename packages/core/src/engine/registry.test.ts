import { expect, test } from 'vitest'
import type { PintailEvent, PintailEvents } from '../events.ts'
import type { ServerInput, ServerRegistry } from '../ports.ts'
import { createFleet, type Fleet } from '../testing/index.ts'

const told = <T extends keyof PintailEvents>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)
const warned = (fleet: Fleet, code: string) => told(fleet, 'warning').filter(({ data }) => data.code === code)

/** A fleet whose registry can be made to fail. */
async function failing(change: (registry: ServerRegistry) => Partial<ServerRegistry>): Promise<Fleet> {
  return createFleet({ servers: 6, replace: ({ registry }) => ({ registry: { ...registry, ...change(registry) } }) })
}

test('a malformed row is skipped, told once and counted, and the rest goes on', async () => {
  const bad = [{ id: 'bad', host: '-h' }, { host: '10.0.0.9' }, null, { id: 's2', host: '10.0.0.200' }] as unknown as ServerInput[]
  const fleet = await failing((registry) => ({
    listServers: async (ctx) => [...(await (registry.listServers(ctx) as Promise<ServerInput[]>)), ...bad],
  }))
  await fleet.advance(60_000)
  const status = fleet.pintail.status()
  expect(status.servers).toHaveLength(6)
  expect(status.registry.skippedRows).toBeGreaterThanOrEqual(8)
  expect(warned(fleet, 'invalid_row')).toHaveLength(4)
  expect(warned(fleet, 'invalid_row')[0]?.data.message).toContain('host')
  await fleet.stop()
})

test('a malformed connection row does not keep the others from being moved', async () => {
  const fleet = await failing((registry) => ({
    listConnections: async (server, ctx) => [{ id: {} } as never, ...(await (registry.listConnections(server, ctx) as Promise<never[]>))],
  }))
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(warned(fleet, 'invalid_row').length).toBeGreaterThan(0)
  await fleet.stop()
})

test('a registry that is down keeps the last list, marked stale; nobody is judged by it and probing goes on', async () => {
  let down = false
  const fleet = await failing((registry) => ({
    listServers: (ctx) => {
      if (down) throw new Error('ECONNREFUSED')
      return registry.listServers(ctx)
    },
  }))
  await fleet.advance(20_000)
  down = true
  await fleet.advance(20_000)
  fleet.kill('s1')
  const before = fleet.pintail.status().lastCheckAt ?? 0
  await fleet.advance(60_000)
  const status = fleet.pintail.status()
  expect(status.servers).toHaveLength(6)
  expect(status.registry.stale).toBe(true)
  expect(status.lastCheckAt).toBeGreaterThan(before + 50_000)
  expect(told(fleet, 'connection.moved')).toHaveLength(0)
  expect(warned(fleet, 'registry_stale')).toHaveLength(1)
  down = false
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a list that comes back empty is not believed', async () => {
  let empty = false
  const fleet = await failing((registry) => ({ listServers: (ctx) => (empty ? Promise.resolve([]) : registry.listServers(ctx)) }))
  await fleet.advance(20_000)
  empty = true
  await fleet.advance(60_000)
  expect(fleet.pintail.status().servers).toHaveLength(6)
  expect(fleet.pintail.status().registry.stale).toBe(true)
  await fleet.stop()
})

test('when the connections of the dead server cannot be listed those known from its suspicion are moved', async () => {
  let broken = false
  const fleet = await failing((registry) => ({
    listConnections: (server, ctx) => {
      if (broken && server.id === 's1') throw new Error('its panel died with it')
      return registry.listConnections(server, ctx)
    },
  }))
  await fleet.advance(20_000)
  fleet.kill('s1')
  fleet.pintail.on('server.verdict_changed', ({ serverId, verdict }) => {
    if (serverId === 's1' && verdict === 'down') broken = true
  })
  await fleet.advance(60_000)
  expect(broken).toBe(true)
  expect(fleet.registry.on('s1')).toEqual([])
  const [made] = told(fleet, 'decision.made')
  expect((await fleet.pintail.decision(made?.data.decisionId ?? '')).coverage.remembered).toBe(true)
  await fleet.stop()
})

test('unavailable is not empty: without any list nobody is called evacuated', async () => {
  const fleet = await failing((registry) => ({
    listConnections: (server, ctx) => {
      if (server.id === 's1') throw new Error('never reachable')
      return registry.listConnections(server, ctx)
    },
  }))
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(told(fleet, 'incident.opened')).toHaveLength(1)
  expect(told(fleet, 'evacuation.completed')).toHaveLength(0)
  expect(warned(fleet, 'unavailable').length).toBeGreaterThan(0)
  await fleet.stop()
})

test('a status that cannot be written is tried again, and holds up no move', async () => {
  let broken = true
  const fleet = await failing((registry) => ({
    setServerStatus: async (server, status, ctx) => {
      if (broken) throw new Error('500')
      return registry.setServerStatus?.(server, status, ctx)
    },
  }))
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'server.status_set')).toHaveLength(0)
  broken = false
  await fleet.advance(120_000)
  expect(told(fleet, 'server.status_set')).toHaveLength(1)
  await fleet.stop()
})

test("an operator's newer word is not overwritten by the recovery: it becomes advice", async () => {
  const fleet = await createFleet({ servers: 6 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  await fleet.registry.setServerStatus({ id: 's1' }, 'maintenance')
  await fleet.advance(60_000)
  fleet.revive('s1')
  await fleet.advance(60_000)
  expect(told(fleet, 'incident.recovered')[0]?.data).toMatchObject({
    statusRestored: false,
    advice: expect.stringContaining('maintenance'),
  })
  expect(fleet.pintail.status().servers.find(({ serverId }) => serverId === 's1')?.status).toBe('maintenance')
  await fleet.stop()
})

test('a status changed and changed back by somebody else is not ours any more', async () => {
  const fleet = await createFleet({ servers: 6 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  await fleet.registry.setServerStatus({ id: 's1' }, 'maintenance')
  await fleet.advance(60_000)
  await fleet.registry.setServerStatus({ id: 's1' }, 'offline')
  await fleet.advance(60_000)
  fleet.revive('s1')
  await fleet.advance(60_000)
  expect(told(fleet, 'incident.recovered')[0]?.data.statusRestored).toBe(false)
  await fleet.stop()
})

test('a server that moves to another address is judged anew', async () => {
  const fleet = await createFleet({ servers: 6 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(6000)
  fleet.revive('s1')
  fleet.registry.putServer({ id: 's1', host: '10.9.9.9', capacity: 100 })
  await fleet.advance(60_000)
  expect(told(fleet, 'incident.opened')).toHaveLength(0)
  expect(fleet.pintail.status().servers.find(({ serverId }) => serverId === 's1')).toMatchObject({
    host: '10.9.9.9',
    verdict: { verdict: 'up' },
  })
  await fleet.stop()
})

test('a prober that cannot probe makes nobody dead: the verdict is unknown and the remedy is named', async () => {
  const { PintailError } = await import('../errors.ts')
  const fleet = await createFleet({
    servers: 6,
    replace: () => ({
      probers: [
        {
          name: 'icmp',
          probe: async () => {
            throw new PintailError('prober_unavailable', 'there is no ping', { remedy: 'apt-get install iputils-ping' })
          },
        },
      ],
    }),
  })
  await fleet.advance(600_000)
  expect(fleet.pintail.status().counts).toMatchObject({ unknown: 6, down: 0, suspect: 0 })
  expect(warned(fleet, 'prober_unavailable')).toHaveLength(1)
  expect(warned(fleet, 'prober_unavailable')[0]?.data.remedy).toContain('iputils-ping')
  await fleet.stop()
})

test('impossible results of a prober are refused and judge nobody', async () => {
  const results = [
    { sent: 1, received: 2, rttMs: [1, 2] },
    { sent: 1, received: 1, rttMs: [-5] },
    { sent: 1, received: 1, rttMs: [Number.NaN] },
    { sent: 0, received: 0, rttMs: [] },
    null,
  ]
  for (const result of results) {
    const fleet = await createFleet({ servers: 3, replace: () => ({ probers: [{ name: 'odd', probe: async () => result as never }] }) })
    await fleet.advance(60_000)
    expect(fleet.pintail.status().counts, JSON.stringify(result)).toMatchObject({ down: 0, suspect: 0, unknown: 3 })
    await fleet.stop()
  }
})

test('a prober that never answers is bounded, and stop does not wait for it', async () => {
  const fleet = await createFleet({
    servers: 3,
    replace: () => ({ probers: [{ name: 'hung', probe: () => new Promise<never>(() => {}) }] }),
  })
  await fleet.advance(120_000)
  expect(fleet.pintail.status().counts).toMatchObject({ down: 0, suspect: 0 })
  await fleet.stop()
  expect(fleet.clock.pending).toBe(0)
})

test('a known server whose row becomes malformed is kept by its last good row', async () => {
  const fleet = await createFleet({ servers: 5 })
  await fleet.advance(20_000)
  fleet.registry.putServer({ id: 's1', host: '10.0.0.0', capacity: Number.NaN })
  await fleet.advance(60_000)
  expect(told(fleet, 'server.removed')).toEqual([])
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(told(fleet, 'incident.opened')[0]?.data.serverId).toBe('s1')
  await fleet.stop()
})

test('a row that cannot even be read is skipped and counted', async () => {
  const hostile = {
    get id(): never {
      throw new Error('a getter')
    },
    host: '10.0.0.9',
  }
  const fleet = await failing((registry) => ({
    listServers: async (ctx) => [...(await (registry.listServers(ctx) as Promise<ServerInput[]>)), hostile],
  }))
  await fleet.advance(20_000)
  expect(fleet.pintail.status().servers).toHaveLength(6)
  expect(warned(fleet, 'invalid_row')).toHaveLength(1)
  await fleet.stop()
})
