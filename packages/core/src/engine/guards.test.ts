import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFleet, type Fleet } from '../testing/index.ts'

const moved = (fleet: Fleet) => fleet.events.filter(({ type }) => type === 'connection.moved').length
const denials = (fleet: Fleet) => fleet.events.flatMap((event) => (event.type === 'guard.denied' ? event.data.guard : []))

test('a prober that loses its whole network moves nobody and says so once, loudly', async () => {
  for (const preset of ['default', 'seed-budget', 'seed'] as const) {
    const fleet = await createFleet({ servers: 6, policy: { mode: 'auto', detect: { preset } } })
    await fleet.advance(700_000)
    fleet.partition(true)
    await fleet.advance(4 * 3_600_000)
    expect(moved(fleet), preset).toBe(0)
    expect(denials(fleet), preset).toEqual(['no_control'])
    fleet.partition(false)
    await fleet.advance(3_600_000)
    expect(moved(fleet), preset).toBe(0)
    expect(fleet.pintail.status().guards).toEqual([])
    await fleet.stop()
  }
})

test('total partitions of random length in random fleets move nobody', async () => {
  const world = fc.record({
    servers: fc.integer({ min: 1, max: 30 }),
    before: fc.integer({ min: 0, max: 30_000 }),
    lost: fc.integer({ min: 100, max: 120_000 }),
    seed: fc.nat(),
    preset: fc.constantFrom('default' as const, 'seed-budget' as const),
  })
  await fc.assert(
    fc.asyncProperty(world, async ({ servers, before, lost, seed, preset }) => {
      const policy = { mode: 'auto', startupDelayMs: 0, detect: { preset } } as const
      const fleet = await createFleet({ servers, connections: 2, seed, policy })
      await fleet.advance(before)
      fleet.partition(true)
      await fleet.advance(lost)
      fleet.partition(false)
      await fleet.advance(60_000)
      expect(moved(fleet)).toBe(0)
      await fleet.stop()
    }),
    { seed: 20260107, numRuns: 150 },
  )
})

test('a partial partition evacuates at most as many servers as the cap, and then holds', async () => {
  for (const servers of [3, 6, 10, 20, 40]) {
    const cap = Math.max(1, Math.floor(0.3 * servers))
    const fleet = await createFleet({ servers, connections: 3 })
    await fleet.advance(20_000)
    for (let one = 1; one <= Math.ceil(servers * 0.6); one++) fleet.kill(`s${one}`)
    await fleet.advance(120_000)
    const left = fleet.registry
    const evacuated = Array.from({ length: servers }, (_, index) => `s${index + 1}`).filter((id) => left.on(id).length === 0)
    expect(evacuated.length, `${servers} servers`).toBeLessThanOrEqual(cap)
    expect(denials(fleet)).toContain('mass_failure')
    await fleet.stop()
  }
})

test('exactly as many failures as the cap allows are evacuated, one more and nothing moves', async () => {
  for (const [dead, expected] of [
    [3, 0],
    [4, 20],
  ] as const) {
    const fleet = await createFleet({ servers: 10, connections: 5 })
    await fleet.advance(20_000)
    for (let one = 1; one <= dead; one++) fleet.kill(`s${one}`)
    await fleet.advance(120_000)
    const stuck = Array.from({ length: dead }, (_, index) => fleet.registry.on(`s${index + 1}`).length).reduce(
      (sum, count) => sum + count,
      0,
    )
    expect(stuck).toBe(expected)
    await fleet.stop()
  }
})

test('an operator who overrides the guard for one incident frees that one alone', async () => {
  const fleet = await createFleet({ servers: 10, connections: 5 })
  await fleet.advance(20_000)
  for (let one = 1; one <= 5; one++) fleet.kill(`s${one}`)
  await fleet.advance(60_000)
  expect(moved(fleet)).toBe(0)
  const incident = fleet.pintail.status().incidents.find(({ serverId }) => serverId === 's2')
  expect(incident?.heldBy.map(({ guard }) => guard)).toEqual(['mass_failure'])
  const asked = fleet.pintail.incidents.overrideGuard(incident?.id ?? '')
  await fleet.advance(30_000)
  await asked
  expect(fleet.registry.on('s2')).toEqual([])
  expect(moved(fleet)).toBe(5)
  await fleet.stop()
})

test('acknowledged long-dead servers leave both counts', async () => {
  const fleet = await createFleet({ servers: 10, connections: 2 })
  await fleet.advance(20_000)
  for (const id of ['s1', 's2', 's3']) fleet.kill(id)
  await fleet.advance(60_000)
  expect(moved(fleet)).toBe(6)
  for (const { id } of fleet.pintail.status().incidents) {
    const asked = fleet.pintail.incidents.acknowledge(id)
    await fleet.advance(100)
    await asked
  }
  fleet.kill('s4')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s4')).toEqual([])
  await fleet.stop()
})

test('auto with two servers and no canary holds, and with a canary acts', async () => {
  const alone = await createFleet({ servers: 2 })
  await alone.advance(20_000)
  alone.kill('s1')
  await alone.advance(60_000)
  expect(moved(alone)).toBe(0)
  expect(denials(alone)).toContain('too_few_servers')
  await alone.stop()
  const watched = await createFleet({ servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } })
  await watched.advance(20_000)
  watched.kill('s1')
  await watched.advance(60_000)
  expect(watched.registry.on('s1')).toEqual([])
  await watched.stop()
})

test('while no canary answers nothing is judged, and afterwards all is as before', async () => {
  const fleet = await createFleet({ servers: 4, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } })
  await fleet.advance(20_000)
  fleet.set('canary:192.0.2.1:', 'down')
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(moved(fleet)).toBe(0)
  expect(fleet.pintail.status().servers.find(({ serverId }) => serverId === 's1')?.verdict.verdict).toBe('unknown')
  fleet.set('canary:192.0.2.1:', 'up')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a guard that begins in the middle of an evacuation stops the moves that have not begun', async () => {
  const fleet = await createFleet({
    servers: 6,
    connections: 80,
    capacity: 200,
    policy: { mode: 'auto', migration: { concurrency: 1 } },
    replace: ({ mover, clock }) => ({
      mover: { ...mover, move: (move, ctx) => new Promise((resolve) => clock.setTimeout(() => resolve(mover.move(move, ctx)), 1000)) },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  const during = moved(fleet)
  expect(during).toBeGreaterThan(5)
  expect(during).toBeLessThan(80)
  fleet.kill('s2')
  await fleet.advance(20_000)
  const held = moved(fleet)
  await fleet.advance(120_000)
  expect(moved(fleet)).toBe(held)
  fleet.revive('s2')
  await fleet.advance(120_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a server that its registry has taken out of service opens no incident', async () => {
  const fleet = await createFleet({ servers: 5 })
  await fleet.advance(20_000)
  await fleet.registry.setServerStatus({ id: 's1' }, 'maintenance')
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(moved(fleet)).toBe(0)
  expect(fleet.events.some(({ type }) => type === 'incident.opened')).toBe(false)
  await fleet.registry.setServerStatus({ id: 's1' }, 'online')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})
