import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { CallContext, ConnectionMover, LogEntry, LogSink, Metrics, ServerRegistry } from '../ports.ts'
import { fakeClock } from '../testing/clock.ts'
import type { Move, Server } from '../vocabulary.ts'
import { withRetry } from './index.ts'

const move = { key: 'm/c/1' } as Move
const server = { id: 's1' } as Server
const context = (signal: AbortSignal = new AbortController().signal): CallContext => ({ signal })
const unavailable = () => new PintailError('unavailable', 'nothing happened')

/** Fails as told, call by call, then answers `value`. Counts its calls. */
function script<T>(value: T, ...failures: unknown[]) {
  const script = {
    calls: 0,
    async run(): Promise<T> {
      const failure = failures[script.calls++]
      if (failure !== undefined) throw failure
      return value
    },
  }
  return script
}

/** Lets virtual time pass until the promise has settled. */
async function finish<T>(clock: ReturnType<typeof fakeClock>, promise: PromiseLike<T>): Promise<T> {
  const settled = Promise.resolve(promise)
  settled.catch(() => {})
  await clock.advance(600_000)
  return settled
}

test('a write is tried again after unavailable, which says that nothing happened', async () => {
  const clock = fakeClock()
  const work = script('done', unavailable(), unavailable())
  const mover = withRetry<ConnectionMover>({ move: () => work.run() }, { clock })
  expect(await finish(clock, mover.move(move, context()))).toBe('done')
  expect(work.calls).toBe(3)
})

test.each([
  ['an ordinary error', new Error('socket hang up')],
  ['a time-out', new PintailError('timeout')],
  ['an abort', new PintailError('aborted')],
  ['a rejection', new PintailError('rejected')],
  ['a fenced token', new PintailError('fenced')],
  ['a thrown string', 'unavailable'],
])('an ambiguous or refused write is never tried again: %s', async (_, failure) => {
  const clock = fakeClock()
  const work = script('done', failure)
  const mover = withRetry<ConnectionMover>({ move: () => work.run(), complete: () => work.run(), rollback: () => work.run() }, { clock })
  await expect(finish(clock, mover.move(move, context()))).rejects.toBe(failure)
  expect(work.calls).toBe(1)
})

test.each(['setServerStatus', 'move', 'moveMany', 'prepare', 'complete', 'rollback', 'deliver', 'write', 'commit', 'acquire'])(
  '%s is a write: one ambiguous failure is the last call',
  async (method) => {
    const clock = fakeClock()
    const work = script('done', new Error('reset'))
    const port = withRetry<Record<string, (ctx: CallContext) => Promise<string>>>({ [method]: () => work.run() }, { clock })
    await expect(finish(clock, port[method]?.(context()) as Promise<string>)).rejects.toThrow('reset')
    expect(work.calls).toBe(1)
  },
)

test.each(['locate', 'current', 'verify'])('%s has no effect: it is tried again after any failure', async (method) => {
  const clock = fakeClock()
  const work = script('answer', new Error('reset'), new PintailError('rejected'), new PintailError('timeout'))
  const port = withRetry<Record<string, (ctx: CallContext) => Promise<string>>>({ [method]: () => work.run() }, { clock })
  expect(await finish(clock, port[method]?.(context()) as Promise<string>)).toBe('answer')
  expect(work.calls).toBe(4)
})

test('a listing is tried again after any failure, also a synchronous one', async () => {
  const clock = fakeClock()
  let calls = 0
  const registry = withRetry<ServerRegistry>(
    {
      listServers: () => {
        if (++calls < 3) throw new Error('no pool')
        return Promise.resolve([{ id: 1, host: 'a' }])
      },
      listConnections: async () => [],
    },
    { clock },
  )
  expect(await finish(clock, registry.listServers(context()) as Promise<unknown>)).toEqual([{ id: 1, host: 'a' }])
  expect(calls).toBe(3)
})

test('pages that fail in the middle are listed anew from the start, without a row twice', async () => {
  const clock = fakeClock()
  let calls = 0
  const registry = withRetry<ServerRegistry>(
    {
      listServers: async () => [],
      async *listConnections() {
        calls++
        yield [{ id: 1 }, { id: 2 }]
        if (calls === 1) throw new Error('page 2 is gone')
        yield [{ id: 3 }]
      },
    },
    { clock },
  )
  const rows = await finish(clock, registry.listConnections(server, context()) as Promise<unknown>)
  expect(rows).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
})

test('a page that is no list of rows is a failure, and so is a listing that is none', async () => {
  const clock = fakeClock()
  for (const answer of [null, undefined, {}, 'rows']) {
    let calls = 0
    const registry = withRetry(
      {
        listServers: async (_: CallContext) => {
          calls++
          return answer
        },
        async *listConnections(_: CallContext) {
          calls++
          yield answer
        },
      },
      { clock, tries: 2 },
    )
    await expect(finish(clock, registry.listServers(context()))).rejects.toMatchObject({ code: 'unavailable' })
    await expect(finish(clock, registry.listConnections(context()) as unknown as Promise<never>)).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(calls).toBe(4)
  }
})

