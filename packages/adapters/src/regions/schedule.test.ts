import { fakeClock } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { schedule } from './schedule.ts'
import type { SyncReport } from './syncReport.ts'

const everyMs = 10_000
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A schedule over servers `s0` …, and every sync that it has begun: `<second> <server>`. */
function world(count: number, statusOf: (id: string) => SyncReport['status'] | Promise<SyncReport['status']> = () => 'applied') {
  const clock = fakeClock(0)
  const begun: string[] = []
  const state = { token: 1 as number | null, servers: Array.from({ length: count }, (_, index) => ({ id: `s${index}`, region: 'de' })) }
  let under = 0
  const most = { atOnce: 0 }
  let turn = 0
  const plan = schedule({
    clock,
    // Spread evenly, so that a test can tell what comes when.
    random: () => (turn++ % 10) / 10,
    logger: quiet,
    everyMs,
    atOnce: 4,
    leads: () => state.token,
    servers: async () => state.servers,
    sync: async ({ id, region }, token) => {
      begun.push(`${Math.round(clock.now() / 1000)} ${id} by ${token}`)
      most.atOnce = Math.max(most.atOnce, ++under)
      const status = await statusOf(id)
      under--
      return { serverId: id, region, status, wanted: 0, missing: 0, changed: 0, extra: 0, foreign: 0, error: null }
    },
  })
  const of = (id: string) => begun.filter((one) => one.includes(` ${id} `)).length
  return { clock, plan, state, begun, most, of }
}

test('each server has its turn once a period, spread over it', async () => {
  const { clock, plan, begun, of } = world(5)
  await clock.advance(everyMs + 1500)
  expect(['s0', 's1', 's2', 's3', 's4'].map(of).every((count) => count >= 1)).toBe(true)
  expect(new Set(begun.slice(0, 5).map((one) => one.split(' ')[0])).size).toBeGreaterThan(2)
  await clock.advance(9 * everyMs)
  for (const id of ['s0', 's1', 's2', 's3', 's4']) expect(of(id)).toBeGreaterThanOrEqual(8)
  for (const id of ['s0', 's1', 's2', 's3', 's4']) expect(of(id)).toBeLessThanOrEqual(12)
  plan.close()
  expect(clock.pending).toBe(0)
})

test('a server whose worker does not answer gets one list in twelve periods, or the next one as soon as it is heard', async () => {
  let isSilent = true
  const { clock, plan, of } = world(1, () => (isSilent ? 'unanswered' : 'applied'))
  await clock.advance(10 * everyMs)
  expect(of('s0')).toBe(1)
  isSilent = false
  plan.heard('s0')
  plan.heard('s0')
  await clock.advance(2000)
  expect(of('s0')).toBe(2)
  plan.close()
})

test('who does not lead syncs nothing, and who leads anew begins anew', async () => {
  const { clock, plan, state, begun } = world(2)
  await clock.advance(1.5 * everyMs)
  const before = begun.length
  expect(before).toBeGreaterThan(0)
  state.token = null
  await clock.advance(5 * everyMs)
  expect(begun.length).toBe(before)
  state.token = 2
  await clock.advance(1.5 * everyMs)
  expect(begun.slice(before).every((one) => one.endsWith('by 2'))).toBe(true)
  expect(begun.length).toBeGreaterThanOrEqual(before + 2)
  plan.close()
})

test('no more than so many syncs are under way, and none of one server twice', async () => {
  const releases: (() => void)[] = []
  const { clock, plan, begun, most } = world(20, () => new Promise((resolve) => void releases.push(() => resolve('applied'))))
  await clock.advance(3 * everyMs)
  expect(begun).toHaveLength(4)
  for (let times = 0; times < 100; times++) {
    for (const release of releases.splice(0)) release()
    await clock.advance(1000)
  }
  expect(most.atOnce).toBe(4)
  expect(new Set(begun.map((one) => one.split(' ')[1])).size).toBe(20)
  plan.close()
})

test('a server that is gone from the list has no turn, and a new one has its first within a period', async () => {
  const { clock, plan, state, begun, of } = world(2)
  await clock.advance(1.5 * everyMs)
  state.servers = [
    { id: 's1', region: 'de' },
    { id: 'new', region: 'de' },
  ]
  await clock.advance(everyMs)
  const gone = of('s0')
  expect(of('new')).toBeGreaterThanOrEqual(1)
  await clock.advance(5 * everyMs)
  expect(of('s0')).toBe(gone)
  expect(begun.length).toBeGreaterThan(gone)
  plan.close()
})

test('whom a worker asks for is due at once', async () => {
  const { clock, plan, begun, of } = world(3)
  await clock.advance(1.05 * everyMs)
  const before = of('s2')
  plan.hurry(({ id }) => id === 's2')
  await clock.advance(1000)
  expect(of('s2')).toBe(before + 1)
  expect(begun.at(-1)).toContain('s2')
  plan.close()
})

test('a list that cannot be read is read again, and a sync that throws ends nothing', async () => {
  let isBroken = true
  const clock = fakeClock(0)
  let syncs = 0
  const plan = schedule({
    clock,
    random: () => 0,
    logger: quiet,
    everyMs,
    atOnce: 1,
    leads: () => 1,
    servers: async () => {
      if (isBroken) throw new Error('away')
      return [{ id: 's0', region: null }]
    },
    sync: async () => {
      syncs++
      throw new Error('a defect')
    },
  })
  await clock.advance(3 * everyMs)
  expect(syncs).toBe(0)
  isBroken = false
  await clock.advance(3 * everyMs)
  expect(syncs).toBeGreaterThanOrEqual(2)
  plan.close()
  expect(clock.pending).toBe(0)
})
