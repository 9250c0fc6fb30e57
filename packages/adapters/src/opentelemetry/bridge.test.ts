import { context, type HrTime, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { type CallContext, type ConnectionMover, PintailError } from '@pintail/core'
import { createFleet } from '@pintail/core/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { traceEvacuations } from './bridge.ts'

const exporter = new InMemorySpanExporter()
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const manager = new AsyncLocalStorageContextManager()
beforeAll(() => void context.setGlobalContextManager(manager.enable()))
afterAll(() => context.disable())
afterEach(() => exporter.reset())

const ms = ([seconds, nanos]: HrTime): number => seconds * 1000 + nanos / 1e6
const named = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.name === name)
const parentOf = (span: ReadableSpan): ReadableSpan | undefined =>
  exporter.getFinishedSpans().find((one) => one.spanContext().spanId === span.parentSpanContext?.spanId)

test('one outage is one trace: detection, decision, migrations, phases, waves, calls, all ended', async () => {
  using _ = traceEvacuations({ tracerProvider })
  const fleet = await createFleet({
    servers: 6,
    connections: 10,
    replace: ({ mover }) => ({ mover: { ...mover, prepare: async () => {}, verify: async () => true, complete: async () => {} } }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  const spans = exporter.getFinishedSpans()
  expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(1)
  const [root] = named('pintail.evacuation')
  if (!root) throw new Error('no trace')
  expect(root.parentSpanContext).toBeUndefined()
  const opened = fleet.events.find(({ type }) => type === 'incident.opened')
  if (opened?.type !== 'incident.opened') throw new Error('no incident')
  expect(ms(root.startTime)).toBe(opened.data.suspectedAt)
  expect(root.attributes).toMatchObject({
    'pintail.incident.id': opened.data.incidentId,
    'pintail.server.from': ['s1'],
    'pintail.connections': 10,
    'pintail.moved': 10,
  })
  const migrations = fleet.events.filter(({ type }) => type === 'migration.created').length
  const counts = Object.fromEntries([...new Set(spans.map(({ name }) => name))].sort().map((name) => [name, named(name).length]))
  expect(counts).toEqual({
    'pintail.completing': migrations,
    'pintail.decide': 1,
    'pintail.detect': 1,
    'pintail.evacuation': 1,
    'pintail.migration': migrations,
    'pintail.mover.move': 10,
    'pintail.mover.prepare': migrations,
    'pintail.mover.verify': 10,
    'pintail.preparing': migrations,
    'pintail.registry.setServerStatus': 1,
    'pintail.transferring': migrations,
    'pintail.wave': expect.any(Number),
    'pintail.mover.complete': 10,
  })
  const chain: Record<string, string> = {
    'pintail.detect': 'pintail.evacuation',
    'pintail.decide': 'pintail.evacuation',
    'pintail.registry.setServerStatus': 'pintail.evacuation',
    'pintail.migration': 'pintail.evacuation',
    'pintail.preparing': 'pintail.migration',
    'pintail.transferring': 'pintail.migration',
    'pintail.completing': 'pintail.migration',
    'pintail.wave': 'pintail.transferring',
    'pintail.mover.prepare': 'pintail.preparing',
    'pintail.mover.move': 'pintail.wave',
    'pintail.mover.verify': 'pintail.wave',
    // Old grants hold no migration open.
    'pintail.mover.complete': 'pintail.evacuation',
  }
  for (const [name, parent] of Object.entries(chain))
    for (const span of named(name)) expect([name, parentOf(span)?.name]).toEqual([name, parent])
  for (const span of spans) {
    const parent = parentOf(span)
    if (!parent) continue
    expect(ms(span.startTime)).toBeGreaterThanOrEqual(ms(parent.startTime))
    expect(ms(span.endTime)).toBeLessThanOrEqual(ms(parent.endTime))
  }
  const waves = named('pintail.wave').reduce((sum, { attributes }) => sum + Number(attributes['pintail.moved']), 0)
  expect(waves).toBe(10)
  await fleet.stop()
})

test('each call gets the context of its own span, as a header and as the active one', async () => {
  using _ = traceEvacuations({ tracerProvider })
  const seen: { traceparent: string | undefined; active: string | undefined; later: string | undefined }[] = []
  const move = async (_move: unknown, { traceparent }: CallContext): Promise<void> => {
    const active = trace.getActiveSpan()?.spanContext().spanId
    await Promise.resolve()
    seen.push({ traceparent, active, later: trace.getActiveSpan()?.spanContext().spanId })
  }
  const fleet = await createFleet({ servers: 4, connections: 3, replace: ({ mover }) => ({ mover: { ...mover, move } }) })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  const calls = new Map(named('pintail.mover.move').map((span) => [span.spanContext().spanId, span.spanContext().traceId]))
  expect(seen.length).toBeGreaterThanOrEqual(3)
  for (const { traceparent, active, later } of seen) {
    const [version, traceId, spanId, flags] = traceparent?.split('-') ?? []
    expect([version, flags]).toEqual(['00', '01'])
    expect(calls.get(spanId ?? '')).toBe(traceId)
    expect([active, later]).toEqual([spanId, spanId])
  }
  await fleet.stop()
})

const servers = ['a', 'b', 'c', 'd'].map((id, index) => ({ id, host: `192.0.2.${index + 1}`, capacity: 100 }))
const users = { a: [{ id: 'anna-1', userId: 'anna@example.org' }] }
const refusing: ConnectionMover = {
  move: async () => Promise.reject(new PintailError('rejected', 'anna-1 of 203.0.113.9 is not allowed here')),
}

test.each([false, true])('what fails is told by its code, and whose it was only on request: includeUsers %s', async (includeUsers) => {
  using _ = traceEvacuations({ tracerProvider, includeUsers })
  const fleet = await createFleet({ servers, connections: users, replace: () => ({ mover: refusing }) })
  await fleet.advance(20_000)
  fleet.kill('a')
  await fleet.advance(120_000)
  await fleet.stop()
  const moves = named('pintail.mover.move')
  expect(moves.length).toBeGreaterThan(0)
  for (const { status, attributes } of moves) {
    expect(status.code).toBe(SpanStatusCode.ERROR)
    expect(attributes['error.type']).toBe('rejected')
  }
  expect(named('pintail.migration').map(({ status }) => status.code)).toContain(SpanStatusCode.ERROR)
  const told = JSON.stringify(
    exporter.getFinishedSpans().map(({ name, attributes, status, events, links }) => ({ name, attributes, status, events, links })),
  )
  expect(/anna|203\.0\.113/.test(told)).toBe(includeUsers)
  expect(told).not.toMatch(/192\.0\.2/)
})

test('waves and calls beyond the bound are counted, and the context goes along all the same', async () => {
  using _ = traceEvacuations({ tracerProvider, mostSpans: 5 })
  const seen: (string | undefined)[] = []
  const fleet = await createFleet({
    servers: 4,
    connections: 30,
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        move: (move, ctx) => {
          seen.push(ctx.traceparent)
          return mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  await fleet.stop()
  const bounded = exporter.getFinishedSpans().filter(({ name }) => /wave|mover|registry/.test(name))
  expect(bounded).toHaveLength(5)
  const [root] = named('pintail.evacuation')
  expect(root?.attributes['pintail.spans_left_out']).toBeGreaterThan(20)
  expect(seen.filter((one) => one?.includes(root?.spanContext().traceId ?? '?'))).toHaveLength(30)
})

test('an evacuation that another process has begun is gone on with, in a trace that says so', async () => {
  const slow = { mode: 'auto', migration: { rates: { overall: { perSecond: 1, burst: 1 } } } } as const
  const fleet = await createFleet({ servers: 4, connections: 40, policy: slow })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(30_000)
  using _ = traceEvacuations({ tracerProvider })
  const next = await fleet.crash()
  await next.advance(200_000)
  const [root] = named('pintail.evacuation')
  expect(root?.attributes).toMatchObject({ 'pintail.resumed': true })
  expect(named('pintail.mover.move').length).toBeGreaterThan(5)
  await next.stop()
})

test('an old grant that is taken back after the end opens no trace', async () => {
  using _ = traceEvacuations({ tracerProvider })
  let isRefused = true
  const fleet = await createFleet({
    servers: 4,
    connections: 2,
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        complete: async () => {
          if (isRefused) throw new Error('no')
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.pintail.status().pendingRevokes).toBe(2)
  isRefused = false
  await fleet.advance(600_000)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  await fleet.stop()
  expect(named('pintail.evacuation')).toHaveLength(1)
})

test('what is open when tracing ends is ended, and nobody is subscribed any more', async () => {
  const tracing = traceEvacuations({ tracerProvider })
  const fleet = await createFleet({ servers: 4, connections: 10, policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  expect(named('pintail.evacuation')).toEqual([])
  tracing[Symbol.dispose]()
  expect(named('pintail.evacuation')[0]?.attributes).toMatchObject({ 'pintail.interrupted': true })
  exporter.reset()
  const [migration] = fleet.pintail.status().migrations
  const approved = fleet.pintail.migrations.approve(migration?.id ?? '')
  await fleet.advance(40_000)
  await approved
  await fleet.stop()
  expect(exporter.getFinishedSpans()).toEqual([])
})

test('a tracer that throws hurts nobody', async () => {
  const broken = {
    getTracer: () => ({
      startSpan: () => {
        throw new Error('no spans today')
      },
    }),
  }
  using _ = traceEvacuations({ tracerProvider: broken as never })
  const fleet = await createFleet({ servers: 4, connections: 5 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  expect(fleet.events.filter(({ type }) => type === 'connection.moved')).toHaveLength(5)
  await fleet.stop()
})

test('without an SDK nothing is traced and no context is made up', async () => {
  using _ = traceEvacuations()
  const seen: (string | undefined)[] = []
  const move: ConnectionMover['move'] = async (_, { traceparent }) => void seen.push(traceparent)
  const fleet = await createFleet({ servers: 4, connections: 2, replace: () => ({ mover: { move } }) })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(40_000)
  expect(seen.length).toBeGreaterThan(0)
  expect(seen.every((one) => one === undefined)).toBe(true)
  await fleet.stop()
})

test.each([-1, 0.5, 100_001])('mostSpans is bounded: %s', (mostSpans) => {
  expect(() => traceEvacuations({ tracerProvider, mostSpans })).toThrow('mostSpans')
})
