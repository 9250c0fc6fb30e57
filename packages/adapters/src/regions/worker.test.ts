import { type Json, PintailError } from '@pintail/core'
import { fakeClock } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { type Asked, bytesOf, commandOf, fakeServers } from '../../test/region.ts'
import { memoryBook } from './book.ts'
import type { Command, SyncEntry, WorkerEvent } from './messages.ts'
import type { Delivery, Handled } from './outcomes.ts'
import { type RegionWorkerOptions, regionWorker } from './worker.ts'

/** A worker of region `de` over servers that are not there, in virtual time. */
function workbench(options: Partial<RegionWorkerOptions> = {}) {
  const clock = fakeClock()
  const servers = fakeServers()
  const events: WorkerEvent[] = []
  const book = options.book ?? memoryBook()
  const worker = regionWorker({
    region: 'de',
    handler: servers,
    clock,
    random: () => 1,
    tell: (event) => events.push(event),
    ...options,
    book,
  })
  const deliver = (bytes: Uint8Array, delivery: Partial<Delivery> = {}): Promise<Handled> =>
    worker.handle(bytes, {
      address: { region: 'de', serverId: 'de-1' },
      deliveries: 1,
      arrivedAt: clock.now(),
      storedAt: clock.now(),
      ageMs: 0,
      ...delivery,
    })
  const give = (asked: Asked = {}, delivery: Partial<Delivery> = {}): Promise<Handled> =>
    deliver(bytesOf(commandOf({ issuedAt: clock.now(), replyTo: 'vpn.reply.me', ...asked })), delivery)
  return { clock, servers, events, book, worker, deliver, give }
}

const wordOf = ({ next, result, reason }: Handled): string =>
  [next, result?.status, result?.code ?? reason].filter((one) => one != null).join(' ')
const grant = (epoch: number, more: Asked = {}): Asked => ({ type: 'access.grant', epoch, ...more })
const revoke = (epoch: number, more: Asked = {}): Asked => ({ type: 'access.revoke', epoch, ...more })

test('whatever order commands come in, the newest holds', async () => {
  const orders = [
    [grant(1), revoke(2), grant(3)],
    [grant(3), revoke(2), grant(1)],
    [revoke(2), grant(3), grant(1)],
    [grant(3), grant(1), revoke(2)],
  ]
  for (const order of orders) {
    const { servers, give } = workbench()
    for (const asked of order) await give(asked)
    for (const asked of order) await give(asked, { deliveries: 2 })
    expect([...servers.granted.keys()], order.map(({ type, epoch }) => `${type} ${epoch}`).join()).toEqual(['de-1/c1'])
    expect(servers.calls.filter((call) => call.startsWith('revoke')).length).toBeLessThanOrEqual(1)
  }
})

test('commands for one connection go one after the other, others do not wait for it', async () => {
  const { servers, give } = workbench()
  const gate = Promise.withResolvers<void>()
  servers.before = (_, { connectionId, epoch }) => (connectionId === 'c1' && epoch === 1 ? gate.promise : undefined)
  const both = [give(grant(1)), give(revoke(2))]
  await give(grant(1, { connectionId: 'c2' }))
  expect(servers.calls).toEqual(['grant de-1/c2 1.1'])
  gate.resolve()
  await Promise.all(both)
  expect(servers.calls).toEqual(['grant de-1/c2 1.1', 'grant de-1/c1 1.1', 'revoke de-1/c1 1.2'])
  expect([...servers.granted.keys()]).toEqual(['de-1/c2'])
})

test('an answer that was lost is given again', async () => {
  const { worker, give } = workbench()
  expect((await give(grant(1))).result).toMatchObject({ status: 'ok', payload: { address: '10.0.0.1/c1' } })
  expect((await give(grant(1), { deliveries: 2 })).result).toMatchObject({ status: 'noop', payload: { address: '10.0.0.1/c1' } })
  expect(worker.figures()).toMatchObject({ applied: 1, noop: 1, redelivered: 1 })
})

