import type { ServerStatus } from '@pintail/core'
import { serverRegistryContract } from '@pintail/core/testing'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { patient } from '../../test/patient.ts'
import { hasPostgres, needsPostgres, type PostgresServer, startPostgres } from '../../test/postgres.ts'
import { type Relay, relayTo } from '../../test/relay.ts'
import { type AccessBooks, type AccessRow, accessSchemaSql, keptKeys, memoryAccess, postgresAccess } from './index.ts'

const ctx = { signal: new AbortController().signal }
const pair = (token: number, epoch: number) => ({ token, epoch })
const client = { publicKey: 'k1', allowedIps: ['10.0.0.7/32'] }

/** Three servers; `a`, `b` and `c` are at home on `s1`. */
async function settled(book: AccessBooks): Promise<AccessBooks> {
  for (const [index, id] of ['s1', 's2', 's3'].entries())
    await book.putServer({ id, host: `192.0.2.${index + 1}`, region: index < 2 ? 'de' : null, capacity: 10 })
  for (const id of ['a', 'b', 'c']) await book.assign({ id, userId: `u-${id} 🦆` }, 's1', client)
  return book
}

const grant = (book: AccessBooks, serverId: string, at: { token: number; epoch: number }, connectionId = 'a') =>
  book.want({ connectionId, serverId, wanted: 'granted', ...at }, ctx)
const revoke = (book: AccessBooks, serverId: string, at: { token: number; epoch: number }, connectionId = 'a') =>
  book.want({ connectionId, serverId, wanted: 'revoked', ...at }, ctx)
const home = (book: AccessBooks, from: string, to: string, at: { token: number; epoch: number }, key: string | null = 'm/a/1') =>
  book.setHome({ connectionId: 'a', from, to, ...at, grant: at, leaves: 'granted', key }, ctx)
const rowsOf = async (book: AccessBooks, id = 'a'): Promise<Record<string, string>> => {
  const { rows = [] } = (await book.look(id, ctx)) ?? {}
  return Object.fromEntries(rows.map((row) => [row.serverId, `${row.wanted}${row.isTentative ? '?' : ''} ${row.token}.${row.epoch}`]))
}
const all = async (book: AccessBooks, server: string, limit: number): Promise<readonly AccessRow[]> => {
  const rows: AccessRow[] = []
  for (;;) {
    const page = await book.rowsOn(server, { after: rows.at(-1)?.connectionId ?? null, limit }, ctx)
    rows.push(...page)
    if (page.length < limit) return rows
  }
}

