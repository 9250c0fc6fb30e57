import { afterEach, beforeEach, expect, test } from 'vitest'
import { isPintailError, PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import type { JournalPage, Logger } from '../ports.ts'
import type { ServerId } from '../vocabulary.ts'
import { Bus } from './bus.ts'

const event = (seq: number): PintailEvent => ({ seq, type: 'server.cordoned', at: 1000 + seq, data: { serverId: `s${seq}` as ServerId } })
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

const unhandled: unknown[] = []
const onUnhandled = (reason: unknown) => unhandled.push(reason)
beforeEach(() => void process.on('unhandledRejection', onUnhandled))
afterEach(async () => {
  await new Promise((resolve) => setTimeout(resolve, 5))
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled.splice(0)).toEqual([])
})

/** A bus over a journal in memory: `tell` keeps an event and publishes it, `keep` only keeps it, as another engine does. */
function world(oldestSeq = 1) {
  const logged: { level: string; data: object; message: string }[] = []
  const log = (level: string) => (data: object, message: string) => void logged.push({ level, data, message })
  const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  const bus = new Bus(logger, () => 5000)
  const journal: PintailEvent[] = []
  let lastSeq = oldestSeq - 1
  const keep = () => {
    const kept = event(++lastSeq)
    journal.push(kept)
    return kept
  }
  const read = async (after: number, limit: number): Promise<JournalPage> => ({
    entries: journal.filter(({ seq }) => seq > after).slice(0, limit),
    oldestSeq,
    lastSeq,
  })
  return { bus, logged, keep, tell: () => bus.publish(keep()), read }
}

/** Reads until there are `count`, then stops. */
async function take(events: AsyncGenerator<PintailEvent>, count: number): Promise<number[]> {
  const seen: number[] = []
  while (seen.length < count) {
    const { done, value } = await events.next()
    if (done) break
    seen.push(value.seq)
  }
  return seen
}

const never = new AbortController().signal

test('a listener hears the payload of its type, and one of * the whole event', () => {
  const { bus } = world()
  const heard: unknown[] = []
  bus.on('server.cordoned', (data) => heard.push(data))
  bus.on('*', (whole) => heard.push(whole))
  bus.on('server.added', () => heard.push('never'))
  bus.publish(event(1))
  expect(heard).toEqual([event(1).data, event(1)])
})

test('a disposed listener hears nothing more, and disposing twice is harmless', () => {
  const { bus } = world()
  const heard: string[] = []
  const listener = () => heard.push('both')
  const first = bus.on('server.cordoned', listener)
  bus.on('server.cordoned', listener)
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  bus.publish(event(1))
  expect(heard).toEqual(['both'])
})

const thenKey: string = 'then'
const failures: [string, () => unknown][] = [
  [
    'throws',
    () => {
      throw new Error('no\nway')
    },
  ],
  ['rejects', () => Promise.reject(new Error('no\nway'))],
  ['rejects by a thenable of its own', () => ({ [thenKey]: (_: unknown, fail: (error: Error) => void) => fail(new Error('no way')) })],
  [
    'answers with a thenable whose `then` throws',
    () => ({
      get [thenKey]() {
        throw new Error('no way')
      },
    }),
  ],
]

test.each(failures)('a listener that %s hurts nobody: the others hear, and a warning names it', async (_, fail) => {
  const { bus, logged } = world()
  const heard: unknown[] = []
  bus.on('server.cordoned', fail)
  bus.on('server.cordoned', () => heard.push('second'))
  bus.on('*', ({ type }) => heard.push(type))
  bus.on('warning', (data) => heard.push(data))
  bus.publish(event(1))
  await new Promise((resolve) => setImmediate(resolve))
  const warning = { code: 'listener_failed', message: 'a listener of server.cordoned failed: no way', count: 1 }
  expect(heard).toHaveLength(4)
  expect(heard).toEqual(expect.arrayContaining(['second', 'server.cordoned', 'warning', warning]))
  expect(logged).toEqual([{ level: 'warn', data: warning, message: warning.message }])
})

test.each(failures)('a listener of * that %s is warned about once for each event, and never for that warning', async (_, fail) => {
  const { bus, logged } = world()
  const warnings: unknown[] = []
  bus.on('*', fail)
  bus.on('warning', ({ message }) => warnings.push(message))
  bus.publish(event(1))
  await new Promise((resolve) => setImmediate(resolve))
  expect(warnings).toEqual(['a listener of * failed: no way'])
  expect(logged.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    'warn: a listener of * failed: no way',
    'error: a listener of * failed: no way',
  ])
})

