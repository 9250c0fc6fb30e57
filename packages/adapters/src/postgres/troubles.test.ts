import type { JournalDraft, StoreWrite, Token } from '@pintail/core'
import { fakeClock } from '@pintail/core/testing'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { evacuateOver } from '../../test/evacuation.ts'
import { hasPostgres, needsPostgres, type PostgresServer, startPostgres } from '../../test/postgres.ts'
import { migrationOf } from '../../test/records.ts'
import { type Relay, relayTo } from '../../test/relay.ts'
import { until } from '../../test/until.ts'
import { type PgPool, type PostgresStoresOptions, postgresMigrations, postgresStores, schemaSql } from './index.ts'

const ctx = { signal: new AbortController().signal }
const draft = (type: string): JournalDraft => ({ at: 0, type, data: {} })
const batch = (number: number, ...journal: JournalDraft[]) => ({ token: 1 as Token, batch: number, writes: [] as StoreWrite[], journal })

describe.skipIf(!hasPostgres)(`postgres ${needsPostgres}`, () => {
  let server: PostgresServer
  let relay: Relay
  let pool: pg.Pool
  beforeAll(async () => {
    server = await startPostgres()
    relay = await relayTo(server.port)
    pool = server.pool()
  }, 60_000)
  afterAll(async () => {
    await server?.stop()
    await relay?.close()
  })
  beforeEach(async () => {
    await postgresStores({ pool }).migrate()
  })
  afterEach(async () => {
    relay.turn('up')
    await pool.query('DROP SCHEMA IF EXISTS pintail CASCADE')
  })

  // Longer than any machine stands still.
  const open = (options: Partial<PostgresStoresOptions> = {}) => postgresStores({ pool, timeoutMs: 60_000, ...options })
  const told = async () => (await open().store.readJournal({ after: 0, limit: 100 }, ctx)).entries.map(({ type }) => type)

  // ----------------------------------------------------------------------------------------------------------- the schema

  test('migrate() may run twice, and many times at once', async () => {
    await pool.query('DROP SCHEMA pintail CASCADE')
    await Promise.all(Array.from({ length: 5 }, () => open().migrate()))
    await open().store.commit(batch(1, draft('one')), ctx)
    await open().migrate()
    expect(await told()).toEqual(['one'])
  })

  test('schemaSql() makes the same tables with a tool of the host', async () => {
    const options = { schema: 'by_hand', tablePrefix: 'x_', environment: "o'brien's" }
    await pool.query(schemaSql(options))
    const { store } = open(options)
    expect(await store.commit(batch(1, draft('one')), ctx)).toEqual({ lastSeq: 1 })
    await pool.query('DROP SCHEMA by_hand CASCADE')
  })

  test('the tables may be in a schema that others use and that the role may not make', async () => {
    await pool.query('CREATE ROLE plain LOGIN; CREATE SCHEMA shared; GRANT ALL ON SCHEMA shared TO plain')
    const stores = postgresStores({ pool: server.pool({ user: 'plain' }), schema: 'shared', tablePrefix: 'pintail_' })
    await stores.migrate()
    await stores.store.commit(batch(1, draft('one')), ctx)
    await pool.query('DROP SCHEMA shared CASCADE; DROP ROLE plain')
  })

  test.each(['', 'Pintail', 'a-b', '1a', 'x"; DROP TABLE y; --', 'a'.repeat(41), 'ü'])(
    'the name %j is refused for a schema and for a prefix',
    (name) => {
      expect(() => open({ schema: name })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
      if (name !== '') expect(() => schemaSql({ tablePrefix: name })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
    },
  )

  test('missing tables are unavailable, with what to do; once they are there it goes on', async () => {
    const { store, leases, migrate } = open({ schema: 'later' })
    const refusal = { code: 'unavailable', remedy: expect.stringMatching(/migrate\(\)/) }
    await expect(store.commit(batch(1), ctx)).rejects.toMatchObject(refusal)
    await expect(leases.acquire('a', 1000, ctx)).rejects.toMatchObject(refusal)
    await migrate()
    expect(await leases.acquire('a', 1000, ctx)).toMatchObject({ token: 1 })
    await pool.query('DROP SCHEMA later CASCADE')
  })

  test('a newer schema is refused, by migrate() too, and nothing is touched', async () => {
    await pool.query('INSERT INTO pintail.schema_versions (version) VALUES (99)')
    const { store, migrate } = open()
    const refusal = { code: 'unsupported', message: expect.stringMatching(/schema 99/) }
    await expect(store.commit(batch(1, draft('x')), ctx)).rejects.toMatchObject(refusal)
    await expect(migrate()).rejects.toMatchObject(refusal)
    expect((await pool.query('SELECT count(*)::int AS count FROM pintail.journal')).rows).toEqual([{ count: 0 }])
  })

  test('the tables of another environment are refused', async () => {
    const { store, leases } = open({ environment: 'staging' })
    const refusal = { code: 'invalid_options', message: expect.stringMatching(/"default", not "staging"/) }
    await expect(store.commit(batch(1, draft('x')), ctx)).rejects.toMatchObject(refusal)
    await expect(leases.acquire('a', 1000, ctx)).rejects.toMatchObject(refusal)
    expect(await told()).toEqual([])
  })

  test('a failed step of migrate() leaves nothing behind', async () => {
    await pool.query('DROP SCHEMA pintail CASCADE; CREATE SCHEMA pintail; CREATE TABLE pintail.journal (mine int)')
    await expect(open().migrate()).rejects.toMatchObject({ code: 'unavailable' })
    const { rows } = await pool.query("SELECT tablename FROM pg_tables WHERE schemaname = 'pintail'")
    expect(rows).toEqual([{ tablename: 'journal' }])
  })

  test('a row that somebody has changed is refused by name', async () => {
    const cursor = { name: 'log', seq: 1, version: 1 }
    await open().store.commit({ ...batch(1), writes: [{ kind: 'cursor', id: 'log', expected: 0, value: cursor }] }, ctx)
    await pool.query('UPDATE pintail.records SET version = 7')
    await expect(open().store.get('cursor', 'log', ctx)).rejects.toMatchObject({
      code: 'invalid_row',
      message: expect.stringMatching(/cursor log/),
    })
  })

  test('migrations can be asked for with SQL, by the columns of seed 004', async () => {
    await open().store.commit({ ...batch(1), writes: [{ kind: 'migration', id: 'm1', expected: 0, value: migrationOf() }] }, ctx)
    const { rows } = await pool.query(
      "SELECT * FROM pintail.migrations WHERE status = 'completed' AND server_id = 's1' AND created_at > '2026-01-01'",
    )
    expect(rows[0]).toMatchObject({
      id: 'm1',
      version: '1',
      server_name: 'ams-1',
      from_node_id: 's1',
      to_node_name: 'ams-2',
      reason: 'server-down',
      savings_eur_hour: null,
      savings_eur_month: '12.5',
      created_at: new Date('2026-01-02T03:04:05.678Z'),
      approved_at: null,
      completed_at: new Date('2026-01-02T03:05:05.000Z'),
      player_count_at_start: 3,
      data_sync_progress: 100,
      retry_count: 0,
      max_retries: 3,
      triggered_by: 'system',
      notes: "o'brien",
    })
    const indexes = await pool.query("SELECT indexname FROM pg_indexes WHERE tablename = 'migrations'")
    const names = indexes.rows.map(({ indexname }) => indexname)
    expect(names).toEqual(expect.arrayContaining(['idx_migrations_server_id', 'idx_migrations_status', 'idx_migrations_created_at']))
  })

  // ------------------------------------------------------------------------------------------------------------- troubles

  test('a pool that is exhausted is unavailable within the time, and whoever comes late gives his connection back', async () => {
    const small = server.pool({ max: 1 })
    const clock = fakeClock()
    const { store, leases } = open({ pool: small, clock })
    const ends = async (call: PromiseLike<unknown>, failure: object): Promise<void> => {
      const failed = expect(call).rejects.toMatchObject(failure)
      await until('it waits for a connection', () => small.waitingCount > 0 && clock.pending > 0)
      await clock.advance(60_000)
      await failed
    }
    await store.commit(batch(1, draft('one')), ctx)
    const held = await small.connect()
    await ends(store.commit(batch(2, draft('two')), ctx), { code: 'unavailable', message: expect.stringMatching(/exhausted/) })
    await ends(leases.acquire('a', 1000, ctx), { code: 'unavailable' })
    held.release()
    expect(await store.commit(batch(2, draft('two')), ctx)).toEqual({ lastSeq: 2 })
    expect({ idle: small.idleCount, waiting: small.waitingCount }).toEqual({ idle: 1, waiting: 0 })
  })

  test('a lock that somebody holds is waited for by the server for its time, and then nothing was written', async () => {
    // The time of this process stands: only the server's own passes.
    const { store } = open({ timeoutMs: 100, clock: fakeClock() })
    const other = await pool.connect()
    await other.query('BEGIN; SELECT * FROM pintail.state FOR UPDATE')
    await expect(store.commit(batch(1, draft('one')), ctx)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/55P03/),
    })
    await other.query('ROLLBACK')
    other.release()
    expect(await store.commit(batch(1, draft('one')), ctx)).toEqual({ lastSeq: 1 })
  })

  test('a commit leaves no setting behind on its connection', async () => {
    const one = server.pool({ max: 1 })
    const { store, leases } = open({ pool: one })
    await store.commit(batch(1, draft('one')), ctx)
    await leases.acquire('a', 1000, ctx)
    expect((await one.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '0' }])
    const prepared = await one.query('SELECT count(*)::int AS count FROM pg_prepared_statements')
    expect(prepared.rows).toEqual([{ count: 0 }])
  })

  test("the host's own statement_timeout is unavailable, with nothing written", async () => {
    const one = server.pool({ max: 1 })
    const { store } = open({ pool: one })
    await store.get('word', 'x', ctx)
    // From now on, so that nothing but the lock can take that long.
    await one.query('SET statement_timeout = 100')
    const other = await pool.connect()
    await other.query('BEGIN; SELECT * FROM pintail.state FOR UPDATE')
    await expect(store.commit(batch(1, draft('one')), ctx)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/57014/),
    })
    await other.query('ROLLBACK')
    other.release()
    expect(await told()).toEqual([])
  })

  test('a server that has become read-only is unavailable, and the next call takes another connection', async () => {
    const one = server.pool({ max: 1 })
    const { store } = open({ pool: one })
    await store.commit(batch(1, draft('one')), ctx)
    const before = (await one.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
    await pool.query('ALTER SYSTEM SET default_transaction_read_only = on')
    await pool.query('SELECT pg_reload_conf()')
    // What new connections are told, each that is open is told before its next statement.
    const isReadOnly = async () => (await server.anew('SHOW default_transaction_read_only'))?.default_transaction_read_only === 'on'
    await until('the server is read-only', isReadOnly)
    await expect(store.commit(batch(2, draft('two')), ctx)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/25006/),
    })
    const writer = await pool.connect()
    await writer.query('SET default_transaction_read_only = off')
    await writer.query('ALTER SYSTEM RESET default_transaction_read_only')
    await writer.query('SELECT pg_reload_conf()')
    writer.release(true)
    await until('the server can be written', async () => !(await isReadOnly()))
    expect(await store.commit(batch(2, draft('two')), ctx)).toEqual({ lastSeq: 2 })
    expect((await one.query('SELECT pg_backend_pid() AS pid')).rows[0].pid).not.toBe(before)
  })

  test.each(['repeatable read', 'serializable'])(
    'where the host has made %s the rule, what the server undoes is repeated',
    async (level) => {
      const strict = server.pool({ options: `-c default_transaction_isolation=${level.replaceAll(' ', '\\ ')}` })
      const { store, leases } = open({ pool: strict })
      await store.commit(batch(1, draft('one')), ctx)
      const tokens = [2, 3, 4, 5, 6, 7]
      const ends = await Promise.allSettled(
        tokens.map((token) => store.commit({ ...batch(1, draft(`${token}`)), token: token as Token }, ctx)),
      )
      const kept = tokens.filter((_, index) => ends[index]?.status === 'fulfilled')
      for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'fenced' })
      expect(kept).toContain(7)
      expect(await told()).toEqual(['one', ...kept.map(String)])
      const got = await Promise.all(tokens.map((token) => leases.acquire(`${token}`, 60_000, ctx)))
      expect(got.filter(Boolean)).toHaveLength(1)
    },
  )

  test('a connection that is cut in the middle of a commit is no answer; the same batch again is kept once', async () => {
    const { store } = open({ pool: server.pool({ port: relay.port }) })
    await store.commit(batch(1, draft('one')), ctx)
    for (let number = 2; number <= 12; number++) {
      relay.turn(number % 2 === 0 ? 'silent' : 'up')
      let isOver = false
      const end = Promise.resolve(store.commit(batch(number, draft(`${number}`)), ctx))
        .then(
          () => 'kept',
          (error) => error.code,
        )
        .finally(() => {
          isOver = true
        })
      // Before it is sent, while it is under way, when it has been kept and the answer is lost.
      await new Promise((resolve) => setTimeout(resolve, (number % 4) * 3))
      relay.cut()
      // Where it had not come so far yet, once more: nobody answers it.
      while (!isOver) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        relay.cut()
      }
      const code = await end
      relay.turn('up')
      if (code === 'unavailable') expect(await told()).not.toContain(`${number}`)
      else expect(['kept', 'internal']).toContain(code)
      // As the engine does: the pool may still hold connections that are cut and do not know it.
      const again = () => Promise.resolve(store.commit(batch(number, draft(`${number}`)), ctx))
      while (!(await again().catch(() => null)));
    }
    expect(await told()).toEqual(['one', ...Array.from({ length: 11 }, (_, index) => `${index + 2}`)])
  })

  test('a server that ends its connections under way harms nobody, and the pool goes on', async () => {
    const own = server.pool({ application_name: 'victim' })
    const { store } = open({ pool: own })
    const kill = () => pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'")
    let number = 0
    const committing = (async () => {
      for (number = 1; number <= 30; number++)
        for (;;) {
          const end = await Promise.resolve(store.commit(batch(number, draft(`${number}`)), ctx)).catch((error: unknown) => error)
          if (!(end instanceof Error)) break
          expect(['unavailable', 'internal']).toContain((end as { code?: string }).code)
        }
    })()
    while (number < 25) {
      await kill()
      // Whoever is ended sooner than he can connect gets nowhere.
      const before = number
      await until('another batch is kept, or enough are', () => number > before || number >= 25)
      await new Promise((resolve) => setTimeout(resolve, number % 4))
    }
    await committing
    expect(await told()).toEqual(Array.from({ length: 30 }, (_, index) => `${index + 1}`))
  })

  test('who is given up leaves no connection behind', async () => {
    const own = server.pool({ port: relay.port })
    const { store } = open({ pool: own })
    await store.commit(batch(1, draft('one')), ctx)
    relay.turn('silent')
    const controller = new AbortController()
    const under = expect(store.commit(batch(2, draft('two')), { signal: controller.signal })).rejects.toMatchObject({ code: 'internal' })
    await until('the server has it', async () => (await told()).includes('two'))
    controller.abort()
    await under
    expect(own.totalCount).toBe(0)
  })

  test('a pool that throws at once, or is none, is told so', async () => {
    expect(() => postgresStores({ pool: {} as PgPool })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
    const broken: PgPool = {
      connect: () => {
        throw new Error('Cannot use a pool after calling end on the pool')
      },
    }
    await expect(open({ pool: broken }).store.get('word', 'x', ctx)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('an evacuation that a second engine takes over, through one database', async () => {
    await evacuateOver(() => open())
  }, 120_000)

  test('the tables of an earlier schema are told from the newest, and migrate() brings them there with all that is in them', async () => {
    await pool.query('DROP SCHEMA pintail CASCADE')
    const [first] = postgresMigrations()
    await pool.query(first?.sql ?? '')
    const record = JSON.stringify({ name: 'log', seq: 1, version: 3 })
    await pool.query("INSERT INTO pintail.records (kind, id, version, record) VALUES ('cursor', 'log', 3, $1)", [record])
    await pool.query("INSERT INTO pintail.journal VALUES (1, 5, 'one', '{}'); UPDATE pintail.state SET token = 4, batch = 2, last_seq = 1")
    const { store, leases, migrate } = open()
    await expect(store.commit(batch(1), ctx)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/schema 1, and this Pintail needs \d/),
      remedy: expect.stringMatching(/migrate\(\)/),
    })
    await migrate()
    expect(await store.get('cursor', 'log', ctx)).toEqual({ name: 'log', seq: 1, version: 3 })
    await expect(store.commit({ ...batch(9), token: 3 as Token }, ctx)).rejects.toMatchObject({ code: 'fenced' })
    expect((await leases.acquire('a', 1000, ctx))?.token).toBe(5)
    const value = { name: 'log', seq: 2, version: 4 }
    const next = { ...batch(1, draft('two')), token: 5 as Token, writes: [{ kind: 'cursor', id: 'log', expected: 3, value } as const] }
    expect(await store.commit(next, ctx)).toEqual({ lastSeq: 2 })
    expect(await told()).toEqual(['one', 'two'])
  })

  test('each step of the schema notes itself', () => {
    const steps = postgresMigrations()
    expect(steps.map(({ version }) => version)).toEqual(steps.map((_, index) => index + 1))
    for (const { version, sql } of steps) expect(sql).toContain(`schema_versions" (version) VALUES (${version})`)
  })
})
