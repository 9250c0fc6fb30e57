import type { IncidentStatus } from '@pintail/core'
import { toSnake } from '@pintail/core/wire'
import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { idsOf } from './ids.ts'
import { idParams, incident, incidentPage, incidentStatusList, openQuery, paging, refList, refQuery } from './schemas.ts'

export const incidentEndpoints = [
  endpoint({
    method: 'GET',
    url: '/incidents',
    action: 'incidents:read',
    operation: 'listIncidents',
    summary: 'Incidents, newest first',
    tag: 'incidents',
    query: z.strictObject({
      status: incidentStatusList.optional(),
      open: openQuery.optional(),
      server_id: refQuery.optional(),
      ids: refList.optional(),
      ...paging,
    }),
    success: { status: 200, schema: incidentPage },
    async handle({ engine, query: { status, open, server_id: serverId, ids, limit, offset } }) {
      const { incidents, ...page } = await engine.incidents.page({
        limit,
        offset,
        ...(status !== undefined && { status: status.split(',') as IncidentStatus[] }),
        ...(open !== undefined && { open }),
        ...(serverId !== undefined && { serverId }),
        ...(ids !== undefined && { ids: idsOf(ids, 'query.ids') }),
      })
      return { body: { incidents: incidents.map((one) => toSnake(one)), ...page } }
    },
  }),
  endpoint({
    method: 'POST',
    url: '/incidents/:id/acknowledge',
    action: 'incidents:acknowledge',
    operation: 'acknowledgeIncident',
    summary: 'A long-dead server that is known about leaves the counts of the mass-failure guard',
    tag: 'incidents',
    params: idParams,
    success: { status: 200, schema: incident },
    problems: [404, 409],
    handle: async ({ engine, params }) => ({ body: toSnake(await engine.incidents.acknowledge(params.id)) }),
  }),
  endpoint({
    method: 'POST',
    url: '/incidents/:id/override-guard',
    action: 'incidents:override-guard',
    operation: 'overrideGuard',
    summary: 'Leave to act on this incident against the mass-failure guard, for a while',
    tag: 'incidents',
    params: idParams,
    body: z.strictObject({
      for_ms: z.int().min(1).max(86_400_000).optional().meta({ description: 'Milliseconds, at most a day. Default 15 minutes' }),
    }),
    isBodyOptional: true,
    success: { status: 200, schema: incident },
    problems: [404, 409],
    handle: async ({ engine, params, body }) => ({
      body: toSnake(await engine.incidents.overrideGuard(params.id, body?.for_ms === undefined ? {} : { forMs: body.for_ms })),
    }),
  }),
]
