import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PintailError } from './errors.ts'
import type { CallContext } from './ports.ts'
import { createFleet, fakeClock, seededRandom } from './testing/index.ts'
import { callOut, collect, newId, sleep, systemClock } from './time.ts'

async function* pages<T>(...list: (readonly T[])[]): AsyncGenerator<readonly T[]> {
  yield* list
}

test('a listing in pages is the rows of all its pages, in order', async () => {
  expect(await collect(pages([1, 2], [], [3]))).toEqual([1, 2, 3])
  expect(await collect(pages<number>())).toEqual([])
})

test('a page that is not a list of rows makes the listing unavailable', async () => {
  await expect(collect(pages([1], 2 as unknown as readonly number[]))).rejects.toMatchObject({ code: 'unavailable' })
})

test('servers and connections of a registry that pages are probed and evacuated', async () => {
  const fleet = await createFleet({
    servers: 4,
    connections: 5,
    replace: ({ registry }) => ({
      registry: {
        async *listServers(ctx) {
          for (const row of (await registry.listServers(ctx)) as Iterable<never>) yield [row]
        },
        async *listConnections(server, ctx) {
          for (const row of (await registry.listConnections(server, ctx)) as Iterable<never>) yield [row]
        },
      },
    }),
  })
  await fleet.advance(20_000)
  expect(fleet.pintail.status().registry.skippedRows).toBe(0)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a listing that can be awaited and iterated, as of some query builders, is awaited', async () => {
  const builder = Object.assign(Promise.resolve([{ id: 1 }, { id: 2 }]), {
    async *[Symbol.asyncIterator]() {
      yield { id: 1 }
      yield { id: 2 }
    },
  })
  expect(await collect(builder as PromiseLike<readonly { id: number }[]>)).toEqual([{ id: 1 }, { id: 2 }])
})

test('what is no list of rows is unavailable, never an empty list', async () => {
  for (const answer of [null, undefined, {}, 'rows', 0])
    await expect(collect(Promise.resolve(answer) as unknown as PromiseLike<never[]>)).rejects.toMatchObject({ code: 'unavailable' })
})

test('pages that fail in the middle are a failure, never half a list', async () => {
  async function* failing(): AsyncGenerator<readonly number[]> {
    yield [1, 2]
    throw new Error('page 2 is gone')
  }
  await expect(collect(failing())).rejects.toThrow('page 2 is gone')
})

// ------------------------------------------------------------------------------------------------------------ callOut

const unhandled: unknown[] = []
const onUnhandled = (reason: unknown) => unhandled.push(reason)
beforeEach(() => void process.on('unhandledRejection', onUnhandled))
afterEach(async () => {
  await wait(2)
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled.splice(0)).toEqual([])
})

/** A call that a test settles when it likes, or never. */
function pending<T>() {
  const call = { ctx: undefined as CallContext | undefined, ...Promise.withResolvers<T>() }
  return {
    call,
    run: (ctx: CallContext) => {
      call.ctx = ctx
      return call.promise
    },
  }
}
const never = new AbortController().signal

test('an answer in time is the answer, and leaves neither timer nor listener behind', async () => {
  const clock = fakeClock()
  const parent = new AbortController()
  const { call, run } = pending<number>()
  const answer = callOut(clock, 1000, parent.signal, 'the mover', run)
  await clock.advance(999)
  call.resolve(7)
  expect(await answer).toBe(7)
  expect(clock.pending).toBe(0)
  await clock.advance(10_000)
  parent.abort()
  expect(call.ctx?.signal.aborted).toBe(false)
})

test('a rejection is handed on as it is', async () => {
  const clock = fakeClock()
  const failure = new PintailError('rejected')
  await expect(callOut(clock, 1000, never, 'the mover', () => Promise.reject(failure))).rejects.toBe(failure)
  expect(clock.pending).toBe(0)
})

test('a synchronous throw counts as a rejection, and a plain value as an answer', async () => {
  const clock = fakeClock()
  const failure = new Error('sync')
  const thrown = callOut(clock, 1000, never, 'the mover', () => {
    throw failure
  })
  await expect(thrown).rejects.toBe(failure)
  expect(await callOut(clock, 1000, never, 'the mover', () => 'plain')).toBe('plain')
  expect(clock.pending).toBe(0)
})

test('a callee that never answers ends with the time-out, to the millisecond, and hears the signal', async () => {
  const clock = fakeClock()
  const { call, run } = pending<number>()
  const answer = callOut(clock, 1000, never, 'the mover', run)
  answer.catch(() => {})
  await clock.advance(999)
  expect(call.ctx?.signal.aborted).toBe(false)
  await clock.advance(1)
  expect(call.ctx?.signal.aborted).toBe(true)
  expect(call.ctx?.signal.reason).toMatchObject({ code: 'timeout' })
  await expect(answer).rejects.toMatchObject({ code: 'timeout', message: 'the mover did not answer within 1000 ms' })
})