function rules(fresh: () => Promise<AccessBooks>): void {
  test('who is assigned has a grant there, and is listed there', async () => {
    const book = await settled(await fresh())
    expect(await book.look('a', ctx)).toEqual({
      serverId: 's1',
      keys: [],
      token: 0,
      epoch: 0,
      rows: [{ connectionId: 'a', serverId: 's1', wanted: 'granted', isTentative: false, token: 0, epoch: 0, payload: client }],
    })
    expect(await book.look('nobody', ctx)).toBeNull()
    expect(await book.homeOf('nobody', ctx)).toBeNull()
    expect(await book.servers(ctx)).toEqual([
      { id: 's1', region: 'de' },
      { id: 's2', region: 'de' },
      { id: 's3', region: null },
    ])
  })

  test('a move is a tentative grant with the payload of the home, then a home, then a revoke that is forgotten', async () => {
    const book = await settled(await fresh())
    expect(await grant(book, 's2', pair(1, 1))).toBe('kept')
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0', s2: 'granted? 1.1' })
    expect((await all(book, 's2', 10)).map(({ payload }) => payload)).toEqual([client])
    expect(await home(book, 's1', 's2', pair(1, 1))).toBe('set')
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0', s2: 'granted 1.1' })
    expect(await book.homeOf('a', ctx)).toBe('s2')
    expect(await revoke(book, 's1', pair(1, 2))).toBe('kept')
    expect(await rowsOf(book)).toEqual({ s1: 'revoked 1.2', s2: 'granted 1.1' })
    await book.forget('s1', [{ connectionId: 'a', ...pair(1, 2) }], ctx)
    expect(await rowsOf(book)).toEqual({ s2: 'granted 1.1' })
    expect(await book.look('a', ctx)).toMatchObject({ serverId: 's2', keys: ['m/a/1'], token: 1, epoch: 2 })
  })

  test('each step may be repeated, and changes nothing then', async () => {
    const book = await settled(await fresh())
    for (let times = 0; times < 3; times++) expect(await grant(book, 's2', pair(1, 1))).toBe('kept')
    for (let times = 0; times < 3; times++) expect(await home(book, 's1', 's2', pair(1, 1))).toBe('set')
    expect(await grant(book, 's2', pair(1, 1))).toBe('kept')
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0', s2: 'granted 1.1' })
    expect((await book.look('a', ctx))?.keys).toEqual(['m/a/1'])
    for (let times = 0; times < 3; times++) expect(await revoke(book, 's1', pair(1, 2))).toBe('kept')
  })

  test('what is older than the newest of its connection is fenced, on whichever server', async () => {
    const book = await settled(await fresh())
    await grant(book, 's2', pair(2, 5))
    for (const older of [pair(2, 4), pair(1, 99), pair(0, 0)]) {
      for (const server of ['s1', 's2', 's3']) expect(await grant(book, server, older)).toBe('fenced')
      expect(await revoke(book, 's3', older)).toBe('fenced')
      expect(await home(book, 's1', 's2', older)).toBe('fenced')
    }
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0', s2: 'granted? 2.5' })
    expect(await grant(book, 's3', pair(1, 1), 'b')).toBe('kept')
  })

  test('a token that was fenced off changes nothing any more', async () => {
    const book = await settled(await fresh())
    expect(await book.fence(3, ctx)).toBe(true)
    expect(await book.fence(3, ctx)).toBe(true)
    expect(await book.fence(2, ctx)).toBe(false)
    for (const id of ['a', 'b']) {
      expect(await grant(book, 's2', pair(2, 9), id)).toBe('fenced')
      expect(await grant(book, 's2', pair(3, 1), id)).toBe('kept')
    }
    expect(await home(book, 's1', 's2', pair(2, 9))).toBe('fenced')
  })

  test('at the same pair a revoke stands against a grant, and not the other way', async () => {
    const book = await settled(await fresh())
    await grant(book, 's2', pair(1, 1))
    expect(await revoke(book, 's2', pair(1, 1))).toBe('kept')
    expect(await grant(book, 's2', pair(1, 1))).toBe('fenced')
    expect(await home(book, 's1', 's2', pair(1, 1))).toBe('fenced')
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0', s2: 'revoked 1.1' })
    expect(await grant(book, 's2', pair(1, 2))).toBe('kept')
  })

  test('the access at home cannot be wanted gone', async () => {
    const book = await settled(await fresh())
    expect(await revoke(book, 's1', pair(1, 1))).toBe('home')
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0' })
    await book.forget('s1', [{ connectionId: 'a', ...pair(0, 0) }], ctx)
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0' })
  })

  test('what was wanted anew meanwhile is not forgotten', async () => {
    const book = await settled(await fresh())
    await grant(book, 's2', pair(1, 1))
    await revoke(book, 's2', pair(1, 2))
    await grant(book, 's2', pair(1, 3))
    await book.forget('s2', [{ connectionId: 'a', ...pair(1, 2) }], ctx)
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0', s2: 'granted? 1.3' })
    // A tentative one that a sync has taken away is.
    await book.forget('s2', [{ connectionId: 'a', ...pair(1, 3) }], ctx)
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0' })
  })

  test('a home rests on its grant: without it, or on a newer one, it is not set', async () => {
    const book = await settled(await fresh())
    expect(await home(book, 's1', 's2', pair(1, 1))).toBe('fenced')
    await grant(book, 's2', pair(1, 1))
    await grant(book, 's2', pair(1, 2))
    expect(
      await book.setHome({ connectionId: 'a', from: 's1', to: 's2', ...pair(1, 3), grant: pair(1, 1), leaves: 'granted', key: null }, ctx),
    ).toBe('fenced')
    expect(await book.homeOf('a', ctx)).toBe('s1')
  })

  test('an undoing wants what it leaves gone in the same moment', async () => {
    const book = await settled(await fresh())
    await grant(book, 's2', pair(1, 1))
    await home(book, 's1', 's2', pair(1, 1))
    const undo = { connectionId: 'a', from: 's2', to: 's1', ...pair(1, 2), grant: pair(0, 0), leaves: 'revoked', key: null } as const
    for (let times = 0; times < 2; times++) {
      expect(await book.setHome(undo, ctx)).toBe('set')
      expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0', s2: 'revoked 1.2' })
    }
    expect(await book.look('a', ctx)).toMatchObject({ serverId: 's1', keys: ['m/a/1'], token: 1, epoch: 2 })
  })

  test('whom the host has moved elsewhere is not brought along', async () => {
    const book = await settled(await fresh())
    await grant(book, 's2', pair(1, 1))
    await book.assign({ id: 'a' }, 's3')
    expect(await home(book, 's1', 's2', pair(1, 1))).toBe('elsewhere')
    expect(await book.homeOf('a', ctx)).toBe('s3')
    expect(await rowsOf(book)).toEqual({ s1: 'revoked 1.1', s2: 'revoked 1.1', s3: 'granted 1.1' })
    expect((await all(book, 's3', 10)).map(({ payload }) => payload)).toEqual([client])
  })

  test('what is not there is said so', async () => {
    const book = await settled(await fresh())
    expect(await grant(book, 's2', pair(1, 1), 'nobody')).toBe('no_connection')
    expect(await grant(book, 's9', pair(1, 1))).toBe('no_server')
    expect(
      await book.setHome(
        { connectionId: 'nobody', from: 's1', to: 's2', ...pair(1, 1), grant: pair(1, 1), leaves: 'granted', key: null },
        ctx,
      ),
    ).toBe('elsewhere')
    await expect(book.assign({ id: 'a' }, 's9')).rejects.toMatchObject({ code: 'rejected' })
    expect(await book.homeOf('a', ctx)).toBe('s1')
    await expect(book.setServerStatus({ id: 's9' } as never, 'offline', ctx)).rejects.toMatchObject({ code: 'rejected' })
  })

  test('the newest keys are remembered, and no more of them', async () => {
    const book = await settled(await fresh())
    let [from, to] = ['s1', 's2'] as [string, string]
    for (let epoch = 1; epoch <= keptKeys + 3; epoch++) {
      await grant(book, to, pair(1, epoch))
      expect(await home(book, from, to, pair(1, epoch), `m${epoch}/a/1`)).toBe('set')
      ;[from, to] = [to, from]
    }
    const keys = Array.from({ length: keptKeys }, (_, index) => `m${keptKeys + 3 - index}/a/1`)
    expect((await book.look('a', ctx))?.keys).toEqual(keys)
  })

  test('rows of a server come in pages, each once', async () => {
    const book = await settled(await fresh())
    const ids = Array.from({ length: 23 }, (_, index) => `p${index}`)
    for (const id of ids) await book.assign({ id }, 's3', { n: id })
    for (const limit of [1, 5, 23, 100]) {
      const rows = await all(book, 's3', limit)
      expect(rows.map(({ connectionId }) => connectionId).sort()).toEqual([...ids].sort())
    }
  })

  test('who is removed has nothing any more, and a server that is removed keeps whom it is the home of', async () => {
    const book = await settled(await fresh())
    await grant(book, 's2', pair(1, 1))
    await book.removeServer('s2')
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0' })
    await book.removeServer('s1')
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0' })
    await book.remove('a')
    expect(await book.look('a', ctx)).toBeNull()
    expect((await all(book, 's1', 10)).map(({ connectionId }) => connectionId)).toEqual(['b', 'c'])
  })

  test('a row that is put again keeps its status, unless it has one', async () => {
    const book = await settled(await fresh())
    const statusOf = async (): Promise<ServerStatus | null | undefined> => {
      const rows = (await book.listServers(ctx)) as readonly { id: string; status?: ServerStatus }[]
      return rows.find(({ id }) => id === 's1')?.status
    }
    await book.setServerStatus({ id: 's1' } as never, 'offline', ctx)
    await book.putServer({ id: 's1', host: '192.0.2.9' })
    expect(await statusOf()).toBe('offline')
    await book.putServer({ id: 's1', host: '192.0.2.9', status: 'online' })
    expect(await statusOf()).toBe('online')
  })

  test('of many who want something at once for one connection the newest stands', async () => {
    const book = await settled(await fresh())
    const epochs = Array.from({ length: 24 }, (_, index) => index + 1)
    await Promise.all(epochs.map((epoch) => grant(book, epoch % 2 ? 's2' : 's3', pair(1, epoch))))
    const { token, epoch, rows } = (await book.look('a', ctx)) ?? { rows: [] }
    expect([token, epoch]).toEqual([1, 24])
    expect(rows.find(({ serverId }) => serverId === 's3')).toMatchObject(pair(1, 24))
  })
}

