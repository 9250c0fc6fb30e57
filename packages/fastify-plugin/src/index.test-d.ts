import type { Pintail, PintailOptions } from '@pintail/core'
import type { FastifyInstance } from 'fastify'
import pintail, { type Authorize, type MetricsRegistry, type PintailAction, type PintailPluginOptions } from './index.ts'

// Checked by tsc: what a host may write, and what it is told at once.

declare const app: FastifyInstance
declare const parts: PintailOptions
declare const engine: Pintail

// The decoration is typed by importing the package alone.
app.pintail.status() satisfies ReturnType<Pintail['status']>

app.register(pintail, { ...parts, authorize: 'host' })
app.register(pintail, { ...parts, authorize: (_request, action) => action.endsWith(':read') })
app.register(pintail, { ...parts, authorize: async (request, action) => request.method === 'GET' && action !== 'metrics:read' })
app.register(pintail, { ...parts, routePrefix: false })
app.register(pintail, { ...parts, routePrefix: '/ops', decoratorName: 'reserve', start: 'manual', stopTimeoutMs: 1, authorize: 'host' })
app.register(pintail, { pintail: engine, authorize: 'host' })
app.register(pintail, { pintail: engine, routePrefix: false, start: 'listen' })
app.register(pintail, () => ({ ...parts, authorize: 'host' as const, prefix: '/ignored' }))
app.register(import('./index.ts'), { ...parts, authorize: 'host' })

// @ts-expect-error authorize is required where routes are mounted
app.register(pintail, { ...parts })
// @ts-expect-error the same with a prefix of its own
app.register(pintail, { ...parts, routePrefix: '/ops' })
// @ts-expect-error an authorize answers true or false
app.register(pintail, { ...parts, authorize: () => 'yes' })
// @ts-expect-error there is no such action
app.register(pintail, { ...parts, authorize: (_request, action) => action === 'servers:explode' })
// @ts-expect-error a host-made engine has its parts already
app.register(pintail, { ...parts, pintail: engine, authorize: 'host' })
// @ts-expect-error neither an engine nor its parts
app.register(pintail, { authorize: 'host' })

const wrapped = (options: PintailPluginOptions): void => void app.register(pintail, options)
wrapped({ ...parts, authorize: 'host' })
'servers:read' satisfies PintailAction
;((_request, action) => action === 'servers:drain') satisfies Authorize

// ------------------------------------------------------------------------------------------------------ what comes out

app.pintail.on('migration.completed', ({ durationSeconds, success }) => {
  durationSeconds satisfies number
  success satisfies true
})
// @ts-expect-error there is no such event
app.pintail.on('migration.exploded', () => {})
// Nothing is any: what is not there is told.
// @ts-expect-error no such field
app.pintail.status().nothing
type IsAny<T> = 0 extends 1 & T ? true : false
false satisfies IsAny<typeof app.pintail>
false satisfies IsAny<Parameters<Exclude<Authorize, 'host'>>[0]>
false satisfies IsAny<PintailPluginOptions>

'users:reveal' satisfies PintailAction
// @ts-expect-error a registry can be read
app.register(pintail, { ...parts, authorize: 'host', metricsRegistry: {} })
app.register(pintail, {
  ...parts,
  authorize: 'host',
  metricsRegistry: { contentType: 'text/plain', metrics: async () => '' } satisfies MetricsRegistry,
})
