import type { GuardState } from '@pintail/core'
import { createFleet, type Fleet } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { type MaintenanceWindow, maintenanceWindows } from './index.ts'

const hour = 3_600_000
const ctx = { signal: new AbortController().signal }
const at = (time: string) => ({ now: () => Date.parse(time) })

/** What the guard says at these times: those at which it forbids. */
async function closedAt(windows: readonly MaintenanceWindow[], times: readonly string[]): Promise<readonly string[]> {
  let now = Date.parse(times[0] ?? '')
  const guard = maintenanceWindows({ windows, clock: { now: () => now } })
  const closed: string[] = []
  for (const time of times) {
    now = Date.parse(time)
    const [state] = (await guard.current(ctx)) as readonly [GuardState]
    if (state.active) closed.push(time)
  }
  return closed
}
const berlin = (cron: string, durationMs: number): MaintenanceWindow => ({ cron, durationMs, timezone: 'Europe/Berlin' })

test('a window is open from its first millisecond until the one after its last', async () => {
  const times = ['2026-01-05T01:59:59.999Z', '2026-01-05T02:00:00.000Z', '2026-01-05T02:59:59.999Z', '2026-01-05T03:00:00.000Z']
  expect(await closedAt([{ cron: '0 2 * * *', durationMs: hour }], times)).toEqual([times[0], times[3]])
})

test('outside the optional reasons are forbidden, and the message says when the next window opens', async () => {
  const windows = [
    { cron: '0 2 * * SUN', durationMs: hour },
    { cron: '30 4 * * *', durationMs: hour },
  ]
  const [state] = await maintenanceWindows({ windows, clock: at('2026-01-05T12:00:00Z') }).current(ctx)
  expect(state).toMatchObject({ name: 'maintenance windows', active: true })
  expect(state?.forbids).toBeUndefined()
  expect(state?.message).toBe('no maintenance window is open; the next opens at 2026-01-06T04:30:00.000Z')
})

test('what is forbidden outside can be said', async () => {
  const windows = [{ cron: '0 2 * * *', durationMs: hour }]
  const [state] = await maintenanceWindows({ windows, outside: ['manual'], clock: at('2026-01-05T12:00:00Z') }).current(ctx)
  expect(state?.forbids).toEqual(['manual'])
})

test('a window may span midnight', async () => {
  const times = ['2026-01-05T22:59:00Z', '2026-01-05T23:30:00Z', '2026-01-06T00:00:00Z', '2026-01-06T00:59:00Z', '2026-01-06T01:00:00Z']
  expect(await closedAt([{ cron: '0 23 * * *', durationMs: 2 * hour }], times)).toEqual([times[0], times[4]])
})

test('windows that overlap are open from the first to the last', async () => {
  const windows = [
    { cron: '0 2 * * *', durationMs: 2 * hour },
    { cron: '0 3 * * *', durationMs: 2 * hour },
  ]
  const times = ['2026-01-05T01:59:59Z', '2026-01-05T02:30:00Z', '2026-01-05T03:30:00Z', '2026-01-05T04:30:00Z', '2026-01-05T05:00:00Z']
  expect(await closedAt(windows, times)).toEqual([times[0], times[4]])
})

test('a window that is longer than its period is always open', async () => {
  const times = ['2026-01-05T00:00:00Z', '2026-01-05T00:59:59.999Z', '2026-01-05T13:37:00Z']
  expect(await closedAt([{ cron: '0 * * * *', durationMs: 2 * hour }], times)).toEqual([])
})

test('an opening that the change to summer time skips comes when the skipped hour is over', async () => {
  const times = ['2026-03-29T00:59:59Z', '2026-03-29T01:00:00Z', '2026-03-29T01:59:59Z', '2026-03-29T02:00:00Z']
  expect(await closedAt([berlin('30 2 * * *', hour)], times)).toEqual([times[0], times[3]])
  expect(await closedAt([berlin('0 2 * * *', hour)], times)).toEqual([times[0], times[3]])
})

test('an opening that the change to winter time repeats comes once, the first time', async () => {
  const times = ['2026-10-25T00:29:59Z', '2026-10-25T00:30:00Z', '2026-10-25T01:00:00Z', '2026-10-25T01:29:59Z', '2026-10-25T01:30:00Z']
  expect(await closedAt([berlin('30 2 * * *', hour)], times)).toEqual([times[0], times[4]])
})

