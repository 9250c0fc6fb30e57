import type { Migration, MigrationReason, MigrationStatus, Pintail } from '@pintail/core'
import { migrationToWire } from '@pintail/core/wire'
import { z } from 'zod'
import { type Answer, endpoint } from './endpoint.ts'
import { idsOf } from './ids.ts'
import { checkMatch, Turns, tagOfMigration } from './precondition.ts'
import { RequestProblem } from './problem.ts'
import {
  activeMigrations,
  fingerprint,
  idParams,
  migration,
  migrationPage,
  notes,
  openQuery,
  paging,
  reason,
  ref,
  refList,
  refQuery,
  statusList,
} from './schemas.ts'

const turns = new WeakMap<Pintail, Turns>()
/** Of one evacuation one change at a time: the approval of all of it and the cancelling of a part must not meet. */
export function turnsOf(engine: Pintail): Turns {
  const found = turns.get(engine) ?? new Turns()
  turns.set(engine, found)
  return found
}

const words = <T extends string>(list: string | undefined): readonly T[] | undefined => list?.split(',') as T[] | undefined

function answerOf(one: Migration, status = 200, headers: Answer['headers'] = {}): Answer {
  return { status, body: migrationToWire(one), tag: tagOfMigration(one), headers }
}

const filters = {
  status: statusList.optional(),
  open: openQuery.optional(),
  reason: reason.optional(),
  evacuation_id: refQuery.optional(),
  ids: refList.optional(),
  ...paging,
}
type Filters = {
  status?: string | undefined
  open?: boolean | undefined
  reason?: MigrationReason | undefined
  evacuation_id?: string | undefined
  ids?: string | undefined
  limit: number
  offset: number
}

async function listed(engine: Pintail, query: Filters, serverId?: string): Promise<Answer> {
  const { status, open, reason: why, evacuation_id: evacuationId, ids, limit, offset } = query
  const states = words<MigrationStatus>(status)
  const page = await engine.migrations.list({
    limit,
    offset,
    ...(states && { status: states }),
    ...(open !== undefined && { open }),
    ...(evacuationId !== undefined && { evacuationId }),
    ...(ids !== undefined && { ids: idsOf(ids, 'query.ids') }),
    ...(why && { reason: why }),
    ...(serverId !== undefined && { serverId }),
  })
  return { body: { ...page, migrations: page.migrations.map(migrationToWire) } }
}

/** All open ones that leave this server, newest first. */
async function openOf(engine: Pintail, serverId: string): Promise<readonly Migration[]> {
  const all: Migration[] = []
  for (let offset = 0; ; offset += 200) {
    const { migrations, total } = await engine.migrations.list({ serverId, open: true, limit: 200, offset })
    all.push(...migrations.filter(({ fromServerId }) => fromServerId === serverId))
    if (offset + 200 >= total) return all
  }
}

/** A server that is not listed now may have a history all the same; without one there is no such server. */
async function mustExist(engine: Pintail, serverId: string): Promise<void> {
  const { total } = await engine.migrations.list({ serverId, limit: 1 })
  if (total > 0 || engine.status().servers.some((one) => one.serverId === serverId)) return
  throw new RequestProblem('not_found', { detail: 'There is no such server.', remedy: 'GET servers lists those there are.' })
}

/** What a person decided on one migration, in its turn and upon what he has seen. */
async function decide(
  engine: Pintail,
  id: string,
  ifMatch: string | undefined,
  needed: boolean,
  act: () => Promise<Migration>,
): Promise<Answer> {
  const { evacuationId } = await engine.migrations.get(id)
  return turnsOf(engine).take(evacuationId, async () => {
    checkMatch(ifMatch, tagOfMigration(await engine.migrations.get(id)), needed)
    return answerOf(await act())
  })
}

const one = { status: 200, schema: migration } as const

