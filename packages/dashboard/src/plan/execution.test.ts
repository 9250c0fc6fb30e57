import { afterEach, expect, test } from 'vitest'
import { type Served, serve } from '../../test/serve.ts'
import { dryRun, execute } from './execution.ts'

let world: Served
afterEach(() => world.close())

test('one server: what was looked at is what is begun', async () => {
  world = await serve({ servers: 4, connections: 8 })
  const { session, fleet } = world
  const plan = await dryRun(session.client, ['s1'])
  expect(await execute(session, plan)).toEqual({ kind: 'begun', users: 8 })
  const [evacuation] = await fleet.pintail.evacuations.list()
  expect(evacuation).toMatchObject({ fromServerIds: ['s1'], reason: 'maintenance', status: 'running' })
  const { migrations } = await session.client.migrations.list()
  expect(migrations.map((one) => `${one.to_server_id} ${one.connection_count_at_start}`).sort()).toEqual(
    plan.placements.map((one) => `${one.to_server_id} ${one.connections}`).sort(),
  )
})

test('a plan that has gone stale does nothing, names what differs and brings the new plan', async () => {
  world = await serve({ servers: 4, connections: 8 })
  const { session, fleet } = world
  const plan = await dryRun(session.client, ['s1'])
  await fleet.pintail.cordon('s2')
  const done = await execute(session, plan)
  if (done.kind !== 'stale') throw new Error(`not stale but ${done.kind}`)
  expect(done.texts.length).toBeGreaterThan(0)
  expect(done.differences).toContainEqual(expect.objectContaining({ serverId: 's2', now: 0 }))
  expect(done.began).toBe(0)
  expect(await fleet.pintail.evacuations.list()).toEqual([])
  expect(fleet.pintail.status().servers.find(({ serverId }) => serverId === 's1')?.cordoned).toBe(false)
  // What is offered can be carried out at once.
  expect(await execute(session, done.plan)).toMatchObject({ kind: 'begun', users: 8 })
})

test('several servers are emptied one after the other, and none is a target of the others', async () => {
  world = await serve({ servers: 6, connections: 4 })
  const { session, fleet } = world
  const plan = await dryRun(session.client, ['s1', 's2'])
  expect(await execute(session, plan)).toEqual({ kind: 'begun', users: 8 })
  const { migrations } = await session.client.migrations.list()
  expect(migrations.some(({ to_server_id: to }) => to === 's1' || to === 's2')).toBe(false)
  const loads = new Map(plan.utilisation.map((one) => [one.server_id, one.load_after]))
  await fleet.advance(60_000)
  for (const { serverId, load } of fleet.pintail.status().servers)
    if (loads.has(serverId)) expect([serverId, load]).toEqual([serverId, loads.get(serverId)])
  expect((await fleet.pintail.evacuations.list()).length).toBe(2)
})

test('of several servers the rest is planned anew when the world changes in between', async () => {
  world = await serve({ servers: 5, connections: 4 })
  const { session, fleet } = world
  const plan = await dryRun(session.client, ['s1', 's2'])
  let drains = 0
  const done = await execute(
    {
      client: session.client,
      async perform(request) {
        const outcome = await session.perform(request)
        // Right after the first drain nobody else takes users any more.
        if (request.action === 'servers:drain' && ++drains === 1) for (const id of ['s3', 's4']) await fleet.pintail.cordon(id)
        return outcome
      },
    },
    plan,
  )
  if (done.kind !== 'stale') throw new Error(`not stale but ${done.kind}`)
  expect(done).toMatchObject({ began: 1, remaining: ['s2'] })
  expect(done.plan.from_server_ids).toEqual(['s2'])
  expect(done.differences.length).toBeGreaterThan(0)
  expect((await fleet.pintail.evacuations.list()).map(({ fromServerIds }) => fromServerIds)).toEqual([['s1']])
})

test('a server that is gone is a failure with its reason, and nothing is begun', async () => {
  world = await serve({ servers: 3, connections: 2 })
  const { session, fleet } = world
  const plan = await dryRun(session.client, ['s1'])
  fleet.registry.removeServer('s1')
  await fleet.advance(30_000)
  const done = await execute(session, plan)
  expect(done).toMatchObject({ kind: 'failed', began: 0, outcome: { kind: 'refused', why: { status: 404 } } })
})
