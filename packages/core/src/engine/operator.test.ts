import { expect, test } from 'vitest'
import { isPintailError, type PintailError } from '../errors.ts'
import { createPintail, memoryRegistry } from '../index.ts'
import { createFleet, type Fleet } from '../testing/index.ts'

async function refusal(call: Promise<unknown>): Promise<PintailError> {
  const error = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!isPintailError(error)) throw new Error(`expected a refusal, got ${error}`)
  return error
}
const moved = (fleet: Fleet) => fleet.events.filter(({ type }) => type === 'connection.moved').length

test('plan is a dry run: it changes nothing, and executing it does exactly what it said', async () => {
  const fleet = await createFleet({ servers: 5, connections: 8 })
  await fleet.advance(20_000)
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  await fleet.advance(60_000)
  expect(moved(fleet)).toBe(0)
  const planned = Object.fromEntries(
    plan.placements.flatMap(({ toServerId, connections }) => connections.map(({ id }) => [id, toServerId])),
  )
  expect(Object.keys(planned)).toHaveLength(8)
  await fleet.pintail.execute(plan)
  await fleet.advance(30_000)
  const real = Object.fromEntries(Object.keys(planned).map((id) => [id, fleet.registry.homeOf(id)]))
  expect(real).toEqual(planned)
  await fleet.stop()
})

test('a plan of a world that has changed is refused with what changed', async () => {
  const fleet = await createFleet({ servers: 5, connections: 8 })
  await fleet.advance(20_000)
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  const target = plan.placements[0]?.toServerId ?? ''
  await fleet.pintail.cordon(target)
  const error = await refusal(fleet.pintail.execute(plan))
  expect(error.code).toBe('plan_stale')
  expect(error.message).toContain(`target ${target}`)
  expect(moved(fleet)).toBe(0)
  await fleet.stop()
})

test('single connections can be planned and moved', async () => {
  const fleet = await createFleet({ servers: 5, connections: 8 })
  await fleet.advance(20_000)
  await fleet.pintail.execute(await fleet.pintail.plan({ drain: ['s1'], connections: ['s1-c2'], reason: 'user-request' }))
  await fleet.advance(60_000)
  expect(moved(fleet)).toBe(1)
  expect(fleet.registry.homeOf('s1-c2')).not.toBe('s1')
  await fleet.stop()
})

