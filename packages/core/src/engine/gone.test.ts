import { expect, test } from 'vitest'
import type { PintailEvent, PintailEvents } from '../events.ts'
import type { ServerInput } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { PolicyInput } from '../vocabulary.ts'

const refreshMs = 15_000
const minute = 60_000
const told = <T extends keyof PintailEvents>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)
const advice = (fleet: Fleet, server: string) =>
  told(fleet, 'warning').filter(({ data }) => data.code === 'advice' && data.serverId === server)
const server = (fleet: Fleet, id: string) => fleet.pintail.status().servers.find(({ serverId }) => serverId === id)

/** A fleet whose server list leaves out whom `hidden` names. */
async function listing(hidden: Set<string>, options: FleetOptions = {}): Promise<Fleet> {
  return createFleet({
    servers: 6,
    ...options,
    replace: (parts) => ({
      registry: {
        ...parts.registry,
        listServers: async (ctx) =>
          ((await parts.registry.listServers(ctx)) as readonly ServerInput[]).filter(({ id }) => !hidden.has(String(id))),
      },
      ...options.replace?.(parts),
    }),
  })
}

test('a list that misses a server once is not believed: it is kept, and is no target until the next one names it', async () => {
  const hidden = new Set<string>()
  const fleet = await listing(hidden)
  await fleet.advance(5000)
  hidden.add('s2')
  await fleet.advance(refreshMs)
  expect(server(fleet, 's2')?.verdict.verdict).toBe('up')
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  expect(plan.placements.map(({ toServerId }) => toServerId)).not.toContain('s2')
  expect(plan.cohorts[0]?.exclusions).toMatchObject({ not_listed: 1 })
  hidden.clear()
  await fleet.advance(refreshMs)
  expect((await fleet.pintail.plan({ drain: ['s1'] })).cohorts[0]?.exclusions.not_listed).toBeUndefined()
  expect(told(fleet, 'server.removed')).toEqual([])
  await fleet.stop()
})

test('two lists in a row without it, and a server is dropped', async () => {
  const hidden = new Set<string>()
  const fleet = await listing(hidden)
  await fleet.advance(5000)
  hidden.add('s2')
  await fleet.advance(2 * refreshMs)
  expect(told(fleet, 'server.removed').map(({ data }) => data.serverId)).toEqual(['s2'])
  hidden.clear()
  await fleet.advance(2 * refreshMs)
  expect(server(fleet, 's2')?.verdict.verdict).toBe('up')
  await fleet.stop()
})

