import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hasPostgres, needsPostgres, type PostgresServer, startPostgres } from '../../adapters/test/postgres.ts'
import { DuckWorld, serverIds } from '../test/duck.ts'
import { eventually, Service } from '../test/service.ts'
import { pintail } from '../test/terminal.ts'
import { endsWithContainer } from './store.ts'

const fast = join(import.meta.dirname, '..', 'test', 'fast.yaml')
const serve = (world: DuckWorld, env: Record<string, string> = {}) => new Service(['serve', '--config', fast], world.env(env))
const allUp = async (service: Service): Promise<void> =>
  eventually(async () => (await service.health()).body.servers.up === serverIds.length, 'all servers up', service)

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-store-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('without a setting the state is in a file of its own in the state folder; it says where', async () => {
  await using world = await DuckWorld.open({ dialect: 'v1' })
  await using service = serve(world)
  const { path } = await service.says(/^the state is in .*: what is under way goes on after a restart/)
  expect(String(path)).toMatch(new RegExp(`^${world.folder}/state-[0-9a-f]{12}\\.db$`))
  expect((await pintail(['check', '--store'], world.env())).out).toMatch(/^store sqlite \S+ up: \d+ entries so far/)
}, 240_000)

test('where nothing can be written it warns with what to do, and goes on in memory; a file that was asked for ends it instead', async () => {
  await using world = await DuckWorld.open({ dialect: 'v1', users: 3 })
  const away = { STATE_DIRECTORY: join(fast, 'no-folder') }
  await using service = serve(world, away)
  expect(await service.says(/^there is no place for .*PINTAIL_STORE_PATH/)).toMatchObject({
    level: 'warn',
    remedy: expect.stringContaining('volume'),
  })
  await service.says(/^the state is in memory and ends with the process/)
  await allUp(service)
  await world.kill(2)
  await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', service)
  await using asked = serve(world, { ...away, PINTAIL_STORE: 'sqlite' })
  expect(await asked.exit()).toBe(1)
  expect(asked.output).toMatch(/the state cannot be kept: there is no place for/)
  const looked = await pintail(['check', '--store', '--json'], world.env({ ...away, PINTAIL_STORE_PATH: join(fast, 'x', 'state.db') }))
  expect({ code: looked.code, ...JSON.parse(looked.out) }).toMatchObject({ code: 0, store: 'sqlite' })
}, 240_000)

test("a folder in a container's own layer is told from a volume", () => {
  const mark = join(folder, '.dockerenv')
  expect(endsWithContainer(folder, folder, [mark])).toBe(false)
  writeFileSync(mark, '')
  expect(endsWithContainer(folder, folder, [mark])).toBe(true)
  // /proc is a file system of its own, as a volume is.
  expect(endsWithContainer('/proc', folder, [mark])).toBe(false)
})

test('another environment is refused, by the service and by check', async () => {
  const env = { PINTAIL_STORE_PATH: join(folder, 'state.db') }
  expect(await pintail(['migrate'], env)).toMatchObject({ code: 0, out: expect.stringMatching(/up to date/) })
  expect(await pintail(['check', '--store'], env)).toMatchObject({ code: 0 })
  const other = await pintail(['check', '--store'], { ...env, PINTAIL_ENVIRONMENT: 'staging' })
  expect(other).toMatchObject({ code: 1, out: expect.stringMatching(/down .*belongs to the environment "default", not "staging"/) })
})

test('check --store makes nothing where nothing is', async () => {
  mkdirSync(join(folder, 'there'))
  const { code, out } = await pintail(['check', '--store'], { PINTAIL_STORE_PATH: join(folder, 'there', 'state.db') })
  expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/not there yet/) })
  expect(readdirSync(join(folder, 'there'))).toEqual([])
})

