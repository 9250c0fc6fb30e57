import assert from 'node:assert/strict'
import type { CallContext, ConnectionInput, Listing, ServerInput, ServerRegistry } from '../../ports.ts'
import { type Parsed, parseConnection, parseServer } from '../../rows.ts'
import type { Connection, JsonObject, Server, ServerId } from '../../vocabulary.ts'
import {
  abortCall,
  attempt,
  type Bench,
  type ContractRule,
  frozen,
  type Kit,
  type KitOptions,
  passing,
  shown,
  type Troubles,
  toRules,
} from './rule.ts'

/** A registry with a small world that nobody else changes, and the truth about it. */
export interface RegistryHarness extends Troubles {
  readonly registry: ServerRegistry
  /** Ids of all servers of the world, in any status: at least two. */
  readonly servers: readonly (string | number)[]
  /** Ids of the connections on each server; a server that is not named has none. At least two on one and one on another. */
  readonly connections: Readonly<Record<string, readonly (string | number)[]>>
  /** The host changes something about its servers, so that `watch` must yield. */
  change?(): unknown
}

/** Optional parts: of the registry (`setServerStatus`, `watch`) and of the harness. */
export type RegistryExtra = 'setServerStatus' | 'watch' | 'change' | 'goDown' | 'fallSilent'

/**
 * What every registry must do. `create` makes a fresh adapter with a fresh world for each rule.
 * @example for (const rule of serverRegistryContract(create, { without: ['watch', 'change'] })) test(rule.name, rule.run)
 */
export function serverRegistryContract(
  create: () => RegistryHarness | PromiseLike<RegistryHarness>,
  options: KitOptions<RegistryExtra> = {},
): ContractRule[] {
  return toRules(kit, create, options)
}

