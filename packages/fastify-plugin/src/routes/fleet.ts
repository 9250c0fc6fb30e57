import type { PauseTarget, Pintail } from '@pintail/core'
import { planToWire, statusToWire, toSnake } from '@pintail/core/wire'
import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { idsOf } from './ids.ts'
import { decision, idParams, pauseScope, pauses, plan, reason, refList, refQuery, stats, status } from './schemas.ts'
import { lookedAt } from './standby.ts'

function targetOf(scope: z.output<typeof pauseScope> = 'all'): PauseTarget {
  if (scope === 'all') return 'all'
  if ('server_id' in scope) return { serverId: scope.server_id }
  return 'evacuation_id' in scope ? { evacuationId: scope.evacuation_id } : { migrationId: scope.migration_id }
}

const pausesOf = (engine: Pintail) => ({ pauses: engine.status().pauses.map((one) => toSnake(one)) })

export const fleetEndpoints = [
  endpoint({
    method: 'GET',
    url: '/status',
    action: 'status:read',
    operation: 'getStatus',
    summary: 'The whole picture, with the cursor of the events that come after it',
    tag: 'fleet',
    success: { status: 200, schema: status },
    problems: [503],
    namesUsers: true,
    handle: ({ engine }) => ({ body: statusToWire(lookedAt(engine)) }),
  }),
  endpoint({
    method: 'GET',
    url: '/stats',
    action: 'stats:read',
    operation: 'getStats',
    summary: 'Figures over all migrations',
    tag: 'fleet',
    success: { status: 200, schema: stats },
    handle: async ({ engine }) => ({ body: toSnake(await engine.migrations.stats()) }),
  }),
  endpoint({
    method: 'GET',
    url: '/plan',
    action: 'plan:read',
    operation: 'getPlan',
    summary: 'The dry run: who would go where, and why. Changes nothing',
    tag: 'fleet',
    query: z.strictObject({
      drain: refList.meta({ description: 'The servers to leave, separated by commas' }),
      connections: refList.optional().meta({ description: 'Only these of their connections' }),
      to: refQuery.optional().meta({ description: 'The only server that they may go to' }),
      reason: reason.optional(),
      limit: z.int().min(1).max(1000).default(50).meta({ description: 'Connections named for each placement' }),
    }),
    success: { status: 200, schema: plan },
    problems: [404],
    namesUsers: true,
    async handle({ engine, query: { drain, connections, to, reason: why, limit } }) {
      const made = await engine.plan({
        drain: idsOf(drain, 'query.drain'),
        ...(connections !== undefined && { connections: idsOf(connections, 'query.connections') }),
        ...(to !== undefined && { to }),
        ...(why && { reason: why }),
      })
      return { body: planToWire(made, limit) }
    },
  }),
  endpoint({
    method: 'GET',
    url: '/decisions/:id',
    action: 'decisions:read',
    operation: 'getDecision',
    summary: 'Why: samples, votes, guards, scores and exclusions of one decision',
    tag: 'fleet',
    params: idParams,
    success: { status: 200, schema: decision },
    problems: [404],
    handle: async ({ engine, params }) => ({ body: toSnake(await engine.decision(params.id)) }),
  }),
  endpoint({
    method: 'POST',
    url: '/pause',
    action: 'fleet:pause',
    operation: 'pause',
    summary: 'Starts no move in this scope until resumed; kept across restarts',
    tag: 'fleet',
    body: z.strictObject({
      scope: pauseScope.optional().meta({ description: 'Default all' }),
      reason: z.string().min(1).max(300).optional(),
      for_ms: z
        .int()
        .min(1)
        .max(365 * 86_400_000)
        .optional()
        .meta({ description: 'Ends by itself after these milliseconds. Default never' }),
    }),
    isBodyOptional: true,
    success: { status: 200, schema: pauses },
    problems: [404],
    async handle({ engine, body }) {
      await engine.pause(targetOf(body?.scope), {
        ...(body?.reason !== undefined && { reason: body.reason }),
        ...(body?.for_ms !== undefined && { forMs: body.for_ms }),
      })
      return { body: pausesOf(engine) }
    },
  }),
  endpoint({
    method: 'POST',
    url: '/resume',
    action: 'fleet:resume',
    operation: 'resume',
    summary: 'Takes back the pause of exactly this scope',
    tag: 'fleet',
    body: z.strictObject({ scope: pauseScope.optional().meta({ description: 'Default all' }) }),
    isBodyOptional: true,
    success: { status: 200, schema: pauses },
    problems: [404],
    async handle({ engine, body }) {
      await engine.resume(targetOf(body?.scope))
      return { body: pausesOf(engine) }
    },
  }),
]
