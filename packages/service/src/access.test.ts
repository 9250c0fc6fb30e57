import { afterEach, expect, test, vi } from 'vitest'
import { type Access, type AccessOptions, access } from '../test/access.ts'
import { bearer } from '../test/credentials.ts'
import { createAccounts } from './accounts/accounts.ts'

afterEach(() => void vi.useRealTimers())
/** A minute is never over before a test is. */
const stopDate = () => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
const told = ({ status, body }: { status: number; body: { code?: string } }) => [status, body.code]
const with_ = async (world: Access, role: string, other = {}) =>
  bearer(await world.credentials.hs256(world.credentials.claims(role, other)))

// ------------------------------------------------------------------------------------------------------- open and closed

test('without an account configured everything but the health is refused, and says what to configure', async () => {
  const none: AccessOptions['accounts'] = (credentials, logger) =>
    createAccounts({ ...credentials.settings, apiKeys: [], jwtSecret: '', jwtJwks: '' }, logger)
  await using world = await access({ accounts: none, docs: true, isQuiet: true })
  const refused = await world.ask('POST', '/api/pause', { 'x-api-key': world.credentials.key('admin') })
  expect(told(refused)).toEqual([403, 'accounts_missing'])
  expect(refused.body.remedy).toContain('PINTAIL_API_KEYS')
  expect(world.fleet.pintail.status().pauses).toEqual([])
  expect(told(await world.ask('GET', '/health/services'))).toEqual([403, 'accounts_missing'])
  expect((await world.ask('GET', '/docs')).status).toBe(404)
  expect([(await world.ask('GET', '/api/health')).status, (await world.ask('GET', '/health/live')).status]).toEqual([200, 200])
})

test('PINTAIL_API=off is closed although accounts are configured', async () => {
  await using world = await access({
    accounts: (credentials, logger) => createAccounts({ ...credentials.settings, api: 'off' }, logger),
    isQuiet: true,
  })
  expect(told(await world.ask('GET', '/api/servers', await with_(world, 'admin')))).toEqual([403, 'accounts_missing'])
})

test('PINTAIL_API=open answers this machine under its own name, and no page of another origin', async () => {
  await using world = await access({
    accounts: (credentials, logger) =>
      createAccounts({ ...credentials.settings, apiKeys: [], jwtSecret: '', jwtJwks: '', revocations: '', api: 'open' }, logger),
    isQuiet: true,
  })
  const at = (headers: Record<string, string>) => world.ask('POST', '/api/servers/s1/cordon', headers)
  for (const headers of [
    { host: '127.0.0.1:5010' },
    { host: 'localhost:5010', origin: 'http://localhost:5010', 'sec-fetch-site': 'same-origin' },
    { host: '[::1]:5010' },
  ])
    expect([headers, (await at(headers)).status]).toEqual([headers, 200])
  for (const headers of [
    { host: 'rebound.example:5010' },
    { host: '127.0.0.1:5010', origin: 'https://evil.example' },
    { host: '127.0.0.1:5010', origin: 'null' },
    { host: '127.0.0.1:5010', 'sec-fetch-site': 'cross-site' },
    { host: '127.0.0.1.evil.example' },
  ])
    expect([headers, ...told(await at(headers))]).toEqual([headers, 403, 'origin_refused'])
})

// ----------------------------------------------------------------------------------------------------- what a role may see

test('a viewer is shown pseudonyms in the place of users, an operator the users', async () => {
  await using world = await access()
  const url = `/api/plan?drain=s1`
  expect((await world.ask('GET', url, await with_(world, 'viewer'))).text).not.toContain('s1-c1')
  expect((await world.ask('GET', url, await with_(world, 'operator'))).text).toContain('s1-c1')
})

test('a role is read from a list, and from a path of claims; the highest counts, and a word that is none gives no right', async () => {
  const by = (jwtRoleClaim: string) =>
    access({
      accounts: (credentials, logger) => createAccounts({ ...credentials.settings, jwtRoleClaim }, logger),
      isQuiet: true,
    })
  await using world = await by('realm_access.roles')
  const statusOf = async (claims: object) =>
    (await world.ask('DELETE', '/api/policy', { 'if-match': '*', ...(await with_(world, 'none', claims)) })).status
  expect(await statusOf({ realm_access: { roles: ['viewer', 'admin', 'x'] } })).toBe(200)
  expect(await statusOf({ realm_access: { roles: ['operator'] } })).toBe(403)
  expect(await statusOf({ realm_access: 'admin' })).toBe(403)
  // A claim whose name is the whole path comes first.
  expect(await statusOf({ 'realm_access.roles': 'viewer', realm_access: { roles: ['admin'] } })).toBe(403)
  expect(await statusOf({ roles: ['admin'] })).toBe(403)
  await using inherited = await by('constructor.name')
  expect((await inherited.ask('GET', '/api/servers', await with_(inherited, 'admin'))).status).toBe(403)
})