/** For the registry's contract: two connections on one server, one on another. */
async function listed(book: AccessBooks) {
  await settled(book)
  await book.assign({ id: 'd' }, 's2')
  return { registry: book, servers: ['s1', 's2', 's3'], connections: { s1: ['a', 'b', 'c'], s2: ['d'] } }
}

describe('in memory', () => {
  rules(async () => memoryAccess())

  const registry = serverRegistryContract(() => listed(memoryAccess()), { without: ['watch', 'change', 'goDown', 'fallSilent'] })
  for (const rule of registry) test(rule.name, rule.run)
})

describe.skipIf(!hasPostgres)(`in PostgreSQL ${needsPostgres}`, () => {
  let server: PostgresServer
  let relay: Relay
  let direct: pg.Pool
  let pool: pg.Pool
  let schemas = 0
  beforeAll(async () => {
    server = await startPostgres()
    relay = await relayTo(server.port)
    direct = server.pool()
    pool = server.pool({ port: relay.port })
  })
  afterAll(async () => {
    await pool?.end()
    await relay?.close()
    await server?.stop()
  })

  async function fresh(): Promise<AccessBooks> {
    const schema = `books_${++schemas}`
    const names = schemas % 2 === 0 ? { schema } : { schema, tablePrefix: 'pt_' }
    await postgresAccess({ pool: direct, timeoutMs: 60_000, ...names }).migrate()
    return postgresAccess({ pool, timeoutMs: 60_000, ...names })
  }
  rules(fresh)

  test('the text of the schema makes the tables, once, and migrate() finds nothing to do then', async () => {
    await direct.query(accessSchemaSql({ schema: 'by_hand' }))
    const book = postgresAccess({ pool: direct, schema: 'by_hand', timeoutMs: 60_000 })
    await book.migrate()
    await book.migrate()
    await settled(book)
    expect(await rowsOf(book)).toEqual({ s1: 'granted 0.0' })
  })

  test('tables that are not there are named, with what to do', async () => {
    const error = await postgresAccess({ pool: direct, schema: 'nowhere', timeoutMs: 60_000 })
      .look('a', ctx)
      .then(
        () => null,
        (thrown: unknown) => thrown,
      )
    expect(error).toMatchObject({ code: 'unavailable', remedy: expect.stringContaining('migrate()') })
  })

  test('a name that could end the quotes is refused', () => {
    expect(() => postgresAccess({ pool: direct, schema: 'x"; DROP' })).toThrow(/schema must be/)
    expect(() => postgresAccess({ pool: direct, timeoutMs: 1 })).toThrow(/timeoutMs/)
    expect(() => postgresAccess({ pool: {} as never })).toThrow(/pool/)
  })

  test('text that PostgreSQL cannot take apart comes back as it was', async () => {
    const book = await settled(await fresh())
    const odd = { note: 'zero \u0000 half \ud800 mark \uf8ff' }
    await book.assign({ id: 'odd', meta: odd }, 's2', odd)
    expect((await all(book, 's2', 10)).map(({ payload }) => payload)).toEqual([odd])
  })

  const registry = serverRegistryContract(
    async () => ({
      ...(await listed(await fresh())),
      goDown: () => relay.turn('down'),
      fallSilent: () => relay.turn('silent'),
      comeBack: () => relay.turn('up'),
      dispose: () => relay.turn('up'),
    }),
    { without: ['watch', 'change'], ...patient },
  )
  for (const rule of registry) test(rule.name, rule.run)
})
