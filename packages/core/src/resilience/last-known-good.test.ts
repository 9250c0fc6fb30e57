import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { CallContext, ConnectionInput, ServerInput, ServerRegistry } from '../ports.ts'
import { fakeClock } from '../testing/clock.ts'
import type { Server } from '../vocabulary.ts'
import { lastKnownGood, withRetry } from './index.ts'

const ctx: CallContext = { signal: new AbortController().signal }
const server = (id: string) => ({ id }) as Server
const down = new Error('the database is down')
const a = [{ id: 'a', host: 'a' }]

/** A registry whose answers a test sets, as one answer or in pages. */
function world(paged = false) {
  const clock = fakeClock()
  const answers = { servers: a as readonly ServerInput[] | Error, connections: {} as Record<string, readonly ConnectionInput[] | Error> }
  const give = <T>(answer: readonly T[] | Error): PromiseLike<readonly T[]> | AsyncIterable<readonly T[]> => {
    if (paged)
      return (async function* () {
        yield answer instanceof Error ? [{ id: 'half' } as T] : answer.slice(0, 1)
        if (answer instanceof Error) throw answer
        yield answer.slice(1)
      })()
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
  }
  const told: unknown[] = []
  const inner: ServerRegistry = {
    listServers: () => give(answers.servers),
    listConnections: ({ id }) => give(answers.connections[id] ?? []),
  }
  const registry = lastKnownGood(inner, { clock, onStale: (event) => told.push(event) })
  return {
    clock,
    answers,
    told,
    registry,
    servers: () => registry.listServers(ctx) as Promise<unknown>,
    connections: (id: string) => registry.listConnections(server(id), ctx) as Promise<unknown>,
  }
}

test.each([
  ['one answer', false],
  ['pages', true],
])('a failing listing answers with its last success and says so: %s', async (_, paged) => {
  const { clock, answers, told, registry, servers } = world(paged)
  expect(await servers()).toEqual(a)
  expect(registry.stale).toBe(false)
  answers.servers = down
  await clock.advance(30_000)
  expect(await servers()).toEqual(a)
  expect(registry.stale).toBe(true)
  expect(told).toEqual([{ serverId: null, ageMs: 30_000, error: down }])
})

test('without a success before there is nothing to answer with: the failure stays one', async () => {
  const { answers, told, registry, servers } = world()
  answers.servers = down
  await expect(servers()).rejects.toBe(down)
  expect(registry.stale).toBe(false)
  expect(told).toEqual([])
})

test('a listing is never older than ten minutes, to the millisecond', async () => {
  const { clock, answers, registry, servers } = world()
  await servers()
  answers.servers = down
  await clock.advance(600_000)
  expect(await servers()).toEqual(a)
  await clock.advance(1)
  expect(registry.stale).toBe(false)
  await expect(servers()).rejects.toBe(down)
})

test('an answer from memory does not make the memory younger', async () => {
  const { clock, answers, servers } = world()
  await servers()
  answers.servers = down
  for (let minute = 0; minute < 10; minute++) {
    await clock.advance(60_000)
    await servers()
  }
  await clock.advance(1)
  await expect(servers()).rejects.toBe(down)
})

test('the age counts from when the listing was begun, because nothing in it is newer', async () => {
  const clock = fakeClock()
  let fails = false
  const registry = lastKnownGood<ServerRegistry>(
    {
      listServers: () => (fails ? Promise.reject(down) : new Promise((resolve) => clock.setTimeout(() => resolve(a), 5000))),
      listConnections: async () => [],
    },
    { clock, maxAgeMs: 10_000 },
  )
  const first = registry.listServers(ctx) as Promise<unknown>
  await clock.advance(5000)
  await first
  fails = true
  await clock.advance(5000)
  expect(await (registry.listServers(ctx) as Promise<unknown>)).toEqual(a)
  await clock.advance(1)
  await expect(registry.listServers(ctx) as Promise<unknown>).rejects.toBe(down)
})

test('a listing that comes to its end after a younger one does not outlive its own age', async () => {
  const clock = fakeClock()
  let answer: Promise<readonly ConnectionInput[]> = Promise.resolve([])
  const registry = lastKnownGood<ServerRegistry>({ listServers: async () => a, listConnections: () => answer }, { clock, maxAgeMs: 1000 })
  answer = new Promise((resolve) => clock.setTimeout(() => resolve([{ id: 'slow' }]), 900))
  const slow = registry.listConnections(server('slow'), ctx) as Promise<unknown>
  await clock.advance(500)
  answer = Promise.resolve([{ id: 'fast' }])
  await (registry.listConnections(server('fast'), ctx) as Promise<unknown>)
  await clock.advance(400)
  await slow
  await clock.advance(200)
  answer = Promise.reject(down)
  answer.catch(() => {})
  await expect(registry.listConnections(server('slow'), ctx) as Promise<unknown>).rejects.toBe(down)
  expect(await (registry.listConnections(server('fast'), ctx) as Promise<unknown>)).toEqual([{ id: 'fast' }])
})

