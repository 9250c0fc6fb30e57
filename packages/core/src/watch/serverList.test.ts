import { afterEach, expect, test } from 'vitest'
import type { ServerInput, ServerRegistry } from '../ports.ts'
import { createFleet, type Fleet } from '../testing/fleet.ts'

const fleets: Fleet[] = []
afterEach(async () => {
  for (const fleet of fleets.splice(0)) await fleet.stop()
})

const rowsOf = (count: number): ServerInput[] =>
  Array.from({ length: count }, (_, index) => ({ id: index, host: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, load: 1 }))

async function fleetOf(listServers: ServerRegistry['listServers']) {
  const replace = () => ({ registry: { listServers, listConnections: async () => [] } })
  const fleet = await createFleet({ servers: 0, connections: 0, policy: { mode: 'auto', registryRefreshMs: 10_000 }, replace })
  fleets.push(fleet)
  return fleet
}

const servers = (fleet: Fleet) => fleet.pintail.status().servers.length
const stale = (fleet: Fleet) => fleet.pintail.status().registry.stale
const warnings = (fleet: Fleet) => fleet.events.flatMap((event) => (event.type === 'warning' ? event.data : []))

test('a list that falls to a tenth is not believed at once: loud, with what it would do and what to do; then it is', async () => {
  let rows = rowsOf(1000)
  const fleet = await fleetOf(async () => rows)
  await fleet.advance(15_000)
  rows = rowsOf(100)
  await fleet.advance(10_000)
  expect([servers(fleet), stale(fleet)]).toEqual([1000, true])
  expect(warnings(fleet)).toEqual([
    expect.objectContaining({
      code: 'registry_stale',
      count: 900,
      message: 'the server list fell from 1000 servers to 100 at once; it is not believed yet, the last known one is kept',
      remedy:
        'If the next list says so too, 900 servers get nobody any more and are dropped when a further list misses them. Check the registry within 10 s if they still exist.',
    }),
  ])
  await fleet.advance(10_000)
  expect([servers(fleet), stale(fleet)]).toEqual([1000, false])
  await fleet.advance(10_000)
  expect([servers(fleet), stale(fleet)]).toEqual([100, false])
})

test('a list that falls and comes back has changed nothing, and the next fall is told anew', async () => {
  let rows = rowsOf(1000)
  const fleet = await fleetOf(async () => rows)
  for (let times = 1; times <= 3; times++) {
    await fleet.advance(15_000)
    rows = rowsOf(100)
    await fleet.advance(10_000)
    expect([servers(fleet), stale(fleet), warnings(fleet).length]).toEqual([1000, true, times])
    rows = rowsOf(1000)
    await fleet.advance(10_000)
    expect([servers(fleet), stale(fleet)]).toEqual([1000, false])
  }
  expect(fleet.events.some(({ type }) => type === 'server.removed')).toBe(false)
})

test.each([0, 1])('an empty list is never believed while there are servers: %i pages', async (pages) => {
  let isEmpty = false
  const fleet = await fleetOf(async function* () {
    if (!isEmpty) yield rowsOf(50)
    else for (let page = 0; page < pages; page++) yield []
  })
  await fleet.advance(15_000)
  isEmpty = true
  await fleet.advance(120_000)
  expect([servers(fleet), stale(fleet)]).toEqual([50, true])
})

test('a listing that breaks off in the middle changes nothing', async () => {
  let breaks = false
  const fleet = await fleetOf(async function* () {
    const rows = rowsOf(3000)
    yield breaks ? rows.slice(0, 1500).map((row) => ({ ...row, status: 'maintenance' as const })) : rows
    if (breaks) throw new Error('connection reset')
  })
  await fleet.advance(15_000)
  breaks = true
  await fleet.advance(20_000)
  const report = fleet.pintail.status()
  expect([report.servers.length, report.registry.stale]).toEqual([3000, true])
  expect(new Set(report.servers.map(({ status }) => status))).toEqual(new Set(['online']))
})

test('a long list is read in many turns of the event loop, and nobody is missing meanwhile', async () => {
  let turns = 0
  let seen = 0
  const replace = ({ clock }: Parameters<NonNullable<NonNullable<Parameters<typeof createFleet>[0]>['replace']>>[0]) => ({
    registry: { listServers: async () => rowsOf(20_000), listConnections: async () => [] },
    clock: {
      ...clock,
      defer(callback: () => void) {
        turns++
        if (seen > 0 && fleet?.pintail.status().servers.length !== 20_000) throw new Error('somebody is missing')
        clock.defer?.(callback)
      },
    },
  })
  const slow = { mode: 'auto', registryRefreshMs: 3_600_000, detect: { checkIntervalMs: 3_600_000 } } as const
  const fleet: Fleet = await createFleet({ servers: 0, connections: 0, policy: slow, replace })
  fleets.push(fleet)
  await fleet.advance(500)
  seen = servers(fleet)
  expect(seen).toBe(20_000)
  // 40 slices for reading and 40 for taking, with one commit of the journal for each slice that brought somebody.
  expect(turns).toBeGreaterThanOrEqual(80)
})

test('an id that is there twice is taken once, and a broken row of a known server keeps it', async () => {
  let isBroken = false
  const fleet = await fleetOf(async () => [
    { id: 'a', host: isBroken ? 'no host!' : '10.0.0.1' },
    { id: 'b', host: '10.0.0.2' },
    { id: 'b', host: '10.0.0.3' },
    { id: 'c', host: '' },
    { id: 'c', host: '10.0.0.4' },
  ])
  await fleet.advance(15_000)
  isBroken = true
  await fleet.advance(60_000)
  expect(fleet.pintail.status().servers.map(({ serverId, host }) => `${serverId} ${host}`)).toEqual(['a 10.0.0.1', 'b 10.0.0.2'])
  expect(warnings(fleet).map(({ code }) => code)).toEqual(['invalid_row', 'invalid_row', 'invalid_row', 'invalid_row'])
})

test('a registry of nonsense is told ten thousand times and then no more', async () => {
  const fleet = await fleetOf(async () => Array.from({ length: 12_000 }, (_, index) => ({ id: index, host: '' })))
  await fleet.advance(60_000)
  const told = warnings(fleet)
  expect(told).toHaveLength(10_001)
  expect(told.at(-1)?.message).toMatch(/no more of these are told$/)
})
