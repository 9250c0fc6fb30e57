import type { Evacuation, EvacuationStatus, Pintail } from '@pintail/core'
import { evacuationToWire } from '@pintail/core/wire'
import { z } from 'zod'
import { type Answer, endpoint } from './endpoint.ts'
import { idsOf } from './ids.ts'
import { turnsOf } from './migrations.ts'
import { checkMatch, tagOfEvacuation } from './precondition.ts'
import { evacuation, evacuationPage, evacuationStatusList, idParams, openQuery, paging, reason, refList, refQuery } from './schemas.ts'

/** Users named in each list of one evacuation, and of one of many. */
const named = { alone: 1000, listed: 20 }

const answerOf = (one: Evacuation): Answer => ({ body: evacuationToWire(one, named.alone), tag: tagOfEvacuation(one) })

function decide(engine: Pintail, id: string, ifMatch: string | undefined, act: () => Promise<Evacuation>): Promise<Answer> {
  return turnsOf(engine).take(id, async () => {
    checkMatch(ifMatch, tagOfEvacuation(await engine.evacuations.get(id)), true)
    return answerOf(await act())
  })
}

export const evacuationEndpoints = [
  endpoint({
    method: 'GET',
    url: '/evacuations',
    action: 'evacuations:read',
    operation: 'listEvacuations',
    summary: 'Evacuations, newest first',
    tag: 'evacuations',
    query: z.strictObject({
      status: evacuationStatusList.optional(),
      open: openQuery.optional(),
      server_id: refQuery.optional().meta({ description: 'One of the sources, or the only target' }),
      reason: reason.optional(),
      incident_id: refQuery.optional(),
      ids: refList.optional(),
      ...paging,
    }),
    success: { status: 200, schema: evacuationPage },
    namesUsers: true,
    async handle({ engine, query }) {
      const { status, open, server_id: serverId, reason: why, incident_id: incidentId, ids, limit, offset } = query
      const { evacuations, ...page } = await engine.evacuations.page({
        limit,
        offset,
        ...(status !== undefined && { status: status.split(',') as EvacuationStatus[] }),
        ...(open !== undefined && { open }),
        ...(serverId !== undefined && { serverId }),
        ...(why && { reason: why }),
        ...(incidentId !== undefined && { incidentId }),
        ...(ids !== undefined && { ids: idsOf(ids, 'query.ids') }),
      })
      return { body: { evacuations: evacuations.map((one) => evacuationToWire(one, named.listed)), ...page } }
    },
  }),
  endpoint({
    method: 'GET',
    url: '/evacuations/:id',
    action: 'evacuations:read',
    operation: 'getEvacuation',
    summary: 'One evacuation',
    tag: 'evacuations',
    params: idParams,
    success: { status: 200, schema: evacuation },
    problems: [404],
    namesUsers: true,
    handle: async ({ engine, params }) => answerOf(await engine.evacuations.get(params.id)),
  }),
  endpoint({
    method: 'POST',
    url: '/evacuations/:id/approve',
    action: 'evacuations:approve',
    operation: 'approveEvacuation',
    summary: 'Approves all of it that is still suggested',
    tag: 'evacuations',
    params: idParams,
    success: { status: 200, schema: evacuation },
    problems: [404, 409, 412, 428],
    ifMatch: 'needed',
    namesUsers: true,
    handle: ({ engine, params: { id }, ifMatch }) => decide(engine, id, ifMatch, () => engine.evacuations.approve(id)),
  }),
  endpoint({
    method: 'POST',
    url: '/evacuations/:id/cancel',
    action: 'evacuations:cancel',
    operation: 'cancelEvacuation',
    summary: 'Starts nothing more of it; what is under way settles first',
    tag: 'evacuations',
    params: idParams,
    success: { status: 200, schema: evacuation },
    problems: [404, 409, 412, 428],
    ifMatch: 'needed',
    namesUsers: true,
    handle: ({ engine, params: { id }, ifMatch }) => decide(engine, id, ifMatch, () => engine.evacuations.cancel(id)),
  }),
]
