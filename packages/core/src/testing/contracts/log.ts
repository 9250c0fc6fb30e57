import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { LogEntry, LogSink } from '../../ports.ts'
import type { ConnectionId, Json, ServerId } from '../../vocabulary.ts'
import { abortCall, attempt, type ContractRule, frozen, type Kit, type KitOptions, type Troubles, toRules } from './rule.ts'

/** A sink on an empty log, and a way to read what has really been kept. */
export interface LogHarness extends Troubles {
  readonly sink: LogSink
  /** What a reader of the log finds now, oldest first. An entry that was written twice may be found twice. */
  entries(): readonly LogEntry[] | PromiseLike<readonly LogEntry[]>
  /** A new sink on the same log, as after a restart of the process. */
  restart?(): LogSink | PromiseLike<LogSink>
}

/** Optional parts of the harness. */
export type LogExtra = 'restart' | 'goDown' | 'fallSilent'

/**
 * What every log sink must do. `create` makes a fresh sink on an empty log for each rule.
 * @example for (const rule of logSinkContract(create, { without: ['fallSilent'] })) test(rule.name, rule.run)
 */
export function logSinkContract(create: () => LogHarness | PromiseLike<LogHarness>, options: KitOptions<LogExtra> = {}): ContractRule[] {
  return toRules(kit, create, options)
}

const kit: Kit<LogHarness, LogExtra> = {
  has: (harness, extra) => harness[extra] !== undefined && (extra === 'restart' || harness.comeBack !== undefined),
  rules: [
    {
      name: 'an entry whose write resolved is there, unchanged',
      run: async (harness, { ctx }) => {
        const entries = [entry(1), entry(2, { connectionId: 'c1' as ConnectionId, success: true }), entry(3, { success: false })]
        for (const one of entries) {
          await harness.sink.write(one, ctx)
          assert.deepEqual((await harness.entries()).at(-1), one)
        }
        assert.deepEqual(await harness.entries(), entries)
      },
    },
    {
      name: 'any JSON comes back as it was: line breaks, quotes, all of Unicode, null, deep and long values',
      run: async (harness, { ctx }) => {
        const awkward: readonly Json[] = [
          null,
          '',
          'a\nb\r\nc\u2028d\u2029e\0f"g\\h\ti',
          'ünï ☃ 🦆 \u{10ffff}',
          [],
          {},
          { 'a.b': 1, '': [null, [[]]], __proto__x: 0.1, big: 9007199254740991, small: -1e-9 },
          'x'.repeat(100_000),
          JSON.parse(`${'['.repeat(50)}1${']'.repeat(50)}`),
        ]
        const entries = awkward.map((data, index) => entry(index, { data }))
        for (const one of entries) await harness.sink.write(one, ctx)
        assert.deepEqual(await harness.entries(), entries)
      },
    },
    {
      name: 'the same entry twice is harmless',
      run: async (harness, { ctx }) => {
        const entries = [entry(1), entry(2), entry(3)]
        for (const one of [entries[0], entries[1], entries[1], entries[0], entries[2]]) await harness.sink.write(one as LogEntry, ctx)
        assert.deepEqual(once(await harness.entries()), entries)
      },
    },
    {
      name: '1 000 entries are all there, in their order',
      run: async (harness, { ctx }) => {
        const entries = Array.from({ length: 1000 }, (_, index) => entry(index))
        for (const one of entries) await harness.sink.write(one, ctx)
        assert.deepEqual(await harness.entries(), entries)
      },
    },
    {
      name: 'writes that overlap lose nothing and tear nothing',
      run: async (harness, { ctx }) => {
        // A write that timed out may still be under way when it is repeated.
        const entries = Array.from({ length: 100 }, (_, index) => entry(index, { data: String(index).repeat(5000) }))
        await Promise.all(entries.map((one) => harness.sink.write(one, ctx)))
        const kept = new Map((await harness.entries()).map((one) => [one.id, one]))
        assert.equal(kept.size, entries.length)
        for (const one of entries) assert.deepEqual(kept.get(one.id), one)
      },
    },
    {
      name: 'an aborted write settles soon, and may be repeated',
      run: async (harness, { ctx, promptMs }) => {
        const entries = [entry(1), entry(2), entry(3)]
        const [first, second, third] = entries as [LogEntry, LogEntry, LogEntry]
        for (const [one, afterMs] of [
          [first, 'beforehand'],
          [second, 0],
        ] as const) {
          await abortCall('write', (aborted) => harness.sink.write(one, aborted), { promptMs, afterMs })
          await harness.sink.write(one, ctx)
        }
        await harness.sink.write(third, ctx)
        assert.deepEqual(once(await harness.entries()), entries)
      },
    },
    {
      name: 'what was written outlives the process',
      needs: ['restart'],
      run: async (harness, { ctx }) => {
        const [first, second] = [entry(1), entry(2)]
        await harness.sink.write(first, ctx)
        const next = await harness.restart?.()
        assert.deepEqual(await harness.entries(), [first])
        await next?.write(second, ctx)
        assert.deepEqual(await harness.entries(), [first, second])
      },
    },
    {
      name: 'an entry that could not be written is a throw, and arrives when it is written again',
      needs: ['goDown'],
      run: async (harness, { ctx }) => {
        const entries = [entry(1), entry(2), entry(3)]
        const [first, second, third] = entries as [LogEntry, LogEntry, LogEntry]
        await harness.sink.write(first, ctx)
        await harness.goDown?.()
        const end = await attempt(() => harness.sink.write(second, ctx))
        assert.ok(!end.ok, 'write resolved while the log could not be reached')
        await harness.comeBack?.()
        await harness.sink.write(second, ctx)
        await harness.sink.write(third, ctx)
        assert.deepEqual(once(await harness.entries()), entries)
      },
    },
    {
      name: 'a write without an answer settles soon after its abort, by throwing',
      needs: ['fallSilent'],
      run: async (harness, { ctx, promptMs }) => {
        const [first, second] = [entry(1), entry(2)]
        await harness.fallSilent?.()
        const end = await abortCall('write', (aborted) => harness.sink.write(first, aborted), { promptMs, afterMs: 50 })
        assert.ok(!end.ok, 'write resolved without an answer')
        await harness.comeBack?.()
        await harness.sink.write(first, ctx)
        await harness.sink.write(second, ctx)
        assert.deepEqual(once(await harness.entries()), [first, second])
      },
    },
  ],
}

/** As the engine makes them: frozen, because an entry is not the sink's to change. */
function entry(index: number, patch: Partial<LogEntry> = {}): LogEntry {
  return frozen({
    id: `contract-${randomUUID()}`,
    at: Date.UTC(2026, 0, 1) + index + 0.25,
    type: 'connection.moved',
    connectionId: null,
    fromServerId: 's1' as ServerId,
    toServerId: 's2' as ServerId,
    reason: 'server-down',
    success: null,
    data: { index, text: `entry ${index}` },
    ...patch,
  })
}

/** Without repetitions, each where it first stands. */
function once(entries: readonly LogEntry[]): LogEntry[] {
  return [...new Map(entries.map((one) => [one.id, one])).values()]
}
