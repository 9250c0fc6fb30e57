import { createFleet } from '@pintail/core/testing'
import * as successor from '@prometheus-io/client'
import * as promClient from 'prom-client'
import { expect, test } from 'vitest'
import { catalogue } from './catalogue.ts'
import { type PrometheusClient, prometheusMetrics } from './metrics.ts'

const clients = [
  ['prom-client', promClient as PrometheusClient, () => new promClient.Registry()],
  ['@prometheus-io/client', successor as PrometheusClient, () => new successor.Registry()],
] as const

/** The lines of an exposition by series, without the helps. */
function seriesOf(body: string): Map<string, number> {
  return new Map(
    body
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

test.each(clients)('after one outage every figure is there: %s', async (_, client, makeRegistry) => {
  const metrics = prometheusMetrics({ client, registry: makeRegistry(), perServer: 10 })
  const fleet = await createFleet({ servers: 6, connections: 10, replace: () => ({ metrics }) })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  const { body, contentType } = await metrics.expose()
  expect(contentType).toMatch(/^text\/plain; version=/)
  const series = seriesOf(body)
  const told = new Set([...series.keys()].map((key) => key.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')))
  expect(Object.keys(catalogue).filter((name) => !told.has(name))).toEqual([])
  expect(series.get('pintail_moves_total{outcome="moved"}')).toBe(10)
  expect(series.get('pintail_servers{verdict="down"}')).toBe(1)
  expect(series.get('pintail_leading')).toBe(1)
  expect(series.get('pintail_server_up{server_id="s1"}')).toBe(0)
  expect(series.get('pintail_server_packet_loss_ratio{server_id="s1"}')).toBe(1)
  expect(series.get('pintail_last_cycle_timestamp_seconds')).toBe((fleet.pintail.status().lastCheckAt ?? 0) / 1000)
  await fleet.stop()
  expect(seriesOf((await metrics.expose()).body).get('pintail_leading')).toBe(0)
})

test.each(clients)('a gauge has its value of the moment in which it is read: %s', async (_, client, makeRegistry) => {
  const metrics = prometheusMetrics({ client, registry: makeRegistry() })
  const fleet = await createFleet({ servers: 6, connections: 1, replace: () => ({ metrics }) })
  await fleet.advance(20_000)
  const down = async () => seriesOf((await metrics.expose()).body).get('pintail_servers{verdict="down"}')
  expect(await down()).toBe(0)
  fleet.kill('s1')
  await fleet.advance(20_000)
  expect(await down()).toBe(1)
  await fleet.stop()
})

test('what the engine tells and what Prometheus is told of fit: each name, each label, each value', async () => {
  const told: [string, Readonly<Record<string, string>>][] = []
  const registry = new promClient.Registry()
  const real = prometheusMetrics({ client: promClient, registry, perServer: 5 })
  const noted =
    <T extends 'count' | 'gauge' | 'observe'>(how: T) =>
    (name: string, labels: Readonly<Record<string, string>>, value: number) => {
      told.push([name, labels])
      real[how](name, labels, value)
    }
  const metrics = { ...real, count: noted('count'), gauge: noted('gauge'), observe: noted('observe') }
  const fleet = await createFleet({ servers: 5, connections: 4, replace: () => ({ metrics }) })
  await fleet.advance(20_000)
  fleet.kill('s1')
  fleet.kill('s2')
  await fleet.advance(60_000)
  await real.expose()
  fleet.revive('s1')
  await fleet.advance(200_000)
  await fleet.stop()
  const wrong = told.filter(([name, labels]) => {
    const spec = catalogue[name as keyof typeof catalogue]
    const known = spec?.labels as Readonly<Record<string, readonly string[] | { open: string }>> | undefined
    if (!known || Object.keys(labels).sort().join() !== Object.keys(known).sort().join()) return true
    return Object.entries(labels).some(([label, value]) => {
      const values = known[label]
      return Array.isArray(values) && !values.includes(value)
    })
  })
  expect(wrong).toEqual([])
  expect(new Set(told.map(([name]) => name)).size).toBeGreaterThan(30)
})

test('names follow the conventions: a unit at the end, _total for counters alone, help without a full stop', () => {
  for (const [name, { type, help, labels }] of Object.entries(catalogue)) {
    expect(name).toMatch(/^pintail_[a-z_]+$/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
    if (type === 'histogram') expect(name).toMatch(/_seconds$/)
    expect(name).not.toMatch(/_(ms|milliseconds|percent)$/)
    expect(help).not.toMatch(/\.$/)
    for (const label of Object.keys(labels)) expect(label).not.toMatch(/user|connection|host|address|\bip\b/)
  }
})

test('a second engine on one registry is refused, with the remedy', () => {
  const registry = new promClient.Registry()
  prometheusMetrics({ client: promClient, registry })
  expect(() => prometheusMetrics({ client: promClient, registry })).toThrow(
    expect.objectContaining({ code: 'invalid_argument', remedy: expect.stringContaining('merge') }),
  )
})

test.each([-1, 1.5, 10_001, Number.NaN])('perServer is bounded: %s', (perServer) => {
  expect(() => prometheusMetrics({ client: promClient, registry: new promClient.Registry(), perServer })).toThrow('perServer')
})

test('the global registry of the client stays as it was', async () => {
  prometheusMetrics({ client: promClient, registry: new promClient.Registry() })
  expect(promClient.register.getMetricsAsArray()).toEqual([])
})
