import { join } from 'node:path'
import { natsPermissions } from '@pintail/adapters/nats'
import { describe, expect, test } from 'vitest'
import { hasNats, needsNats } from '../../adapters/test/nats.ts'
import { hasPostgres, needsPostgres } from '../../adapters/test/postgres.ts'
import { RegionWorld } from '../test/region.ts'
import { eventually, type Service } from '../test/service.ts'
import { pintail } from '../test/terminal.ts'

// Real processes over a real broker and a real database. Waits are for what happens, and intervals are settings.

const config = join(import.meta.dirname, '..', 'test', 'regions.yaml')
const allUp = (service: Service, servers: number): Promise<void> =>
  eventually(async () => (await service.health()).body.servers.up === servers, 'all servers up', service)

async function post(service: Service, path: string, body: object): Promise<Response> {
  return fetch(`${await service.address()}/api${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

describe.skipIf(!hasNats || !hasPostgres)(`pintail serve over NATS ${needsNats} ${needsPostgres}`, () => {
  test('users of a dead server are moved by the worker of the region, each once, and one who chooses a region goes there', async () => {
    await using world = await RegionWorld.open({ de: 2, nl: 2 }, 20)
    await using service = world.serve(config)
    await service.says(/^NATS at \S+ is set up/)
    await using de = world.worker('de')
    await using nl = world.worker('nl')
    await using far = world.vantage('far')
    await allUp(service, 4)
    // A worker whose book is empty is told everything at once.
    await eventually(() => world.usersOn('de-1').length === 20 && world.usersOn('nl-1').length === 20, 'the first sync', de)
    await far.says(/^the vantage far probes/)
    await eventually(async () => (await far.health()).code === 200, 'the vantage is ready', far)

    await world.kill('de-1')
    await service.says(/^evacuation \S+ completed/)
    await eventually(() => world.usersOn('de-1').length === 0, 'nobody has access on the dead server', de)
    const away = ['de-2', 'nl-1', 'nl-2'].flatMap((id) => world.usersOn(id)).filter((user) => user.startsWith('de-'))
    expect(away.toSorted()).toEqual(Array.from({ length: 20 }, (_, index) => `de-user-${index + 1}`).toSorted())

    const answer = await post(service, '/connections/nl-user-7/move', { server_id: 'nl-1', to_region: 'de' })
    expect(answer.status).toBe(201)
    const { id } = (await answer.json()) as { id: string }
    await eventually(
      () => world.usersOn('de-2').includes('nl-user-7') && !world.usersOn('nl-1').includes('nl-user-7'),
      'moved by his own wish',
      service,
    )
    const status = async () =>
      ((await (await fetch(`${await service.address()}/api/migrations/${id}`)).json()) as { status: string }).status
    await eventually(async () => (await status()) === 'completed', 'the migration completed', service)

    const metrics = await (await fetch(`${await service.address()}/metrics`)).text()
    expect(metrics).toMatch(/^pintail_nats_results_total [1-9]/m)
    for (const one of [service, de, nl, far]) {
      one.kill('SIGTERM')
      expect(await one.exit()).toBe(0)
      expect(one.stderr).toBe('')
    }
  }, 240_000)

  test('with a user of its own and no more permissions than its role needs, each does its part', async () => {
    const roles = [
      { role: 'engine', name: 'engine' },
      { role: 'worker', region: 'de' },
      { role: 'vantage', name: 'far' },
    ] as const
    const users = roles.map((role) => {
      const { inboxPrefix: _, ...permissions } = natsPermissions(role)
      return { user: role.role, password: `secret-of-${role.role}`, permissions }
    })
    const as = (role: string) => ({ PINTAIL_NATS_USER: role, PINTAIL_NATS_PASSWORD: `secret-of-${role}` })
    await using world = await RegionWorld.open({ de: 3 }, 5, `authorization { users: ${JSON.stringify(users)} }`)
    await using service = world.serve(config, as('engine'))
    await service.says(/^NATS at \S+ is set up/)
    await using de = world.worker('de', as('worker'))
    await using far = world.vantage('far', as('vantage'))
    await eventually(() => world.usersOn('de-1').length === 5, 'the first sync', de)
    await eventually(async () => (await far.health()).code === 200, 'the vantage is ready', far)
    await allUp(service, 3)
    const heard = async () =>
      ((await (await fetch(`${await service.address()}/api/status`)).json()) as { observations: { taken: number } }).observations.taken
    await eventually(async () => (await heard()) > 0, 'samples of the vantage are taken', service)
    await world.kill('de-1')
    await service.says(/^evacuation \S+ completed/)
    await eventually(() => world.usersOn('de-1').length === 0, 'nobody has access on the dead server', de)
    // Somebody else's region: the broker does not let this user read it.
    await using nl = world.worker('nl', as('worker'))
    expect(await nl.exit()).toBe(1)
    expect(nl.output).toMatch(/it could not begin: .*permission/i)
    for (const one of [service, de, far]) {
      expect(one.said(/^NATS at \S+ refuses/)).toEqual([])
      one.kill('SIGTERM')
      expect(await one.exit()).toBe(0)
      expect(one.output + one.stderr).not.toContain('secret-of-')
    }
  }, 240_000)

  test('an unknown region is refused, and nobody is moved', async () => {
    await using world = await RegionWorld.open({ de: 3 }, 3)
    await using service = world.serve(config)
    await using de = world.worker('de')
    await eventually(() => world.usersOn('de-1').length === 3, 'the first sync', de)
    await allUp(service, 3)
    const answer = await post(service, '/connections/de-user-1/move', { server_id: 'de-1', to_region: 'atlantis' })
    expect(answer.status).toBe(409)
    expect(world.ledger().filter((line) => line.startsWith('revoke'))).toEqual([])
  }, 240_000)

  test('who was changed at the server itself is put right by the next sync, and the log says so', async () => {
    await using world = await RegionWorld.open({ de: 3 }, 5)
    await using service = world.serve(config)
    await using de = world.worker('de')
    await eventually(() => world.usersOn('de-1').length === 5, 'the first sync', de)
    world.take('de-1', 'de-user-3')
    world.give('de-2', 'de-user-3')
    await eventually(() => world.usersOn('de-1').includes('de-user-3') && world.usersOn('de-2').length === 0, 'put right', service)
    await service.says(/^server de-1 was not as the books say: 1 were missing/)
    await service.says(/^server de-2 was not as the books say: 0 were missing, 1 were there/)
  }, 240_000)

  test('a broker that is away makes it not ready; what could not be sent is sent when it is back', async () => {
    await using world = await RegionWorld.open({ de: 3 }, 5)
    await using service = world.serve(config)
    await using de = world.worker('de')
    await eventually(() => world.usersOn('de-1').length === 5, 'the first sync', de)
    await allUp(service, 3)
    await world.nats.down()
    await eventually(async () => (await service.health()).body.reasons.includes('broker_away'), 'not ready', service)
    await world.kill('de-1')
    await service.says(/incident/)
    expect(world.usersOn('de-1')).toHaveLength(5)
    await world.nats.start()
    await eventually(() => world.usersOn('de-1').length === 0, 'moved when the broker was back', service)
    await eventually(async () => (await service.health()).code === 200, 'ready again', service)
  }, 240_000)

  test('a broker that lets nobody in, and one that is not there, end the start with what to do and without the password', async () => {
    await using world = await RegionWorld.open({ de: 1 }, 0)
    for (const more of [{ PINTAIL_NATS_URL: 'nats://127.0.0.1:9' }]) {
      await using service = world.serve(config, { ...more, PINTAIL_NATS_USER: 'engine', PINTAIL_NATS_PASSWORD: 'hunter2' })
      expect(await service.exit()).toBe(1)
      expect(service.output).toMatch(/nobody could be moved: NATS at .*PINTAIL_NATS_URL/)
      expect(service.output + service.stderr).not.toContain('hunter2')
    }
  }, 240_000)

  test('import is refused as a whole where anything in the file is wrong, and leaves who is known where he is', async () => {
    await using world = await RegionWorld.open({ de: 2 }, 2)
    const fleet = (text: string): Promise<{ code: number; out: string; err: string }> => pintail(['import', world.file(text)], world.env())
    for (const wrong of [
      'servers: [{ id: x }]',
      'servers: [{ id: x, host: "-h" }]',
      'servers: [{ id: x, host: 127.0.0.1 }, { id: x, host: 127.0.0.2 }]',
      'connections: [{ id: a }]',
      'conections: []',
      '- 1',
    ])
      expect(await fleet(wrong), wrong).toMatchObject({ code: 1, out: '' })
    const known = await fleet('connections: [{ id: de-user-1, server: de-2 }, { id: new, server: de-2 }]')
    expect(known).toMatchObject({
      code: 0,
      out: expect.stringMatching(/1 new connection .*; 1 connection known already stay where they are/),
    })
    const { rows } = await world.postgres.pool({ max: 1 }).query('SELECT id, home FROM pintail.access_connections ORDER BY id')
    expect(rows).toEqual([
      { id: 'de-user-1', home: 'de-1' },
      { id: 'de-user-2', home: 'de-1' },
      { id: 'new', home: 'de-2' },
    ])
    expect(await fleet('connections: [{ id: b, server: nowhere }]')).toMatchObject({ code: 1 })
  }, 240_000)
})