export const migrationEndpoints = [
  endpoint({
    method: 'GET',
    url: '/migrations',
    action: 'migrations:read',
    operation: 'listMigrations',
    summary: 'Migrations, newest first',
    tag: 'migrations',
    query: z.strictObject({ ...filters, server_id: refQuery.optional().meta({ description: 'Source or target' }) }),
    success: { status: 200, schema: migrationPage },
    namesUsers: true,
    handle: ({ engine, query }) => listed(engine, query, query.server_id),
  }),
  endpoint({
    method: 'POST',
    url: '/migrations',
    action: 'migrations:create',
    operation: 'createMigration',
    summary: 'A migration by hand; without a target the plan chooses',
    tag: 'migrations',
    body: z.strictObject({
      server_id: ref.meta({ description: 'The server to leave' }),
      to_node_id: ref.optional().meta({ description: 'The only server that they may go to' }),
      to_server_id: ref.optional().meta({ description: 'The same as to_node_id' }),
      connection_ids: z.array(ref).min(1).max(100_000).optional().meta({ description: 'Only these of its connections' }),
      reason: reason.optional(),
      notes: notes.optional(),
      auto_approve: z.boolean().optional().meta({ description: 'True: scheduled at once. False: suggested' }),
      fingerprint: fingerprint.optional().meta({ description: 'Of a plan: refused as plan_stale if it would be another one now' }),
    }),
    bodyLimit: 4 * 1024 * 1024,
    success: { status: 201, schema: migration },
    problems: [404, 409],
    namesUsers: true,
    async handle({ engine, body }) {
      const { to_node_id: node, to_server_id: server, connection_ids: connectionIds, reason: why, auto_approve: autoApprove } = body
      if (node !== undefined && server !== undefined && String(node) !== String(server))
        throw new RequestProblem('invalid_request', {
          detail: 'to_node_id and to_server_id are two names of one thing.',
          remedy: 'Give one of them.',
          errors: [{ path: 'body.to_server_id', message: 'differs from to_node_id' }],
        })
      const target = node ?? server
      const created = await engine.migrations.create({
        serverId: body.server_id,
        ...(target !== undefined && { toServerId: target }),
        ...(connectionIds && { connectionIds }),
        ...(why && { reason: why }),
        ...(body.notes !== undefined && { notes: body.notes }),
        ...(autoApprove !== undefined && { autoApprove }),
        ...(body.fingerprint !== undefined && { fingerprint: body.fingerprint }),
      })
      return answerOf(created, 201, { location: `migrations/${created.id}` })
    },
  }),
  endpoint({
    method: 'GET',
    url: '/migrations/:id',
    action: 'migrations:read',
    operation: 'getMigration',
    summary: 'One migration',
    tag: 'migrations',
    params: idParams,
    success: one,
    problems: [404],
    namesUsers: true,
    handle: async ({ engine, params }) => answerOf(await engine.migrations.get(params.id)),
  }),
  endpoint({
    method: 'DELETE',
    url: '/migrations/:id',
    action: 'migrations:delete',
    operation: 'deleteMigration',
    summary: 'Deletes the record of one that has ended',
    tag: 'migrations',
    params: idParams,
    success: { status: 204, schema: null },
    problems: [404, 409, 412],
    ifMatch: 'taken',
    async handle({ engine, params, ifMatch }) {
      const { evacuationId } = await engine.migrations.get(params.id)
      return turnsOf(engine).take(evacuationId, async () => {
        checkMatch(ifMatch, tagOfMigration(await engine.migrations.get(params.id)), false)
        await engine.migrations.delete(params.id)
        return { status: 204, body: '' }
      })
    },
  }),
  endpoint({
    method: 'POST',
    url: '/migrations/:id/approve',
    action: 'migrations:approve',
    operation: 'approveMigration',
    summary: 'Approves a suggested one; it then schedules itself',
    tag: 'migrations',
    params: idParams,
    success: one,
    problems: [404, 409, 412, 428],
    ifMatch: 'needed',
    namesUsers: true,
    handle: ({ engine, params: { id }, ifMatch }) => decide(engine, id, ifMatch, true, () => engine.migrations.approve(id)),
  }),
  endpoint({
    method: 'POST',
    url: '/migrations/:id/schedule',
    action: 'migrations:schedule',
    operation: 'scheduleMigration',
    summary: 'When it may start at the earliest',
    tag: 'migrations',
    params: idParams,
    body: z.strictObject({
      at: z.iso.datetime({ offset: true }).optional().meta({ description: 'ISO 8601, up to a year ahead. Default now' }),
    }),
    isBodyOptional: true,
    success: one,
    problems: [404, 409, 412],
    ifMatch: 'taken',
    namesUsers: true,
    handle: ({ engine, params: { id }, body, ifMatch }) =>
      decide(engine, id, ifMatch, false, () => engine.migrations.schedule(id, body?.at === undefined ? {} : { at: Date.parse(body.at) })),
  }),
  endpoint({
    method: 'POST',
    url: '/migrations/:id/cancel',
    action: 'migrations:cancel',
    operation: 'cancelMigration',
    summary: 'Starts nothing more of it; what is under way settles first',
    tag: 'migrations',
    params: idParams,
    success: one,
    problems: [404, 409, 412, 428],
    ifMatch: 'needed',
    namesUsers: true,
    handle: ({ engine, params: { id }, ifMatch }) => decide(engine, id, ifMatch, true, () => engine.migrations.cancel(id)),
  }),
  endpoint({
    method: 'POST',
    url: '/migrations/:id/retry',
    action: 'migrations:retry',
    operation: 'retryMigration',
    summary: 'A failed or cancelled one once more, as a new record',
    tag: 'migrations',
    params: idParams,
    success: { status: 201, schema: migration },
    problems: [404, 409, 412],
    ifMatch: 'taken',
    namesUsers: true,
    async handle({ engine, params: { id }, ifMatch }) {
      const made = await decide(engine, id, ifMatch, false, () => engine.migrations.retry(id))
      return { ...made, status: 201, headers: { location: `../${(made.body as { id: string }).id}` } }
    },
  }),
  endpoint({
    method: 'GET',
    url: '/servers/:id/migrations',
    action: 'migrations:read',
    operation: 'listMigrationsOfServer',
    summary: 'Migrations with this server as source or target',
    tag: 'migrations',
    params: idParams,
    query: z.strictObject(filters),
    success: { status: 200, schema: migrationPage },
    problems: [404],
    namesUsers: true,
    async handle({ engine, params, query }) {
      await mustExist(engine, params.id)
      return listed(engine, query, params.id)
    },
  }),
  endpoint({
    method: 'GET',
    url: '/servers/:id/migrations/active',
    action: 'migrations:read',
    operation: 'getActiveMigrationOfServer',
    summary: 'The oldest open migration that leaves this server, and all of them',
    tag: 'migrations',
    params: idParams,
    success: { status: 200, schema: activeMigrations },
    problems: [404],
    namesUsers: true,
    async handle({ engine, params }) {
      await mustExist(engine, params.id)
      const all = (await openOf(engine, params.id)).map(migrationToWire)
      return { body: { migration: all.at(-1) ?? null, migrations: all } }
    },
  }),
]