test('an answer that can be awaited and iterated, as of some query builders, is awaited', async () => {
  const builder = Object.assign(Promise.resolve([{ id: 1, host: 'a' }]), {
    async *[Symbol.asyncIterator]() {
      yield { id: 1, host: 'a' }
    },
  })
  const registry = withRetry<ServerRegistry>({ listServers: () => builder, listConnections: async () => [] })
  expect(await (registry.listServers(context()) as Promise<unknown>)).toEqual([{ id: 1, host: 'a' }])
})

test('tries are bounded, four unless told otherwise, and the last failure is the one that is told', async () => {
  for (const tries of [undefined, 1, 7]) {
    const clock = fakeClock()
    const failures = Array.from({ length: 30 }, (_, index) => new PintailError('unavailable', `failure ${index + 1}`))
    const work = script('never', ...failures)
    const mover = withRetry<ConnectionMover>({ move: () => work.run() }, { clock, ...(tries && { tries }) })
    await expect(finish(clock, mover.move(move, context()))).rejects.toBe(failures[(tries ?? 4) - 1])
    expect(work.calls).toBe(tries ?? 4)
    expect(clock.pending).toBe(0)
  }
})

test.each([
  [0, [500, 1000, 2000, 4000, 4000]],
  [0.5, [750, 1500, 3000, 6000, 6000]],
  [1 - Number.EPSILON, [1000, 2000, 4000, 8000, 8000]],
])('pauses double up to the longest, each half to the whole of it (random %d)', async (random, expected) => {
  const clock = fakeClock()
  const delays: number[] = []
  const work = script('never', ...Array.from({ length: 6 }, unavailable))
  const mover = withRetry<ConnectionMover>(
    { move: () => work.run() },
    {
      clock,
      tries: 6,
      backoffMs: 1000,
      backoffMaxMs: 8000,
      random: () => random,
      onRetry: ({ delayMs }) => delays.push(Math.round(delayMs)),
    },
  )
  await expect(finish(clock, mover.move(move, context()))).rejects.toThrow('nothing happened')
  expect(delays).toEqual(expected)
})

test('a try begins when its pause is over, not before', async () => {
  const clock = fakeClock()
  const work = script('done', unavailable())
  const mover = withRetry<ConnectionMover>({ move: () => work.run() }, { clock, backoffMs: 1000, random: () => 0 })
  const done = mover.move(move, context())
  await clock.advance(499)
  expect(work.calls).toBe(1)
  await clock.advance(1)
  expect(work.calls).toBe(2)
  await done
})

test('an abort during a pause ends it at once: no other try, the last failure stands, no timer is left', async () => {
  const clock = fakeClock()
  const controller = new AbortController()
  const failure = unavailable()
  const work = script('done', failure)
  const mover = withRetry<ConnectionMover>({ move: () => work.run() }, { clock, backoffMs: 60_000 })
  const done = Promise.resolve(mover.move(move, context(controller.signal)))
  done.catch(() => {})
  await clock.settle()
  expect(clock.pending).toBe(1)
  controller.abort()
  await expect(done).rejects.toBe(failure)
  expect(clock.pending).toBe(0)
  await clock.advance(600_000)
  expect(work.calls).toBe(1)
})

test('a call that fails after its abort is not tried again', async () => {
  const clock = fakeClock()
  const controller = new AbortController()
  const work = script('done', unavailable())
  const mover = withRetry<ConnectionMover>(
    {
      move: () => {
        controller.abort()
        return work.run()
      },
    },
    { clock },
  )
  await expect(finish(clock, mover.move(move, context(controller.signal)))).rejects.toMatchObject({ code: 'unavailable' })
  expect(work.calls).toBe(1)
})

test('the context and the arguments reach every try unchanged', async () => {
  const clock = fakeClock()
  const seen: unknown[][] = []
  const ctx = { ...context(), traceparent: '00-1-2-01' }
  const mover = withRetry<ConnectionMover>(
    {
      move: async (...args) => {
        seen.push(args)
        if (seen.length < 3) throw unavailable()
      },
    },
    { clock },
  )
  await finish(clock, mover.move(move, ctx))
  expect(seen).toHaveLength(3)
  for (const [first, second] of seen) {
    expect(first).toBe(move)
    expect(second).toBe(ctx)
  }
})

test('the clock of the machine is used unless another is given', async () => {
  const work = script('done', unavailable())
  const mover = withRetry<ConnectionMover>({ move: () => work.run() }, { backoffMs: 1 })
  expect(await mover.move(move, context())).toBe('done')
})