const kit: Kit<RegistryHarness, RegistryExtra> = {
  has: (harness, extra) => {
    if (extra === 'setServerStatus' || extra === 'watch') return harness.registry[extra] !== undefined
    if (extra === 'change') return harness.change !== undefined
    return harness[extra] !== undefined && harness.comeBack !== undefined
  },
  rules: [
    {
      name: 'the world of the harness can tell right from wrong',
      run: async ({ servers, connections }) => {
        const populations = servers.map((id) => connections[String(id)]?.length ?? 0).sort((a, b) => b - a)
        assert.ok(servers.length >= 2, 'give it at least two servers')
        assert.ok((populations[0] ?? 0) >= 2 && (populations[1] ?? 0) >= 1, 'give it two connections on one server and one on another')
        const strangers = Object.keys(connections).filter((id) => !servers.map(String).includes(id))
        assert.deepEqual(strangers, [], 'connections are on servers that are not named in `servers`')
      },
    },
    {
      name: 'listServers lists every server once, whatever its status',
      run: async (harness, { ctx }) => {
        const rows = await serverRows(harness, ctx)
        assert.deepEqual(idsOf(rows), sorted(harness.servers))
      },
    },
    {
      name: 'every server row has a valid host and parses',
      run: async (harness, { ctx }) => void parsedAll(await serverRows(harness, ctx), parseServer),
    },
    {
      name: 'listConnections lists exactly the connections of that server, each once',
      run: async (harness, { ctx }) => {
        for (const server of await servers(harness, ctx)) {
          const rows = await connectionRows(harness, server, ctx)
          assert.deepEqual(idsOf(rows), sorted(harness.connections[server.id] ?? []), `the connections of server ${server.id}`)
        }
      },
    },
    {
      name: 'every connection row parses',
      run: async (harness, { ctx }) => {
        for (const server of await servers(harness, ctx)) parsedAll(await connectionRows(harness, server, ctx), parseConnection)
      },
    },
    {
      name: 'a row is plain data: what Pintail reads of it survives being stored as JSON',
      run: async (harness, { ctx }) => {
        // Of the rows themselves: Pintail keeps meta as JSON makes it, and would hand back a text where a Date was given.
        const isPlain = ({ id, meta = null }: ServerInput | ConnectionInput, what: string): void =>
          assert.deepEqual(JSON.parse(JSON.stringify(meta)), meta, `meta of ${what} ${id}`)
        for (const row of await serverRows(harness, ctx)) isPlain(row, 'server')
        for (const server of await servers(harness, ctx)) {
          assert.deepEqual(JSON.parse(JSON.stringify(server)), server, `server ${server.id}`)
          const rows = await connectionRows(harness, server, ctx)
          for (const row of rows) isPlain(row, 'connection')
          for (const connection of parsedAll(rows, parseConnection))
            assert.deepEqual(JSON.parse(JSON.stringify(connection)), connection, `connection ${connection.id}`)
        }
      },
    },
    {
      name: 'meta is at most 1 KiB of JSON',
      run: async (harness, { ctx }) => {
        const bytes = (meta: JsonObject | null | undefined): number => (meta ? Buffer.byteLength(JSON.stringify(meta)) : 0)
        for (const row of await serverRows(harness, ctx)) assert.ok(bytes(row.meta) <= 1024, `meta of server ${row.id}`)
        for (const server of await servers(harness, ctx))
          for (const row of await connectionRows(harness, server, ctx)) assert.ok(bytes(row.meta) <= 1024, `meta of connection ${row.id}`)
      },
    },
    {
      name: 'no connection is listed on two servers',
      run: async (harness, { ctx }) => {
        const homes = new Map<string, string>()
        for (const server of await servers(harness, ctx))
          for (const { id } of await connectionRows(harness, server, ctx)) {
            const other = homes.get(String(id))
            assert.ok(other === undefined || other === server.id, `connection ${id} is listed on ${other} and on ${server.id}`)
            homes.set(String(id), server.id)
          }
        assert.ok(homes.size > 0, 'nobody is listed anywhere')
      },
    },
    {
      name: 'listing twice gives the same',
      run: async (harness, { ctx }) => assert.deepEqual(await picture(harness, ctx), await picture(harness, ctx)),
    },
    {
      name: 'listings under way at once do not disturb each other',
      run: async (harness, { ctx }) => {
        const alone = await picture(harness, ctx)
        const together = await Promise.all([picture(harness, ctx), picture(harness, ctx), picture(harness, ctx)])
        for (const one of together) assert.deepEqual(one, alone)
      },
    },
    {
      name: 'an unknown server has nobody: an empty list or a throw, never the users of another',
      run: async (harness, { ctx }) => {
        const known = (await servers(harness, ctx))[0] as Server
        const rawId = typeof known.rawId === 'number' ? 1_999_999_937 : 'no-such-server'
        const unknown = frozen({ ...known, id: String(rawId) as ServerId, rawId, host: '192.0.2.1', name: 'unknown', meta: null })
        const listed = await attempt(() => connectionRows(harness, unknown, ctx))
        if (listed.ok) assert.deepEqual(idsOf(listed.value), [])
      },
    },
    {
      name: 'an aborted listing settles soon, and later ones are not the worse for it',
      run: async (harness, { ctx, promptMs }) => {
        const before = await picture(harness, ctx)
        const [first] = await servers(harness, ctx)
        for (const afterMs of ['beforehand', 0] as const) {
          await abortCall('listServers', (aborted) => serverRows(harness, aborted), { promptMs, afterMs })
          await abortCall('listConnections', (aborted) => connectionRows(harness, first as Server, aborted), { promptMs, afterMs })
        }
        assert.deepEqual(await picture(harness, ctx), before)
      },
    },
    {
      name: 'a listing without an answer settles soon after its abort, by throwing',
      needs: ['fallSilent'],
      run: async (harness, bench) => {
        const [first] = await servers(harness, bench.ctx)
        await harness.fallSilent?.()
        for (const [what, call] of listingCalls(harness, first as Server)) {
          const end = await abortCall(what, call, { promptMs: bench.promptMs, afterMs: 50 })
          assert.ok(!end.ok, `${what} resolved without an answer of the panel: ${JSON.stringify(end)}`)
        }
        await comesBack(harness, bench)
      },
    },
    {
      name: 'unreachable is a throw, never an empty list',
      needs: ['goDown'],
      run: async (harness, bench) => {
        const [first] = await servers(harness, bench.ctx)
        await harness.goDown?.()
        for (const [what, call] of listingCalls(harness, first as Server)) {
          const end = await attempt(() => call(bench.ctx))
          assert.ok(!end.ok, `${what} resolved while the panel was down: ${JSON.stringify(end)}`)
        }
        await comesBack(harness, bench)
      },
    },
    {
      name: 'a status that was written is what the next listing shows',
      needs: ['setServerStatus'],
      run: async (harness, { ctx }) => {
        for (const status of ['offline', 'online', 'offline'] as const) {
          const server = await chosen(harness, ctx)
          await harness.registry.setServerStatus?.(server, status, ctx)
          assert.equal((await chosen(harness, ctx)).status, status)
        }
      },
    },
    {
      name: 'writing a status again is harmless',
      needs: ['setServerStatus'],
      run: async (harness, { ctx }) => {
        const server = await chosen(harness, ctx)
        await harness.registry.setServerStatus?.(server, 'offline', ctx)
        const once = await picture(harness, ctx)
        await harness.registry.setServerStatus?.(server, 'offline', ctx)
        assert.deepEqual(await picture(harness, ctx), once)
      },
    },
    {
      name: 'an offline server is still listed with its connections, and nothing else changes',
      needs: ['setServerStatus'],
      run: async (harness, { ctx }) => {
        const server = await chosen(harness, ctx)
        await harness.registry.setServerStatus?.(server, 'online', ctx)
        const before = await picture(harness, ctx)
        await harness.registry.setServerStatus?.(server, 'offline', ctx)
        const expected = before.map((one) => (one.server.id === server.id ? { ...one, server: { ...one.server, status: 'offline' } } : one))
        assert.deepEqual(await picture(harness, ctx), expected)
        await harness.registry.setServerStatus?.(server, 'online', ctx)
        assert.deepEqual(await picture(harness, ctx), before)
      },
    },
    {
      name: 'a status that could not be written is a throw',
      needs: ['setServerStatus', 'goDown'],
      run: async (harness, bench) => {
        const server = await chosen(harness, bench.ctx)
        await harness.registry.setServerStatus?.(server, 'online', bench.ctx)
        await harness.goDown?.()
        const end = await attempt(() => harness.registry.setServerStatus?.(server, 'offline', bench.ctx))
        assert.ok(!end.ok, 'setServerStatus resolved while the panel was down')
        await comesBack(harness, bench)
        assert.equal((await chosen(harness, bench.ctx)).status, 'online')
      },
    },
    {
      name: 'writing a status settles soon after its abort',
      needs: ['setServerStatus', 'fallSilent'],
      run: async (harness, { ctx, promptMs }) => {
        const server = await chosen(harness, ctx)
        await harness.fallSilent?.()
        const call = (aborted: CallContext) => harness.registry.setServerStatus?.(server, 'offline', aborted)
        const end = await abortCall('setServerStatus', call, { promptMs, afterMs: 50 })
        assert.ok(!end.ok, 'setServerStatus resolved without an answer of the panel')
      },
    },
    {
      name: 'coverage is assigned or active',
      run: async ({ registry }) => assert.ok(['assigned', 'active', undefined].includes(registry.coverage), `it is ${registry.coverage}`),
    },
    {
      name: 'watch yields after a change, and ends soon after its abort',
      needs: ['watch', 'change'],
      run: async (harness, { promptMs }) => {
        const controller = new AbortController()
        const changes = harness.registry.watch?.({ signal: controller.signal })[Symbol.asyncIterator]()
        assert.ok(changes, 'watch gives no iterator')
        const next = attempt(() => changes.next())
        // A turn for the watch to be set up: a change before that is found by the listing that precedes it.
        await passing(50)
        await harness.change?.()
        const told = await next
        assert.ok(told.ok && told.value.done !== true, `watch ended instead of yielding: ${told.ok ? 'done' : shown(told.error)}`)
        const call = async ({ signal }: CallContext) => {
          signal.addEventListener('abort', () => controller.abort(), { once: true })
          // What was queued before the abort may still come.
          while ((await changes.next()).done !== true) if (signal.aborted) break
        }
        await abortCall('watch', call, { promptMs, afterMs: 50 })
      },
    },
  ],
}

