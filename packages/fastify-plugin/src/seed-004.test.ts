import fastifyWebsocket from '@fastify/websocket'
import { type ConnectionMover, PintailError } from '@pintail/core'
import type { WireMessage } from '@pintail/core/wire'
import { afterEach, expect, test } from 'vitest'
import { type Api, type ApiOptions, api } from '../test/api.ts'
import { listen, until } from '../test/streams.ts'

// Seed 004 on the wire, line by line: endpoints, queries, fields, events, and that each says what has happened.

const worlds: Api[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

async function world(options: ApiOptions = {}, mover: Partial<ConnectionMover> = {}): Promise<Api> {
  const made = await api({
    servers: 4,
    connections: 4,
    policy: { mode: 'suggest' },
    // As in the seed, this prefix.
    routePrefix: '/api',
    replace: (parts) => ({ mover: { ...parts.mover, ...mover } }),
    ...options,
  })
  worlds.push(made)
  return made
}

const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const seconds = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 1000

/** Migrations in every state that has an end, and a suggested one; the mover refuses whoever leaves s3. */
async function history(): Promise<Api> {
  const made = await world(
    {},
    {
      verify: async ({ from }) => from.id !== 's3',
    },
  )
  const { ask, act, fleet } = made
  await ask('PATCH', '/policy', { migration: { move_tries: 1, max_retries: 0 } }, { 'if-match': '*' })
  await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2', auto_approve: true, notes: 'first' })
  await fleet.advance(10_000)
  const failing = await ask('POST', '/migrations', { server_id: 's3', to_node_id: 's4', auto_approve: true, reason: 'degraded' })
  await fleet.advance(10_000)
  // It would try these users again for as long as there is no end to it.
  await act(`/evacuations/${failing.body.evacuation_id}/cancel`)
  await fleet.advance(10_000)
  const waiting = await ask('POST', '/migrations', { server_id: 's2', to_node_id: 's4', connection_ids: ['s1-c1'] })
  await act(`/migrations/${waiting.body.id}/cancel`)
  await ask('POST', '/migrations', { server_id: 's2', to_node_id: 's1' })
  return made
}

// ----------------------------------------------------------------------------------------------------------- the record

test('the record has every field of the seed, the seed names beside ours, and each is a fact', async () => {
  const { ask, act, fleet } = await world()
  const created = await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2', notes: 'disk is full' })
  await act(`/migrations/${created.body.id}/approve`)
  await fleet.advance(10_000)
  const { body } = await ask('GET', `/migrations/${created.body.id}`)
  const fields: Readonly<Record<string, unknown>> = {
    id: created.body.id,
    server_id: 's1',
    server_name: 's1',
    from_node_id: 's1',
    from_node_name: 's1',
    to_node_id: 's2',
    to_node_name: 's2',
    from_server_id: 's1',
    from_server_name: 's1',
    to_server_id: 's2',
    to_server_name: 's2',
    status: 'completed',
    reason: 'manual',
    savings_eur_hour: null,
    savings_eur_month: null,
    created_at: expect.stringMatching(iso),
    approved_at: expect.stringMatching(iso),
    scheduled_at: expect.stringMatching(iso),
    started_at: expect.stringMatching(iso),
    completed_at: expect.stringMatching(iso),
    player_count_at_start: 4,
    connection_count_at_start: 4,
    data_sync_progress: 100,
    progress: 100,
    error_message: null,
    retry_count: 0,
    max_retries: 3,
    retry_of: null,
    triggered_by: 'admin',
    notes: 'disk is full',
    connections_moved: 4,
    connections_failed: 0,
    evacuation_id: expect.any(String),
    decision_id: expect.any(String),
    version: expect.any(Number),
    warnings: [],
  }
  for (const [field, value] of Object.entries(fields)) expect([field, body[field]]).toEqual([field, value])
  const times = ['created_at', 'approved_at', 'scheduled_at', 'started_at', 'completed_at'].map((field) => Date.parse(body[field]))
  expect(times).toEqual([...times].sort((a, b) => a - b))
  expect(fleet.registry.on('s2')).toHaveLength(8)
  const decided = await ask('GET', `/decisions/${body.decision_id}`)
  expect(decided.body).toMatchObject({ id: body.decision_id, evacuation_id: body.evacuation_id, reason: 'manual', placed: 4 })
})

test.each(['server-down', 'degraded', 'cost-optimization', 'manual', 'rebalancing', 'maintenance', 'failback', 'user-request'])(
  'a migration can be made for the reason %s',
  async (reason) => {
    const { ask } = await world()
    const { status, body } = await ask('POST', '/migrations', { server_id: 's1', reason })
    expect([status, body.reason]).toEqual([201, reason])
  },
)

// -------------------------------------------------------------------------------------------------------- the endpoints

test('GET /migrations: pages of 50, newest first, by states, server, reason, limit and offset', async () => {
  const { ask } = await history()
  const all = (await ask('GET', '/migrations')).body
  expect(all).toMatchObject({ total: 4, limit: 50, offset: 0 })
  expect(all.migrations.map((one: { status: string }) => one.status)).toEqual(['suggested', 'cancelled', 'failed', 'completed'])
  const cases: readonly [query: string, states: readonly string[], total: number][] = [
    ['status=completed', ['completed'], 1],
    ['status=failed,completed', ['failed', 'completed'], 2],
    ['status=transferring', [], 0],
    // Source or target.
    ['server_id=s1', ['suggested', 'completed'], 2],
    ['server_id=s4', ['cancelled', 'failed'], 2],
    ['server_id=nowhere', [], 0],
    ['reason=degraded', ['failed'], 1],
    ['reason=manual&status=completed,cancelled', ['cancelled', 'completed'], 2],
    ['limit=1', ['suggested'], 4],
    ['limit=2&offset=1', ['cancelled', 'failed'], 4],
    ['limit=200&offset=3', ['completed'], 4],
    ['offset=400', [], 4],
  ]
  for (const [query, states, total] of cases) {
    const { body } = await ask('GET', `/migrations?${query}`)
    expect([query, body.migrations.map((one: { status: string }) => one.status), body.total]).toEqual([query, states, total])
  }
  for (const query of ['limit=0', 'limit=201', 'limit=x', 'offset=-1', 'status=gone', 'status=', 'reason=x', 'page=2', 'limit=1&limit=2']) {
    const refused = await ask('GET', `/migrations?${query}`)
    expect([query, refused.status, refused.body.code]).toEqual([query, 400, 'invalid_request'])
  }
})

test('POST /migrations: without a target the plan chooses; with auto_approve it is scheduled, else suggested', async () => {
  const { ask, fleet } = await world()
  const suggested = await ask('POST', '/migrations', { server_id: 's1', connection_ids: ['s1-c1'] })
  expect(suggested).toMatchObject({ status: 201, body: { status: 'suggested', connection_count_at_start: 1, approved_at: null } })
  expect(['s2', 's3', 's4']).toContain(suggested.body.to_node_id)
  expect(suggested.headers.location).toBe(`migrations/${suggested.body.id}`)
  const scheduled = await ask('POST', '/migrations', { server_id: 's2', to_server_id: 's3', auto_approve: true })
  expect(['scheduled', 'preparing', 'transferring', 'completing', 'completed']).toContain(scheduled.body.status)
  expect(scheduled.body).toMatchObject({ to_node_id: 's3', scheduled_at: expect.stringMatching(iso) })
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toHaveLength(4)
  expect(fleet.registry.on('s3')).toHaveLength(8)
})

test('POST /migrations with the fingerprint of a plan does that plan or says what has changed', async () => {
  const { ask, fleet } = await world()
  const plan = (await ask('GET', '/plan?drain=s1')).body
  expect(plan.placements.reduce((sum: number, one: { connections: number }) => sum + one.connections, 0)).toBe(4)
  await ask('POST', `/servers/${plan.placements[0].to_server_id}/cordon`)
  const stale = await ask('POST', '/migrations', { server_id: 's1', fingerprint: plan.fingerprint })
  expect(stale).toMatchObject({
    status: 409,
    body: { code: 'plan_stale', differences: expect.arrayContaining([expect.stringContaining('is up, cordoned')]) },
  })
  expect(fleet.events.filter(({ type }) => type === 'migration.created')).toEqual([])
  const again = (await ask('GET', '/plan?drain=s1')).body
  const made = await ask('POST', '/migrations', { server_id: 's1', fingerprint: again.fingerprint })
  expect([made.status, made.body.to_node_id]).toEqual([201, again.placements[0].to_server_id])
})

test('suggested, approved, scheduled, and it runs by itself', async () => {
  const { ask, act, fleet } = await world()
  const { body, headers } = await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2' })
  await fleet.advance(60_000)
  expect((await ask('GET', `/migrations/${body.id}`)).body.status).toBe('suggested')
  expect(fleet.registry.on('s1')).toHaveLength(4)
  const approved = await ask('POST', `/migrations/${body.id}/approve`, undefined, { 'if-match': headers.etag ?? '' })
  expect(approved.status).toBe(200)
  expect(approved.body.approved_at).toMatch(iso)
  await fleet.advance(10_000)
  const changes = fleet.events.flatMap((event) => (event.type === 'migration.status_changed' ? [event.data.newStatus] : []))
  expect(changes).toEqual(['approved', 'scheduled', 'preparing', 'transferring', 'completing', 'completed'])
  expect(fleet.registry.on('s2')).toHaveLength(8)
  const twice = await act(`/migrations/${body.id}/approve`)
  expect([twice.status, twice.body.code]).toEqual([409, 'illegal_transition'])
})

test('cancel: from any open state, and never from one that has ended', async () => {
  const slow = 60_000
  const { ask, act, fleet } = await world(
    {},
    {
      move: ({ connection }, { signal }) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(new PintailError('unavailable', 'given up')), { once: true })
          if (connection.id.endsWith('c1')) resolve({})
        }),
    },
  )
  const suggested = await ask('POST', '/migrations', { server_id: 's1', connection_ids: ['s1-c1'] })
  expect((await act(`/migrations/${suggested.body.id}/cancel`)).body.status).toBe('cancelled')
  const later = await ask('POST', '/migrations', { server_id: 's2', connection_ids: ['s2-c1'] })
  const at = new Date(fleet.clock.now() + slow).toISOString()
  expect((await ask('POST', `/migrations/${later.body.id}/schedule`, { at })).body).toMatchObject({ status: 'scheduled', not_before: at })
  expect((await act(`/migrations/${later.body.id}/cancel`)).body.status).toBe('cancelled')
  const running = await ask('POST', '/migrations', { server_id: 's3', auto_approve: true })
  await fleet.advance(2000)
  expect((await ask('GET', `/migrations/${running.body.id}`)).body.status).toBe('transferring')
  expect((await act(`/migrations/${running.body.id}/cancel`)).status).toBe(200)
  await fleet.advance(120_000)
  expect((await ask('GET', `/migrations/${running.body.id}`)).body).toMatchObject({ status: 'cancelled', connections_moved: 1 })
  for (const { body } of [suggested, later, running]) {
    const again = await act(`/migrations/${body.id}/cancel`)
    expect([again.status, again.body.code]).toEqual([409, 'illegal_transition'])
  }
})