test('what a handler throws decides what happens to the command', async () => {
  const { servers, worker, give } = workbench({ maxTries: 3 })
  const failing = (error: unknown) => {
    servers.before = () => {
      throw error
    }
  }
  failing(new PintailError('rejected', 'no such profile'))
  expect(wordOf(await give(grant(1)))).toBe('ack rejected REJECTED')
  failing(new PintailError('unavailable', 'the daemon is down'))
  const retry = await give(grant(2))
  expect([wordOf(retry), retry.result?.retryable, retry.delayMs]).toEqual(['retry failed UNAVAILABLE', true, 1000])
  expect((await give(grant(2), { deliveries: 99 })).delayMs).toBe(60_000)
  expect(wordOf(await give(grant(2), { deliveries: 99 }))).toBe('retry failed UNAVAILABLE')
  failing(new Error('boom with password=hunter2'))
  const failed = await give(grant(3))
  expect([wordOf(failed), failed.result?.message]).toEqual(['retry failed FAILED', 'boom with password=***'])
  expect(wordOf(await give(grant(3), { deliveries: 3 }))).toBe('dead failed TOO_MANY_TRIES')
  expect(worker.figures()).toMatchObject({ rejected: 1, failed: 4, dead: 1, deadBy: { TOO_MANY_TRIES: 1 } })
})

test('what failed may have had its effect: what is older does not come after it', async () => {
  const { servers, give } = workbench()
  servers.before = (what) => {
    if (what === 'revoke') throw new Error('no answer')
  }
  await give(revoke(5))
  expect(wordOf(await give(grant(4)))).toBe('ack rejected STALE')
  servers.before = () => {}
  expect(wordOf(await give(revoke(5), { deliveries: 2 }))).toBe('ack ok')
})

test('a command that ends its worker each time is a dead letter in the end', async () => {
  const { servers, give } = workbench({ maxTries: 3 })
  expect(wordOf(await give(grant(1), { deliveries: 4 }))).toBe('dead failed TOO_MANY_TRIES')
  expect(servers.calls).toEqual([])
})

test('a handler that hangs is given up, and what comes next for the connection does not overtake it', async () => {
  const { clock, servers, give } = workbench({ timeoutMs: 1000 })
  const hung = Promise.withResolvers<void>()
  let signal: AbortSignal | null = null
  servers.before = (what, _, one) => {
    signal = one
    return what === 'grant' ? hung.promise : undefined
  }
  const first = give(grant(1))
  const second = give(revoke(2))
  await clock.advance(1000)
  expect(signal).toMatchObject({ aborted: true })
  expect(servers.calls).toEqual([])
  await clock.advance(1000)
  expect([wordOf(await first), wordOf(await second)]).toEqual(['retry failed FAILED', 'ack ok'])
  hung.resolve()
})

test('forged commands are dead letters, and change nothing', async () => {
  const cases: readonly [string, Asked, Partial<Delivery>][] = [
    ['for another region', { region: 'nl' }, {}],
    ['on the subject of another region', {}, { address: { region: 'nl', serverId: 'de-1' } }],
    ['on the subject of another server', {}, { address: { region: 'de', serverId: 'de-2' } }],
    ['on no subject of commands', {}, { address: null }],
    ['with an answer to the broker itself', { replyTo: '$JS.API.STREAM.DELETE.VPN_CMD' }, {}],
    ['with an answer into the commands', { replyTo: 'vpn.cmd.de.de-1' }, {}],
    ["for a server that is not this worker's", { serverId: 'de-9' }, { address: { region: 'de', serverId: 'de-9' } }],
  ]
  for (const [what, asked, delivery] of cases) {
    const { servers, worker, give } = workbench({ servers: ['de-1', 'de-2'], isReply: (subject) => subject.startsWith('vpn.reply.') })
    const handled = await give(asked, delivery)
    expect([handled.next, handled.reason], what).toEqual(['dead', 'FORGED'])
    if (asked.replyTo) expect(handled.replyTo, what).toBeNull()
    expect([servers.calls, worker.figures().deadBy], what).toEqual([[], { FORGED: 1 }])
  }
})

