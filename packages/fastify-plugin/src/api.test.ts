import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { type Api, type ApiOptions, api } from '../test/api.ts'
import { endpoints } from '../test/document.ts'
import { listen, until } from '../test/streams.ts'
import { Idempotency, idempotencyLimits } from './routes/idempotency.ts'

const worlds: Api[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})
async function world(options: ApiOptions = {}): Promise<Api> {
  const made = await api({ servers: 4, connections: 3, policy: { mode: 'suggest' }, ...options })
  worlds.push(made)
  return made
}
const told = ({ status, body }: { status: number; body: { code?: string } }) => [status, body.code]

// ----------------------------------------------------------------------------------------------------------- operators

test('two operators do not overwrite each other: what was decided upon has to be so still', async () => {
  const { ask, fleet } = await world()
  const { body, headers } = await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2' })
  const seen = { 'if-match': headers.etag ?? '' }
  const path = `/migrations/${body.id}`
  expect(told(await ask('POST', `${path}/approve`))).toEqual([428, 'precondition_required'])
  expect((await ask('POST', `${path}/approve`, undefined, seen)).status).toBe(200)
  // The other one has seen it suggested, and wants it cancelled.
  expect(told(await ask('POST', `${path}/cancel`, undefined, seen))).toEqual([412, 'precondition_failed'])
  await fleet.advance(10_000)
  expect((await ask('GET', path)).body.status).toBe('completed')
})

test('of two who act at once upon the same one wins, and the other is told so', async () => {
  const { app, ask, fleet } = await world()
  const { body, headers } = await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2' })
  const act = (what: string) => {
    return app.inject({ method: 'POST', url: `/pintail/migrations/${body.id}/${what}`, headers: { 'if-match': headers.etag ?? '' } })
  }
  const both = Promise.all([act('approve'), act('cancel')])
  await fleet.advance(1000)
  expect((await both).map(({ statusCode }) => statusCode)).toEqual([200, 412])
})

test('an ETag compares what people decide about: one user more that has moved is no reason to refuse', async () => {
  const { ask, fleet } = await world({
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 1, burst: 1 } } } },
    connections: 8,
  })
  const { body } = await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2', auto_approve: true })
  await fleet.advance(2500)
  const before = await ask('GET', `/migrations/${body.id}`)
  await fleet.advance(2000)
  const after = await ask('GET', `/migrations/${body.id}`)
  expect(after.body.connections_moved).toBeGreaterThan(before.body.connections_moved)
  // Another answer has another tag, for who keeps it; but nothing was decided meanwhile.
  expect(after.headers.etag).not.toBe(before.headers.etag)
  const cancelled = await ask('POST', `/migrations/${body.id}/cancel`, undefined, { 'if-match': `W/${before.headers.etag}, "other"` })
  expect(cancelled.status).toBe(200)
})

test('an evacuation is approved and cancelled as one, upon what was seen', async () => {
  const { ask, fleet } = await world()
  fleet.kill('s1')
  await fleet.advance(60_000)
  const { evacuations, total } = (await ask('GET', '/evacuations?status=suggested')).body
  expect(total).toBe(1)
  const one = await ask('GET', `/evacuations/${evacuations[0].id}`)
  expect(one.body).toMatchObject({ status: 'suggested', reason: 'server-down', connections: 3, unplaced: [], unplaced_total: 0 })
  const path = `/evacuations/${one.body.id}`
  expect(told(await ask('POST', `${path}/approve`))).toEqual([428, 'precondition_required'])
  expect(told(await ask('POST', `${path}/approve`, undefined, { 'if-match': '"running"' }))).toEqual([412, 'precondition_failed'])
  const approved = await ask('POST', `${path}/approve`, undefined, { 'if-match': one.headers.etag ?? '' })
  expect([approved.status, approved.body.status]).toEqual([200, 'running'])
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toEqual([])
  const incident = (await ask('GET', '/incidents?status=open&server_id=s1')).body.incidents[0]
  expect((await ask('GET', `/decisions/${incident.decision_id}`)).body).toMatchObject({ incident_id: incident.id, placed: 3 })
  expect(told(await ask('POST', `${path}/cancel`, undefined, { 'if-match': '*' }))).toEqual([409, 'illegal_transition'])
})

