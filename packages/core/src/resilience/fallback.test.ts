import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { CallContext, ConnectionMover, Prober, ProbeTarget, ServerInput, ServerRegistry } from '../ports.ts'
import type { Move, Server } from '../vocabulary.ts'
import { type FallbackMode, withFallback } from './index.ts'

const move = { key: 'm/c/1' } as Move
const server = { id: 's1' } as Server
const ctx: CallContext = { signal: new AbortController().signal }

const rows = (name: string): ServerInput[] => [{ id: name, host: name }]
const registry = (name: string, more: Partial<ServerRegistry> = {}): ServerRegistry => ({
  listServers: async () => rows(name),
  listConnections: async () => [{ id: name }],
  ...more,
})
const mover = (calls: string[], name: string, failure?: unknown): ConnectionMover => ({
  async move() {
    calls.push(name)
    if (failure !== undefined) throw failure
    return name
  },
})

test('in the mode primary only the primary is asked, also when it fails', async () => {
  const calls: string[] = []
  const failure = new PintailError('unavailable')
  const port = withFallback(mover(calls, 'one', failure), mover(calls, 'two'), { mode: () => 'primary' })
  await expect(port.move(move, ctx)).rejects.toBe(failure)
  expect(calls).toEqual(['one'])
})

test('in the mode secondary only the secondary is asked, also when it fails', async () => {
  const calls: string[] = []
  const failure = new PintailError('unavailable')
  const port = withFallback(mover(calls, 'one'), mover(calls, 'two', failure), { mode: () => 'secondary' })
  await expect(port.move(move, ctx)).rejects.toBe(failure)
  expect(calls).toEqual(['two'])
})

test('with fallback the primary is asked first, and alone while it answers', async () => {
  const calls: string[] = []
  const port = withFallback(mover(calls, 'one'), mover(calls, 'two'), { mode: () => 'primary-with-fallback' })
  expect(await port.move(move, ctx)).toBe('one')
  expect(calls).toEqual(['one'])
})

test('a write falls back after unavailable, which says that nothing happened', async () => {
  const calls: string[] = []
  const failure = new PintailError('unavailable')
  const told: unknown[] = []
  const port = withFallback(mover(calls, 'one', failure), mover(calls, 'two'), {
    mode: () => 'primary-with-fallback',
    onFallback: (event) => told.push(event),
  })
  expect(await port.move(move, ctx)).toBe('two')
  expect(calls).toEqual(['one', 'two'])
  expect(told).toEqual([{ method: 'move', error: failure }])
})

test.each([
  ['an ordinary error', new Error('socket hang up')],
  ['a time-out', new PintailError('timeout')],
  ['a rejection', new PintailError('rejected')],
  ['a fenced token', new PintailError('fenced')],
  ['an abort', new PintailError('aborted')],
])('a write that may have arrived, or was refused, is never sent a second way: %s', async (_, failure) => {
  for (const method of ['move', 'setServerStatus', 'complete', 'rollback', 'prepare', 'moveMany', 'deliver', 'write']) {
    const calls: string[] = []
    const one = { [method]: () => Promise.reject(failure) }
    const two = { [method]: async () => void calls.push('two') }
    const port = withFallback<Record<string, (ctx: CallContext) => Promise<unknown>>>(one, two, {
      mode: () => 'primary-with-fallback',
      onFallback: () => calls.push('told'),
    })
    await expect(port[method]?.(ctx)).rejects.toBe(failure)
    expect(calls).toEqual([])
  }
})

test.each(['locate', 'verify', 'current', 'probe'])('%s falls back after any throw, also a synchronous one', async (method) => {
  for (const failure of [new Error('down'), new PintailError('timeout'), new PintailError('rejected'), 'text', undefined]) {
    const throwing = () => {
      throw failure
    }
    for (const one of [throwing, async () => throwing()]) {
      const port = withFallback<Record<string, (ctx: CallContext) => Promise<unknown>>>(
        { [method]: one },
        { [method]: async () => 'two' },
        { mode: () => 'primary-with-fallback' },
      )
      expect(await port[method]?.(ctx)).toBe('two')
    }
  }
})

