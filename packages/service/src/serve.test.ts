import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { DuckWorld, serverIds } from '../test/duck.ts'
import { eventually, Service } from '../test/service.ts'

// Real processes against the stand-in over HTTP. Waits are for what happens, and intervals are settings.

const fast = join(import.meta.dirname, '..', 'test', 'fast.yaml')
const serve = (world: DuckWorld, env: Record<string, string> = {}) => new Service(['serve', '--config', fast], world.env(env))
const allUp = async (service: Service): Promise<void> =>
  eventually(async () => (await service.health()).body.servers.up === serverIds.length, 'all servers up', service)
const sum = (moves: Map<number, number>): number => [...moves.values()].reduce((all, one) => all + one, 0)

describe.each(['v1', 'v2'] as const)('VPN Duck %s', (dialect) => {
  test('one server of six dies with 500 connections and comes back: each user is moved once and logged once, the status goes and returns', async () => {
    await using world = await DuckWorld.open({ dialect, users: 500, duplicates: 60, withoutConfiguration: 20 })
    world.database.operatorSets(5, 'inactive')
    await using service = serve(world)
    await allUp(service)
    await world.kill(2)
    await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', service)
    await eventually(() => world.status(2) === 'inactive', 'server 2 inactive', service)
    await eventually(() => world.database.tables.migrations.filter(({ success }) => success).length >= 480, 'all moves logged', service)

    const moves = world.moves()
    expect(moves.size).toBe(480)
    expect(sum(moves)).toBe(480)
    const logged = world.database.tables.migrations.filter(({ success }) => success)
    expect(new Set(logged.map(({ userId }) => userId)).size).toBe(480)
    expect(logged).toHaveLength(480)
    expect(logged.every(({ from, to, reason }) => from === 2 && to !== 2 && to !== 5 && reason === 'server_down')).toBe(true)

    await world.revive(2)
    await eventually(() => world.status(2) === 'active', 'server 2 active again', service)
    // The operator's own word stays, although server 5 answers.
    expect(world.status(5)).toBe('inactive')
    expect(sum(world.moves())).toBe(480)

    service.kill('SIGTERM')
    expect(await service.exit()).toBe(0)
    expect(service.said(/^migration \S+ completed/).every(({ level }) => level === 'info')).toBe(true)
    expect(service.said(/^connection moved/).every(({ level }) => level === 'debug')).toBe(true)
    expect(service.lines.map((line) => JSON.stringify(line)).join('')).not.toMatch(/private_?key"\s*:\s*"(?!\*)/i)
    expect(service.stderr).toBe('')
  }, 240_000)
})

/** Kills the service in the middle of the evacuation of 300 users, and starts another one. */
async function killedInTheMiddle(world: DuckWorld, meanwhile = (): void => {}): Promise<void> {
  await using first = serve(world, { PINTAIL_STORE: 'memory' })
  await allUp(first)
  world.atMove(40, () => first.kill('SIGKILL'))
  await world.kill(2)
  await eventually(() => sum(world.moves()) >= 40, 'some moves', first)
  expect(await first.exit()).toBe('SIGKILL')
  // What had reached the database service before is carried out.
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(sum(world.moves())).toBeLessThan(300)
  // The status was set first: without the memory of it the server looks like one that somebody has taken out of service.
  expect(world.status(2)).toBe('inactive')
  meanwhile()
  await using second = serve(world, { PINTAIL_STORE: 'memory' })
  await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', second)
  await second.says(/^evacuation \S+ completed/)
  expect((await second.says(/^server 2 was inactive at the start/)).level).toBe('warn')
}
const first = <T>(all: Iterable<T>): T => [...all][0] as T
const twice = (world: DuckWorld): number => [...world.moves().values()].filter((times) => times > 1).length

