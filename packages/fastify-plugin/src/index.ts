import type { Pintail } from '@pintail/core'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { attach } from './lifecycle.ts'
import type { PintailPluginOptions } from './options.ts'
import { parseOptions } from './parse.ts'
import { mountDashboard } from './routes/dashboard.ts'
import { mount } from './routes/index.ts'

export type { PintailAction } from './actions.ts'
export type { Authorize, MetricsRegistry, OnStream, PintailPluginOptions } from './options.ts'
export type { Health, HealthReason } from './routes/health.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The engine of `@pintail/fastify-plugin`, under its default `decoratorName`. */
    pintail: Pintail
  }
}

const pintail: FastifyPluginAsync<PintailPluginOptions> = async (app, options) => {
  const parsed = parseOptions(options, app.log)
  const { engine, decoratorName, routePrefix, authorize, metricsRegistry, onStream, dashboard, logger, prefix } = parsed
  app.decorate(decoratorName, engine)
  const life = attach(app, engine, parsed)
  if (prefix) logger.warn({ prefix }, 'pintail: prefix has no effect; routePrefix says where the routes are')
  if (routePrefix === false) return
  if (authorize === undefined)
    logger.warn({ routePrefix }, `pintail: without the option authorize only ${routePrefix}/health answers, all the rest is 403`)
  // A scope of its own: fastify-plugin has taken away the one that register() would have made.
  await app.register(
    async (scope) => {
      mount(scope, { engine, life, authorize, metricsRegistry, onStream, name: decoratorName })
      if (dashboard && authorize !== undefined) await mountDashboard(scope)
    },
    { prefix: routePrefix },
  )
}

export default fp(pintail, { name: '@pintail/fastify-plugin', fastify: '5.x' })