test('a listing falls back after any throw: an answer, pages, and pages that fail in the middle', async () => {
  const failing: Partial<ServerRegistry>[] = [
    { listServers: () => Promise.reject(new Error('down')) },
    {
      listServers: () => {
        throw new Error('down')
      },
    },
    {
      async *listServers() {
        yield rows('one')
        throw new Error('page 2 is gone')
      },
    },
  ]
  for (const one of failing) {
    const port = withFallback(registry('one', one), registry('two'), { mode: () => 'primary-with-fallback' })
    expect(await (port.listServers(ctx) as Promise<unknown>)).toEqual(rows('two'))
  }
  const paged = registry('two', {
    async *listServers() {
      yield rows('two')
      yield rows('three')
    },
  })
  const port = withFallback(registry('one', failing[0]), paged, { mode: () => 'primary-with-fallback' })
  expect(await (port.listServers(ctx) as Promise<unknown>)).toEqual([...rows('two'), ...rows('three')])
})

test('an empty list is an answer, and so are null and false: nothing but a throw falls back', async () => {
  const empty = withFallback(registry('one', { listServers: async () => [] }), registry('two'), { mode: () => 'primary-with-fallback' })
  expect(await (empty.listServers(ctx) as Promise<unknown>)).toEqual([])
  for (const answer of [null, undefined, false, 'absent']) {
    const port = withFallback(
      { verify: async (_: CallContext): Promise<unknown> => answer },
      { verify: async (_: CallContext): Promise<unknown> => 'two' },
      { mode: () => 'primary-with-fallback' },
    )
    expect(await port.verify(ctx)).toBe(answer)
  }
})

test('a client that swallows its error into null where a list is due does fall back', async () => {
  const swallowing = registry('one', { listServers: async () => null as unknown as ServerInput[] })
  const port = withFallback(swallowing, registry('two'), { mode: () => 'primary-with-fallback' })
  expect(await (port.listServers(ctx) as Promise<unknown>)).toEqual(rows('two'))
})