test('an incident is acknowledged and its guard overridden for a while; one that is over takes neither', async () => {
  const { ask, fleet } = await world()
  for (const id of ['s1', 's2', 's3']) fleet.kill(id)
  await fleet.advance(60_000)
  const [incident] = (await ask('GET', '/incidents')).body.incidents
  expect(incident.held_by.length).toBeGreaterThan(0)
  const overridden = await ask('POST', `/incidents/${incident.id}/override-guard`, { for_ms: 60_000 })
  expect(Date.parse(overridden.body.override_until) - fleet.clock.now()).toBeLessThanOrEqual(60_000)
  expect((await ask('POST', `/incidents/${incident.id}/acknowledge`)).body.acknowledged_at).not.toBeNull()
  for (const id of ['s1', 's2', 's3']) fleet.revive(id)
  await fleet.advance(120_000)
  expect(told(await ask('POST', `/incidents/${incident.id}/acknowledge`))).toEqual([409, 'illegal_transition'])
})

test('pause and resume by scope, with an end and a reason, are in the picture', async () => {
  const { ask, fleet } = await world()
  const { body } = await ask('POST', '/migrations', { server_id: 's1', to_node_id: 's2' })
  const scopes = ['all', { server_id: 's1' }, { migration_id: body.id }, { evacuation_id: body.evacuation_id }]
  for (const scope of scopes) {
    const paused = (await ask('POST', '/pause', { scope, reason: 'match day', for_ms: 3_600_000 })).body.pauses
    const until = new Date(fleet.clock.now() + 3_600_000).toISOString().slice(0, 16)
    expect(paused).toEqual([{ scope, reason: 'match day', until: expect.stringContaining(until) }])
    expect((await ask('GET', '/status')).body.pauses).toEqual(paused)
    expect((await ask('POST', '/resume', { scope })).body.pauses).toEqual([])
  }
  expect((await ask('POST', '/pause')).body.pauses).toEqual([{ scope: 'all', reason: null, until: null }])
  expect(told(await ask('POST', '/pause', { scope: { server_id: 'nowhere' } }))).toEqual([404, 'not_found'])
  for (const scope of ['some', {}, { server_id: 's1', migration_id: 'x' }, { server_id: null }, []])
    expect(told(await ask('POST', '/pause', { scope }))).toEqual([400, 'invalid_request'])
})

test('a drain cordons and empties a server; with the fingerprint of a plan only that plan', async () => {
  const { ask, fleet } = await world({ policy: { mode: 'auto' } })
  const stale = await ask('POST', '/servers/s1/drain', { fingerprint: 'of something else' })
  expect(told(stale)).toEqual([409, 'plan_stale'])
  expect((await ask('GET', '/servers')).body.servers[0].cordoned).toBe(false)
  const plan = (await ask('GET', '/plan?drain=s1&reason=maintenance&limit=1')).body
  expect(plan.placements.every((one: { connection_ids: string[] }) => one.connection_ids.length === 1)).toBe(true)
  const made = await ask('POST', '/servers/s1/drain', { fingerprint: plan.fingerprint })
  expect(made).toMatchObject({ status: 202, headers: { location: `../../evacuations/${made.body.id}` } })
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect((await ask('GET', '/servers')).body.servers[0]).toMatchObject({ server_id: 's1', cordoned: true, load: 0 })
  expect((await ask('POST', '/servers/s1/uncordon')).body).toEqual({ server_id: 's1', cordoned: false })
  for (const what of ['cordon', 'uncordon', 'drain'])
    expect(told(await ask('POST', `/servers/nowhere/${what}`))).toEqual([404, 'not_found'])
})