test('poison is a dead letter at once, with its reason', async () => {
  const { worker, deliver } = workbench()
  for (const [bytes, reason] of [
    [bytesOf('{'), 'MALFORMED'],
    [new Uint8Array(300_000), 'OVERSIZED'],
    [bytesOf({ ...commandOf(), v: 7 }), 'UNKNOWN_VERSION'],
    [bytesOf(commandOf({ type: 'access.sync', payload: { page: 'x' } })), 'MALFORMED'],
  ] as const)
    expect(wordOf(await deliver(bytes))).toMatch(new RegExp(`^dead .*${reason}$`))
  expect(worker.figures()).toMatchObject({ dead: 4, deadBy: { MALFORMED: 2, OVERSIZED: 1, UNKNOWN_VERSION: 1 } })
})

test('after its deadline nothing is begun; a revoke without one is never too late', async () => {
  const { servers, worker, give } = workbench()
  expect(wordOf(await give(grant(1), { ageMs: 61_000 }))).toBe('ack rejected EXPIRED')
  expect(wordOf(await give(revoke(2, { deadline: null }), { ageMs: 7 * 86_400_000 }))).toBe('ack ok')
  expect([servers.calls, worker.figures().expired]).toEqual([['revoke de-1/c1 1.2'], 1])
})

test('a deadline that passes while the command waits for its turn has passed', async () => {
  const { clock, servers, give } = workbench({ timeoutMs: 600_000 })
  const gate = Promise.withResolvers<void>()
  servers.before = (_, { epoch }) => (epoch === 1 ? gate.promise : undefined)
  const first = give(grant(1, { deadline: null }))
  const second = give(revoke(2))
  await clock.advance(61_000)
  gate.resolve()
  await first
  expect(wordOf(await second)).toBe('ack rejected EXPIRED')
})

test('what the broker has given to somebody else is left to him; an effect that was late is told', async () => {
  const { servers, worker, events, give } = workbench()
  expect(wordOf(await give(grant(1), { isOurs: () => false }))).toBe('leave')
  expect(servers.calls).toEqual([])
  let looks = 0
  expect(wordOf(await give(grant(2), { isOurs: () => looks++ === 0 }))).toBe('ack ok')
  expect(worker.figures()).toMatchObject({ left: 1, late: 1, applied: 1 })
  expect(events).toMatchObject([{ type: 'effect.late', serverId: 'de-1', data: { connections: ['c1'] } }])
})

test('a book that cannot be written holds the command back', async () => {
  const book = memoryBook()
  const { give } = workbench({ book: { ...book, record: () => Promise.reject(new PintailError('unavailable', 'the disk is full')) } })
  expect(wordOf(await give(grant(1)))).toBe('retry failed UNAVAILABLE')
})

test('a leader who was replaced is fenced on every server that has heard of his successor', async () => {
  const { worker, clock, give } = workbench()
  await give(grant(1, { token: 7 }))
  await clock.advance(10)
  expect(wordOf(await give(grant(9, { token: 6, connectionId: 'c2' })))).toBe('ack rejected FENCED')
  expect(wordOf(await give(grant(9, { token: 6, serverId: 'de-2' }), { address: { region: 'de', serverId: 'de-2' } }))).toBe('ack ok')
  expect(worker.figures().fenced).toBe(1)
})