test('drain cordons first, moves everybody, and a second one is told which is under way', async () => {
  const fleet = await createFleet({ servers: 5, connections: 8, policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  const evacuation = await fleet.pintail.drain('s1')
  const second = await refusal(fleet.pintail.drain('s1'))
  expect(second.message).toContain(evacuation.id)
  await fleet.pintail.evacuations.approve(evacuation.id)
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.pintail.status().servers.find(({ serverId }) => serverId === 's1')?.cordoned).toBe(true)
  await fleet.stop()
})

test('a cordoned server is never a target', async () => {
  const fleet = await createFleet({ servers: 5 })
  await fleet.advance(20_000)
  await fleet.pintail.cordon('s2')
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s2')).toHaveLength(10)
  await fleet.pintail.uncordon('s2')
  fleet.revive('s1')
  await fleet.advance(60_000)
  fleet.kill('s3')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s2').length).toBeGreaterThan(10)
  await fleet.stop()
})

test('a pause stops new moves, of one server or of all, and ends by itself when it has an end', async () => {
  const fleet = await createFleet({ servers: 8, capacity: 200 })
  await fleet.advance(20_000)
  await fleet.pintail.pause({ serverId: 's1' })
  await fleet.pintail.pause('all', { forMs: 40_000 })
  fleet.kill('s1')
  fleet.kill('s2')
  await fleet.advance(30_000)
  expect(moved(fleet)).toBe(0)
  expect(fleet.pintail.status().guards.map(({ guard }) => guard)).toEqual(['paused'])
  await fleet.advance(30_000)
  expect(fleet.registry.on('s2')).toEqual([])
  expect(fleet.registry.on('s1')).toHaveLength(10)
  await fleet.pintail.resume({ serverId: 's1' })
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('cancelling one migration spares its users and nobody plans around that word', async () => {
  const fleet = await createFleet({ servers: 5, connections: 8, policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const { migrations, total } = await fleet.pintail.migrations.list({ status: ['suggested'] })
  expect(total).toBe(migrations.length)
  const [first, ...rest] = migrations
  await fleet.pintail.migrations.cancel(first?.id ?? '')
  for (const { id } of rest) await fleet.pintail.migrations.approve(id)
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toHaveLength(first?.connectionCountAtStart ?? 0)
  expect((await fleet.pintail.migrations.get(first?.id ?? '')).status).toBe('cancelled')
  await fleet.stop()
})

test('approve and cancel in a wrong state, or of an unknown id, are refused with what is allowed', async () => {
  const fleet = await createFleet({ servers: 5, connections: 2 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const [migration] = (await fleet.pintail.migrations.list()).migrations
  expect(await refusal(fleet.pintail.migrations.approve(migration?.id ?? ''))).toMatchObject({ code: 'illegal_transition' })
  expect(await refusal(fleet.pintail.migrations.cancel(migration?.id ?? ''))).toMatchObject({ code: 'illegal_transition' })
  expect(await refusal(fleet.pintail.migrations.get('nonsense'))).toMatchObject({ code: 'not_found' })
  expect(await refusal(fleet.pintail.cordon('nobody'))).toMatchObject({ code: 'not_found' })
  expect(await refusal(fleet.pintail.incidents.acknowledge('x'))).toMatchObject({ code: 'not_found' })
  expect(await refusal(fleet.pintail.migrations.list({ limit: 1000 }))).toMatchObject({ code: 'invalid_argument' })
  await fleet.stop()
})

test('an ended migration can be deleted, an open one cannot', async () => {
  const fleet = await createFleet({ servers: 5, connections: 2, policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const [migration] = (await fleet.pintail.migrations.list()).migrations
  const id = migration?.id ?? ''
  expect(await refusal(fleet.pintail.migrations.delete(id))).toMatchObject({ code: 'illegal_transition' })
  fleet.revive('s1')
  await fleet.advance(60_000)
  await fleet.pintail.migrations.delete(id)
  expect(await refusal(fleet.pintail.migrations.get(id))).toMatchObject({ code: 'not_found' })
  await fleet.stop()
})

test('what is typed and not built yet says so, and names what it comes with', () => {
  const registry = memoryRegistry({ servers: [] })
  expect(() => createPintail({ registry, mover: { move: async () => {}, granularity: 'server' } })).toThrowError(
    expect.objectContaining({ code: 'unsupported', remedy: expect.stringMatching(/^It comes with /) }),
  )
})

test('a stale policy version, and a patch that does not fit, change nothing', async () => {
  const fleet = await createFleet({ servers: 3 })
  await fleet.pintail.policy.update({ mode: 'observe' }, { ifVersion: 0 })
  expect(await refusal(fleet.pintail.policy.update({ mode: 'auto' }, { ifVersion: 0 }))).toMatchObject({ code: 'policy_stale' })
  const bad = await refusal(fleet.pintail.policy.update({ detect: { pingCount: -1 } }, { ifVersion: 1 }))
  expect(bad).toMatchObject({ code: 'invalid_options', problems: [{ path: 'patch.detect.pingCount' }] })
  expect(fleet.pintail.policy.get()).toMatchObject({ version: 1, policy: { mode: { 'server-down': 'observe' } } })
  await fleet.pintail.policy.reset()
  expect(fleet.pintail.policy.get().policy.mode['server-down']).toBe('auto')
  await fleet.stop()
})

test('calls before start and after stop are refused by name', async () => {
  const fleet = await createFleet({ servers: 3 })
  await expect(fleet.pintail.start()).rejects.toMatchObject({ code: 'already_started' })
  await fleet.stop()
  await expect(fleet.pintail.start()).rejects.toMatchObject({ code: 'stopped' })
  await expect(fleet.pintail.cordon('s1')).rejects.toMatchObject({ code: 'stopped' })
})

test('events() replays from the cursor and goes on with what happens, without gap or double', async () => {
  const fleet = await createFleet({ servers: 6 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(12_000)
  const abort = new AbortController()
  const seen: number[] = []
  const reading = (async () => {
    for await (const event of fleet.pintail.events({ after: 3, signal: abort.signal })) seen.push(event.seq)
  })()
  await fleet.advance(60_000)
  abort.abort()
  await reading
  expect(seen[0]).toBe(4)
  expect(seen).toEqual(seen.map((_, index) => index + 4))
  expect(seen.at(-1)).toBe(fleet.pintail.status().lastSeq)
  await fleet.stop()
})

test('a later patch joins the earlier one: a word for one reason keeps the word for all, and null can be a value', async () => {
  const fleet = await createFleet({ servers: 3, policy: { mode: 'observe' } })
  await fleet.pintail.policy.update({ mode: 'auto' }, { ifVersion: 0 })
  const joined = await fleet.pintail.policy.update({ mode: { failback: 'observe' } }, { ifVersion: 1 })
  expect(joined.policy.mode).toMatchObject({ 'server-down': 'auto', failback: 'observe' })
  const replaced = await fleet.pintail.policy.update({ mode: 'suggest', detect: { confirm: null } }, { ifVersion: 2 })
  expect(new Set(Object.values(replaced.policy.mode))).toEqual(new Set(['suggest']))
  expect(replaced.policy.detect.confirm).toBeNull()
  await fleet.stop()
})

test('a logger that throws on every line hurts nobody', async () => {
  const bad = () => {
    throw new Error('disk full')
  }
  const fleet = await createFleet({ servers: 5, replace: () => ({ logger: { debug: bad, info: bad, warn: bad, error: bad } }) })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a plan for one target goes there and nowhere else, and says so of the others', async () => {
  const fleet = await createFleet({ connections: 4 })
  await fleet.advance(2000)
  const plan = await fleet.pintail.plan({ drain: ['s1'], to: 's3' })
  expect(plan.placements.map(({ toServerId, connections }) => [toServerId, connections.length])).toEqual([['s3', 4]])
  expect(plan.cohorts[0]?.exclusions.not_asked_for).toBe(4)
  await fleet.pintail.execute(plan)
  await fleet.advance(5000)
  expect(fleet.registry.on('s3')).toHaveLength(8)
  expect((await refusal(fleet.pintail.plan({ drain: ['s1'], to: 'nowhere' }))).code).toBe('not_found')
  await fleet.stop()
})