describe('killed in the middle of an evacuation, with its state in a file', () => {
  test('the evacuation itself goes on: the next run moves the rest when the lease of the first is over, and nobody twice', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 300 })
    await using first = serve(world)
    const { path } = await first.says(/^the state is in .*state-[0-9a-f]{12}\.db/)
    await allUp(first)
    world.atMove(40, () => first.kill('SIGKILL'))
    await world.kill(2)
    await eventually(() => sum(world.moves()) >= 40, 'some moves', first)
    expect(await first.exit()).toBe('SIGKILL')
    // What passes in between is the rest of the lease, half a minute and more: for the next run it has passed.
    const state = new DatabaseSync(String(path))
    expect(state.prepare('UPDATE lease SET ttl_ms = 0 WHERE holder IS NOT NULL').run().changes).toBe(1)
    state.close()
    await using second = serve(world)
    await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', second)
    await second.says(/^evacuation \S+ completed/)
    expect(second.said(/^server 2 was inactive at the start/)).toEqual([])
    expect(world.moves().size).toBe(300)
    expect(twice(world)).toBe(0)
    await world.revive(2)
    await eventually(() => world.status(2) === 'active', 'server 2 active again', second)
  }, 240_000)

  test('a second service over the same file stands by, and moves nobody', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 30 })
    await using one = serve(world)
    await allUp(one)
    await using other = serve(world)
    await eventually(async () => (await other.health()).body.state === 'standby', 'the other stands by', other)
    await world.kill(2)
    await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', one)
    expect(twice(world)).toBe(0)
    expect(other.said(/^evacuation/)).toEqual([])
  }, 240_000)

  test('a file that cannot be used ends it, with what to do', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1' })
    await using service = serve(world, { PINTAIL_STORE: 'sqlite', PINTAIL_STORE_PATH: fast })
    expect(await service.exit()).toBe(1)
    expect(service.output + service.stderr).toMatch(
      /the state cannot be kept: .*fast\.yaml: it is not a SQLite database; nothing was changed\. Name another file/,
    )
  }, 240_000)
})

describe('killed in the middle of an evacuation, with its state in memory', () => {
  test('the next run moves the rest, and nobody twice', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 300 })
    await killedInTheMiddle(world)
    expect(world.moves().size).toBe(300)
    expect(twice(world)).toBe(0)
  }, 240_000)

  test('so it does with v2, where the clients of those who were moved have connected since', async () => {
    await using world = await DuckWorld.open({ dialect: 'v2', users: 300, clients: 'follow' })
    await killedInTheMiddle(world)
    expect(world.moves().size).toBe(300)
    expect(twice(world)).toBe(0)
  }, 240_000)

  test('so it does with v2, which tells nobody where a user lives, where no client has connected since: it has kept whom it moved', async () => {
    await using world = await DuckWorld.open({ dialect: 'v2', users: 300, clients: 'stay' })
    // Another plan is due now: one of the servers that users were moved to is no target any more.
    await killedInTheMiddle(world, () => world.database.operatorSets(first(first(world.destinations().values())), 'inactive'))
    expect(world.destinations().size).toBe(300)
    // A call that had no answer is made once more, to the same server, which changes nothing.
    expect([...world.destinations().values()].filter((servers) => servers.size > 1)).toEqual([])
  }, 240_000)

  test('without a place to keep that it says so at the start, and goes on', async () => {
    await using world = await DuckWorld.open({ dialect: 'v2', users: 3 })
    await using service = serve(world, { STATE_DIRECTORY: fast })
    await allUp(service)
    const line = await service.says(/^whom it moves is kept in memory only/)
    expect(line).toMatchObject({ level: 'warn', remedy: expect.stringContaining('PINTAIL_LEDGER') })
    await world.kill(2)
    await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', service)
  }, 240_000)

  test('a ledger that was named and cannot be written ends it', async () => {
    await using world = await DuckWorld.open({ dialect: 'v2' })
    await using service = serve(world, { PINTAIL_LEDGER: join(fast, 'moves.jsonl') })
    expect(await service.exit()).toBe(1)
    expect(service.output + service.stderr).toMatch(/the ledger .*moves\.jsonl cannot be kept/)
  }, 240_000)

  test('with PINTAIL_RESUME=off they are left where they are', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 20 })
    world.database.operatorSets(2, 'inactive')
    await world.kill(2)
    await using service = serve(world, { PINTAIL_RESUME: 'off' })
    await service.says(/^2: suspect → down/)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(sum(world.moves())).toBe(0)
  }, 240_000)
})