// --------------------------------------------------------------------------------------------------------------- looking

async function rowsOf<T>(what: string, listing: Listing<T>): Promise<T[]> {
  const rows: T[] = []
  const take = (page: readonly T[]): void => {
    assert.ok(Array.isArray(page), `${what} gave ${typeof page} instead of a list of rows`)
    rows.push(...page)
  }
  assert.ok(typeof listing === 'object' && listing !== null, `${what} must give a promise of rows, or an async iterable of pages`)
  if (Symbol.asyncIterator in listing) for await (const page of listing) take(page)
  else take(await listing)
  return rows
}

const serverRows = ({ registry }: RegistryHarness, ctx: CallContext): Promise<ServerInput[]> =>
  rowsOf('listServers', registry.listServers(ctx))
const connectionRows = ({ registry }: RegistryHarness, server: Server, ctx: CallContext): Promise<ConnectionInput[]> =>
  rowsOf('listConnections', registry.listConnections(server, ctx))

const sorted = (ids: readonly (string | number)[]): string[] => ids.map(String).sort()
const idsOf = (rows: readonly { readonly id: string | number }[]): string[] => sorted(rows.map((row) => row?.id))

function parsedAll<Row extends { readonly id: string | number }, T>(rows: readonly Row[], parse: (row: Row) => Parsed<T>): T[] {
  return rows.map((row) => {
    const parsed = parse(row)
    const said = parsed.ok ? '' : parsed.problems.map(({ path, message, value }) => `${path} ${message} (is ${value})`).join('; ')
    assert.ok(parsed.ok, `row ${String(row?.id)}: ${said}`)
    return frozen(parsed.value)
  })
}