test('servers are filtered by verdict, status and region, in pages with a total', async () => {
  const rows = ['a', 'b', 'c', 'd'].map((id, index) => ({ id, host: `10.0.0.${index}`, region: index < 2 ? 'eu' : 'us', capacity: 9 }))
  const { ask, fleet } = await world({ servers: rows, connections: {} })
  fleet.kill('d')
  await fleet.advance(30_000)
  const ids = async (query: string) => {
    const { body } = await ask('GET', `/servers?${query}`)
    return [body.servers.map((one: { server_id: string }) => one.server_id).join(''), body.total]
  }
  expect(await ids('')).toEqual(['abcd', 4])
  expect(await ids('verdict=down')).toEqual(['d', 1])
  expect(await ids('verdict=up,suspect&region=us')).toEqual(['c', 1])
  expect(await ids('region=eu&limit=1&offset=1')).toEqual(['b', 2])
  expect(await ids('status=maintenance')).toEqual(['', 0])
})

test("one user's own wish: to a server, into a region, or anywhere else", async () => {
  const rows = ['a', 'b', 'c'].map((id, index) => ({ id, host: `10.0.0.${index}`, region: index < 1 ? 'eu' : 'us', capacity: 9 }))
  const { ask, fleet } = await world({ servers: rows, connections: { a: [{ id: 'ann' }, { id: 'bob' }, { id: 'cem' }] } })
  const wish = { server_id: 'a', notes: 'the match is on there' }
  const moved = await ask('POST', '/connections/ann/move', { ...wish, to_server_id: 'c' })
  expect(moved).toMatchObject({ status: 201, body: { triggered_by: 'user', reason: 'user-request', to_server_id: 'c', notes: wish.notes } })
  await fleet.advance(10_000)
  expect(fleet.registry.homeOf('ann')).toBe('c')
  const region = await ask('POST', '/connections/bob/move', { ...wish, to_region: 'us' })
  expect(['b', 'c']).toContain(region.body.to_server_id)
  await fleet.advance(10_000)
  expect(fleet.registry.homeOf('bob')).toBe(region.body.to_server_id)
  expect(told(await ask('POST', '/connections/cem/move', { ...wish, to_region: 'mars' }))).toEqual([409, 'nothing_to_move'])
  expect(told(await ask('POST', '/connections/nobody/move', wish))).toEqual([400, 'invalid_argument'])
  expect(told(await ask('POST', '/connections/cem/move', { ...wish, to_region: 'us', to_server_id: 'b' }))).toEqual([
    400,
    'invalid_request',
  ])
  const waiting = await ask('POST', '/connections/cem/move', { ...wish, auto_approve: false })
  expect(waiting.body.status).toBe('suggested')
})

// -------------------------------------------------------------------------------------------------------------- policy

test('the policy tells the source of each value, and takes a merge patch of who has seen the newest one', async () => {
  const { ask } = await world({ policy: { mode: 'suggest', detect: { pingCount: 4, vantages: { 'Ams-A': { region: 'eu' } } } } })
  const { body, headers } = await ask('GET', '/policy')
  expect(body).toMatchObject({
    version: 0,
    policy: { detect: { ping_count: 4, vantages: { 'Ams-A': { region: 'eu' } } }, placement: { weights: { failure_domain: 5 } } },
    sources: { 'detect.ping_count': 'code', 'detect.vantages.Ams-A.region': 'code', 'placement.weights.failure_domain': 'default' },
  })
  expect(Object.keys(body.sources).filter((path) => /[A-Z]/.test(path))).toEqual(['detect.vantages.Ams-A.region'])
  const patch = { detect: { ping_count: 5, vantages: { 'Teh-B': { region: 'ir' } } }, placement: { weights: { failure_domain: 7 } } }
  expect(told(await ask('PATCH', '/policy', patch))).toEqual([428, 'precondition_required'])
  const seen = { 'if-match': headers.etag ?? '' }
  const patched = await ask('PATCH', '/policy', patch, { ...seen, 'content-type': 'application/merge-patch+json' })
  expect(patched.body).toMatchObject({
    version: 1,
    policy: {
      detect: { ping_count: 5, vantages: { 'Ams-A': { region: 'eu' }, 'Teh-B': { region: 'ir' } } },
      placement: { weights: { failure_domain: 7 } },
    },
    sources: { 'detect.ping_count': 'patch' },
  })
  expect(told(await ask('PATCH', '/policy', patch, seen))).toEqual([412, 'precondition_failed'])
  expect(told(await ask('DELETE', '/policy', undefined, seen))).toEqual([412, 'precondition_failed'])
  expect((await ask('PATCH', '/policy', { detect: { ping_count: null } }, { 'if-match': patched.headers.etag ?? '' })).body).toMatchObject({
    policy: { detect: { ping_count: 4 } },
    sources: { 'detect.ping_count': 'code' },
  })
  expect((await ask('DELETE', '/policy', undefined, { 'if-match': '*' })).body).toMatchObject({
    version: 3,
    policy: { detect: { ping_count: 4 } },
  })
})

