import type { Pintail } from '@pintail/core'
import Fastify from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { type Api, api } from '../../test/api.ts'
import pintail from '../index.ts'

const worlds: Api[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

/** One evacuation that is over, and one by hand that waits for its approval. */
async function world(): Promise<Api> {
  const made = await api({ servers: 5, connections: 3, policy: { mode: 'auto' } })
  worlds.push(made)
  made.fleet.kill('s1')
  await made.fleet.advance(120_000)
  await made.ask('POST', '/migrations', { server_id: 's2', to_node_id: 's3' })
  return made
}
const idsIn = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id)

test('migrations are listed by state, openness, server, reason, evacuation and id, with a total of what matches', async () => {
  const { ask } = await world()
  const list = async (query: string) => (await ask('GET', `/migrations?${query}`)).body
  const all = await list('')
  const [open, ...over] = all.migrations
  expect(open).toMatchObject({ status: 'suggested', reason: 'manual', from_server_id: 's2', to_server_id: 's3' })
  expect(over.length).toBeGreaterThan(0)
  expect(idsIn((await list('open=true')).migrations)).toEqual([open.id])
  expect(idsIn((await list('open=false')).migrations)).toEqual(idsIn(over))
  expect(idsIn((await list('reason=manual')).migrations)).toEqual([open.id])
  expect(idsIn((await list(`evacuation_id=${over[0].evacuation_id}`)).migrations)).toEqual(idsIn(over))
  expect(idsIn((await list(`ids=${open.id},${over[0].id},nobody`)).migrations)).toEqual([open.id, over[0].id])
  expect(await list('limit=1&offset=1')).toMatchObject({ migrations: [{ id: over[0].id }], total: all.total, limit: 1, offset: 1 })
  expect(await list('open=true&status=completed')).toMatchObject({ migrations: [], total: 0 })
  expect(idsIn((await ask('GET', '/servers/s3/migrations?open=true')).body.migrations)).toEqual([open.id])
})

test('evacuations and incidents are listed by the same filters', async () => {
  const { ask } = await world()
  const list = async (path: string) => (await ask('GET', path)).body
  const [open, over] = (await list('/evacuations')).evacuations
  expect(idsIn((await list('/evacuations?open=true')).evacuations)).toEqual([open.id])
  expect(idsIn((await list('/evacuations?server_id=s1')).evacuations)).toEqual([over.id])
  expect(idsIn((await list('/evacuations?server_id=s3')).evacuations)).toEqual([open.id])
  expect(idsIn((await list('/evacuations?reason=server-down&status=completed')).evacuations)).toEqual([over.id])
  expect(idsIn((await list(`/evacuations?incident_id=${over.incident_id}`)).evacuations)).toEqual([over.id])
  expect(idsIn((await list(`/evacuations?ids=${open.id}`)).evacuations)).toEqual([open.id])
  expect(idsIn((await list('/incidents?open=true&server_id=s1')).incidents)).toEqual([over.incident_id])
  expect(await list(`/incidents?open=false&ids=${over.incident_id}`)).toMatchObject({ incidents: [], total: 0 })
})

test.for(['open=maybe', 'open=', 'ids=', 'ids=a,,b', `ids=${Array.from({ length: 201 }, () => 'a').join(',')}`, 'evacuation_id='])(
  'a filter that is not understood is refused: %s',
  async (query) => {
    const { ask } = await world()
    expect(await ask('GET', `/migrations?${query}`)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  },
)

test('the health of the engine and of its parts is told without the whole picture', async () => {
  const { fleet } = await world()
  const app = Fastify()
  const engine = new Proxy(fleet.pintail, {
    get: (real, name) => {
      if (name === 'status') return () => expect.fail('the whole picture was built')
      const value = Reflect.get(real, name, real)
      return typeof value === 'function' ? value.bind(real) : value
    },
  }) as Pintail
  await app.register(pintail, { pintail: engine, authorize: 'host' })
  expect((await app.inject('/pintail/health')).json()).toMatchObject({ status: 'ok', state: 'leading' })
  expect((await app.inject('/pintail/health/services')).json()).toMatchObject({ status: 'ok', services: { registry: { status: 'ok' } } })
  await app.close()
})