test('DELETE /migrations/:id: records of what has ended, and nothing else', async () => {
  const { ask } = await history()
  const { migrations } = (await ask('GET', '/migrations')).body
  for (const { id, status } of migrations as { id: string; status: string }[]) {
    const answer = await ask('DELETE', `/migrations/${id}`)
    expect([status, answer.status]).toEqual([status, status === 'suggested' ? 409 : 204])
    expect((await ask('GET', `/migrations/${id}`)).status).toBe(status === 'suggested' ? 200 : 404)
  }
  expect((await ask('GET', '/migrations')).body.total).toBe(1)
})

test('GET /servers/:id/migrations has those from and to it; /active the open ones that leave it, the oldest first', async () => {
  const { ask, act, fleet } = await world()
  const first = (await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2', connection_ids: ['s1-c1'] })).body
  await ask('POST', '/migrations', { server_id: 's2', to_node_id: 's1', connection_ids: ['s2-c1'] })
  expect((await ask('GET', '/servers/s1/migrations')).body).toMatchObject({ total: 2, limit: 50, offset: 0 })
  expect((await ask('GET', '/servers/s1/migrations?limit=1&status=suggested')).body.migrations).toHaveLength(1)
  const active = (await ask('GET', '/servers/s1/migrations/active')).body
  expect(active.migration.id).toBe(first.id)
  expect(active.migrations.map((one: { id: string }) => one.id)).toEqual([first.id])
  await act(`/migrations/${first.id}/approve`)
  await fleet.advance(10_000)
  expect((await ask('GET', '/servers/s1/migrations/active')).body).toEqual({ migration: null, migrations: [] })
  expect((await ask('GET', '/servers/nowhere/migrations/active')).body.code).toBe('not_found')
})

test('the oldest open migration of a server comes first, and all of them are listed, newest first', async () => {
  const { ask } = await world({
    connections: { s1: Array.from({ length: 6 }, (_, index) => ({ id: `u${index}` })) },
    capacity: 2,
    servers: 5,
  })
  const made = (await ask('POST', '/migrations', { server_id: 's1' })).body
  const { migration, migrations } = (await ask('GET', '/servers/s1/migrations/active')).body
  expect(migrations.length).toBeGreaterThan(1)
  expect(migrations.every((one: { evacuation_id: string }) => one.evacuation_id === made.evacuation_id)).toBe(true)
  expect(migration.id).toBe(migrations.at(-1).id)
})

test('POST /migrations/:id/retry makes a new record of a failed one, for those who are still there', async () => {
  let isBroken = true
  const { ask, act, fleet } = await world(
    { policy: { mode: 'suggest', migration: { moveTries: 1, maxRetries: 0 } } },
    { verify: async () => !isBroken },
  )
  const failed = (await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2', auto_approve: true })).body
  await fleet.advance(10_000)
  expect((await ask('GET', `/migrations/${failed.id}`)).body.status).toBe('failed')
  const early = await ask('POST', `/migrations/${failed.id}/retry`)
  expect([early.status, early.body.code]).toEqual([409, 'illegal_transition'])
  await act(`/evacuations/${failed.evacuation_id}/cancel`)
  await fleet.advance(10_000)
  isBroken = false
  const retried = await ask('POST', `/migrations/${failed.id}/retry`)
  expect(retried).toMatchObject({ status: 201, body: { retry_of: failed.id }, headers: { location: `../${retried.body.id}` } })
  await fleet.advance(10_000)
  expect((await ask('GET', `/migrations/${retried.body.id}`)).body).toMatchObject({ status: 'completed', connections_moved: 4 })
})

test('GET /stats: by status, success rate, mean duration, savings and failures, of these very records', async () => {
  const { ask } = await history()
  const { migrations } = (await ask('GET', '/migrations')).body
  const completed = migrations.find((one: { status: string }) => one.status === 'completed')
  expect((await ask('GET', '/stats')).body).toMatchObject({
    total: 4,
    by_status: { suggested: 1, cancelled: 1, failed: 1, completed: 1, transferring: 0 },
    success_rate: 0.5,
    average_duration_seconds: seconds(completed.started_at, completed.completed_at),
    total_savings_eur_hour: 0,
    total_savings_eur_month: 0,
    failures_by_reason: { degraded: 1 },
    failures: [{ error: expect.any(String), count: 1 }],
  })
})

// ------------------------------------------------------------------------------------------------------------ the events

test.each(['SSE', 'WebSocket'])('the five events over %s have the words of the seed and say what happened', async (way) => {
  const made = await world({ before: (app) => app.register(fastifyWebsocket) }, { verify: async ({ from }) => from.id !== 's3' })
  const { ask, act, app, fleet } = made
  await ask('PATCH', '/policy', { migration: { move_tries: 1, max_retries: 0 } }, { 'if-match': '*' })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const messages: WireMessage[] = []
  const stream = way === 'SSE' ? await listen(address, '/api/events') : null
  if (way === 'WebSocket') {
    const socket = new WebSocket(`${address.replace('http', 'ws')}/api/ws`)
    socket.addEventListener('message', ({ data }) => messages.push(JSON.parse(String(data))))
  }
  const heard = () => stream?.messages ?? messages
  await until(() => heard().length > 0, 'a snapshot')
  const good = (await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2' })).body
  await act(`/migrations/${good.id}/approve`)
  await fleet.advance(10_000)
  const bad = (await ask('POST', '/migrations', { server_id: 's3', to_node_id: 's4', auto_approve: true })).body
  await fleet.advance(10_000)
  await until(() => heard().some((one) => one.type === 'migration.failed'), 'the last event')
  stream?.cut()
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it.
  const of = (type: string, id: string): any[] => heard().filter((one) => one.type === type && (one.data as { id?: string }).id === id)
  for (const message of heard()) {
    expect(Object.keys(message).sort()).toEqual(['data', 'seq', 'timestamp', 'type'])
    expect(message.timestamp).toMatch(iso)
  }
  const [created] = of('migration.created', good.id)
  expect(created.data).toMatchObject({
    id: good.id,
    server_id: 's1',
    status: 'suggested',
    from_node: 's1',
    to_node: 's2',
    savings_eur_hour: null,
  })
  const changes = of('migration.status_changed', good.id)
  expect(changes.map(({ data }) => [data.old_status, data.new_status])).toEqual([
    ['suggested', 'approved'],
    ['approved', 'scheduled'],
    ['scheduled', 'preparing'],
    ['preparing', 'transferring'],
    ['transferring', 'completing'],
    ['completing', 'completed'],
  ])
  for (const { data, timestamp } of changes) expect(data.timestamp).toBe(timestamp)
  const progress = of('migration.progress', good.id)
  expect(progress.length).toBeGreaterThan(0)
  expect(progress.at(-1).data).toMatchObject({ id: good.id, progress: 100, message: expect.stringContaining('s2') })
  expect(progress.some(({ data }) => /^Moving \d+ of 4 connections to s2/.test(data.message))).toBe(true)
  const record = (await ask('GET', `/migrations/${good.id}`)).body
  expect(of('migration.completed', good.id).map(({ data }) => data)).toEqual([
    {
      id: good.id,
      duration_seconds: seconds(record.started_at, record.completed_at),
      players_transferred: 4,
      connections_moved: 4,
      connections_failed: 0,
      success: true,
    },
  ])
  expect(record.connections_moved).toBe(fleet.registry.on('s2').length - 4)
  const failed = of('migration.failed', bad.id)
  expect(failed.map(({ data }) => data)).toEqual([{ id: bad.id, error: expect.any(String), rollback_success: true, residue: [] }])
  expect(fleet.registry.on('s3')).toHaveLength(4)
})

test.each([
  ['the users are where they were', {}, true, []],
  [
    'nothing could be undone',
    {
      rollback: async () => {
        throw new Error('no answer')
      },
    },
    false,
    ['s1-c1'],
  ],
] as const)('rollback_success when %s', async (_, broken, success, residue) => {
  const mover: Partial<ConnectionMover> = { verify: async () => false, ...broken }
  const policy = { mode: 'suggest', migration: { moveTries: 1, maxRetries: 0 } } as const
  const { ask, fleet } = await world({ connections: { s1: [{ id: 's1-c1' }] }, policy }, mover)
  const { id } = (await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2', auto_approve: true })).body
  await fleet.advance(10_000)
  const { body } = await ask('GET', `/migrations/${id}`)
  expect(body).toMatchObject({ status: 'failed', rollback_success: success, residue })
  const [event] = fleet.events.flatMap((one) => (one.type === 'migration.failed' ? [one.data] : []))
  expect(event).toMatchObject({ rollbackSuccess: success, residue })
  expect(fleet.registry.homeOf('s1-c1')).toBe(success ? 's1' : 's2')
})