test('a policy that is none is refused in the words of the wire, and nothing of it is kept', async () => {
  const { ask } = await world()
  const any = { 'if-match': '*' }
  const cases: readonly [patch: unknown, path: string][] = [
    [{ detect: { ping_count: 0 } }, 'patch.detect.ping_count'],
    [{ detect: { ping_count: '5' } }, 'patch.detect.ping_count'],
    [{ detect: { pingcount: 5 } }, 'patch.detect.pingcount'],
    [{ mode: 'yolo' }, 'patch.mode.default'],
    [{ failback: { strategy: 'sometimes' } }, 'patch.failback.strategy'],
  ]
  for (const [patch, path] of cases) {
    const refused = await ask('PATCH', '/policy', patch, any)
    expect([...told(refused), refused.body.errors[0].path]).toEqual([400, 'invalid_options', path])
  }
  const [{ remedy }] = (await ask('PATCH', '/policy', { detect: { ping_cuont: 5 } }, any)).body.errors
  expect(remedy).toBe('Did you mean ping_count?')
  const deep = `${'{"a":'.repeat(8000)}1${'}'.repeat(8000)}`
  expect(told(await ask('PATCH', '/policy', deep, { ...any, 'content-type': 'application/json' }))).toEqual([400, 'invalid_request'])
  expect((await ask('GET', '/policy')).body.version).toBe(0)
})

// ----------------------------------------------------------------------------------------------------------- idempotency

test('a POST that is repeated with its Idempotency-Key is done once, also while the first one is under way', async () => {
  const { ask, app, fleet } = await world()
  const key = { 'idempotency-key': '5f0c7d2a' }
  const request = { server_id: 's1', to_node_id: 's2' }
  const at = { method: 'POST', url: '/pintail/migrations', payload: request, headers: key } as const
  const both = Promise.all([app.inject(at), app.inject(at)])
  await fleet.advance(1000)
  const [first, second] = await both
  expect([first.statusCode, second.body]).toEqual([201, first.body])
  const third = await ask('POST', '/migrations', request, key)
  expect([third.status, third.body.id, third.headers['idempotent-replayed']]).toEqual([201, first.json().id, 'true'])
  expect(third.headers.etag).toBe(first.headers.etag)
  expect((await ask('GET', '/migrations')).body.total).toBe(1)
  expect(told(await ask('POST', '/migrations', { server_id: 's2' }, key))).toEqual([422, 'idempotency_key_reused'])
  expect(told(await ask('POST', '/pause', {}, key))).toEqual([422, 'idempotency_key_reused'])
  for (const bad of ['', ' ', 'x'.repeat(256), 'ключ'])
    expect((await ask('POST', '/pause', {}, { 'idempotency-key': Buffer.from(bad).toString('latin1') })).status).toBe(
      bad === '' || bad === ' ' ? 400 : 400,
    )
})

test('what was refused did nothing, and may be asked again with its key', async () => {
  const { ask } = await world()
  const key = { 'idempotency-key': 'again' }
  expect((await ask('POST', '/pause', { scope: { server_id: 'nowhere' } }, key)).status).toBe(404)
  expect((await ask('POST', '/pause', { scope: { server_id: 's1' } }, key)).status).toBe(200)
})

test('keys are forgotten after a day, and beyond a thousand of them, and beyond their bytes', async () => {
  let now = 0
  const kept = new Idempotency(() => now)
  let done = 0
  const run = (key: string, size = 2) =>
    kept.run(key, 'same', async () => ({ status: 200, headers: {}, body: 'x'.repeat(size), done: ++done }))
  await run('first')
  expect((await run('first')).replayed).toBe(true)
  now += idempotencyLimits.ms
  expect((await run('first')).replayed).toBe(false)
  for (let index = 0; index < idempotencyLimits.entries; index++) await run(`k${index}`)
  expect((await run('first')).replayed).toBe(false)
  await run('large', idempotencyLimits.bytes)
  await run('small')
  expect((await run('large')).replayed).toBe(false)
  expect(done).toBe(idempotencyLimits.entries + 6)
})