test('whether an access is usable is asked of the handler, and changes nothing', async () => {
  const { servers, book, worker, give } = workbench()
  expect((await give({ type: 'access.check' })).result).toMatchObject({ status: 'ok', payload: { usable: false } })
  expect(book.isEmpty).toBe(true)
  await give(grant(1))
  expect((await give({ type: 'access.check' })).result).toMatchObject({ payload: { usable: true } })
  await give(revoke(2))
  expect(wordOf(await give({ type: 'access.check' }))).toBe('ack rejected STALE')
  expect([servers.calls.length, worker.figures().checked]).toEqual([2, 2])
})

test('when the worker stops, what is under way is left for another', async () => {
  const { servers, worker, give } = workbench()
  servers.before = (_, __, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const under = give(grant(1))
  await Promise.resolve()
  worker.stop()
  expect(await under).toMatchObject({ next: 'retry', result: null, delayMs: 0 })
  expect(worker.figures().failed).toBe(0)
})

test('a worker that is halted ends what it has begun, and begins nothing more', async () => {
  const { servers, worker, give } = workbench({ concurrency: 1 })
  const gate = Promise.withResolvers<void>()
  servers.before = () => gate.promise
  const first = give(grant(1))
  const second = give(grant(1, { connectionId: 'c2' }))
  await Promise.resolve()
  worker.halt()
  expect(await second).toMatchObject({ next: 'retry', result: null, delayMs: 0 })
  gate.resolve()
  expect(wordOf(await first)).toBe('ack ok')
  expect(wordOf(await give(grant(2)))).toBe('retry')
  expect(servers.calls).toEqual(['grant de-1/c1 1.1'])
})

test('settings that cannot be are refused', () => {
  const handler = fakeServers()
  for (const options of [
    { region: '' },
    { timeoutMs: 1 },
    { maxTries: 0 },
    { skewMs: -1 },
    { syncPagesMs: Number.NaN },
    { handler: {} as never },
  ])
    expect(() => regionWorker({ region: 'de', handler, ...options }), JSON.stringify(options)).toThrow(/must/)
})

// --------------------------------------------------------------------------------------------------------------- syncs

const entry = (connectionId: string, epoch: number, payload: Json = null): SyncEntry => ({ connectionId, token: 1, epoch, payload })

function syncOf(
  entries: readonly SyncEntry[],
  more: { epoch?: number; leave?: string[]; syncId?: string; pages?: number; page?: number; token?: number } = {},
): Asked & { type: Command['type'] } {
  const { epoch = 100, token = 1, leave = [], syncId = 's', pages = 1, page = 0 } = more
  return { type: 'access.sync', epoch, token, deadline: null, payload: { syncId, page, pages, entries: entries as unknown as Json, leave } }
}

test('a sync repairs drift, tells it, and a second one finds none', async () => {
  const { servers, worker, events, give } = workbench()
  for (const [id, epoch] of [
    ['kept', 1],
    ['gone', 2],
    ['extra', 3],
    ['other', 4],
  ] as const)
    await give(grant(epoch, { connectionId: id, payload: { ip: id } }))
  servers.granted.delete('de-1/gone')
  servers.granted.set('de-1/kept', { ip: 'wrong' })
  servers.strangers.set('de-1', 2)
  const wanted = ['kept', 'gone', 'other'].map((id, index) => entry(id, [1, 2, 4][index] as number, { ip: id }))
  const handled = await give(syncOf(wanted))
  expect(handled.result).toMatchObject({
    status: 'ok',
    code: null,
    payload: { missing: 1, changed: 1, extra: 1, same: 1, foreign: 2, failed: 0 },
  })
  expect(Object.fromEntries(servers.granted)).toEqual({
    'de-1/kept': { ip: 'kept' },
    'de-1/gone': { ip: 'gone' },
    'de-1/other': { ip: 'other' },
  })
  expect(events).toMatchObject([
    { type: 'sync.drift', serverId: 'de-1', data: { missing: 1, changed: 1, extra: 1, connections: ['kept', 'gone', 'extra'] } },
  ])
  expect(wordOf(await give(syncOf(wanted, { epoch: 101, syncId: 's2' })))).toBe('ack noop')
  expect(worker.figures()).toMatchObject({ syncs: 2, driftMissing: 1, driftChanged: 1, driftExtra: 1, foreign: 2 })
})

test('a worker without its book is taught by a sync, without touching anybody', async () => {
  const { servers, book, give } = workbench()
  servers.granted.set('de-1/a', null).set('de-1/b', null)
  await give(syncOf([entry('a', 5), entry('b', 6)]))
  expect(servers.calls).toEqual([])
  expect(wordOf(await give(revoke(4, { connectionId: 'a' })))).toBe('ack rejected STALE')
  expect(book.connection('de-1', 'b')).toMatchObject({ token: 1, epoch: 6, done: 'granted' })
})

test('what is newer than the list, under way or to be left is not touched', async () => {
  const { servers, give } = workbench()
  await give(grant(101, { connectionId: 'newer' }))
  await give(grant(1, { connectionId: 'left' }))
  await give(revoke(102, { connectionId: 'moved' }))
  servers.calls.length = 0
  const handled = await give(syncOf([entry('moved', 3), entry('fresh', 4)], { leave: ['left', 'fresh'] }))
  expect(servers.calls).toEqual([])
  expect(handled.result?.payload).toMatchObject({ newer: 2, left: 2 })
})

test('a grant between reading the list and applying it is left alone', async () => {
  const { servers, book, give } = workbench()
  await give(grant(1, { connectionId: 'a' }))
  servers.granted.clear()
  const list = servers.list
  Object.assign(servers, {
    list: async (...args: Parameters<NonNullable<typeof list>>) => {
      const found = await list?.(...args)
      await give(revoke(50, { connectionId: 'a' }))
      return found
    },
  })
  const handled = await give(syncOf([entry('a', 1)]))
  expect(handled.result?.payload).toMatchObject({ missing: 1, overtaken: 1 })
  expect(book.connection('de-1', 'a')).toMatchObject({ epoch: 50, done: 'revoked' })
  expect(servers.granted.size).toBe(0)
})

test('pages come in any order and twice, and nothing is applied before the last', async () => {
  const { servers, give } = workbench()
  const pages = [0, 1, 2].map((page) => syncOf([entry(`c${page}`, 1)], { page, pages: 3 }))
  expect(wordOf(await give(pages[2]))).toBe('ack ok COLLECTED')
  expect(wordOf(await give(pages[0]))).toBe('ack ok COLLECTED')
  expect(wordOf(await give(pages[0], { deliveries: 2 }))).toBe('ack ok COLLECTED')
  expect(servers.calls).toEqual([])
  expect((await give(pages[1])).result).toMatchObject({ status: 'ok', code: null, payload: { missing: 3 } })
  expect(servers.granted.size).toBe(3)
  expect(wordOf(await give(pages[1], { deliveries: 2 }))).toBe('ack noop')
})

test('a sync of which a page is lost is given up: nothing of it is applied, it is counted and told', async () => {
  const { clock, servers, worker, events, give } = workbench({ syncPagesMs: 60_000 })
  await give(grant(1, { connectionId: 'stays' }))
  await give(syncOf([entry('a', 1)], { page: 0, pages: 2 }))
  await clock.advance(60_000)
  expect([...servers.granted.keys()]).toEqual(['de-1/stays'])
  expect(events).toMatchObject([{ type: 'sync.given_up', serverId: 'de-1', data: { syncId: 's', have: 1, pages: 2 } }])
  await give(syncOf([entry('a', 1)], { page: 0, pages: 2, syncId: 'next', epoch: 101 }))
  await give(syncOf([entry('b', 1)], { page: 0, pages: 2, syncId: 'newer', epoch: 102 }))
  expect(wordOf(await give(syncOf([], { page: 1, pages: 2, syncId: 'next', epoch: 101 })))).toBe('ack rejected STALE')
  expect(worker.figures()).toMatchObject({ syncs: 0, syncsGivenUp: 2, stale: 1 })
})

test('pages that contradict each other are refused', async () => {
  const { servers, worker, give } = workbench()
  await give(syncOf([], { page: 0, pages: 3 }))
  expect(wordOf(await give(syncOf([entry('a', 1)], { page: 1, pages: 2 })))).toBe('ack rejected STALE')
  await give(syncOf([], { page: 0, pages: 2, syncId: 't' }))
  expect(wordOf(await give(syncOf([entry('a', 1)], { page: 1, pages: 2, syncId: 't', epoch: 101 })))).toBe('ack rejected STALE')
  expect([servers.calls, worker.figures().syncsGivenUp]).toEqual([[], 2])
})

test('a sync that is replayed after a newer one is refused', async () => {
  const { servers, give } = workbench()
  await give(syncOf([entry('a', 1), entry('b', 2)], { epoch: 10 }))
  await give(revoke(11, { connectionId: 'a' }))
  await give(syncOf([entry('b', 2)], { epoch: 12, syncId: 't' }))
  servers.calls.length = 0
  expect(wordOf(await give(syncOf([entry('a', 1), entry('b', 2)], { epoch: 10 })))).toBe('ack rejected STALE')
  expect(servers.calls).toEqual([])
})

test('a list that would take access from more than half is believed when a second one says the same', async () => {
  const { servers, worker, events, give } = workbench()
  for (const id of ['a', 'b', 'c', 'd']) await give(grant(1, { connectionId: id }))
  expect(wordOf(await give(syncOf([entry('new', 2)])))).toBe('ack failed HELD')
  expect([...servers.granted.keys()]).toEqual(['de-1/a', 'de-1/b', 'de-1/c', 'de-1/d', 'de-1/new'])
  expect(events.map(({ type }) => type)).toEqual(['sync.drift', 'sync.held'])
  expect(wordOf(await give(syncOf([entry('new', 2)], { epoch: 101, syncId: 't' })))).toBe('ack ok')
  expect([...servers.granted.keys()]).toEqual(['de-1/new'])
  expect(worker.figures()).toMatchObject({ syncs: 2, syncsHeld: 1, driftExtra: 4 })
})

test('what a sync cannot repair is counted, and the rest is repaired', async () => {
  const { servers, give } = workbench()
  servers.before = (_, { connectionId }) => {
    if (connectionId === 'bad') throw new Error('no')
  }
  const handled = await give(syncOf([entry('bad', 1), entry('good', 2)]))
  expect(handled.result).toMatchObject({ status: 'failed', code: 'INCOMPLETE', retryable: true, payload: { missing: 2, failed: 1 } })
  expect([handled.next, [...servers.granted.keys()]]).toEqual(['ack', ['de-1/good']])
})

test('a handler with sync gets one call with everybody, and nothing else is done on the server meanwhile', async () => {
  const servers = fakeServers()
  const entered = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const { give, book } = workbench({
    handler: {
      ...servers,
      sync: async ({ granted, revoked }) => {
        entered.resolve()
        await gate.promise
        servers.calls.push(`sync +${granted.map(({ connectionId }) => connectionId)} -${revoked.map(({ connectionId }) => connectionId)}`)
      },
    },
  })
  await give(grant(1, { connectionId: 'a' }))
  await give(grant(2, { connectionId: 'x' }))
  const synced = give(syncOf([entry('a', 1), entry('b', 3)]))
  await entered.promise
  const during = give(grant(200, { connectionId: 'c' }))
  gate.resolve()
  await Promise.all([synced, during])
  expect(servers.calls.slice(2)).toEqual(['sync +a,b -x', 'grant de-1/c 1.200'])
  expect(book.connection('de-1', 'x')).toMatchObject({ done: 'revoked', epoch: 100 })
})
