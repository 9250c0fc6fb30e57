import { expect, test } from 'vitest'
import type { PintailEvent, PintailEvents } from '../events.ts'
import { createFleet, type Fleet } from '../testing/index.ts'

const told = <T extends keyof PintailEvents>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)
const server = (fleet: Fleet, id: string) => {
  const found = fleet.pintail.status().servers.find(({ serverId }) => serverId === id)
  if (!found) throw new Error(`no server ${id}`)
  return found
}

test('the whole main job: suspect, down, incident, status, moves, recovery, status back', async () => {
  const fleet = await createFleet({ servers: 6, connections: 10 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  fleet.revive('s1')
  await fleet.advance(40_000)
  const story = fleet.events
    .filter(({ type }) => !/^(connection|move|migration\.(progress|status|created|completed)|leader|server\.added)/.test(type))
    .map(({ type, data }) => ('verdict' in data ? `${type} ${data.serverId} ${data.verdict}` : type))
    .filter((line) => !/verdict_changed s[2-6] up/.test(line))
  expect(story).toEqual([
    'server.verdict_changed s1 up',
    'server.verdict_changed s1 suspect',
    'server.verdict_changed s1 down',
    'incident.opened',
    'decision.made',
    'evacuation.created',
    'server.status_set',
    'evacuation.completed',
    'server.verdict_changed s1 up',
    'server.status_set',
    'incident.recovered',
  ])
  expect(server(fleet, 's1').status).toBe('online')
  await fleet.stop()
})

test('the decision names evidence, control, guards, candidates and exclusions', async () => {
  const fleet = await createFleet({ servers: 6, connections: 10 })
  await fleet.advance(20_000)
  await fleet.pintail.cordon('s6')
  fleet.kill('s1')
  await fleet.advance(40_000)
  const [made] = told(fleet, 'decision.made')
  const decision = await fleet.pintail.decision(made?.data.decisionId ?? '')
  expect(decision.verdicts[0]).toMatchObject({ serverId: 's1', verdict: { verdict: 'down' } })
  expect(decision.evidence.length).toBeGreaterThan(3)
  expect(decision.control?.host).toMatch(/^10\.0\.0\./)
  expect(decision.guards.map(({ guard }) => guard)).toContain('mass_failure')
  const [cohort] = decision.cohorts
  expect(cohort).toMatchObject({ connections: 10, exclusions: { is_source: 1, cordoned: 1 } })
  expect(cohort?.candidates[0]).toMatchObject({ score: expect.any(Number), contributions: expect.any(Array) })
  expect(cohort?.placed.reduce((sum, { connections }) => sum + connections, 0)).toBe(10)
  await fleet.stop()
})

test('with preset seed nothing is decided before the third failing check', async () => {
  const fleet = await createFleet({ servers: 6, policy: { mode: 'auto', detect: { preset: 'seed', jitter: 0 } } })
  await fleet.advance(60_000)
  fleet.kill('s1')
  const failing = () => server(fleet, 's1').verdict.reasons[0].values?.failures ?? 0
  for (let minutes = 0; minutes < 40 && server(fleet, 's1').verdict.verdict !== 'down'; minutes++) {
    expect(told(fleet, 'incident.opened')).toHaveLength(0)
    await fleet.advance(60_000)
  }
  expect(failing()).toBe(3)
  await fleet.advance(10_000)
  expect(told(fleet, 'incident.opened')).toHaveLength(1)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('observe decides and journals, and does nothing', async () => {
  const fleet = await createFleet({ servers: 6, policy: { mode: 'observe' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(told(fleet, 'decision.made')).toHaveLength(1)
  expect(told(fleet, 'decision.made')[0]?.data).toMatchObject({ mode: 'observe', connections: 10, placed: 10 })
  expect(told(fleet, 'evacuation.created')).toHaveLength(0)
  expect(fleet.registry.on('s1')).toHaveLength(10)
  expect(server(fleet, 's1').status).toBe('online')
  await fleet.stop()
})

test('suggest waits for a person, and approval schedules by itself', async () => {
  const fleet = await createFleet({ servers: 6, policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const [created] = told(fleet, 'evacuation.created')
  expect(created?.data.status).toBe('suggested')
  expect(fleet.registry.on('s1')).toHaveLength(10)
  const evacuation = await fleet.pintail.evacuations.get(created?.data.evacuationId ?? '')
  const approving = fleet.pintail.evacuations.approve(evacuation.id)
  await fleet.advance(30_000)
  await approving
  expect(fleet.registry.on('s1')).toHaveLength(0)
  const changes = told(fleet, 'migration.status_changed').map(({ data }) => `${data.oldStatus} → ${data.newStatus}`)
  for (const change of [
    'suggested → approved',
    'approved → scheduled',
    'scheduled → preparing',
    'preparing → transferring',
    'transferring → completing',
    'completing → completed',
  ])
    expect(changes).toContain(change)
  // Approved is approved: the host's own code must not go on assigning users to it.
  expect(server(fleet, 's1').status).toBe('offline')
  await fleet.stop()
})

test('recovery starts nothing more: what waits for approval is cancelled', async () => {
  const fleet = await createFleet({ servers: 6, policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  fleet.revive('s1')
  await fleet.advance(30_000)
  expect(told(fleet, 'evacuation.cancelled')).toHaveLength(1)
  const { migrations } = await fleet.pintail.migrations.list()
  expect(migrations.length).toBeGreaterThan(0)
  expect(new Set(migrations.map(({ status }) => status))).toEqual(new Set(['cancelled']))
  expect(told(fleet, 'connection.moved')).toHaveLength(0)
  await fleet.stop()
})

test('nobody goes above capacity; who has no place stays, is reported, and is moved when capacity appears', async () => {
  const rows = Array.from({ length: 5 }, (_, index) => ({ id: `s${index + 1}`, host: `10.0.0.${index + 1}`, capacity: 12 }))
  const fleet = await createFleet({ servers: rows, connections: 10 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toHaveLength(2)
  for (const id of ['s2', 's3', 's4', 's5']) expect(fleet.registry.on(id)).toHaveLength(12)
  expect(told(fleet, 'connection.unplaced')).toHaveLength(2)
  expect(told(fleet, 'connection.unplaced')[0]?.data).toMatchObject({ code: 'no_capacity', serverId: 's1' })
  const before = fleet.events.length
  await fleet.advance(600_000)
  expect(fleet.events.slice(before).filter(({ type }) => type === 'decision.made')).toHaveLength(0)
  fleet.registry.putServer({ id: 's2', host: '10.0.0.2', capacity: 20 })
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toHaveLength(0)
  expect(told(fleet, 'evacuation.completed')).toHaveLength(1)
  await fleet.stop()
})

test('a pinned connection is never moved and does not keep the evacuation open', async () => {
  const users = { s1: [{ id: 'pinned', mobility: 'pinned' as const }, { id: 'free' }] }
  const fleet = await createFleet({ servers: 4, connections: users })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual(['pinned'])
  expect(told(fleet, 'evacuation.completed')[0]?.data).toMatchObject({ moved: 1, unplaced: 1 })
  await fleet.stop()
})

test('users whom the host adds to the dead server during the evacuation are moved too', async () => {
  const fleet = await createFleet({ servers: 5, connections: 20 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  let added = false
  fleet.pintail.on('connection.moved', () => {
    if (!added) fleet.registry.assign({ id: 'late' }, 's1')
    added = true
  })
  await fleet.advance(60_000)
  expect(added).toBe(true)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.registry.homeOf('late')).not.toBe('s1')
  await fleet.stop()
})

test('users whom the host assigns to the dead server after its evacuation has ended are moved too, also after a restart', async () => {
  const fleet = await createFleet({ servers: 5, connections: 4 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(told(fleet, 'evacuation.completed')).toHaveLength(1)
  expect(fleet.pintail.status().evacuations).toEqual([])
  fleet.registry.assign({ id: 'late' }, 's1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'connection.moved')).toHaveLength(5)
  const again = await fleet.crash()
  await again.advance(100_000)
  again.registry.assign({ id: 'later' }, 's1')
  await again.advance(60_000)
  expect(again.registry.on('s1')).toEqual([])
  expect(told(again, 'connection.moved')).toHaveLength(1)
  again.revive('s1')
  await again.advance(60_000)
  expect(told(again, 'incident.recovered')).toHaveLength(1)
  expect(told(again, 'evacuation.cancelled')).toEqual([])
  await again.stop()
})

test('three flaps within the half-life and a server is no target any more', async () => {
  const fleet = await createFleet({ servers: 8, connections: 2 })
  await fleet.advance(20_000)
  for (let flap = 0; flap < 4; flap++) {
    fleet.kill('s2')
    await fleet.advance(30_000)
    fleet.revive('s2')
    await fleet.advance(30_000)
  }
  expect(server(fleet, 's2').penalty).toBeGreaterThan(3)
  fleet.kill('s1')
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.registry.on('s2')).toEqual([])
  const decisions = await Promise.all(told(fleet, 'decision.made').map(({ data }) => fleet.pintail.decision(data.decisionId)))
  expect(decisions.at(-1)?.cohorts[0]?.exclusions).toMatchObject({ damped: 1 })
  await fleet.stop()
})

test('loads are counted where the registry tells none, and a target that cannot be counted is none', async () => {
  const fleet = await createFleet({
    servers: 5,
    connections: 10,
    replace: ({ registry }) => ({
      registry: {
        listServers: async () =>
          (await (registry.listServers({} as never) as Promise<object[]>)).map(({ load: _, ...row }: { load?: number }) => row) as never,
        listConnections: (one, ctx) => {
          if (one.id === 's2') throw new Error('the panel of s2 is broken')
          return registry.listConnections(one, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.registry.on('s2')).toHaveLength(10)
  expect(server(fleet, 's3').load).toBe(fleet.registry.on('s3').length)
  await fleet.stop()
})

test('stop leaves no timer behind, at rest and in the middle of an evacuation', async () => {
  for (const wait of [0, 20_000, 28_000, 29_000]) {
    const fleet = await createFleet({ servers: 6, connections: 50 })
    await fleet.advance(20_000)
    fleet.kill('s1')
    await fleet.advance(wait)
    await fleet.stop()
    expect(fleet.clock.pending, `after ${wait} ms`).toBe(0)
    expect(fleet.pintail.status().state).toBe('stopped')
  }
})