async function servers(harness: RegistryHarness, ctx: CallContext): Promise<Server[]> {
  const parsed = parsedAll(await serverRows(harness, ctx), parseServer)
  assert.ok(parsed.length > 0, 'listServers lists nobody')
  return parsed
}

/** The one with the most connections, so that what happens to them shows. */
async function chosen(harness: RegistryHarness, ctx: CallContext): Promise<Server> {
  const most = (id: string): number => harness.connections[id]?.length ?? 0
  const [first] = (await servers(harness, ctx)).sort((a, b) => most(b.id) - most(a.id))
  return first as Server
}

/** Everything, as Pintail understands it, in one order. */
async function picture(harness: RegistryHarness, ctx: CallContext): Promise<{ server: Server; connections: Connection[] }[]> {
  const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1)
  const all = (await servers(harness, ctx)).sort(byId)
  return Promise.all(
    all.map(async (server) => ({
      server,
      connections: parsedAll(await connectionRows(harness, server, ctx), parseConnection).sort(byId),
    })),
  )
}

const listingCalls = (
  harness: RegistryHarness,
  server: Server,
): readonly (readonly [what: string, call: (ctx: CallContext) => Promise<readonly unknown[]>])[] => [
  ['listServers', (ctx) => serverRows(harness, ctx)],
  ['listConnections', (ctx) => connectionRows(harness, server, ctx)],
]

/** After the trouble the adapter must work again by itself. */
async function comesBack(harness: RegistryHarness, { ctx }: Bench): Promise<void> {
  await harness.comeBack?.()
  assert.deepEqual(idsOf(await serverRows(harness, ctx)), sorted(harness.servers), 'after the trouble')
}