test('GET /api/account says whether a credential is believed, whose it is and what it may do', async () => {
  await using world = await access({ isQuiet: true })
  const { credentials } = world
  const ask = async (headers: Readonly<Record<string, string>>) => (await world.ask('GET', '/api/account', headers)).body
  const alice = await ask(await with_(world, 'operator'))
  expect(alice).toMatchObject({ kind: 'token', name: 'alice', role: 'operator', expires_at: expect.stringMatching(/Z$/) })
  expect(alice.actions).toContain('fleet:pause')
  expect(alice.actions).not.toContain('policy:update')
  expect(await ask(bearer(credentials.key('admin')))).toMatchObject({ kind: 'key', name: 'admin', role: 'admin', expires_at: null })
  expect(await ask(await with_(world, 'nobody'))).toMatchObject({ role: null, actions: [] })
  for (const { name, code, headers, query } of await credentials.bad()) {
    const { status, body } = await world.ask('GET', `/api/account${query ? `?${query}` : ''}`, headers)
    expect([name, status, body.code]).toEqual([name, 401, code])
  }
})

test('the health of each part is at /health/services too, for those who may see it', async () => {
  await using world = await access({ isQuiet: true })
  const viewer = await with_(world, 'viewer')
  const [plain, api] = [await world.knock('GET', '/health/services', viewer), await world.knock('GET', '/api/health/services', viewer)]
  expect([plain.status, plain.body]).toEqual([200, api.body])
  expect(plain.body.services).toHaveProperty('store')
  expect(told(await world.ask('GET', '/health/services'))).toEqual([401, 'credentials_missing'])
  expect(told(await world.ask('GET', '/health/services', await with_(world, 'nobody')))).toEqual([403, 'forbidden'])
})

test('/metrics is for anybody unless it is guarded, and then for a Bearer whose role may read it', async () => {
  await using open = await access({ isQuiet: true })
  expect((await open.ask('GET', '/metrics')).text).toContain('pintail_')
  await using guarded = await access({ isQuiet: true, guardMetrics: true })
  expect(told(await guarded.ask('GET', '/metrics'))).toEqual([401, 'credentials_missing'])
  expect(told(await guarded.ask('GET', '/metrics', await with_(guarded, 'x')))).toEqual([403, 'forbidden'])
  expect((await guarded.ask('GET', '/metrics', bearer(guarded.credentials.key('viewer')))).text).toContain('pintail_')
  expect((await guarded.ask('GET', '/api/metrics', bearer(guarded.credentials.key('viewer')))).text).toContain('pintail_')
})

// ------------------------------------------------------------------------------------------------------------ request ids

test('a request id that is one goes on, any other is made anew; the answer, its problem and the log have the same', async () => {
  await using world = await access({ isQuiet: true })
  const given = await world.ask('GET', '/api/servers', { 'x-request-id': 'from-the-proxy.1' })
  expect([given.headers['x-request-id'], given.body.request_id]).toEqual(['from-the-proxy.1', 'from-the-proxy.1'])
  expect(world.lines.filter(({ request_id: id }) => id === 'from-the-proxy.1')).toHaveLength(1)
  for (const wrong of ['', 'a b', 'x'.repeat(129), 'ü', '{"a":1}']) {
    const { headers, body } = await world.ask('GET', '/api/servers', { 'x-request-id': wrong })
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(body.request_id).toBe(headers['x-request-id'])
  }
  const fine = await world.ask('POST', '/api/servers/s1/cordon', { 'x-request-id': 'done', ...(await with_(world, 'operator')) })
  expect([fine.status, fine.headers['x-request-id']]).toEqual([200, 'done'])
  expect((await world.ask('GET', '/health', { 'x-request-id': 'health' })).headers['x-request-id']).toBe('health')
  const plugins = await world.ask('GET', '/api/migrations/none', { 'x-request-id': 'missing', ...(await with_(world, 'viewer')) })
  expect(plugins.body).toMatchObject({ code: 'not_found', request_id: 'missing' })
})

test('what cannot be understood is a problem too, and no stack', async () => {
  await using world = await access({ isQuiet: true })
  const admin = await with_(world, 'admin')
  expect(told(await world.ask('GET', '/nowhere'))).toEqual([404, 'not_found'])
  expect(told(await world.ask('GET', '/api/nowhere', admin))).toEqual([404, 'not_found'])
  expect(told(await world.ask('GET', '/api/nowhere'))).toEqual([401, 'credentials_missing'])
  expect(told(await world.ask('GET', '/api/%zz', admin))).toEqual([400, 'invalid_request'])
  expect(told(await world.ask('POST', '/api/pause', { ...admin, 'content-type': 'application/json' }, '{'))).toEqual([400, 'invalid_body'])
  expect(told(await world.ask('POST', '/api/pause', { ...admin, 'content-type': 'application/json' }, 'x'.repeat(100_000)))).toEqual([
    413,
    'body_too_large',
  ])
  // Who has no account is told so before a body is looked at.
  expect(told(await world.ask('POST', '/api/pause', { 'content-type': 'application/json' }, 'x'.repeat(100_000)))).toEqual([
    401,
    'credentials_missing',
  ])
  expect(world.log()).not.toMatch(/\n\s+at |node_modules/)
})

