import { expect, test } from 'vitest'
import { idleStatus } from '../decide/records.ts'
import { PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import type { ConnectionMover, Metrics } from '../ports.ts'
import { createFleet, fakeClock } from '../testing/index.ts'
import { Bus } from './bus.ts'
import { timed } from './measured.ts'
import { Meter, metering } from './meter.ts'

/** Keeps figures as Prometheus would: counters add up, gauges have their last value, distributions a count and a sum. */
function ledger(more: Partial<Metrics> = {}) {
  const series = new Map<string, number>()
  const samplers = new Set<() => void>()
  const key = (name: string, labels: object): string => `${name}${JSON.stringify(labels)}`
  const add = (id: string, by: number): void => void series.set(id, (series.get(id) ?? 0) + by)
  const metrics: Metrics = {
    count: (name, labels, by) => add(key(name, labels), by),
    gauge: (name, labels, value) => void series.set(key(name, labels), value),
    observe: (name, labels, value) => {
      add(key(`${name}_count`, labels), 1)
      add(key(`${name}_sum`, labels), value)
    },
    collecting(sample) {
      samplers.add(sample)
      return { [Symbol.dispose]: () => void samplers.delete(sample) }
    },
    forget: (name, labels) => void series.delete(key(name, labels)),
    ...more,
  }
  return {
    metrics,
    series,
    samplers,
    read(name: string, labels: object = {}): number | undefined {
      for (const sample of samplers) sample()
      return series.get(key(name, labels))
    },
    names: () => new Set([...series.keys()].map((id) => id.slice(0, id.indexOf('{')))),
  }
}

test('an outage is told in figures: verdicts, incident, moves, migrations, calls, the lead', async () => {
  const { metrics, read } = ledger()
  const fleet = await createFleet({ servers: 6, connections: 10, replace: () => ({ metrics }) })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  expect(read('pintail_leading')).toBe(1)
  expect(read('pintail_servers', { verdict: 'up' })).toBe(5)
  expect(read('pintail_servers', { verdict: 'down' })).toBe(1)
  expect(read('pintail_verdict_changes_total', { verdict: 'down', scope: 'all' })).toBe(1)
  expect(read('pintail_incidents_open')).toBe(1)
  expect(read('pintail_incidents_opened_total', { scope: 'all' })).toBe(1)
  const opened = fleet.events.find((event) => event.type === 'incident.opened')
  if (opened?.type !== 'incident.opened') throw new Error('no incident')
  const tookMs = opened.at - opened.data.suspectedAt
  expect(read('pintail_detection_seconds_sum')).toBeCloseTo(tookMs / 1000, 1)
  expect(read('pintail_moves_total', { outcome: 'moved' })).toBe(10)
  const created = fleet.events.filter(({ type }) => type === 'migration.created').length
  expect(read('pintail_migrations_total', { status: 'completed', reason: 'server-down' })).toBe(created)
  expect(read('pintail_migration_duration_seconds_count', { reason: 'server-down' })).toBe(created)
  expect(read('pintail_evacuations_total', { event: 'completed' })).toBe(1)
  expect(read('pintail_call_duration_seconds_count', { port: 'mover', method: 'move', outcome: 'ok' })).toBe(10)
  expect(read('pintail_call_duration_seconds_count', { port: 'store', method: 'commit', outcome: 'ok' })).toBeGreaterThan(5)
  expect(read('pintail_call_duration_seconds_count', { port: 'leases', method: 'acquire', outcome: 'ok' })).toBe(1)
  expect(read('pintail_probes_total', { prober: 'world', outcome: 'answered' })).toBeGreaterThan(10)
  expect(read('pintail_probes_total', { prober: 'world', outcome: 'silent' })).toBeGreaterThan(1)
  expect(read('pintail_journal_last_seq')).toBe(fleet.pintail.status().lastSeq)
  expect(read('pintail_last_cycle_timestamp_seconds')).toBe((fleet.pintail.status().lastCheckAt ?? 0) / 1000)
  await fleet.stop()
})

test('no label holds a user or an address', async () => {
  const { metrics, series, read } = ledger({ perServer: 100 })
  const users = Array.from({ length: 5 }, (_, index) => ({ id: `anna-${index}`, userId: `anna@example.org` }))
  const servers = ['a', 'b', 'c', 'd'].map((id) => ({ id, host: `192.0.2.${id.charCodeAt(0)}`, capacity: 100 }))
  const fleet = await createFleet({ servers, connections: { a: users }, replace: () => ({ metrics }) })
  await fleet.advance(20_000)
  fleet.kill('a')
  await fleet.advance(40_000)
  expect(read('pintail_moves_total', { outcome: 'moved' })).toBe(5)
  expect([...series.keys()].filter((one) => /anna|192\.0/.test(one))).toEqual([])
  await fleet.stop()
})

test('what fails is told by how it failed', async () => {
  const { metrics, read } = ledger()
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: [{ id: 'u1' }] },
    replace: ({ mover }) => ({
      metrics,
      mover: { ...mover, move: async () => Promise.reject(new PintailError('rejected', 'no')) },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(read('pintail_moves_total', { outcome: 'failed' })).toBeGreaterThan(0)
  expect(read('pintail_move_failures_total', { permanent: 'true', rolled_back: 'false' })).toBeGreaterThan(0)
  expect(read('pintail_migrations_total', { status: 'failed', reason: 'server-down' })).toBeGreaterThan(0)
  expect(read('pintail_migration_failures_total', { reason: 'server-down', rollback: 'none' })).toBeGreaterThan(0)
  expect(read('pintail_unplaced_total', { code: 'refused_everywhere' })).toBeGreaterThan(0)
  expect(read('pintail_call_duration_seconds_count', { port: 'mover', method: 'move', outcome: 'rejected' })).toBeGreaterThan(0)
  await fleet.stop()
})

test('savings are the sum of what completed migrations save, and may be less than nothing', () => {
  const { metrics, read } = ledger()
  const clock = fakeClock()
  const bus = new Bus({ debug() {}, info() {}, warn() {}, error() {} }, () => clock.now())
  const status = () => ({ ...idleStatus, at: clock.now() })
  using _ = new Meter({ bus, status }, metering(metrics, clock, { debug() {}, info() {}, warn() {}, error() {} }))
  const tell = (event: object) => bus.publish({ seq: 1, at: 0, ...event } as PintailEvent)
  const migrate = (id: string, savingsEurHour: number | null, end: object) => {
    tell({ type: 'migration.created', data: { id, status: 'scheduled', reason: 'cost-optimization', savingsEurHour } })
    tell({ data: { id }, ...end })
  }
  const completed = (id: string) => ({ type: 'migration.completed', data: { id, durationSeconds: 2 } })
  migrate('a', 0.5, completed('a'))
  migrate('b', -0.75, completed('b'))
  migrate('c', null, completed('c'))
  migrate('d', 9, { type: 'migration.failed', data: { id: 'd', rollbackSuccess: false } })
  migrate('e', 9, { type: 'migration.cancelled', data: { id: 'e' } })
  expect(read('pintail_migration_savings_eur_per_hour')).toBe(-0.25)
  expect(read('pintail_migration_failures_total', { reason: 'cost-optimization', rollback: 'incomplete' })).toBe(1)
})

test('a call that ignores its signal is told at its time-out, once', async () => {
  const { metrics, series } = ledger()
  const clock = fakeClock()
  const tell = { count: metrics.count, gauge: metrics.gauge, observe: metrics.observe } as Parameters<typeof timed>[2]
  let finish: () => void = () => {}
  const mover: ConnectionMover = timed({ move: () => new Promise<void>((resolve) => (finish = resolve)) }, 'mover', tell, clock)
  const controller = new AbortController()
  const moved = mover.move({} as never, { signal: controller.signal })
  await clock.advance(5000)
  controller.abort(new PintailError('timeout', 'no answer'))
  await clock.advance(5000)
  finish()
  await moved
  expect(Object.fromEntries(series)).toEqual({
    'pintail_call_duration_seconds_count{"port":"mover","method":"move","outcome":"timeout"}': 1,
    'pintail_call_duration_seconds_sum{"port":"mover","method":"move","outcome":"timeout"}': 5,
  })
})

test('servers have series of their own only where they are asked for, at most so many, and not longer than they are there', async () => {
  const none = ledger()
  const some = ledger({ perServer: 3 })
  for (const { metrics, read, series, names } of [none, some]) {
    const fleet = await createFleet({ servers: 5, connections: 2, replace: () => ({ metrics }) })
    await fleet.advance(20_000)
    read('pintail_leading')
    const own = [...names()].filter((name) => name.startsWith('pintail_server_'))
    const up = () => [...series.keys()].filter((one) => one.startsWith('pintail_server_up')).length
    if (metrics.perServer === undefined) expect(own).toEqual([])
    else {
      expect(up()).toBe(3)
      expect(read('pintail_servers_without_series')).toBe(2)
      expect(series.get('pintail_server_up{"server_id":"s1"}')).toBe(1)
      fleet.registry.removeServer('s1')
      await fleet.advance(600_000)
      expect(read('pintail_servers_without_series')).toBe(1)
      expect(up()).toBe(3)
      expect(series.has('pintail_server_up{"server_id":"s1"}')).toBe(false)
    }
    await fleet.stop()
  }
})

test('metrics that throw hurt nobody, and are logged once', async () => {
  const broken = () => {
    throw new Error('no registry')
  }
  const logged: string[] = []
  const quiet = () => {}
  const logger = { debug: quiet, info: quiet, warn: (_: object, text: string) => void logged.push(text), error: quiet }
  const metrics: Metrics = { count: broken, gauge: broken, observe: broken }
  const fleet = await createFleet({ servers: 4, connections: 3, replace: () => ({ metrics, logger }) })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  expect(fleet.events.filter(({ type }) => type === 'connection.moved')).toHaveLength(3)
  expect(logged.filter((text) => text.includes('no registry'))).toEqual(['metrics: a figure could not be told: no registry'])
  await fleet.stop()
})

test('before start() and after stop() nothing of the host is held, and the last figure says that nobody leads', async () => {
  const { metrics, samplers, read } = ledger()
  const fleet = await createFleet({ servers: 3, connections: 1, replace: () => ({ metrics }) })
  await fleet.advance(10_000)
  expect(samplers.size).toBe(1)
  expect(read('pintail_leading')).toBe(1)
  await fleet.stop()
  expect(samplers.size).toBe(0)
  expect(read('pintail_leading')).toBe(0)
})

test('where nobody says when they are read, gauges are set every ten seconds, and no timer is left', async () => {
  const { collecting: _, ...metrics } = ledger().metrics
  const seen: number[] = []
  const fleet = await createFleet({
    servers: 3,
    connections: 1,
    replace: () => ({ metrics: { ...metrics, gauge: (name, _, value) => void (name === 'pintail_leading' && seen.push(value)) } }),
  })
  await fleet.advance(30_000)
  expect(seen).toEqual([1, 1, 1])
  await fleet.stop()
  expect(fleet.clock.pending).toBe(0)
})

test('figures follow the leader: a resumed evacuation is told by the engine that finishes it', async () => {
  const { metrics, read } = ledger()
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: Array.from({ length: 50 }, (_, index) => ({ id: `u${index}` })) },
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 1, burst: 1 } } } },
    replace: () => ({ metrics }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(30_000)
  const next = await fleet.crash()
  await next.advance(200_000)
  expect(read('pintail_leader_changes_total', { change: 'acquired' })).toBe(2)
  expect(read('pintail_migrations_total', { status: 'completed', reason: 'server-down' })).toBeGreaterThan(0)
  expect(read('pintail_migrations_total', { status: 'completed', reason: 'unknown' })).toBeUndefined()
  await next.stop()
})