describe('a prober that is the broken one', () => {
  test('when nothing answers any more nobody is moved and no status is set, and one guard says so loudly', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 50 })
    await using service = serve(world)
    await allUp(service)
    // At one moment for the service: one that is dead alone for a while would be evacuated.
    await service.during(async () => {
      for (const id of serverIds) await world.kill(id)
    })
    await service.says(/^guard /)
    // Far longer than a dead server would need.
    await new Promise((resolve) => setTimeout(resolve, 3000))
    expect(sum(world.moves())).toBe(0)
    expect(serverIds.map((id) => world.status(id))).toEqual(serverIds.map(() => 'active'))
    expect(service.said(/^guard /)).toHaveLength(1)
    expect(service.said(/^guard /)[0]?.level).toBe('warn')

    await service.during(async () => {
      for (const id of serverIds) await world.revive(id)
    })
    await allUp(service)
    expect(sum(world.moves())).toBe(0)
  }, 240_000)
})

describe('a database service that is away', () => {
  test('at the start: the service stays, is not ready, says so, and begins when it comes', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 20 })
    await world.database.close()
    await using service = serve(world)
    const line = await service.says(/^the database service at \S+ does not answer/)
    expect(line.level).toBe('warn')
    expect((await service.health()).code).toBe(503)
    expect((await service.health()).body.reasons).toContain('server_list_stale')
    expect((await fetch(`${await service.address()}/health/live`)).status).toBe(200)

    await world.databaseIsBack()
    await allUp(service)
    await eventually(async () => (await service.health()).code === 200, 'ready', service)
    await world.kill(2)
    await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', service)
  }, 240_000)

  test('in the middle: what waits is moved when it is back, once each', async () => {
    await using world = await DuckWorld.open({ dialect: 'v2', users: 100 })
    await using service = serve(world)
    await allUp(service)
    await world.kill(2)
    await eventually(() => sum(world.moves()) >= 10, 'some moves', service)
    await world.database.close()
    await service.says(/^the database service at \S+ does not answer/)
    await world.databaseIsBack()
    await service.says(/^the database service at \S+ answers again/)
    await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', service)
    expect([...world.moves()].filter(([, times]) => times > 1)).toEqual([])
  }, 240_000)
})