test('a window is as long as it says when the clocks change while it is open', async () => {
  const spring = ['2026-03-28T23:59:00Z', '2026-03-29T00:00:00Z', '2026-03-29T02:59:59Z', '2026-03-29T03:00:00Z']
  expect(await closedAt([berlin('0 1 * * *', 3 * hour)], spring)).toEqual([spring[0], spring[3]])
  const autumn = ['2026-10-24T22:59:59Z', '2026-10-24T23:00:00Z', '2026-10-25T01:59:59Z', '2026-10-25T02:00:00Z']
  expect(await closedAt([berlin('0 1 * * *', 3 * hour)], autumn)).toEqual([autumn[0], autumn[3]])
})

test('the same wall-clock window in summer and in winter', async () => {
  const times = ['2026-07-01T00:00:00Z', '2026-07-01T01:00:00Z', '2026-12-01T00:30:00Z', '2026-12-01T01:00:00Z']
  expect(await closedAt([berlin('0 2 * * *', hour)], times)).toEqual([times[1], times[2]])
})

test('a window for once that has passed says that none opens any more', async () => {
  let now = Date.parse('2026-02-01T00:30:00Z')
  const guard = maintenanceWindows({ windows: [{ cron: '2026-02-01T00:00:00', durationMs: hour }], clock: { now: () => now } })
  expect((await guard.current(ctx))[0]?.active).toBe(false)
  now += hour
  expect((await guard.current(ctx))[0]).toMatchObject({ active: true, message: 'no maintenance window is open; none opens any more' })
})

test('every bad expression, time zone and duration is named, with what to do', () => {
  const windows = [
    { cron: 'every night', durationMs: hour },
    { cron: '0 25 * * *', durationMs: hour },
    { cron: '0 0 30 2 *', durationMs: hour },
    { cron: '0 2 * * *', durationMs: 0, timezone: 'Mars/Olympus' },
    { cron: '0 2 * * *', durationMs: hour, timezone: '+02:00' },
    { cron: 42, durationMs: hour },
    null,
  ]
  let error: unknown
  try {
    maintenanceWindows({ windows: windows as never, outside: ['sever-down'] as never, clock: at('2026-01-05T12:00:00Z') })
  } catch (thrown) {
    error = thrown
  }
  const { code, problems, message } = error as { code: string; problems: { path: string; remedy?: string }[]; message: string }
  expect(code).toBe('invalid_options')
  expect(problems.map(({ path }) => path)).toEqual([
    'windows.0.cron',
    'windows.1.cron',
    'windows.2.cron',
    'windows.3.durationMs',
    'windows.3.timezone',
    'windows.4.timezone',
    'windows.5.cron',
    'windows.6.durationMs',
    'windows.6.cron',
    'outside',
  ])
  expect(problems.every(({ remedy }) => (remedy ?? '').length > 10)).toBe(true)
  expect(message).toContain('"every night"')
  expect(message).toContain('Mars/Olympus')
})

test('no windows at all are refused: that would forbid for ever', () => {
  for (const windows of [[], undefined, 'nightly'])
    expect(() => maintenanceWindows({ windows: windows as never })).toThrow(/windows: must be a list of 1 to 100 windows/)
})

/** A call of an operator, answered in virtual time. */
async function ask<T>(fleet: Fleet, call: Promise<T>): Promise<T> {
  const settled = call.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error
    },
  )
  await fleet.advance(100)
  return (await settled)()
}

test('a rebalancing begins in the window, waits where it closes, and ends in the next; a dead server waits for none', async () => {
  // The fleet's clock begins at midnight.
  const windows = [{ cron: '0 * * * *', durationMs: 60_000 }]
  const fleet = await createFleet({
    connections: 30,
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 0.2, burst: 1 } } } },
    replace: ({ clock }) => ({ guards: [maintenanceWindows({ windows, clock })] }),
  })
  await fleet.advance(90_000)
  await fleet.pintail.cordon('s1')
  const rebalance = async () =>
    ask(fleet, fleet.pintail.execute(await ask(fleet, fleet.pintail.plan({ drain: ['s1'], reason: 'rebalancing' }))))
  await expect(rebalance()).rejects.toMatchObject({ code: 'guard_denied', message: expect.stringContaining('2026-01-01T01:00:00.000Z') })
  await fleet.advance(hour - fleet.clock.now() + Date.UTC(2026, 0, 1))
  await rebalance()
  await fleet.advance(2 * 60_000)
  const during = 30 - fleet.registry.on('s1').length
  expect(during).toBeGreaterThan(5)
  expect(during).toBeLessThanOrEqual(13)
  expect(fleet.pintail.status().guards).toEqual([{ guard: 'host', servers: ['s1'] }])
  fleet.kill('s2')
  await fleet.advance(10 * 60_000)
  expect(fleet.registry.on('s2')).toEqual([])
  // Nobody has left s1 outside the window; those whom the held migration had brought to s2 are back on it.
  expect(30 - fleet.registry.on('s1').length).toBeLessThan(during)
  await fleet.advance(2 * hour)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})
