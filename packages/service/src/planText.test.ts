import type { ConnectionInput, Plan, PolicyInput, ServerInput, ServerReport } from '@pintail/core'
import { createFleet } from '@pintail/core/testing'
import picocolors from 'picocolors'
import { expect, test } from 'vitest'
import { planText } from './planText.ts'

const server = (id: string, row: Partial<ServerInput> = {}): ServerInput => ({ id, host: '192.0.2.1', capacity: 50, load: 20, ...row })
const users = (name: string, count: number, row: Partial<ConnectionInput> = {}): ConnectionInput[] =>
  Array.from({ length: count }, (_, index) => ({ id: `${name}-${index + 1}`, ...row }))

interface World {
  readonly servers: readonly ServerInput[]
  readonly on: readonly ConnectionInput[]
  readonly policy?: PolicyInput
  readonly drain?: readonly string[]
}

/** A real plan of a real engine. */
async function planned({ servers, on, policy, drain = ['ams-1'] }: World): Promise<{ plan: Plan; servers: readonly ServerReport[] }> {
  // The registry counts who is there.
  const there = Object.fromEntries(servers.map(({ id, load }) => [id, users(`${id}-old`, load ?? 0)]))
  const fleet = await createFleet({ servers, connections: { ...there, 'ams-1': on }, policy: { mode: 'observe', ...policy } })
  await fleet.advance(15_000)
  const plan = await fleet.pintail.plan({ drain })
  const { servers: reports } = fleet.pintail.status()
  await fleet.stop()
  return { plan, servers: reports }
}

const text = (given: { plan: Plan; servers: readonly ServerReport[] }, columns: number, all = false, colour = false) =>
  planText({ ...given, fillLimit: 0.9, all, columns, paint: picocolors.createColors(colour) })

const busy: World = {
  servers: [
    server('ams-1', { name: 'Amsterdam, the old one with a name that is far too long', region: 'eu', load: 30, failureDomain: 'ams' }),
    server('ams-2', { region: 'eu', load: 44, protocols: ['wireguard'], priceEurHour: 0.1 }),
    server('fra-1', { name: 'Frankfurt 1', region: 'eu', load: 39, protocols: ['wireguard'], features: ['p2p'], priceEurHour: 0.2 }),
    server('nyc-1', { region: 'us', load: 12, capacity: 40, protocols: ['openvpn'], coordinates: { latitude: 40.7, longitude: -74 } }),
    server('sin-1', { region: 'asia', load: 50 }),
    server('tyo-1', { region: 'asia', status: 'maintenance' }),
  ],
  on: [
    ...users('eu', 12, { region: 'eu', needs: { protocols: ['wireguard'] } }),
    ...users('p2p', 9, { region: 'eu', needs: { features: ['p2p'] } }),
    ...users('fixed', 2, { mobility: 'pinned' }),
    ...users('any', 5, { region: 'us' }),
  ],
  policy: {
    migration: { rates: { overall: { perSecond: 1, burst: 2 } } },
    placement: { regionCoordinates: { eu: { latitude: 52, longitude: 5 } } },
  },
}