describe('starting and ending', () => {
  test('it says at the start what it will do, and how to make it only watch', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1' })
    await using service = serve(world)
    expect((await service.says(/^mode auto: /)).msg).toContain('PINTAIL_MODE=observe')
    const [first] = service.lines
    expect(first?.msg).toMatch(/^pintail \d+\.\d+\.\d+ starts$/)
    expect(first?.settings).toMatchObject({
      CHECK_INTERVAL: { value: 0.5, source: 'environment' },
      MIGRATION_THRESHOLD: { value: 3, source: 'default' },
    })
  }, 240_000)

  test('in observe nobody is moved and no status is set, and it says what it would have done', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 30 })
    await using service = serve(world, { PINTAIL_MODE: 'observe' })
    await allUp(service)
    await world.kill(2)
    await service.says(/^incident on 2/)
    const told = await service.says(/^30 of 30 users of server 2 would be moved \(mode observe: nobody is\): /)
    expect(told.level).toBe('info')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(service.said(/would be moved/)).toHaveLength(1)
    expect(sum(world.moves())).toBe(0)
    expect(world.status(2)).toBe('active')
    const writes = world.database.calls.filter(({ method }) => method !== 'GET')
    expect(writes).toEqual([])
  }, 240_000)

  test('a port in use is told with what to do, and nothing is started', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1' })
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    const { port } = taken.address() as { port: number }
    try {
      await using service = serve(world, { PINTAIL_PORT: String(port) })
      expect(await service.exit()).toBe(1)
      const [line] = service.said(/cannot be opened/)
      expect(line?.level).toBe('fatal')
      expect(line?.msg).toContain('PINTAIL_PORT')
      expect(world.database.calls).toEqual([])
    } finally {
      taken.close()
    }
  }, 240_000)

  test('without HTTP it runs as well', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 5 })
    await using service = serve(world, { PINTAIL_HTTP: 'off' })
    await service.says(/lists 6 servers/)
    await eventually(() => service.said(/^\d: unknown → up/).length === 6, 'all servers up', service)
    await world.kill(2)
    await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', service)
    service.kill('SIGINT')
    expect(await service.exit()).toBe(0)
    expect(service.said(/^health is at/)).toEqual([])
  }, 240_000)

  test('SIGTERM lets the moves under way finish and starts no others', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 300 })
    await using service = serve(world, { PINTAIL_STOP_TIMEOUT: '200' })
    await allUp(service)
    world.atMove(20, () => service.kill('SIGTERM'))
    await world.kill(2)
    await eventually(() => sum(world.moves()) >= 20, 'some moves', service)
    expect(await service.exit()).toBe(0)
    const done = sum(world.moves())
    expect(done).toBeLessThan(300)
    expect(service.said(/^connection moved/)).toHaveLength(done)
    await service.says(/^SIGTERM: stopping; moves under way get 200 s to finish/)
  }, 240_000)

  test('a second signal ends it at once', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1', users: 50 })
    await using service = serve(world, { PINTAIL_STOP_TIMEOUT: '200' })
    await allUp(service)
    // Moves that never answer keep the first signal waiting.
    world.database.faults.set({ kind: 'silent', path: 'change_geolocation' })
    await world.kill(2)
    await eventually(() => world.database.calls.some(({ path }) => path.endsWith('change_geolocation')), 'a move', service)
    service.kill('SIGTERM')
    await service.says(/^SIGTERM: stopping/)
    service.kill('SIGTERM')
    expect(await service.exit()).toBe(143)
    await service.says(/^SIGTERM again/)
  }, 240_000)

  test('a fault that nobody caught is logged as fatal and ends it with 1', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1' })
    // A file of the host that fails later: the only way in from outside. Its time has come when there is another file.
    const fuse = join(world.folder, 'fuse')
    const bomb = `import { existsSync } from 'node:fs'
      const timer = setInterval(() => {
        if (!existsSync('${fuse}')) return
        clearInterval(timer)
        Promise.reject(new Error('out of nowhere'))
      }, 20)`
    await using service = serve(world, { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(bomb)}` })
    await allUp(service)
    writeFileSync(fuse, '')
    expect(await service.exit()).toBe(1)
    const [line] = service.said(/^a fault that nobody caught/)
    expect(line).toMatchObject({ level: 'fatal', origin: 'unhandledRejection' })
  }, 240_000)
})

describe('plan', () => {
  test('who would go where and why, without one writing call', async () => {
    await using world = await DuckWorld.open({ dialect: 'v2', users: 40 })
    world.database.operatorSets(5, 'inactive')
    await world.kill(4)
    await using text = new Service(['plan', '--drain', '2', '--look', '60', '--config', fast], world.env())
    expect(await text.exit(), text.stderr).toBe(0)
    const shown = text.output
    expect(shown).toMatch(/^Drain of 2.*: 40 users there; 40 would be moved\./)
    expect(shown).toMatch(/No target/)
    expect(shown).toMatch(/^ {2}4\b.* {2}its verdict is (down|suspect)$/m)
    expect(shown).toMatch(/^ {2}5\b.* {2}its status is offline$/m)
    expect(shown).toMatch(/^→ /m)
    expect(shown).toMatch(/^How full +users +now +then +load$/m)
    expect(shown).toContain('Nothing was changed')

    await using json = new Service(['plan', '--drain', '2', '--json', '--config', fast], world.env())
    expect(await json.exit(), json.stderr).toBe(0)
    const made = JSON.parse(json.output)
    expect(made).toMatchObject({ from_server_ids: ['2'], unplaced: [], shortfalls: [], changed: false })
    expect(made.schedule).toMatchObject({ expected_ms: null, call_ms: null, waves: [{ starts_after_ms: 0, connections: 40 }] })
    expect(made.utilisation.find(({ server_id }: { server_id: string }) => server_id === '2')).toMatchObject({
      load_before: 40,
      load_after: 0,
    })
    expect(made.placements.flatMap(({ connections }: { connections: string[] }) => connections)).toHaveLength(40)
    expect(world.database.calls.filter(({ method }) => method !== 'GET')).toEqual([])
  }, 240_000)

  test('a server that is not there, and a database service that does not answer, end with 1 and say what to do', async () => {
    await using world = await DuckWorld.open({ dialect: 'v1' })
    await using missing = new Service(['plan', '--drain', '77', '--config', fast], world.env())
    expect(await missing.exit()).toBe(1)
    expect(missing.stderr).toContain('there is no server "77"')
    expect(missing.stderr).toContain('Servers: 1')
    await world.database.close()
    await using away = new Service(['plan', '--drain', '2', '--config', fast], world.env())
    expect(await away.exit()).toBe(1)
    expect(away.stderr).toContain('did not list its servers')
    expect(away.stderr.split('\n').length).toBeLessThan(5)
  }, 240_000)
})
