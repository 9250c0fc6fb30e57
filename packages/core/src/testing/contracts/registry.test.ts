import { AssertionError } from 'node:assert/strict'
import { expect, test } from 'vitest'
import { type MemoryRegistry, memoryRegistry, PintailError } from '../../index.ts'
import type { CallContext, ConnectionInput, Listing, ServerInput, ServerRegistry } from '../../ports.ts'
import type { ServerStatus } from '../../vocabulary.ts'
import { type RegistryExtra, type RegistryHarness, serverRegistryContract } from './index.ts'

const world = () =>
  memoryRegistry({
    servers: [
      { id: 1, host: '192.0.2.1', capacity: 10, status: 'online', region: 'eu', meta: { tag: 'a' } },
      { id: 2, host: 'two.example.net', status: 'offline', name: null },
      { id: '3', host: '2001:db8::3', status: 'maintenance' },
    ],
    connections: { 1: [{ id: 11, region: 'eu' }, { id: 12 }], 2: [{ id: 'u-21', userId: null, meta: { key: 'k' } }] },
  })
const truth = { servers: [1, 2, '3'], connections: { 1: [11, 12], 2: ['u-21'] } }

// ------------------------------------------------------------------------------------------------------ the memory adapter

const ofMemory = serverRegistryContract(() => ({ registry: world(), ...truth }), {
  without: ['watch', 'change', 'goDown', 'fallSilent'],
})
for (const rule of ofMemory) test(`memoryRegistry: ${rule.name}`, rule.run)

test('a rule that is not checked says so in its name', () => {
  expect(ofMemory.filter(({ notChecked }) => notChecked !== null).map(({ name }) => name)).toEqual([
    'a listing without an answer settles soon after its abort, by throwing (not checked: no fallSilent)',
    'unreachable is a throw, never an empty list (not checked: no goDown)',
    'a status that could not be written is a throw (not checked: no goDown)',
    'writing a status settles soon after its abort (not checked: no fallSilent)',
    'watch yields after a change, and ends soon after its abort (not checked: no watch, change)',
  ])
})

// ------------------------------------------------------------------------------- a registry that has everything, in pages

type Book = { -readonly [K in 'listServers' | 'listConnections' | 'setServerStatus' | 'watch']-?: ServerRegistry[K] & {} } & ServerRegistry

interface Panel {
  readonly books: MemoryRegistry
  readonly registry: Book
  /** What a call meets; throws or waits as the panel's state demands. */
  readonly gate: <T>(ctx: CallContext, work: () => PromiseLike<T> | T) => Promise<T>
}

