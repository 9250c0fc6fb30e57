import { type PrometheusMetrics, prometheusMetrics } from '@pintail/adapters/prometheus'
import type { MetricsRegistry } from '@pintail/fastify-plugin'
import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify'
import * as client from 'prom-client'

export interface Figures {
  readonly metrics: PrometheusMetrics
  /** All of them, as text. */
  readonly registry: MetricsRegistry
  /** `GET /metrics` of this app, and the figures of its requests. @param mayRead throws for who may not; none: anybody may */
  mount(app: FastifyInstance, mayRead?: onRequestAsyncHookHandler): void
  /** Forgets what it holds of the process. */
  close(): void
}

/**
 * The figures of this process: the engine's, the requests', and Node's own (memory, CPU, event loop).
 * @param more what others count, as text
 */
export function createFigures(perServer: number, more: () => string = () => ''): Figures {
  const registry = new client.Registry()
  client.collectDefaultMetrics({ register: registry })
  const requests = new client.Histogram({
    name: 'pintail_http_request_duration_seconds',
    help: 'Requests to this service, from their arrival to the end of the answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  })
  const metrics = prometheusMetrics({ client, registry, perServer })
  const expose = async () => {
    const { contentType, body } = await metrics.expose()
    return { contentType, body: `${body}${more()}` }
  }
  return {
    metrics,
    registry: { contentType: registry.contentType, metrics: async () => (await expose()).body },
    mount(app, mayRead) {
      app.addHook('onResponse', async (request, reply) => {
        // The route and never the path: what strangers ask for is without number, and may hold what is nobody's business.
        const route = request.routeOptions.url ?? 'none'
        requests.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000)
      })
      app.get('/metrics', { ...(mayRead && { onRequest: mayRead }) }, async (_request, reply) => {
        const { contentType, body } = await expose()
        return reply.header('content-type', contentType).header('cache-control', 'no-store').send(body)
      })
    },
    close: () => registry.clear(),
  }
}