// ------------------------------------------------------------------------------------------------------------ rate limits

test('one account that asks too much is told to wait, and no other is in its way', async () => {
  stopDate()
  await using world = await access({ isQuiet: true })
  const [busy, calm] = [bearer(world.credentials.key('operator')), await with_(world, 'operator')]
  const statuses = []
  for (let index = 0; index < 62; index++) statuses.push((await world.ask('POST', '/api/resume', busy)).status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(60)
  const over = await world.ask('POST', '/api/resume', busy)
  expect(told(over)).toEqual([429, 'too_many_requests'])
  expect(over.headers['content-type']).toContain('application/problem+json')
  expect(Number(over.headers['retry-after'])).toBeGreaterThan(0)
  expect((await world.ask('POST', '/api/resume', calm)).status).toBe(200)
  expect((await world.ask('GET', '/api/servers', busy)).status).toBe(200)
})

test('an address that is refused too often is told to wait, and good credentials from there are let in', async () => {
  stopDate()
  await using world = await access({ isQuiet: true, refusedPerMinute: 5 })
  const codes = []
  for (let index = 0; index < 7; index++) codes.push((await world.ask('GET', '/api/servers', bearer('garbage'))).body.code)
  expect(codes).toEqual([...Array(5).fill('credentials_invalid'), 'too_many_requests', 'too_many_requests'])
  expect((await world.ask('GET', '/api/servers', await with_(world, 'viewer'))).status).toBe(200)
})

// ------------------------------------------------------------------------------------------------------------------- docs

test('/docs is a page that loads nothing from elsewhere, and the document says who may ask and what they are told', async () => {
  await using world = await access({ docs: true, isQuiet: true })
  const { body } = await world.ask('GET', '/docs/json')
  expect(body).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'Pintail', version: '1.2.3' },
    components: { securitySchemes: { bearer: {}, key: {} } },
  })
  const { get, post } = body.paths['/api/migrations']
  for (const { security, responses } of [get, post]) {
    expect(security).toEqual([{ bearer: [] }, { key: [] }])
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(['401', '403', '429']))
  }
  expect(body.paths['/api/health'].get.security).toBeUndefined()
  const page = await world.ask('GET', '/docs/')
  const pageOnly = page.status === 302 ? await world.ask('GET', String(page.headers.location)) : page
  expect([pageOnly.status, pageOnly.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
  const csp = String(pageOnly.headers['content-security-policy'])
  expect(csp).toContain("default-src 'none'")
  expect(csp).not.toMatch(/unsafe|https?:/)
  const loaded = [...pageOnly.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = '']) => url)
  expect(loaded.length).toBeGreaterThan(2)
  for (const url of loaded) {
    expect(url).not.toMatch(/^(?:https?:)?\/\//)
    expect([url, (await world.ask('GET', new URL(url, 'http://x/docs/').pathname)).status]).toEqual([url, 200])
  }
  // What runs stands in files: the policy forbids it in the page.
  expect(pageOnly.text).not.toMatch(/<script(?![^>]*\bsrc=)[^>]*>\s*\S|<style|\son\w+="/)
})

// ------------------------------------------------------------------------------------------------------------ revocations

test('a revocation holds from the next request on; while the list cannot be read nobody is let in, and then they are again', async () => {
  const now = Date.now()
  await using world = await access({ isQuiet: true, now: () => now })
  const { credentials } = world
  const [token, key] = [await with_(world, 'viewer', { jti: 'seven' }), bearer(credentials.key('viewer'))]
  const both = async () => [told(await world.ask('GET', '/api/servers', token)), told(await world.ask('GET', '/api/servers', key))]
  const fine = [200, undefined]
  expect(await both()).toEqual([fine, fine])
  credentials.write('revoked.json', { tokens: ['seven'] })
  expect(await both()).toEqual([[401, 'credentials_revoked'], fine])
  credentials.write('revoked.json', { keys: ['viewer'] })
  expect(await both()).toEqual([fine, [401, 'credentials_revoked']])
  for (const wrong of [
    '{',
    '[]',
    { token: ['seven'] },
    { tokens: 'seven' },
    { subjects: { alice: 'yesterday' } },
    { tokens: [null] },
    { subjects: ['alice'] },
  ]) {
    credentials.write('revoked.json', wrong)
    expect([wrong, await both()]).toEqual([
      wrong,
      [
        [503, 'accounts_unavailable'],
        [503, 'accounts_unavailable'],
      ],
    ])
  }
  // One line a minute, however often somebody asks, with what to do.
  const outages = world.lines.filter(({ level }) => level === 'error')
  expect(outages).toHaveLength(1)
  expect(outages[0]?.remedy).toContain('PINTAIL_REVOCATIONS')
  expect((await world.ask('GET', '/health/live')).status).toBe(200)
  credentials.write('revoked.json', 'tokens: []\n')
  expect(await both()).toEqual([fine, fine])
})