/** A good adapter of a panel behind a network: `spoil` may make it a bad one. */
function paged(spoil: (panel: Panel) => void = () => {}): RegistryHarness {
  const books = world()
  let state: 'up' | 'down' | 'silent' = 'up'
  const listeners = new Set<() => void>()
  const gate: Panel['gate'] = async ({ signal }, work) => {
    if (state === 'down') throw new PintailError('unavailable', 'connection refused')
    const answer = await work()
    if (state === 'up') return answer
    return new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
  async function* pages<T>(ctx: CallContext, list: () => Listing<T>): AsyncGenerator<readonly T[]> {
    const rows = await gate(ctx, list as () => PromiseLike<readonly T[]>)
    for (let at = 0; at < rows.length; at += 2) yield rows.slice(at, at + 2)
  }
  const registry: Book = {
    listServers: (ctx) => pages(ctx, () => books.listServers(ctx)),
    listConnections: (server, ctx) => pages(ctx, () => books.listConnections(server, ctx)),
    setServerStatus: (server, status, ctx) => gate(ctx, () => books.setServerStatus(server, status)),
    async *watch({ signal }) {
      while (!signal.aborted)
        yield await new Promise<void>((resolve, reject) => {
          listeners.add(resolve)
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        })
    },
    coverage: 'assigned',
  }
  spoil({ books, registry, gate })
  return {
    registry,
    ...truth,
    goDown: () => {
      state = 'down'
    },
    fallSilent: () => {
      state = 'silent'
    },
    comeBack: () => {
      state = 'up'
    },
    change: () => {
      for (const listener of listeners) listener()
    },
  }
}

for (const rule of serverRegistryContract(paged)) test(`a registry in pages, with everything: ${rule.name}`, rule.run)

// --------------------------------------------------------------------------------------------------- deliberately wrong ones

type Rows = (ctx: CallContext) => Promise<readonly ServerInput[]>
/** Lists the servers through a lens; the rest stays as it was. */
const servers =
  (lens: (rows: Rows, ctx: CallContext) => Promise<readonly ServerInput[]>) =>
  ({ books, registry, gate }: Panel): void => {
    const rows: Rows = (ctx) => gate(ctx, () => books.listServers(ctx) as Promise<readonly ServerInput[]>)
    registry.listServers = (ctx) => lens(rows, ctx)
  }
const mapped = (change: (row: ServerInput) => object) => servers(async (rows, ctx) => (await rows(ctx)).map(change) as never)
const connections =
  (lens: (rows: readonly ConnectionInput[], id: string) => readonly object[]) =>
  ({ books, registry, gate }: Panel): void => {
    registry.listConnections = async (server, ctx) =>
      lens(await gate(ctx, () => books.listConnections(server, ctx) as Promise<readonly ConnectionInput[]>), server.id) as never
  }

const wrong: Record<string, { spoil: (panel: Panel) => void; caughtBy: string }> = {
  'lists online servers only': {
    spoil: servers(async (rows, ctx) => (await rows(ctx)).filter(({ status }) => status === 'online')),
    caughtBy: 'listServers lists every server once, whatever its status',
  },
  'lists a server twice, as "1" and as 1': {
    spoil: servers(async (rows, ctx) => [...(await rows(ctx)), { id: '1', host: '192.0.2.9' }]),
    caughtBy: 'listServers lists every server once, whatever its status',
  },
  'hands out a host with a port': {
    spoil: mapped((row) => ({ ...row, host: `${row.host}:51820` })),
    caughtBy: 'every server row has a valid host and parses',
  },
  'hands out ids as bigint': {
    spoil: mapped((row) => ({ ...row, id: BigInt(row.id) })),
    caughtBy: 'every server row has a valid host and parses',
  },
  'says active where Pintail says online': {
    spoil: mapped((row) => ({ ...row, status: 'active' })),
    caughtBy: 'every server row has a valid host and parses',
  },
  'keeps a Date in meta': {
    spoil: mapped((row) => ({ ...row, meta: { seen: new Date(0) } })),
    caughtBy: 'a row is plain data: what Pintail reads of it survives being stored as JSON',
  },
  'keeps the whole row in meta': {
    spoil: connections((rows) => rows.map((row) => ({ ...row, meta: { row: 'é'.repeat(600) } }))),
    caughtBy: 'meta is at most 1 KiB of JSON',
  },
  'compares "1" with 1, and so finds nobody': {
    spoil: ({ registry, books }) => {
      registry.listConnections = async (server, ctx) =>
        typeof server.rawId === 'number' ? [] : (books.listConnections(server, ctx) as Promise<readonly ConnectionInput[]>)
    },
    caughtBy: 'listConnections lists exactly the connections of that server, each once',
  },
  'gives the first page only': {
    spoil: connections((rows) => rows.slice(0, 1)),
    caughtBy: 'listConnections lists exactly the connections of that server, each once',
  },
  'lists the users of all servers on each': {
    spoil: ({ registry, books }) => {
      registry.listConnections = async () => [...books.on(1), ...books.on(2)].map((id) => ({ id }))
    },
    caughtBy: 'no connection is listed on two servers',
  },
  'takes any id for server 1': {
    spoil: ({ registry, books }) => {
      registry.listConnections = async (server) => (books.on(server.id).length ? books.on(server.id) : books.on(1)).map((id) => ({ id }))
    },
    caughtBy: 'an unknown server has nobody: an empty list or a throw, never the users of another',
  },
  'gives a region at random': {
    spoil: connections((rows) => rows.map((row) => ({ ...row, region: String(Math.random()) }))),
    caughtBy: 'listing twice gives the same',
  },
  'shares one cursor among all listings': {
    spoil: ({ registry, books }) => {
      let page = 0
      registry.listServers = async function* (ctx) {
        page = 0
        const rows = (await books.listServers(ctx)) as readonly ServerInput[]
        while (page < rows.length) {
          const row = rows[page++] as ServerInput
          await new Promise((resolve) => setTimeout(resolve, 1))
          yield [row]
        }
      }
    },
    caughtBy: 'listings under way at once do not disturb each other',
  },
  'turns errors into an empty list': {
    spoil: servers(async (rows, ctx) => rows(ctx).catch(() => [])),
    caughtBy: 'unreachable is a throw, never an empty list',
  },
  'keeps the failed answer for ever': {
    spoil: ({ registry, books, gate }) => {
      let failed: unknown
      registry.listServers = async (ctx) => {
        if (failed) throw failed
        return gate(ctx, () => books.listServers(ctx) as Promise<readonly ServerInput[]>).catch((error) => {
          failed = error
          throw error
        })
      }
    },
    caughtBy: 'unreachable is a throw, never an empty list',
  },
  'does not look at the signal': {
    spoil: ({ registry, books, gate }) => {
      const never = { signal: new AbortController().signal }
      registry.listServers = () => gate(never, () => books.listServers(never) as Promise<readonly ServerInput[]>)
    },
    caughtBy: 'a listing without an answer settles soon after its abort, by throwing',
  },
  'takes an abort for the end of the pages': {
    spoil: servers(async (rows, ctx) =>
      rows(ctx).catch((error) => {
        if (ctx.signal.aborted) return []
        throw error
      }),
    ),
    caughtBy: 'a listing without an answer settles soon after its abort, by throwing',
  },
  'is out of order after one abort': {
    spoil: ({ registry, books }) => {
      let broken = false
      registry.listServers = async (ctx) => {
        broken ||= ctx.signal.aborted
        return broken ? [] : (books.listServers(ctx) as Promise<readonly ServerInput[]>)
      }
    },
    caughtBy: 'an aborted listing settles soon, and later ones are not the worse for it',
  },
  'lists from a cache that a write does not touch': {
    spoil: servers(
      (
        (cache?: Promise<readonly ServerInput[]>) => async (rows: Rows, ctx: CallContext) =>
          (cache ??= rows(ctx))
      )(),
    ),
    caughtBy: 'a status that was written is what the next listing shows',
  },
  'toggles instead of setting': {
    spoil: ({ registry, books }) => {
      registry.setServerStatus = async (server) => {
        const rows = (await books.listServers({ signal: new AbortController().signal })) as readonly ServerInput[]
        const now = rows.find(({ id }) => String(id) === server.id)?.status
        await books.setServerStatus(server, now === 'offline' ? 'online' : 'offline')
      }
    },
    caughtBy: 'writing a status again is harmless',
  },
  'forgets the users of a server that is set offline': {
    spoil: ({ registry, books }) => {
      registry.setServerStatus = async (server, status: ServerStatus) => {
        await books.setServerStatus(server, status)
        if (status === 'offline') for (const id of books.on(server.id)) books.unassign(id)
      }
    },
    caughtBy: 'an offline server is still listed with its connections, and nothing else changes',
  },
  'does not wait for the write': {
    spoil: ({ registry, books, gate }) => {
      registry.setServerStatus = async (server, status, ctx) => {
        gate(ctx, () => books.setServerStatus(server, status)).catch(() => {})
      }
    },
    caughtBy: 'a status that could not be written is a throw',
  },
  'changes the server that it is given': {
    spoil: ({ registry, books, gate }) => {
      registry.setServerStatus = async (server, status, ctx) => {
        Object.assign(server, { status })
        await gate(ctx, () => books.setServerStatus(server, status))
      }
    },
    caughtBy: 'a status that was written is what the next listing shows',
  },
  'calls its coverage full': {
    spoil: ({ registry }) => void Object.assign(registry, { coverage: 'full' }),
    caughtBy: 'coverage is assigned or active',
  },
  'watches for ever': {
    spoil: ({ registry }) => {
      registry.watch = async function* () {
        yield
        await new Promise(() => {})
      }
    },
    caughtBy: 'watch yields after a change, and ends soon after its abort',
  },
}

test.for(Object.entries(wrong))('a registry that %s is caught', async ([, { spoil, caughtBy }]) => {
  const rules = serverRegistryContract(() => paged(spoil), { promptMs: 200, timeoutMs: 1500 })
  const rule = rules.find(({ name }) => name === caughtBy)
  await expect(rule?.run()).rejects.toThrow()
})

// ------------------------------------------------------------------------------------------------------- the kit's own rules

test('without a word, what is missing fails the rules that need it, and names the remedy', async () => {
  const rules = serverRegistryContract(() => ({ registry: world(), ...truth }))
  const failed: string[] = []
  for (const rule of rules) await rule.run().catch((error) => failed.push(`${error.message}`))
  expect(failed).toHaveLength(5)
  expect(failed[0]).toBe("there is no fallSilent: add it, or declare it with { without: ['fallSilent'] }")
})

test('what is declared as missing and is there fails', async () => {
  const without: RegistryExtra[] = ['setServerStatus']
  const [rule] = serverRegistryContract(paged, { without }).filter(({ notChecked }) => notChecked !== null)
  await expect(rule?.run()).rejects.toThrow(/there is setServerStatus after all/)
})

test('a world that proves nothing is refused', async () => {
  const [rule] = serverRegistryContract(() => ({ registry: world(), servers: [1], connections: {} }))
  await expect(rule?.run()).rejects.toThrow(AssertionError)
})

test('a world is cleared up, also after a failed rule', async () => {
  let open = 0
  const rules = serverRegistryContract(() => {
    open++
    return { registry: world(), servers: ['nobody', 'knows'], connections: {}, dispose: () => open-- }
  })
  const ends = await Promise.allSettled(rules.map((rule) => rule.run()))
  expect(ends.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(5)
  expect(open).toBe(0)
})

test('a machine that has stood still for longer than a rule has is no fault of the adapter', async () => {
  const books = world()
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1))
  const listServers = async (ctx: CallContext) => {
    await turn()
    const until = performance.now() + 300
    while (performance.now() < until);
    await turn()
    return books.listServers(ctx) as Promise<readonly ServerInput[]>
  }
  const registry: ServerRegistry = { listServers, listConnections: books.listConnections }
  const rules = serverRegistryContract(() => ({ registry, ...truth }), { timeoutMs: 200 })
  await rules.find(({ name }) => name === 'listServers lists every server once, whatever its status')?.run()
})
