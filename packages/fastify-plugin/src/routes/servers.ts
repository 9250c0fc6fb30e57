import type { MigrationReason, Pintail, Plan } from '@pintail/core'
import { evacuationToWire, migrationToWire, toSnake } from '@pintail/core/wire'
import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { tagOfEvacuation, tagOfMigration } from './precondition.ts'
import { RequestProblem } from './problem.ts'
import {
  cordoned,
  evacuation,
  fingerprint,
  idParams,
  migration,
  notes,
  paging,
  ref,
  serverPage,
  serverStatusList,
  verdictList,
} from './schemas.ts'
import { lookedAt } from './standby.ts'

/** Targets that are tried in a region, best first. */
const mostTried = 10

/**
 * Where one user could go in a region: the engine's own order of candidates first, then what has the most room. Each is
 * planned for, because only a plan knows whether he may go there.
 */
async function planInto(engine: Pintail, region: string, from: string, connection: string, reason: MigrationReason): Promise<Plan> {
  const drain = [from]
  const connections = [connection]
  const free = await engine.plan({ drain, connections, reason })
  const servers = new Map(engine.status().servers.map((one) => [one.serverId as string, one]))
  const inRegion = (id: string): boolean => servers.get(id)?.region === region && id !== from
  const ranked = free.cohorts.flatMap(({ candidates }) => candidates.flatMap((one) => ('score' in one ? one.serverId : [])))
  const room = ({ load, capacity }: { load: number | null; capacity: number | null }) => (capacity ?? 0) - (load ?? 0)
  const others = [...servers.values()].filter(({ verdict }) => verdict.verdict === 'up').sort((a, b) => room(b) - room(a))
  const ids = new Set([...ranked, ...others.map(({ serverId }) => serverId)].filter(inRegion))
  for (const to of [...ids].slice(0, mostTried)) {
    const plan = await engine.plan({ drain, connections, to, reason })
    if (plan.placements.length > 0) return plan
  }
  throw new RequestProblem('nothing_to_move', {
    detail: `No server of the region ${JSON.stringify(region.slice(0, 100))} takes this user now.`,
    remedy: 'Name another region, or none.',
  })
}

export const serverEndpoints = [
  endpoint({
    method: 'GET',
    url: '/servers',
    action: 'servers:read',
    operation: 'listServers',
    summary: 'Servers with their verdicts, and why',
    tag: 'servers',
    query: z.strictObject({
      verdict: verdictList.optional(),
      status: serverStatusList.optional(),
      region: z.string().min(1).max(100).optional(),
      ...paging,
    }),
    success: { status: 200, schema: serverPage },
    problems: [503],
    handle({ engine, query: { verdict, status, region, limit, offset } }) {
      const seen = lookedAt(engine)
      const verdicts = verdict?.split(',')
      const states = status?.split(',')
      const matching = seen.servers.filter(
        (one) =>
          (!verdicts || verdicts.includes(one.verdict.verdict)) &&
          (!states || states.includes(one.status)) &&
          (region === undefined || one.region === region),
      )
      const { state, at, counts, lastSeq } = seen
      return {
        body: {
          servers: matching.slice(offset, offset + limit).map((one) => toSnake(one)),
          total: matching.length,
          limit,
          offset,
          ...toSnake({ state, at, counts, lastSeq }),
        },
      }
    },
  }),
  endpoint({
    method: 'POST',
    url: '/servers/:id/cordon',
    action: 'servers:cordon',
    operation: 'cordonServer',
    summary: 'From now on it is no target',
    tag: 'servers',
    params: idParams,
    success: { status: 200, schema: cordoned },
    problems: [404],
    async handle({ engine, params: { id } }) {
      await engine.cordon(id)
      return { body: { server_id: id, cordoned: true } }
    },
  }),
  endpoint({
    method: 'POST',
    url: '/servers/:id/uncordon',
    action: 'servers:cordon',
    operation: 'uncordonServer',
    summary: 'It may be a target again',
    tag: 'servers',
    params: idParams,
    success: { status: 200, schema: cordoned },
    problems: [404],
    async handle({ engine, params: { id } }) {
      await engine.uncordon(id)
      return { body: { server_id: id, cordoned: false } }
    },
  }),
  endpoint({
    method: 'POST',
    url: '/servers/:id/drain',
    action: 'servers:drain',
    operation: 'drainServer',
    summary: 'Cordons it and moves everybody off it',
    tag: 'servers',
    params: idParams,
    body: z.strictObject({ fingerprint: fingerprint.optional() }),
    isBodyOptional: true,
    success: { status: 202, schema: evacuation },
    problems: [404, 409],
    namesUsers: true,
    async handle({ engine, params: { id }, body }) {
      const made = await engine.drain(id, body?.fingerprint === undefined ? {} : { fingerprint: body.fingerprint })
      return {
        status: 202,
        body: evacuationToWire(made),
        tag: tagOfEvacuation(made),
        headers: { location: `../../evacuations/${made.id}` },
      }
    },
  }),
  endpoint({
    method: 'POST',
    url: '/connections/:id/move',
    action: 'connections:move',
    operation: 'moveConnection',
    summary: "One user's own wish: away from here, to a server or into a region of his choice",
    tag: 'servers',
    params: idParams,
    body: z.strictObject({
      server_id: ref.meta({ description: 'Where he is now' }),
      to_server_id: ref.optional(),
      to_region: z.string().min(1).max(100).optional().meta({ description: 'Any server of this region' }),
      notes: notes.optional(),
      auto_approve: z.boolean().optional().meta({ description: 'Default true' }),
    }),
    success: { status: 201, schema: migration },
    problems: [404, 409],
    namesUsers: true,
    async handle({ engine, params: { id }, body }) {
      const { server_id: serverId, to_server_id: to, to_region: region, notes: note, auto_approve: autoApprove = true } = body
      if (to !== undefined && region !== undefined)
        throw new RequestProblem('invalid_request', {
          detail: 'A server has its region.',
          remedy: 'Give to_server_id or to_region.',
          errors: [{ path: 'body.to_region', message: 'is given beside to_server_id' }],
        })
      const plan = region === undefined ? null : await planInto(engine, region, String(serverId), id, 'user-request')
      const target = plan?.placements[0]?.toServerId ?? to
      const made = await engine.migrations.create({
        serverId,
        connectionIds: [id],
        reason: 'user-request',
        triggeredBy: 'user',
        autoApprove,
        ...(target !== undefined && { toServerId: target }),
        ...(note !== undefined && { notes: note }),
      })
      const headers = { location: `../../migrations/${made.id}` }
      return { status: 201, body: migrationToWire(made), tag: tagOfMigration(made), headers }
    },
  }),
]