test('pages that fail in the middle are a failure: half a list is never an answer', async () => {
  const { answers, servers } = world(true)
  answers.servers = [...a, { id: 'b', host: 'b' }]
  await servers()
  answers.servers = down
  expect(await servers()).toEqual([...a, { id: 'b', host: 'b' }])
})

test('a listing that is no list is a failure', async () => {
  const clock = fakeClock()
  let answer: unknown = a
  const registry = lastKnownGood<ServerRegistry>(
    { listServers: async () => answer as ServerInput[], listConnections: async () => [] },
    { clock },
  )
  await (registry.listServers(ctx) as Promise<unknown>)
  answer = null
  expect(await (registry.listServers(ctx) as Promise<unknown>)).toEqual(a)
  await clock.advance(600_001)
  await expect(registry.listServers(ctx) as Promise<unknown>).rejects.toMatchObject({ code: 'unavailable' })
})

test('an empty list is handed on as it is, never covered by memory', async () => {
  const { answers, registry, servers } = world()
  await servers()
  answers.servers = []
  expect(await servers()).toEqual([])
  expect(registry.stale).toBe(false)
})

test('a failure after an empty list is a failure: neither the empty list nor the one before it comes back', async () => {
  const { answers, told, servers } = world()
  await servers()
  answers.servers = []
  await servers()
  answers.servers = down
  await expect(servers()).rejects.toBe(down)
  expect(told).toEqual([])
})

test('users who have left do not come back: a failure after their empty listing is a failure', async () => {
  const { answers, connections } = world()
  answers.connections.s1 = [{ id: 'c1' }]
  await connections('s1')
  answers.connections.s1 = []
  expect(await connections('s1')).toEqual([])
  answers.connections.s1 = down
  await expect(connections('s1')).rejects.toBe(down)
})

test('each server has its own memory', async () => {
  const { answers, told, connections } = world()
  answers.connections = { s1: [{ id: 'c1' }], s2: [{ id: 'c2' }] }
  await connections('s1')
  await connections('s2')
  answers.connections = { s1: down, s2: down, s3: down }
  expect(await connections('s1')).toEqual([{ id: 'c1' }])
  expect(await connections('s2')).toEqual([{ id: 'c2' }])
  await expect(connections('s3')).rejects.toBe(down)
  expect(told).toEqual([
    { serverId: 's1', ageMs: 0, error: down },
    { serverId: 's2', ageMs: 0, error: down },
  ])
})

test('the newest success is what is remembered, and it ends being stale', async () => {
  const { answers, registry, servers } = world()
  await servers()
  answers.servers = down
  await servers()
  expect(registry.stale).toBe(true)
  answers.servers = [{ id: 'b', host: 'b' }]
  await servers()
  expect(registry.stale).toBe(false)
  answers.servers = down
  expect(await servers()).toEqual([{ id: 'b', host: 'b' }])
})

test('after an abort the failure stands', async () => {
  const { answers, told, registry, servers } = world()
  await servers()
  answers.servers = down
  const controller = new AbortController()
  controller.abort()
  await expect(registry.listServers({ signal: controller.signal }) as Promise<unknown>).rejects.toBe(down)
  expect(told).toEqual([])
})

test('other calls fail as they fail, and class instances, optional methods and properties stay', async () => {
  class Books implements ServerRegistry {
    readonly #rows = a
    readonly coverage = 'active'
    async listServers() {
      return this.#rows
    }
    async listConnections() {
      return []
    }
    async setServerStatus(_server: Server, status: string, _ctx: CallContext) {
      if (this.#rows === a) throw new PintailError('rejected', status)
    }
  }
  const registry = lastKnownGood(new Books())
  expect(await registry.listServers()).toEqual(a)
  expect(registry.coverage).toBe('active')
  expect((registry as ServerRegistry).watch).toBeUndefined()
  await expect(registry.setServerStatus(server('s1'), 'offline', ctx)).rejects.toMatchObject({ code: 'rejected', message: 'offline' })
})

test('it goes over withRetry: memory answers when the tries are spent', async () => {
  const clock = fakeClock()
  let calls = 0
  const flaky: ServerRegistry = {
    listServers: async () => {
      if (++calls > 1) throw down
      return a
    },
    listConnections: async () => [],
  }
  const registry = lastKnownGood(withRetry(flaky, { clock, tries: 3 }), { clock })
  await (registry.listServers(ctx) as Promise<unknown>)
  const second = registry.listServers(ctx) as Promise<unknown>
  await clock.advance(60_000)
  expect(await second).toEqual(a)
  expect(calls).toBe(4)
  expect(registry.stale).toBe(true)
})

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 86_400_001])('an unbounded or senseless maxAgeMs is refused: %d', (maxAgeMs) => {
  expect(() => lastKnownGood({ listServers: async () => [], listConnections: async () => [] }, { maxAgeMs })).toThrow(
    expect.objectContaining({ code: 'invalid_argument' }),
  )
})