test.each(failures)('a listener of warnings that %s ends in the log, not in another warning', async (_, fail) => {
  const { bus, logged } = world()
  const others: unknown[] = []
  bus.on('warning', fail)
  bus.on('*', ({ type }) => others.push(type))
  bus.warn({ code: 'advice', message: 'something' })
  await new Promise((resolve) => setImmediate(resolve))
  expect(others).toEqual(['warning'])
  expect(logged.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    'warn: something',
    'error: a listener of warning failed: no way',
  ])
})

test('every kind of failing listener on every kind of event at once comes to an end', async () => {
  const { bus, logged } = world()
  for (const type of ['*', 'warning', 'server.cordoned'] as const) for (const [, fail] of failures) bus.on(type, fail)
  bus.publish(event(1))
  await new Promise((resolve) => setTimeout(resolve, 20))
  const settled = logged.length
  expect(settled).toBeGreaterThan(0)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(logged).toHaveLength(settled)
})

test('whatever is thrown, the warning has a text', async () => {
  const { bus } = world()
  const messages: string[] = []
  bus.on('warning', ({ message }) => messages.push(message))
  const thrown = [
    undefined,
    null,
    'text',
    Symbol('symbol'),
    Object.create(null),
    {
      toString: () => {
        throw new Error('gotcha')
      },
    },
    Object.assign(new Error('x'), { message: { not: 'text' } }),
  ]
  for (const one of thrown) {
    bus.on('server.cordoned', () => {
      throw one
    })
  }
  expect(() => bus.publish(event(1))).not.toThrow()
  expect(messages).toHaveLength(thrown.length)
  for (const message of messages) expect(message).toMatch(/^a listener of server\.cordoned failed: /)
})

test('a logger that throws stops no event', () => {
  const broken = () => {
    throw new Error('disk full')
  }
  const bus = new Bus({ debug: broken, info: broken, warn: broken, error: broken }, () => 0)
  const heard: string[] = []
  bus.on('warning', () => {
    throw new Error('no')
  })
  bus.on('warning', ({ code }) => heard.push(code))
  bus.on('server.cordoned', () => {
    throw new Error('no')
  })
  bus.on('server.cordoned', () => heard.push('cordoned'))
  bus.publish(event(1))
  expect(heard).toEqual(['listener_failed', 'cordoned'])
})

test('after close nobody hears anything', () => {
  const { bus } = world()
  const heard: unknown[] = []
  bus.on('*', (whole) => heard.push(whole))
  bus.close()
  bus.publish(event(1))
  expect(heard).toEqual([])
})

test('events() gives what has happened after the cursor, then what happens', async () => {
  const { bus, tell, read } = world()
  for (let count = 0; count < 5; count++) tell()
  const events = bus.events(read, 2, never)
  expect(await take(events, 3)).toEqual([3, 4, 5])
  tell()
  tell()
  expect(await take(events, 2)).toEqual([6, 7])
})

test('without a cursor events() begins with what happens next', async () => {
  const { bus, tell, read } = world()
  tell()
  const events = bus.events(read, undefined, never)
  const first = take(events, 1)
  await new Promise((resolve) => setImmediate(resolve))
  tell()
  expect(await first).toEqual([2])
})

test('transient events are never among them', async () => {
  const { bus, tell, read } = world()
  const events = bus.events(read, 0, never)
  const first = take(events, 2)
  await new Promise((resolve) => setImmediate(resolve))
  bus.warn({ code: 'advice', message: 'something' })
  tell()
  bus.warn({ code: 'advice', message: 'something' })
  tell()
  expect(await first).toEqual([1, 2])
})

test('what happens during the replay comes once and in order, over many pages', async () => {
  const { bus, tell, read } = world()
  for (let count = 0; count < 2500; count++) tell()
  let readings = 0
  const busy = async (after: number, limit: number) => {
    readings++
    tell()
    const page = await read(after, limit)
    tell()
    return page
  }
  const events = bus.events(busy, 0, never)
  const seen = await take(events, 2500)
  tell()
  seen.push(...(await take(events, 2 * readings + 1)))
  expect(readings).toBeGreaterThan(3)
  expect(seen).toEqual(range(1, seen.length))
})

