import { expect, test } from 'vitest'
import { endpoints } from '../../../fastify-plugin/test/document.ts'
import { type Access, access } from '../../test/access.ts'
import { leastRoles, roles } from './roles.ts'

// Action × role × token over every route that the plugin has: who may not changes nothing, and who may is let in.

interface Sample {
  readonly id?: keyof Access['ids'] | { readonly is: string }
  readonly query?: string
  readonly body?: unknown
}

/** Requests that do something when they are let in. What is not here is asked with the id of s1 and without a body. */
const samples: Readonly<Record<string, Sample>> = {
  'POST /connections/:id/move': { id: { is: 's5-c1' }, body: { server_id: 's5' } },
  'POST /servers/:id/drain': { id: { is: 's5' } },
  'POST /migrations': { body: { server_id: 's2', to_node_id: 's1', auto_approve: true } },
  'GET /migrations/:id': { id: 'suggested' },
  'DELETE /migrations/:id': { id: 'failed' },
  'POST /migrations/:id/approve': { id: 'suggested' },
  'POST /migrations/:id/schedule': { id: 'suggested' },
  'POST /migrations/:id/cancel': { id: 'suggested' },
  'POST /migrations/:id/retry': { id: 'failed' },
  'GET /evacuations/:id': { id: 'evacuation' },
  'POST /evacuations/:id/approve': { id: 'evacuation' },
  'POST /evacuations/:id/cancel': { id: 'evacuation' },
  'POST /incidents/:id/acknowledge': { id: 'incident' },
  'POST /incidents/:id/override-guard': { id: 'incident' },
  'GET /decisions/:id': { id: 'decision' },
  'GET /plan': { query: 'drain=s1' },
  'PATCH /policy': { body: { placement: { max_arrivals: 7 } } },
}

function requestOf({ method, url }: (typeof endpoints)[number], ids: Access['ids']) {
  const { id = { is: 's1' }, query, body }: Sample = samples[`${method} ${url}`] ?? {}
  const path = url.replace(':id', typeof id === 'string' ? ids[id] : id.is)
  return { method, url: `/api${path}${query === undefined ? '' : `?${query}`}`, body, headers: { 'if-match': '*' } }
}
const withQuery = (url: string, query: string | undefined): string =>
  query === undefined ? url : `${url}${url.includes('?') ? '&' : '?'}${query}`

test('the matrix has every route that the service has', async () => {
  await using world = await access({ docs: true, isQuiet: true })
  const { paths } = (await world.ask('GET', '/docs/json')).body as { paths: Record<string, Record<string, unknown>> }
  const mounted = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const tested = endpoints.map(({ method, url }) => `${method} /api${url.replace(':id', '{id}')}`)
  expect(mounted.sort()).toEqual([...tested, 'GET /api/health', 'GET /api/account'].sort())
  expect(new Set(endpoints.map(({ action }) => action))).toEqual(
    new Set(Object.keys(leastRoles).filter((action) => action !== 'users:reveal')),
  )
  expect(Object.keys(samples).filter((name) => !endpoints.some(({ method, url }) => `${method} ${url}` === name))).toEqual([])
})

test.each(endpoints.map((endpoint) => [`${endpoint.method} ${endpoint.url}`, endpoint] as const))(
  '%s: nobody gets through who may not, and nothing changes by them',
  async (_, endpoint) => {
    await using world = await access()
    const { credentials, ids } = world
    const request = requestOf(endpoint, ids)
    const least = roles.indexOf(leastRoles[endpoint.action])
    const before = await world.book()
    const bad = await credentials.bad()
    const seen: unknown[] = []
    const expected: unknown[] = []
    for (const { name, code, headers, query } of bad) {
      const {
        status,
        body,
        headers: answered,
      } = await world.knock(request.method, withQuery(request.url, query), { ...request.headers, ...headers }, request.body)
      seen.push([name, status, body.type, 'www-authenticate' in answered])
      expected.push([name, 401, `urn:pintail:problem:${code}`, true])
    }
    const good = await credentials.good()
    for (const { name, headers } of good.filter((one) => roles.indexOf(one.role) < least)) {
      const { status, body } = await world.knock(request.method, request.url, { ...request.headers, ...headers }, request.body)
      seen.push([name, status, body.type])
      expected.push([name, 403, 'urn:pintail:problem:forbidden'])
    }
    expect(seen).toEqual(expected)
    expect(await world.book()).toBe(before)

    // And the same request of those who may is let in. The first of them does it; what it then is for the others is theirs to see.
    const allowed = good.filter((one) => roles.indexOf(one.role) >= least)
    expect(allowed.length).toBeGreaterThanOrEqual(5)
    for (const [index, { name, headers }] of allowed.entries()) {
      const { status, text } = await world.ask(request.method, request.url, { ...request.headers, ...headers }, request.body)
      if (index === 0 && endpoint.url !== '/ws')
        expect([name, status, status < 300 ? '' : text]).toEqual([name, endpoint.success.status, ''])
      expect([name, [401, 403, 429].includes(status)]).toEqual([name, false])
    }
    if (!endpoint.action.endsWith(':read') && endpoint.url !== '/resume' && endpoint.url !== '/servers/:id/uncordon')
      expect(await world.book()).not.toBe(before)

    // No credential is in the log, whoever sent it.
    for (const { headers } of [...bad, ...good])
      for (const secret of Object.values(headers)) expect(world.log()).not.toContain(secret.replace(/^Bearer /, '').slice(-40) || 'nothing')
  },
)