// -------------------------------------------------------------------------------------------------------------- privacy

test('who may not see users gets pseudonyms, the same for one user everywhere, and no text that names one', async () => {
  const may = new Set<string>()
  const authorize = (request: FastifyRequest, action: string) => action !== 'users:reveal' || may.has(String(request.headers['x-who']))
  may.add('admin')
  const users = ['ann@example.org', 'bob@example.org', 'cem@example.org']
  const { ask, fleet, app } = await world({
    authorize,
    connections: { s1: users.map((id) => ({ id })) },
    capacity: 2,
    policy: { mode: 'auto', migration: { moveTries: 1, maxRetries: 0, targetsPerConnection: 1 } },
    servers: 3,
    replace: ({ mover }) => ({ mover: { ...mover, verify: async () => false, rollback: () => Promise.reject(new Error('no answer')) } }),
  })
  const admin = { 'x-who': 'admin' }
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const [masked, plain] = [await listen(address, '/pintail/events?after=0'), await listen(address, '/pintail/events?after=0', admin)]
  const drained = await ask('POST', '/servers/s1/drain')
  await fleet.advance(20_000)
  const paths = ['/migrations', '/evacuations', `/evacuations/${drained.body.id}`, '/plan?drain=s1', '/status', '/incidents']
  const shown: string[] = []
  for (const path of paths) {
    const [hidden, whole] = [JSON.stringify((await ask('GET', path)).body), JSON.stringify((await ask('GET', path, undefined, admin)).body)]
    for (const user of users) expect([path, hidden.includes(user)]).toEqual([path, false])
    if (users.some((user) => whole.includes(user))) shown.push(path)
  }
  expect(shown).toEqual(expect.arrayContaining(['/migrations', '/evacuations', '/plan?drain=s1', '/status']))
  const last = fleet.pintail.status().lastSeq
  await until(() => Number(masked.lastEventId) >= last && Number(plain.lastEventId) >= last, 'all events')
  const hidden = JSON.stringify(masked.messages)
  for (const user of users) {
    expect(hidden).not.toContain(user)
    expect(JSON.stringify(plain.messages)).toContain(user)
  }
  // The same masks: whoever follows one user can go on following him.
  const residue = (await ask('GET', '/migrations')).body.migrations.flatMap((one: { residue: string[] }) => one.residue)
  expect(residue.length).toBeGreaterThan(0)
  for (const name of residue) expect([name, hidden.includes(name)]).toEqual([expect.stringMatching(/^user-[0-9a-f]{16}$/), true])
  expect(hidden).not.toContain(
    createHash('sha256')
      .update(users[0] ?? '')
      .digest('hex')
      .slice(0, 16),
  )
})

test("with 'host' the host's hooks have decided, and users are shown", async () => {
  const { ask } = await world()
  const { placements } = (await ask('GET', '/plan?drain=s1')).body
  expect(placements[0].connection_ids[0]).toMatch(/^s1-c/)
})

// --------------------------------------------------------------------------------------------------------------- metrics

test('GET /metrics answers with the registry of the host, in its content type', async () => {
  const metricsRegistry = { contentType: 'text/plain; version=0.0.4; charset=utf-8', metrics: async () => 'pintail_leading 1\n' }
  const { ask } = await world({ metricsRegistry })
  const { status, body, headers } = await ask('GET', '/metrics')
  expect([status, body, headers['content-type']]).toEqual([200, 'pintail_leading 1\n', metricsRegistry.contentType])
  const bare = await world()
  expect(told(await bare.ask('GET', '/metrics'))).toEqual([404, 'metrics_missing'])
})