test('onRetry hears each failure that is followed by a pause, and its own mistakes hurt nobody', async () => {
  for (const mistake of [
    () => Promise.reject(new Error('async')),
    () => {
      throw new Error('sync')
    },
  ]) {
    const clock = fakeClock()
    const heard: unknown[] = []
    const failure = unavailable()
    const work = script('done', failure, failure)
    const mover = withRetry<ConnectionMover>(
      { move: () => work.run() },
      {
        clock,
        random: () => 0,
        onRetry: (event) => {
          heard.push(event)
          return mistake()
        },
      },
    )
    expect(await finish(clock, mover.move(move, context()))).toBe('done')
    expect(heard).toEqual([
      { method: 'move', error: failure, tries: 1, delayMs: 100 },
      { method: 'move', error: failure, tries: 2, delayMs: 200 },
    ])
  }
})

class Panel implements ConnectionMover, ServerRegistry {
  readonly #token = 'secret'
  readonly fencing = 'enforced'
  readonly coverage = 'active'
  used: string[] = []
  get granularity() {
    return this.#token === 'secret' ? ('connection' as const) : ('server' as const)
  }
  async listServers() {
    this.used.push(this.#token)
    return []
  }
  async listConnections(_server: Server) {
    return []
  }
  async move() {
    await this.verify()
    this.used.push(this.#token)
  }
  async verify(): Promise<boolean> {
    throw new Error('asked by itself')
  }
}

test('an instance of a class keeps its `this`, its private fields, its getters and its calls to itself', async () => {
  const clock = fakeClock()
  const panel = new Panel()
  const wrapped = withRetry(panel, { clock })
  expect(await finish(clock, wrapped.listServers())).toEqual([])
  await wrapped.listConnections(server)
  expect(panel.used).toEqual(['secret'])
  expect([wrapped.granularity, wrapped.fencing, wrapped.coverage]).toEqual(['connection', 'enforced', 'active'])
  expect(wrapped).toBeInstanceOf(Panel)
  expect(wrapped.constructor).toBe(Panel)
  // The inner call is the class's own business: it is made once.
  await expect(finish(clock, (wrapped as ConnectionMover).move(move, context()))).rejects.toThrow('asked by itself')
  wrapped.used = []
  expect(panel.used).toEqual([])
})

test('optional methods that are not there stay away, and those that come later are seen', async () => {
  const mover: { -readonly [K in keyof ConnectionMover]: ConnectionMover[K] } = { move: async () => {} }
  const wrapped = withRetry<ConnectionMover>(mover)
  expect(wrapped.locate).toBeUndefined()
  expect('locate' in wrapped).toBe(false)
  expect(wrapped.granularity).toBeUndefined()
  mover.locate = async () => 'on_target'
  expect(await wrapped.locate?.(move, context())).toBe('on_target')
})

test('a frozen port and a copy of a wrapped one work too', async () => {
  const clock = fakeClock()
  const work = script('done', unavailable(), unavailable())
  const wrapped = withRetry<ConnectionMover>(Object.freeze({ move: () => work.run(), fencing: 'enforced' as const }), { clock })
  const copy = { ...wrapped }
  expect(Object.keys(copy)).toEqual(['move', 'fencing'])
  expect(copy.fencing).toBe('enforced')
  expect(await finish(clock, copy.move(move, context()))).toBe('done')
  expect(work.calls).toBe(3)
})

test('calls without a context are the own of the port: synchronous ones stay synchronous', () => {
  const counted: unknown[] = []
  const metrics = withRetry<Metrics & { total(): number }>({
    count: (name) => void counted.push(name),
    gauge: () => {},
    observe: () => {
      throw unavailable()
    },
    total: () => counted.length,
  })
  metrics.count('moves', {}, 1)
  expect(metrics.total()).toBe(1)
  expect(() => metrics.observe('moves', {}, 1)).toThrow('nothing happened')
})

test('a sink that answers with nothing is done', async () => {
  const sink = withRetry<LogSink>({ write: () => undefined })
  expect(await sink.write({} as LogEntry, context())).toBeUndefined()
})

test('streams are handed through as they are: they have no end that could be waited for', async () => {
  const registry = withRetry<ServerRegistry>({
    listServers: async () => [],
    listConnections: async () => [],
    async *watch() {
      for (let count = 1; ; count++) yield count
    },
  })
  const seen: unknown[] = []
  for await (const change of registry.watch?.(context()) ?? []) {
    seen.push(change)
    if (seen.length === 3) break
  }
  expect(seen).toEqual([1, 2, 3])
})

test.each([
  [{ tries: 0 }],
  [{ tries: 21 }],
  [{ tries: Number.POSITIVE_INFINITY }],
  [{ tries: 1.5 }],
  [{ backoffMs: 0 }],
  [{ backoffMs: Number.NaN }],
  [{ backoffMaxMs: 3_600_001 }],
])('unbounded or senseless options are refused: %o', (options) => {
  const name = Object.keys(options)[0]
  expect(() => withRetry({ move: async () => {} }, options)).toThrow(
    expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining(`${name} must be`) }),
  )
})