test('nothing new starts toward a server that the newest list misses; what waits goes on when it is named again', async () => {
  const hidden = new Set<string>()
  const started: string[] = []
  const fleet = await listing(hidden, {
    servers: 4,
    connections: 20,
    policy: { mode: 'auto', migration: { concurrency: 1 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          started.push(move.to.id)
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 4000))
          await mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  await fleet.pintail.execute(await fleet.pintail.plan({ drain: ['s1'], to: 's2' }))
  await fleet.advance(5000)
  expect(started.length).toBeGreaterThan(0)
  hidden.add('s2')
  await fleet.advance(6000)
  const before = started.length
  await fleet.advance(refreshMs - 6000)
  expect(started.length).toBe(before)
  hidden.clear()
  await fleet.advance(10 * minute)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.registry.on('s2')).toHaveLength(40)
  await fleet.stop()
})

test('a list that has fallen by more than half at once is not believed the first time', async () => {
  const hidden = new Set<string>()
  const fleet = await listing(hidden)
  await fleet.advance(20_000)
  for (const id of ['s3', 's4', 's5', 's6']) hidden.add(id)
  await fleet.advance(refreshMs)
  expect(fleet.pintail.status().registry.stale).toBe(true)
  expect(told(fleet, 'warning').at(-1)?.data.message).toContain('from 6 servers to 2')
  // The second time it is a list like any other: the third decides.
  await fleet.advance(refreshMs)
  expect(fleet.pintail.status().registry.stale).toBe(false)
  expect(told(fleet, 'server.removed')).toEqual([])
  await fleet.advance(refreshMs)
  expect(told(fleet, 'server.removed')).toHaveLength(4)
  await fleet.stop()
})

test('a dead server that leaves the list is evacuated all the same; after ten lists its incident is closed as gone', async () => {
  const hidden = new Set<string>()
  const fleet = await listing(hidden, { capacity: 11, connections: 10 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(8000)
  hidden.add('s1')
  await fleet.advance(minute)
  // Room for five is there, and they were moved; the others wait for more.
  expect(fleet.registry.on('s1')).toHaveLength(5)
  await fleet.advance(minute)
  expect(told(fleet, 'incident.closed')).toEqual([])
  await fleet.advance(minute)
  expect(told(fleet, 'incident.closed')[0]?.data).toMatchObject({
    serverId: 's1',
    advice: expect.stringContaining('gone from the registry'),
  })
  expect(told(fleet, 'evacuation.cancelled')[0]?.data).toMatchObject({ moved: 5, why: 'gone from the registry' })
  expect((await fleet.pintail.incidents.list())[0]).toMatchObject({ status: 'closed', recoveredAt: null })
  expect(fleet.pintail.status().evacuations).toEqual([])
  expect(told(fleet, 'server.removed').map(({ data }) => data.serverId)).toEqual(['s1'])
  await fleet.stop()
})

test('the evacuation of a server that is gone ends only when what is under way has settled', async () => {
  const hidden = new Set<string>()
  let arrive = () => {}
  const fleet = await listing(hidden, {
    connections: { s1: [{ id: 'slow' }] },
    policy: { mode: 'auto', migration: { timeoutMs: 600_000 } },
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          await new Promise<void>((resolve) => {
            arrive = resolve
          })
          await mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(20_000)
  hidden.add('s1')
  await fleet.advance(3 * minute)
  expect(told(fleet, 'incident.closed')).toHaveLength(1)
  expect(told(fleet, 'evacuation.cancelled')).toEqual([])
  arrive()
  await fleet.advance(10_000)
  expect(told(fleet, 'connection.moved')).toHaveLength(1)
  expect(told(fleet, 'evacuation.cancelled')[0]?.data).toMatchObject({ moved: 1, why: 'gone from the registry' })
  await fleet.stop()
})

/** An engine that dies in the middle of an evacuation, and whose successor does not find the server in the list. */
async function killedInTheMiddle(hidden: Set<string>): Promise<Fleet> {
  const fleet = await listing(hidden, {
    servers: 6,
    connections: 10,
    policy: { mode: 'auto', migration: { concurrency: 2 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 2000))
          await mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(15_000)
  expect(fleet.registry.on('s1').length).toBeGreaterThan(0)
  hidden.add('s1')
  return fleet.crash()
}

test('after a restart a server that is not listed yet fails no migration and ends no evacuation: it goes on when it is named', async () => {
  const hidden = new Set<string>()
  const fleet = await killedInTheMiddle(hidden)
  await fleet.advance(2 * minute)
  expect(told(fleet, 'migration.failed')).toEqual([])
  expect(told(fleet, 'evacuation.completed')).toEqual([])
  hidden.clear()
  await fleet.advance(2 * minute)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'evacuation.completed')).toHaveLength(1)
  expect(told(fleet, 'incident.closed')).toEqual([])
  await fleet.stop()
})

test('after a restart a server that ten lists do not name is gone: its incident is closed, and who was under way is listed as residue', async () => {
  const hidden = new Set<string>()
  const fleet = await killedInTheMiddle(hidden)
  await fleet.advance(5 * minute)
  expect(told(fleet, 'incident.closed')).toHaveLength(1)
  expect(told(fleet, 'evacuation.cancelled')[0]?.data.why).toBe('gone from the registry')
  expect(fleet.pintail.status().migrations).toEqual([])
  const { migrations } = await fleet.pintail.migrations.list()
  expect(migrations.flatMap(({ residue }) => residue).length).toBeGreaterThan(0)
  const again = await fleet.crash()
  await again.advance(3 * minute)
  expect(again.pintail.status()).toMatchObject({ incidents: [], evacuations: [], migrations: [] })
  await again.stop()
})

test('a server that recovers and leaves the list before its status was put back leaves no incident open', async () => {
  const hidden = new Set<string>()
  const fleet = await listing(hidden)
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(30_000)
  fleet.revive('s1')
  hidden.add('s1')
  await fleet.advance(5 * minute)
  expect((await fleet.pintail.incidents.list())[0]?.status).toBe('closed')
  await fleet.stop()
})

test('a recovery that an engine did not finish is finished by the next, which asks the registry no more often than it has to', async () => {
  let asked = 0
  const fleet = await createFleet({
    replace: ({ registry }) => ({
      registry: {
        ...registry,
        listServers: (ctx) => {
          asked++
          return registry.listServers(ctx)
        },
        setServerStatus: async (one, status) => {
          if (status === 'online') return new Promise<never>(() => {})
          return registry.setServerStatus(one, status)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(30_000)
  fleet.revive('s1')
  await fleet.advance(14_000)
  expect((await fleet.pintail.incidents.list())[0]?.status).toBe('recovered')
  const again = await fleet.crash()
  asked = 0
  await again.advance(2 * minute)
  expect(asked).toBeGreaterThan(4)
  expect(asked).toBeLessThan(40)
  await again.stop()
})

// ---------------------------------------------------------------------------------------------------------- adoption

const inactive = (policy: PolicyInput, setServerStatus = true) =>
  createFleet({
    servers: ['s1', 's2', 's3', 's4', 's5'].map((id, index) => ({
      id,
      host: `10.0.0.${index}`,
      capacity: 100,
      status: id === 's1' ? 'offline' : id === 's2' ? 'maintenance' : 'online',
    })),
    policy: { mode: 'auto', ...policy },
    replace: ({ registry }) => ({ registry: setServerStatus ? registry : { ...registry, setServerStatus: undefined as never } }),
  })

test('adoptInactive: a server that others set offline is set online after stableMs of up, and the journal says so', async () => {
  const fleet = await inactive({ failback: { adoptInactive: true } })
  await fleet.advance(14 * minute)
  expect(server(fleet, 's1')?.status).toBe('offline')
  await fleet.advance(2 * minute)
  expect(server(fleet, 's1')?.status).toBe('online')
  expect(server(fleet, 's2')?.status).toBe('maintenance')
  expect(told(fleet, 'server.status_set').map(({ data }) => data)).toEqual([
    { serverId: 's1', status: 'online', previous: 'offline', incidentId: null },
  ])
  await fleet.stop()
})

test('adoptInactive: what an operator has cordoned, or has just taken out of service, stays out of it', async () => {
  const fleet = await inactive({ failback: { adoptInactive: true } })
  await fleet.pintail.cordon('s1')
  await fleet.advance(30 * minute)
  expect(server(fleet, 's1')?.status).toBe('offline')
  await fleet.registry.setServerStatus({ id: 's3' }, 'offline')
  await fleet.advance(10 * minute)
  expect(server(fleet, 's3')?.status).toBe('offline')
  await fleet.stop()
})

test('without adoptInactive, or without a way to set a status, it is advice: once, also after a restart, and anew after a time in service', async () => {
  for (const fleet of [await inactive({}), await inactive({ failback: { adoptInactive: true } }, false)]) {
    await fleet.advance(60 * minute)
    expect(advice(fleet, 's1')).toHaveLength(1)
    expect(advice(fleet, 's2')).toEqual([])
    expect(told(fleet, 'server.status_set')).toEqual([])
    const again = await fleet.crash()
    await again.advance(60 * minute)
    expect(advice(again, 's1')).toEqual([])
    again.registry.putServer({ id: 's1', host: '10.0.0.0', capacity: 100, status: 'online' })
    await again.advance(minute)
    again.registry.putServer({ id: 's1', host: '10.0.0.0', capacity: 100, status: 'offline' })
    await again.advance(30 * minute)
    expect(advice(again, 's1')).toHaveLength(1)
    await again.stop()
  }
})

test('adoptInactive: a server that recovers though somebody else had set it offline is set online', async () => {
  for (const adoptInactive of [true, false]) {
    const fleet = await createFleet({ policy: { mode: { default: 'auto', 'server-down': 'suggest' }, failback: { adoptInactive } } })
    await fleet.advance(20_000)
    fleet.kill('s1')
    await fleet.advance(30_000)
    await fleet.registry.setServerStatus({ id: 's1' }, 'offline')
    await fleet.advance(30_000)
    fleet.revive('s1')
    await fleet.advance(30_000)
    expect(server(fleet, 's1')?.status).toBe(adoptInactive ? 'online' : 'offline')
    // The recovery has said it already: it is not said again.
    await fleet.advance(60 * minute)
    expect(advice(fleet, 's1')).toHaveLength(adoptInactive ? 0 : 1)
    await fleet.stop()
  }
})

// --------------------------------------------------------------------------------------------------------- resources

test('a server above a resource limit is no target, and the decision names the resource', async () => {
  const rows = ['cpuPercent', 'memoryPercent', 'diskPercent'].map((resource, index) => ({
    id: `busy${index}`,
    host: `10.0.1.${index}`,
    capacity: 100,
    resources: { [resource]: 96 },
  }))
  const calm = [0, 1].map((index) => ({ id: `calm${index}`, host: `10.0.2.${index}`, capacity: 100, resources: { cpuPercent: 90 } }))
  const fleet = await createFleet({ servers: [{ id: 's1', host: '10.0.0.1', capacity: 100 }, ...rows, ...calm], connections: 3 })
  await fleet.advance(20_000)
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  expect(plan.placements.every(({ toServerId }) => toServerId.startsWith('calm'))).toBe(true)
  const messages = plan.cohorts[0]?.candidates.flatMap((one) => ('excluded' in one && one.excluded === 'overloaded' ? one.message : []))
  expect(messages?.toSorted()).toEqual([
    'its CPU is at 96 % (limit 90 %)',
    'its disk is at 96 % (limit 95 %)',
    'its memory is at 96 % (limit 90 %)',
  ])
  await fleet.stop()
})

test('a target that becomes short of memory during the migration gets nobody more: the rest goes elsewhere', async () => {
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: Array.from({ length: 12 }, (_, index) => ({ id: `u${index}` })) },
    policy: { mode: 'auto', migration: { concurrency: 1 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 5000))
          await mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(12_000)
  fleet.registry.putServer({ id: 's2', host: '10.0.0.1', capacity: 100, resources: { memoryPercent: 97 } })
  await fleet.advance(refreshMs)
  const before = fleet.registry.on('s2').length
  await fleet.advance(5 * minute)
  expect(fleet.registry.on('s2').length).toBeLessThanOrEqual(before + 1)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'connection.skipped').some(({ data }) => data.why.includes('memory is at 97 %'))).toBe(true)
  await fleet.stop()
})

test('lists that follow upon each other at once drop nobody: each tells the same', async () => {
  const hidden = new Set<string>()
  let changed = () => {}
  const fleet = await listing(hidden, {
    replace: ({ registry }) => ({
      registry: {
        ...registry,
        listServers: async (ctx) =>
          ((await registry.listServers(ctx)) as readonly ServerInput[]).filter(({ id }) => !hidden.has(String(id))),
        async *watch({ signal }) {
          while (!signal.aborted) {
            await new Promise<void>((resolve) => {
              changed = resolve
              signal.addEventListener('abort', () => resolve(), { once: true })
            })
            yield null
          }
        },
      },
    }),
  })
  await fleet.advance(20_000)
  hidden.add('s2')
  for (let second = 0; second < 5; second++) {
    changed()
    await fleet.advance(1100)
  }
  expect(told(fleet, 'server.removed')).toEqual([])
  hidden.clear()
  await fleet.advance(minute)
  expect(told(fleet, 'server.removed')).toEqual([])
  await fleet.stop()
})

test('a registry that is down when a server recovers is asked with pauses, and the status is put back when it answers again', async () => {
  let down = false
  let asked = 0
  const fleet = await createFleet({
    replace: ({ registry }) => ({
      registry: {
        ...registry,
        listServers: async (ctx) => {
          if (++asked > 1000) throw new Error('asked without a pause')
          if (down) throw new Error('ECONNREFUSED')
          return (await registry.listServers(ctx)) as readonly ServerInput[]
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(30_000)
  down = true
  fleet.revive('s1')
  asked = 0
  await fleet.advance(5 * minute)
  expect(asked).toBeGreaterThan(15)
  expect(asked).toBeLessThan(100)
  down = false
  await fleet.advance(2 * minute)
  expect(told(fleet, 'incident.recovered')).toHaveLength(1)
  expect(server(fleet, 's1')?.status).toBe('online')
  await fleet.stop()
})