test('GET /health/services tells each part in words, and never what an adapter said', async () => {
  const { ask, fleet } = await world()
  expect((await ask('GET', '/health/services')).body).toMatchObject({
    status: 'ok',
    services: { store: { status: 'ok' }, registry: { status: 'ok' } },
  })
  fleet.registry.listServers = async () => {
    throw new Error('connect ECONNREFUSED 10.9.8.7:5432 password=hunter2')
  }
  await fleet.advance(300_000)
  const { body } = await ask('GET', '/health/services')
  expect(JSON.stringify(body)).not.toMatch(/10\.9\.8\.7|hunter2|ECONN/)
})

// ------------------------------------------------------------------------------------------------------------- bad input

test('bad input of every kind gets problem details with a stable type, on every route, and never a stack', async () => {
  const { app, fleet } = await world()
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  const bodies: readonly [name: string, payload: string, type: string, allowed: readonly number[]][] = [
    ['an array', '[]', 'application/json', [400]],
    ['a text', '"x"', 'application/json', [400]],
    ['a number', '5', 'application/json', [400]],
    ['half of it', '{"a":', 'application/json', [400]],
    ['a prototype', '{"__proto__":{"a":1}}', 'application/json', [400]],
    ['a constructor', '{"constructor":{"prototype":{"a":1}}}', 'application/json', [400]],
    ['an unknown field', '{"nonsense":1}', 'application/json', [400]],
    ['deep', deep, 'application/json', [400, 413]],
    ['ten megabytes', JSON.stringify({ notes: 'x'.repeat(10_000_000) }), 'application/json', [413]],
    ['xml', '<a/>', 'application/xml', [415]],
    ['a form', 'a=1', 'application/x-www-form-urlencoded', [415]],
    ['nothing said', 'x', '', [415]],
  ]
  const before = fleet.events.length
  for (const { method, url, body: taken, query } of endpoints) {
    const path = `/pintail${url.replace(':id', 'nowhere')}`
    // What takes no body reads none: a reset is a reset.
    if (method !== 'GET' && !(method === 'DELETE' && url === '/policy'))
      for (const [name, payload, type, allowed] of bodies) {
        const headers = { ...(type && { 'content-type': type }), 'if-match': '*' }
        const answer = await app.inject({ method, url: path, payload, headers })
        // What takes no body leaves a readable one aside.
        const isAside = !taken && answer.statusCode === 404
        if (!isAside && url !== '/policy')
          expect([method, url, name, allowed.includes(answer.statusCode)]).toEqual([method, url, name, true])
        checkProblem(answer)
      }
    const queries = [
      'limit=x',
      'limit=1e9',
      'offset=-1',
      'nonsense=1',
      'a=1&a=2',
      '__proto__=1',
      'constructor[prototype]=x',
      `q=${'x'.repeat(5000)}`,
    ]
    if (query && url !== '/ws')
      for (const one of queries) {
        const answer = await app.inject({ method, url: `${path}?${one}` })
        expect([url, one, answer.statusCode]).toEqual([url, one, 400])
        checkProblem(answer)
      }
  }
  for (const id of ['%00', '..%2f..%2fetc%2fpasswd', '%F0%9F%A6%86', 'x'.repeat(90), "'--", '__proto__', 'constructor'])
    for (const { method, url } of endpoints.filter((one) => one.url.includes(':id'))) {
      const answer = await app.inject({
        method,
        url: `/pintail${url.replace(':id', id)}`,
        headers: { 'if-match': '*' },
        ...(url.endsWith('move') && { payload: { server_id: 's1' } }),
      })
      expect([method, url, id, answer.statusCode >= 400 && answer.statusCode < 500]).toEqual([method, url, id, true])
      checkProblem(answer)
    }
  expect(fleet.events.length).toBe(before)
})

function checkProblem({ statusCode, headers, body }: { statusCode: number; headers: FastifyReply['raw'] | object; body: string }): void {
  expect(statusCode).toBeLessThan(500)
  expect((headers as Record<string, string>)['content-type']).toBe('application/problem+json; charset=utf-8')
  const { type, status, code, title, detail } = JSON.parse(body)
  expect(type).toBe(`urn:pintail:problem:${code}`)
  expect(status).toBe(statusCode)
  expect([typeof title, typeof detail]).toEqual(['string', 'string'])
  expect(body).not.toMatch(/node_modules|\bat .*\(|\.ts:\d/)
}