test('the three modes are switched while it runs, each for the next call', async () => {
  let mode: FallbackMode = 'primary'
  const calls: string[] = []
  const port = withFallback(mover(calls, 'one', new PintailError('unavailable')), mover(calls, 'two'), { mode: () => mode })
  const held = port.move
  await expect(held(move, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  mode = 'primary-with-fallback'
  expect(await held(move, ctx)).toBe('two')
  mode = 'secondary'
  expect(await held(move, ctx)).toBe('two')
  mode = 'primary'
  await expect(held(move, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  expect(calls).toEqual(['one', 'one', 'two', 'two', 'one'])
})

test('a mode that there is none of refuses the call before anything happens', async () => {
  const calls: string[] = []
  const port = withFallback(mover(calls, 'one'), mover(calls, 'two'), { mode: () => 'fallback' as FallbackMode })
  await expect(port.move(move, ctx)).rejects.toMatchObject({
    code: 'unavailable',
    remedy: expect.stringContaining('primary-with-fallback'),
  })
  expect(calls).toEqual([])
})

test('when both fail, the failure of the one asked last is told: it decides what may have happened', async () => {
  const calls: string[] = []
  const port = withFallback(mover(calls, 'one', new PintailError('unavailable')), mover(calls, 'two', new Error('ambiguous')), {
    mode: () => 'primary-with-fallback',
  })
  await expect(port.move(move, ctx)).rejects.toThrow('ambiguous')
})

test('after an abort nothing falls back', async () => {
  const controller = new AbortController()
  const failure = new PintailError('unavailable')
  const calls: string[] = []
  const one: ConnectionMover = {
    async move() {
      controller.abort()
      throw failure
    },
    async locate() {
      throw failure
    },
  }
  const two: ConnectionMover = { ...mover(calls, 'two'), locate: async () => 'on_target' }
  const port = withFallback(one, two, { mode: () => 'primary-with-fallback' })
  await expect(port.move(move, { signal: controller.signal })).rejects.toBe(failure)
  await expect(port.locate?.(move, { signal: controller.signal })).rejects.toBe(failure)
  expect(calls).toEqual([])
})

test('a method that the secondary has not has nothing to fall back to', async () => {
  const failure = new Error('down')
  const one: ConnectionMover = { move: async () => {}, locate: () => Promise.reject(failure) }
  const port = withFallback<ConnectionMover>(one, { move: async () => {} }, { mode: () => 'primary-with-fallback' })
  await expect(port.locate?.(move, ctx)).rejects.toBe(failure)
})

test('optional methods and names are those of the port in charge', async () => {
  let mode: FallbackMode = 'primary'
  const probe = async (target: ProbeTarget) => ({ sent: target.packets, received: 0, rttMs: [] })
  const one: Prober = { name: 'one', probe }
  const two: Prober = { name: 'two', probe, async *probeMany() {} }
  const port = withFallback(one, two, { mode: () => mode })
  expect([port.name, port.probeMany]).toEqual(['one', undefined])
  mode = 'primary-with-fallback'
  expect([port.name, port.probeMany]).toEqual(['one', undefined])
  mode = 'secondary'
  expect([port.name, typeof port.probeMany]).toEqual(['two', 'function'])
})

test('a call that was taken in one mode and has no counterpart in the next one is refused as unavailable', async () => {
  let mode: FallbackMode = 'primary'
  const port = withFallback<ConnectionMover>(
    { move: async () => {}, rollback: async () => {} },
    { move: async () => {} },
    { mode: () => mode },
  )
  const rollback = port.rollback
  mode = 'secondary'
  await expect(rollback?.(move, ctx)).rejects.toMatchObject({ code: 'unavailable' })
})

test.each([
  ['fencing', 'enforced', 'none', undefined],
  ['confirmation', 'seen', 'accepted', undefined],
  ['confirmation', 'applied', 'applied', 'seen'],
  ['granularity', undefined, 'server', 'server'],
  ['coverage', undefined, 'active', 'active'],
  ['coverage', 'assigned', 'assigned', undefined],
] as const)('%s: of %s and what the other one says, %s holds in every mode', (name, first, weaker, second) => {
  const port = (word: string | undefined): object => (word === undefined ? {} : { [name]: word })
  for (const mode of ['primary', 'primary-with-fallback', 'secondary'] as const) {
    expect(Reflect.get(withFallback(port(first), port(second), { mode: () => mode }), name)).toBe(weaker)
    expect(Reflect.get(withFallback(port(second), port(first), { mode: () => mode }), name)).toBe(weaker)
  }
})

class Books implements ServerRegistry {
  readonly #name: string
  readonly #fails: boolean
  constructor(name: string, fails: boolean) {
    this.#name = name
    this.#fails = fails
  }
  async listServers() {
    if (this.#fails) throw new Error('down')
    return rows(this.#name)
  }
  async listConnections(from: Server) {
    if (this.#fails) throw new Error('down')
    return [{ id: `${this.#name} ${from.id}` }]
  }
}

test('instances of classes keep their `this` on both ways', async () => {
  const port = withFallback<ServerRegistry>(new Books('one', true), new Books('two', false), { mode: () => 'primary-with-fallback' })
  expect(await (port.listServers(ctx) as Promise<unknown>)).toEqual(rows('two'))
  expect(await (port.listConnections(server, ctx) as Promise<unknown>)).toEqual([{ id: 'two s1' }])
})

test('a listener of fallbacks that throws or rejects hurts nobody', async () => {
  for (const onFallback of [
    () => {
      throw new Error('sync')
    },
    () => Promise.reject(new Error('async')),
  ]) {
    const port = withFallback(registry('one', { listServers: () => Promise.reject(new Error('down')) }), registry('two'), {
      mode: () => 'primary-with-fallback',
      onFallback,
    })
    expect(await (port.listServers(ctx) as Promise<unknown>)).toEqual(rows('two'))
  }
})