test.each(['resolve', 'reject'] as const)('a result after the time-out is ignored: %s', async (how) => {
  const clock = fakeClock()
  const { call, run } = pending<unknown>()
  const answer = callOut(clock, 1000, never, 'the mover', run)
  answer.catch(() => {})
  await clock.advance(1000)
  call[how](new Error('too late'))
  await clock.advance(1000)
  await expect(answer).rejects.toMatchObject({ code: 'timeout' })
})

test.each(['resolve', 'reject'] as const)(
  'an abort ends the call at once, also of a callee that ignores its signal; a later %s is ignored',
  async (how) => {
    const clock = fakeClock()
    const parent = new AbortController()
    const { call, run } = pending<unknown>()
    const answer = callOut(clock, 1000, parent.signal, 'the mover', run)
    answer.catch(() => {})
    const reason = new Error('stop()')
    parent.abort(reason)
    expect(call.ctx?.signal.aborted).toBe(true)
    expect(clock.pending).toBe(0)
    await expect(answer).rejects.toMatchObject({ code: 'aborted', cause: reason })
    call[how](new Error('too late'))
  },
)

test('a callee that rejects because of the signal does not hide why it was given', async () => {
  const clock = fakeClock()
  const answer = callOut(
    clock,
    1000,
    never,
    'the mover',
    ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('AbortError')))),
  )
  answer.catch(() => {})
  await clock.advance(1000)
  await expect(answer).rejects.toMatchObject({ code: 'timeout' })
})

test('nothing is called once the parent has been aborted', async () => {
  const clock = fakeClock()
  let calls = 0
  await expect(callOut(clock, 1000, AbortSignal.abort(), 'the mover', () => ++calls)).rejects.toMatchObject({ code: 'aborted' })
  expect([calls, clock.pending]).toEqual([0, 0])
})

// -------------------------------------------------------------------------------------------------------- sleep, clock

test('sleep ends when its time is over, not before', async () => {
  const clock = fakeClock()
  let awake = false
  const slept = sleep(clock, 1000, never).then(() => {
    awake = true
  })
  await clock.advance(999)
  expect(awake).toBe(false)
  await clock.advance(1)
  await slept
  expect(awake).toBe(true)
})

test('an abort wakes a sleeper at once, with an error and without a timer left', async () => {
  const clock = fakeClock()
  const controller = new AbortController()
  const slept = sleep(clock, 1000, controller.signal)
  controller.abort('stop')
  await expect(slept).rejects.toMatchObject({ code: 'aborted', cause: 'stop' })
  await expect(sleep(clock, 1000, controller.signal)).rejects.toMatchObject({ code: 'aborted' })
  expect(clock.pending).toBe(0)
})

test("the machine's clock shows the time of day, does not run backwards, and cancels its timers", async () => {
  const before = Date.now()
  const shown = systemClock.now()
  expect(shown).toBeGreaterThan(before - 1000)
  expect(shown).toBeLessThan(Date.now() + 1000)
  let last = systemClock.now()
  for (let count = 0; count < 1000; count++) {
    const now = systemClock.now()
    expect(now).toBeGreaterThanOrEqual(last)
    last = now
  }
  const fired: string[] = []
  systemClock.setTimeout(() => fired.push('kept'), 1)
  const timer = systemClock.setTimeout(() => fired.push('cancelled'), 1)
  timer.cancel()
  timer.cancel()
  await expect.poll(() => fired).toContain('kept')
  await wait(20)
  expect(fired).toEqual(['kept'])
})

test('a delay longer than a timer of the machine can bear does not fire at once', async () => {
  let fired = false
  const timer = systemClock.setTimeout(() => {
    fired = true
  }, 2 ** 40)
  await wait(20)
  timer.cancel()
  expect(fired).toBe(false)
})

// ------------------------------------------------------------------------------------------------------------------ ids

test('ids are UUIDs of version 7, in the order of their time', () => {
  const random = seededRandom(7)
  const start = Date.UTC(2026, 0, 1)
  const ids = Array.from({ length: 1000 }, (_, index) => newId(start + index * 37.25, random))
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect([...ids].sort()).toEqual(ids)
})

test('ids of one millisecond are unique', () => {
  const random = seededRandom(7)
  expect(new Set(Array.from({ length: 20_000 }, () => newId(0, random))).size).toBe(20_000)
})
