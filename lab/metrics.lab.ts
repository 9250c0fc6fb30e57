// The figures of a running `pintail serve`, as a real Prometheus sees them, over one outage.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type MetricSpec, prometheusCatalogue } from '@pintail/adapters/prometheus'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DuckWorld } from '../packages/service/test/duck.ts'
import { eventually, Service } from '../packages/service/test/service.ts'
import { root } from '../scripts/lib/packages.ts'
import { type Prometheus, startPrometheus } from './prometheus.ts'

const rules = join(root, 'docs', 'prometheus')
const fast = join(root, 'packages', 'service', 'test', 'fast.yaml')
const users = 60

let world: DuckWorld
let service: Service
let prometheus: Prometheus
beforeAll(async () => {
  world = await DuckWorld.open({ dialect: 'v1', users })
  service = new Service(['serve', '--config', fast], world.env({ PINTAIL_PROMETHEUS_SERVERS: '4' }))
  await service.says(/^health is at/, 120_000)
  const { host } = new URL(await service.address())
  prometheus = await startPrometheus(host, join(rules, 'pintail.rules.yml'))
  await prometheus.until('pintail_servers{verdict="up"}', ([one]) => one?.value === 6)
})
afterAll(async () => {
  await prometheus?.close()
  await service?.[Symbol.asyncDispose]()
  await world?.[Symbol.asyncDispose]()
})

// A scrape that a busy machine has not answered within its second leaves everything without a value until the next one.
const value = async (expression: string): Promise<number | undefined> => (await prometheus.until(expression))[0]?.value

test('before anything has happened every counter is there, at zero, so that a rate has a beginning', async () => {
  expect(await value('sum(pintail_moves_total)')).toBe(0)
  expect(await value('count(pintail_migrations_total)')).toBe(81)
  expect(await value('pintail_leading')).toBe(1)
})

test('over one outage each metric of the documentation is scraped and is not empty', async () => {
  await world.kill(2)
  await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', service, 120_000)
  await prometheus.until('pintail_evacuations_total{event="completed"}', ([one]) => one?.value === 1)
  await world.revive(2)
  await prometheus.until('pintail_incidents_ended_total{how="recovered"}', ([one]) => one?.value === 1)
  const empty: string[] = []
  for (const [name, { type }] of Object.entries<MetricSpec>(prometheusCatalogue)) {
    const series = type === 'histogram' ? `${name}_count` : name
    await prometheus.until(series).catch(() => empty.push(name))
  }
  expect(empty).toEqual([])
})

test('what was told is what happened', async () => {
  const moved = [...world.moves().values()].reduce((sum, one) => sum + one, 0)
  expect(moved).toBe(users)
  expect(await value('pintail_moves_total{outcome="moved"}')).toBe(moved)
  expect(await value('pintail_incidents_opened_total{scope="all"}')).toBe(1)
  expect(await value('pintail_detection_seconds_count')).toBe(1)
  expect(await value('sum(pintail_migrations_total{status="completed",reason="server-down"})')).toBe(
    await value('pintail_migration_duration_seconds_count{reason="server-down"}'),
  )
  expect(await value('count(pintail_server_up)')).toBe(4)
  expect(await value('pintail_servers_without_series')).toBe(2)
  expect(await value('max_over_time(pintail_servers{verdict="down"}[5m])')).toBe(1)
  expect(await value('time() - pintail_last_cycle_timestamp_seconds')).toBeLessThan(60)
  for (const port of ['registry', 'mover', 'store', 'leases', 'log'])
    expect([port, await value(`sum(pintail_call_duration_seconds_count{port="${port}",outcome="ok"})`)]).not.toEqual([port, undefined])
})

test('the example rules give the figures of seed 004, and no alert that pages is firing', async () => {
  expect((await prometheus.until('pintail:migrations:success_ratio'))[0]?.value).toBe(1)
  expect((await prometheus.until('pintail:migration_duration_seconds:mean'))[0]?.value).toBeGreaterThanOrEqual(0)
  expect(await prometheus.query('ALERTS{alertstate="firing",severity="page"}')).toEqual([])
})

test('requests to the service, and the use of memory and event loop, are there too', async () => {
  await prometheus.until('pintail_http_request_duration_seconds_count{route="/metrics",status="200"}', ([one]) => (one?.value ?? 0) > 1)
  expect(await value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
  expect(await value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0)
})

test('no label of any series holds a user or an address of a server', async () => {
  const known = new Set([
    ...Object.values<MetricSpec>(prometheusCatalogue).flatMap(({ labels }) => Object.keys(labels)),
    'route',
    'method',
    'status',
  ])
  const wrong = new Set<string>()
  for (const { metric } of await prometheus.until('{job="pintail",__name__=~"pintail_.*"}'))
    for (const [label, text] of Object.entries(metric)) {
      if (['__name__', 'job', 'instance', 'le'].includes(label)) continue
      if (!known.has(label) || /(?:\d{1,3}\.){3}\d/.test(text)) wrong.add(`${label}=${text}`)
    }
  expect([...wrong]).toEqual([])
})

test('promtool accepts the example rules, their tests, and what the service exposes', async () => {
  const promtool = (args: readonly string[], input?: string): string =>
    execFileSync('promtool', args, { cwd: rules, encoding: 'utf8', ...(input !== undefined && { input }) })
  expect(promtool(['check', 'rules', 'pintail.rules.yml'])).toContain('SUCCESS')
  expect(promtool(['test', 'rules', 'pintail.rules.test.yml'])).toContain('SUCCESS')
  const body = await (await fetch(`${await service.address()}/metrics`)).text()
  const own = body
    .split('\n')
    .filter((line) => /^(# (HELP|TYPE) )?pintail_/.test(line))
    .join('\n')
  expect(promtool(['check', 'metrics'], `${own}\n`)).toBe('')
})

test('the dead man does not answer any more when the service is gone', async () => {
  service.kill('SIGTERM')
  expect(await service.exit()).toBe(0)
  await prometheus.until('up{job="pintail"}', ([one]) => one?.value === 0)
  await prometheus.until('ALERTS{alertname="PintailNobodyWatches",alertstate="pending"}')
})