test('a long replay is no lagging, however much happens meanwhile', async () => {
  const { bus, tell, read } = world()
  for (let count = 0; count < 1000; count++) tell()
  const events = bus.events(read, 0, never)
  const seen = await take(events, 500)
  for (let count = 0; count < 10_500; count++) tell()
  seen.push(...(await take(events, 11_000)))
  const next = take(events, 1)
  await new Promise((resolve) => setImmediate(resolve))
  tell()
  seen.push(...(await next))
  expect(seen).toEqual(range(1, 11_501))
})

test('a reader that lies more than 10 000 events behind what happens is told so', async () => {
  const { bus, tell, read } = world()
  const events = bus.events(read, 0, never)
  const first = take(events, 1)
  await new Promise((resolve) => setImmediate(resolve))
  tell()
  await first
  for (let count = 0; count < 10_000; count++) tell()
  expect(await take(events, 10_000)).toEqual(range(2, 10_001))
  for (let count = 0; count < 10_001; count++) tell()
  await expect(take(events, 10_001)).rejects.toMatchObject({ code: 'events_lagged', remedy: expect.stringContaining('status()') })
  expect(await events.next()).toEqual({ done: true, value: undefined })
})

test('a cursor older than the journal is told so, and the newest that misses nothing is not', async () => {
  const { bus, tell, read } = world(100)
  tell()
  await expect(bus.events(read, 98, never).next()).rejects.toMatchObject({ code: 'events_lagged' })
  expect(await take(bus.events(read, 99, never), 1)).toEqual([100])
})

test('a cursor from beyond the journal is told so: it belongs to another one, and would wait in vain', async () => {
  const { bus, tell, read } = world()
  tell()
  await expect(bus.events(read, 2, never).next()).rejects.toMatchObject({ code: 'events_lagged' })
  const at = bus.events(read, 1, never)
  const next = take(at, 1)
  await new Promise((resolve) => setImmediate(resolve))
  tell()
  expect(await next).toEqual([2])
})

test('what another engine did while it led is read from the journal before what happens here goes on', async () => {
  const { bus, keep, tell, read } = world()
  const events = bus.events(read, 0, never)
  const seen = take(events, 8)
  await new Promise((resolve) => setImmediate(resolve))
  tell()
  for (let count = 0; count < 5; count++) keep()
  tell()
  tell()
  expect(await seen).toEqual(range(1, 8))
})

test.each(['while it waits', 'in the replay', 'in what happens', 'before the first reading', 'in a reading'])(
  'an abort ends it promptly and without an error: %s',
  async (when) => {
    const { bus, tell, read } = world()
    const controller = new AbortController()
    for (let count = 0; count < 3; count++) tell()
    const failing = async (): Promise<JournalPage> => {
      controller.abort()
      throw new PintailError('aborted')
    }
    if (when === 'before the first reading') controller.abort()
    const isReading = when === 'in a reading' || when === 'before the first reading'
    const events = bus.events(isReading ? failing : read, when === 'before the first reading' ? undefined : 0, controller.signal)
    if (when === 'in the replay') await take(events, 1)
    if (when === 'while it waits') {
      await take(events, 3)
      setImmediate(() => controller.abort())
    }
    if (when === 'in what happens') {
      await take(events, 3)
      const next = take(events, 1)
      await new Promise((resolve) => setImmediate(resolve))
      for (let count = 0; count < 3; count++) tell()
      await next
    }
    if (when !== 'in a reading' && when !== 'while it waits') controller.abort()
    expect(await events.next()).toEqual({ done: true, value: undefined })
    tell()
    expect(await events.next()).toEqual({ done: true, value: undefined })
  },
)

test('a journal that cannot be read is an error of the reader, not an end', async () => {
  const { bus } = world()
  const events = bus.events(() => Promise.reject(new PintailError('unavailable', 'the store is silent')), 0, never)
  await expect(events.next()).rejects.toSatisfy((error) => isPintailError(error, 'unavailable'))
})

test('one reader that stops does not stop another', async () => {
  const { bus, tell, read } = world()
  tell()
  const one = bus.events(read, 0, never)
  const two = bus.events(read, 0, never)
  expect(await take(one, 1)).toEqual([1])
  expect(await take(two, 1)).toEqual([1])
  await one.return()
  tell()
  expect(await take(two, 1)).toEqual([2])
})