describe('the settings of PostgreSQL', () => {
  test('it needs an address, and a wrong one is never shown', async () => {
    const without = await pintail(['config'], { PINTAIL_STORE: 'postgres' })
    expect(without).toMatchObject({ code: 1, err: expect.stringMatching(/PINTAIL_STORE +needs a database/) })
    for (const url of ['mysql://me:hunter2@db/x', 'hunter2', 'http://x/?password=hunter2']) {
      const { code, out, err } = await pintail(['config'], { PINTAIL_STORE: 'postgres', PINTAIL_POSTGRES_URL: url })
      expect(code).toBe(1)
      expect(out + err).toMatch(/PINTAIL_POSTGRES_URL/)
      expect(out + err).not.toMatch(/hunter2/)
    }
  })

  test.each([
    'postgres://me:hunter2@db.example:5432/x',
    'postgresql://db.example/x?user=me&password=hunter2',
    'postgres://me:hun@ter2@db/x',
  ])('its password is in no table and no data: %#', async (url) => {
    const env = { PINTAIL_STORE: 'postgres', PINTAIL_POSTGRES_URL: url }
    for (const argv of [['config'], ['config', '--json']]) {
      const { code, out, err } = await pintail(argv, env)
      expect(code).toBe(0)
      expect(out + err).toMatch(/postgres/)
      expect(out + err).not.toMatch(/hunter2|ter2/)
    }
  })
})

describe.skipIf(!hasPostgres)(`over PostgreSQL ${needsPostgres}`, () => {
  const run = async (use: (server: PostgresServer, env: Record<string, string>) => Promise<void>): Promise<void> => {
    await using server = await startPostgres()
    const pool = server.pool({ max: 1 })
    await pool.query("CREATE ROLE pintail LOGIN PASSWORD 'hunter2'")
    await pool.query('CREATE DATABASE pintail OWNER pintail')
    await use(server, {
      PINTAIL_STORE: 'postgres',
      PINTAIL_POSTGRES_URL: `postgres://pintail:hunter2@127.0.0.1:${server.port}/pintail`,
    })
  }

  test('it makes its tables, evacuates, and another service over the same database stands by', async () => {
    await run(async (_, env) => {
      await using world = await DuckWorld.open({ dialect: 'v1', users: 60 })
      await using one = serve(world, env)
      await one.says(/^the state is in postgres:\/\/\*\*\*@127/)
      await allUp(one)
      await using other = serve(world, env)
      await eventually(async () => (await other.health()).body.state === 'standby', 'the other stands by', other)
      await world.kill(2)
      await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', one)
      await one.says(/^evacuation \S+ completed/)
      expect([...world.moves().values()].every((times) => times === 1)).toBe(true)
      for (const service of [one, other]) {
        service.kill('SIGTERM')
        expect(await service.exit()).toBe(0)
        expect(service.output + service.stderr).not.toContain('hunter2')
      }
    })
  }, 240_000)

  test('with PINTAIL_MIGRATE=off it only looks, and pintail migrate makes the tables', async () => {
    await run(async (_, env) => {
      await using world = await DuckWorld.open({ dialect: 'v1' })
      await using service = serve(world, { ...env, PINTAIL_MIGRATE: 'off' })
      expect(await service.exit()).toBe(1)
      expect(service.output).toMatch(/the state cannot be kept: .*42P01.*(migrate)/)
      expect((await pintail(['check', '--store'], env)).code).toBe(1)
      for (let times = 0; times < 2; times++) expect((await pintail(['migrate'], env)).code).toBe(0)
      expect(await pintail(['check', '--store'], env)).toMatchObject({ code: 0, out: expect.stringMatching(/up: 0 entries/) })
      await using next = serve(world, { ...env, PINTAIL_MIGRATE: 'off' })
      await allUp(next)
    })
  }, 240_000)

  test('a database that is not there ends the start with what to do, and without its password', async () => {
    await run(async (server, env) => {
      await server.stop()
      const { code, out } = await pintail(['check', '--store'], env)
      expect({ code, out }).toMatchObject({ code: 1, out: expect.stringMatching(/down .*ECONNREFUSED/) })
      await using world = await DuckWorld.open({ dialect: 'v1' })
      await using service = serve(world, env)
      expect(await service.exit()).toBe(1)
      expect(service.output + service.stderr + out).not.toContain('hunter2')
    })
  }, 240_000)
})