test.each([80, 120])('every line fits a terminal of %i columns, with and without colour, and says the same', async (columns) => {
  const made = await planned(busy)
  for (const all of [false, true]) {
    const plain = text(made, columns, all)
    const tooWide = plain.split('\n').filter((line) => [...line].length > columns)
    // With --all users are named in full, and messages of the engine are never cut.
    expect(tooWide.filter((line) => !all || !/^ {4}|\d {2}\S+-\d/.test(line))).toEqual([])
    expect(plain).not.toContain('\u001b')
    const painted = text(made, columns, all, true)
    expect(painted).toContain('\u001b')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes of a terminal begin with one
    expect(painted.replace(/\u001b\[\d+m/g, '')).toBe(plain)
  }
})

test('the why of one user is whole: candidates whose points add up, what those of his target rest on, and who was none', async () => {
  const shown = text(await planned(busy), 100)
  const [, ...after] = shown.split(/^Why user /m)
  expect(after).toHaveLength(1)
  const why = after[0] as string
  expect(why).toMatch(/^eu-\d+ goes to fra-1/)
  expect(why).toContain('One of 12 users with these needs, region eu; points out of 100.')
  const rows = why.split('\n').flatMap((line) => line.match(/^([→ ]) \S.*?((?: +\d+\.\d){8}) +(?:\d+|–)$/)?.[2] ?? [])
  expect(rows.length).toBeGreaterThan(1)
  for (const row of rows) {
    const [score, ...points] = row.trim().split(/ +/).map(Number) as [number, ...number[]]
    expect(points.reduce((sum, one) => sum + one, 0)).toBeCloseTo(score, 0)
  }
  expect(why).toMatch(/^→ /m)
  expect(why).toMatch(/^ {2}room +6\.6 of 30 {2}39 of 50 taken$/m)
  expect(why).toMatch(/^ {2}rtt +\d+\.\d of 20 {2}20 ms from the prober \(of no region\)$/m)
  expect(why).toMatch(/^ {2}ams-1.* {2}it is the server being left$/m)
  expect(why).toMatch(/^ {2}nyc-1 .*it does not speak wireguard$/m)
  expect(why).toMatch(/^ {2}sin-1 .*50 of 50 taken$/m)
  expect(why).toMatch(/^ {2}tyo-1 .*it is in maintenance$/m)
  expect(shown).toContain('other groups of users with other needs: --all shows why for each.')
})

test('bars show how full servers are before and after, and nothing as full or empty that is not', async () => {
  const { plan, servers } = await planned(busy)
  const shown = text({ plan, servers }, 80)
  for (const { serverId, loadBefore, loadAfter, capacity, shareAfter } of plan.utilisation) {
    const line = shown.split('\n').find((one) => one.startsWith(serverId.slice(0, 6)) && one.includes('█'))
    expect(line).toContain(`${loadBefore} → ${loadAfter} of ${capacity}`)
    expect(line).toContain(`${Math.round(100 * (shareAfter as number))}%`)
    const then = line?.match(/[█░]+/g)?.[1] ?? ''
    expect(then).toHaveLength(12)
    expect(then.includes('░')).toBe((shareAfter as number) < 1)
    expect(then.includes('█')).toBe((loadAfter as number) > 0)
  }
})

test('who finds no room is told apart from who stays by his own wish, and the room that would be enough is named', async () => {
  const shown = text(await planned({ ...busy, policy: {} }), 80)
  expect(shown).toMatch(/; \d+ would be moved, \d+ would stay without a place\.$/m)
  expect(shown).toContain('2 users, pinned: its mobility is pinned')
  expect(shown).toMatch(/^ {2}Enough for all of them would be$/m)
  expect(shown).toMatch(/^ {4}\d+ more places? on any server that (has p2p|speaks wireguard)/m)
})

test('how long it takes is said with the waves, or why that is not known', async () => {
  expect(text(await planned(busy), 80)).toMatch(
    /^How long {2}about \d+ s, by the rate budgets alone\n {2}\d+ waves: \d+ users at once, 1 after \d+ s, /m,
  )
  expect(text(await planned({ ...busy, policy: {} }), 80)).toMatch(/^How long {2}not known: no rate budget/m)
})

test('a drain of two servers says from where', async () => {
  const made = await planned({ ...busy, drain: ['ams-1', 'ams-2'], on: users('u', 4) })
  expect(text(made, 80)).toMatch(/^from +to +users +who$/m)
})

test('nobody there, and nobody with a place, need no tables', async () => {
  const none = text(await planned({ ...busy, on: [] }), 80)
  expect(none).toMatch(/^Drain of ams-1 [^\n]+:\s+nobody is there\.\n\nNothing was changed\.[^\n]+\n$/)
  const stuck = text(await planned({ ...busy, on: users('m', 3, { needs: { regions: ['mars'] } }) }), 80)
  expect(stuck).toContain('3 more places on any server in region mars')
  expect(stuck).not.toContain('→')
})
