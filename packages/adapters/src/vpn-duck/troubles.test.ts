import { setTimeout as wait } from 'node:timers/promises'
import { type Connection, type Move, type Server, type ServerInput, systemClock } from '@pintail/core'
import { fakeClock } from '@pintail/core/testing'
import { afterEach, expect, test } from 'vitest'
import { listenAgain, unhurriedTimeouts } from '../../test/duck.ts'
import { vpnDuck } from './index.ts'
import { createDatabaseService, type FaultKind } from './testing/index.ts'

const ctx = { signal: new AbortController().signal }
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function world(dialect: 'v1' | 'v2', kind?: FaultKind) {
  const clock = kind === 'silent' ? fakeClock() : null
  const service = createDatabaseService({ dialect, servers: 3, users: [{ id: 101, server: 1 }] })
  const duck = vpnDuck({
    databaseServiceUrl: await service.listen(),
    backoffMs: 2,
    clock: clock ?? systemClock,
    timeouts: clock ? { readMs: 600, moveMs: 600, statusMs: 600, logMs: 600 } : unhurriedTimeouts,
  })
  ends.push(
    () => service.close(),
    () => duck.close(),
  )
  const rows = (await duck.registry.listServers(ctx)) as readonly ServerInput[]
  const [from, to] = rows.map((row) => ({ ...row, id: String(row.id), rawId: row.id })) as unknown as readonly [Server, Server]
  const connection = { id: '101', rawId: 101, meta: null } as unknown as Connection
  const move = { key: 'm/101/1', connection, from, to, reason: 'server-down', attempt: 1 } as unknown as Move
  /** A call, to its end. Its time passes when the service has got it and keeps silent, and hardly before. */
  const done = async <T>(call: PromiseLike<T> | undefined): Promise<T | undefined> => {
    let isOver = false
    const end = Promise.resolve(call).finally(() => {
      isOver = true
    })
    end.catch(() => {})
    const silent = () => service.calls.filter(({ status }) => status === null).length
    for (let passed = silent(); clock && !isOver; await wait(1)) {
      await clock.advance(silent() > passed ? 600 : 1)
      passed = silent()
    }
    return end
  }
  const failure = (call: PromiseLike<unknown> | undefined): Promise<{ code: string; message: string }> =>
    done(call).then(
      () => Promise.reject(new Error('it resolved')),
      (error) => error,
    )
  return { service, duck, move, from, done, failure }
}

/** What each fault is to a reading and to a move, and what the error says. */
const faults: readonly (readonly [FaultKind, move: 'sure' | 'unclear', told: RegExp])[] = [
  ['html', 'unclear', /answered 200 with HTML: <!doctype html>/],
  ['cut', 'unclear', /answered 200 with something that is no JSON/],
  ['throttled', 'sure', /answered 429: Too many requests/],
  ['overloaded', 'sure', /answered 503/],
  ['error', 'unclear', /answered 500: Ошибка при обращении к базе данных/],
  ['silent', 'unclear', /had no answer within 600 ms/],
  ['reset', 'unclear', /ECONNRESET|socket hang up/],
  ['endless', 'unclear', /longer than/],
  ['redirect', 'unclear', /answered 302: a redirect to \/.*not followed/],
]

for (const dialect of ['v1', 'v2'] as const)
  for (const [kind, moved, told] of faults) {
    test(`${dialect}, ${kind}: a list is a throw and never empty, with path and status and without secrets`, async () => {
      const { service, duck, from, done, failure } = await world(dialect, kind)
      service.faults.set({ kind, retryAfter: 0 })
      for (const call of [() => duck.registry.listServers(ctx), () => duck.registry.listConnections(from, ctx)]) {
        const { message, code } = await failure(call() as PromiseLike<unknown>)
        expect(message).toMatch(told)
        expect(message).toMatch(/\/servers\/(all|1\/connections)/)
        expect(message).not.toContain('hunter2')
        expect(['unavailable', 'timeout']).toContain(code)
      }
      service.faults.clear()
      expect(await done(Promise.resolve(duck.registry.listServers(ctx)))).toHaveLength(3)
    })

    test(`${dialect}, ${kind}: a move is ${moved === 'sure' ? 'unavailable' : 'neither refused nor said not to have happened'}, and goes well afterwards`, async () => {
      const { service, duck, move, done, failure } = await world(dialect, kind)
      service.faults.set({ kind, path: 'change_geolocation', retryAfter: 0 })
      const { message, code } = await failure(duck.mover.move(move, ctx))
      expect(message).toMatch(told)
      expect(message).not.toContain('hunter2')
      if (moved === 'sure') expect(code).toBe('unavailable')
      else expect(['rejected', 'unavailable']).not.toContain(code)
      service.faults.clear()
      await done(Promise.resolve(duck.mover.move(move, ctx)))
      expect(service.homeOf(101)).toBe(2)
      expect(await done(duck.mover.locate?.(move, ctx))).toBe('on_target')
    })

    test(`${dialect}, ${kind}: a status is a throw, and is written afterwards`, async () => {
      const { service, duck, from, done, failure } = await world(dialect, kind)
      service.faults.set({ kind, path: '/status', retryAfter: 0 })
      await failure(duck.registry.setServerStatus?.(from, 'offline', ctx) as PromiseLike<unknown>)
      service.faults.clear()
      await done(duck.registry.setServerStatus?.(from, 'offline', ctx) as PromiseLike<unknown>)
      expect(service.tables.servers.get(1)?.status).toBe('inactive')
    })
  }

test('a service that is down at the start is unavailable with a remedy, and found when it is there', async () => {
  const service = createDatabaseService({ dialect: 'v2' })
  const url = await service.listen()
  await service.close()
  const duck = vpnDuck({ databaseServiceUrl: url, backoffMs: 2 })
  ends.push(
    () => service.close(),
    () => duck.close(),
  )
  await expect(duck.registry.listServers(ctx)).rejects.toMatchObject({ code: 'unavailable', remedy: expect.stringContaining(url) })
  await expect(duck.dialect()).rejects.toMatchObject({ code: 'unavailable' })
  await listenAgain(service)
  await expect.poll(() => duck.dialect().catch(() => null)).toBe('v2')
})

test('close leaves no socket, and later calls are refused', async () => {
  const { service, duck, move } = await world('v2')
  service.faults.set('silent')
  const calls = [
    duck.mover.move(move, ctx),
    duck.registry.listServers(ctx),
    duck.recordMetrics({ serverId: 1, latencyMs: 1, packetLossPercent: 0 }),
  ]
  const ended = Promise.allSettled(calls as PromiseLike<unknown>[])
  await expect.poll(() => service.sockets).toBeGreaterThan(0)
  await duck.close()
  expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  await expect.poll(() => service.sockets).toBe(0)
  await expect(duck.registry.listServers(ctx)).rejects.toMatchObject({ code: 'stopped' })
})

test.for([
  { databaseServiceUrl: 'database-service:5002' },
  { databaseServiceUrl: 'http://a.example', dialect: 'v3' },
  { databaseServiceUrl: 'http://a.example', apiPrefix: '/v9' },
])('%j is refused as options', (options) => {
  expect(() => vpnDuck(options as never)).toThrow(expect.objectContaining({ code: 'invalid_options' }))
})
