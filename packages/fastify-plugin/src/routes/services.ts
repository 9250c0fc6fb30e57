import type { EngineHealth } from '@pintail/core'
import type { Life } from '../lifecycle.ts'
import type { MetricsRegistry } from '../options.ts'
import { endpoint } from './endpoint.ts'
import { healthOf } from './health.ts'
import { RequestProblem } from './problem.ts'
import { type Services, services } from './schemas.ts'

type Part = Services['services'][string]
const part = (status: Part['status'], note: string, since: number | null = null): Part => ({
  status,
  note,
  since: since === null ? null : new Date(since).toISOString(),
})

function registryOf({ registry: { listedAt, stale, skippedRows }, state }: EngineHealth): Part {
  if (state === 'standby') return part('unknown', 'the engine that leads reads it')
  if (listedAt === null) return part('unknown', 'not read yet')
  if (stale) return part('failing', 'the server list is out of date', listedAt)
  return part('ok', skippedRows === 0 ? 'all rows are understood' : `${skippedRows} rows were skipped`, listedAt)
}

function vantagesOf({ vantages }: EngineHealth): Part {
  const unwell = vantages.filter(({ healthy }) => !healthy)
  if (vantages.length === 0) return part('unknown', 'nothing was probed yet')
  if (unwell.length === 0) return part('ok', `${vantages.length} of ${vantages.length} count`)
  const status = unwell.length === vantages.length ? 'failing' : 'ok'
  return part(status, `${vantages.length - unwell.length} of ${vantages.length} count`)
}

/** The health of each part that the engine leans on. Words and counts alone: an error's text may hold an address. */
function servicesOf(status: EngineHealth, health: ReturnType<typeof healthOf>): Services {
  const { leader, storeTrouble, lastCheckAt, state } = status
  const isBlind = health.reasons.includes('no_checks')
  const parts = {
    engine: part(health.status === 'ok' ? 'ok' : 'failing', state, leader?.since ?? null),
    store: part(storeTrouble === null ? 'ok' : 'failing', storeTrouble === null ? 'answers' : 'nothing can be written'),
    registry: registryOf(status),
    probes: lastCheckAt === null && !isBlind ? part('unknown', 'no check yet') : part(isBlind ? 'failing' : 'ok', 'checks', lastCheckAt),
    vantages: vantagesOf(status),
  }
  const failing = Object.values(parts).some((one) => one.status === 'failing')
  return { status: failing ? 'failing' : 'ok', services: parts }
}

export const serviceEndpoints = (life: Life, registry: MetricsRegistry | undefined) => [
  endpoint({
    method: 'GET',
    url: '/health/services',
    action: 'services:read',
    operation: 'getServices',
    summary: 'The health of each part',
    tag: 'health',
    success: { status: 200, schema: services },
    handle: ({ engine }) => ({ body: servicesOf(engine.health(), healthOf(engine, life.failure())) }),
  }),
  endpoint({
    method: 'GET',
    url: '/metrics',
    action: 'metrics:read',
    operation: 'getMetrics',
    summary: 'Figures for Prometheus',
    tag: 'health',
    success: { status: 200, schema: null, contentType: 'text/plain' },
    problems: [404],
    async handle() {
      if (!registry)
        throw new RequestProblem('metrics_missing', {
          detail: 'No registry of metrics was given to the plugin.',
          remedy: 'Register it with metricsRegistry, the registry that the metrics of the engine go to.',
        })
      return { body: await registry.metrics(), headers: { 'content-type': registry.contentType } }
    },
  }),
]
