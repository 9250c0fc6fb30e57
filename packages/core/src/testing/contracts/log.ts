import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { LogEntry, LogSink } from '../../ports.ts'
import type { ConnectionId, Json, ServerId } from '../../vocabulary.ts'
import { abortCall, attempt, type ContractRule, frozen, type Kit, type KitOptions, type Troubles, toRules } from './rule.ts'

/** A sink on an empty log, and a way to read what has really been kept. */
export interface LogHarness extends Troubles {
  readonly sink: LogSink
  /** What a reader of the log finds now, oldest first. An entry that was written twice may be found twice. */
  entries(): readonly Partial<LogEntry>[] | PromiseLike<readonly Partial<LogEntry>[]>
  /** For a log with columns of its own: what it keeps of an entry. What `data` holds is then not asked for. Default: all of it. */
  view?(entry: LogEntry): Partial<LogEntry>
  /** For a log that takes some entries only: what each must have for it, by a number that differs for each. Default: nothing. */
  example?(index: number): Partial<LogEntry>
  /** A new sink on the same log, as after a restart of the process. */
  restart?(): LogSink | PromiseLike<LogSink>
}

/** Optional parts of the harness; `whole`: the log keeps entries as they are, so that there is no `view`. */
export type LogExtra = 'whole' | 'restart' | 'goDown' | 'fallSilent'

/**
 * What every log sink must do. `create` makes a fresh sink on an empty log for each rule.
 * @example for (const rule of logSinkContract(create, { without: ['fallSilent'] })) test(rule.name, rule.run)
 */
export function logSinkContract(create: () => LogHarness | PromiseLike<LogHarness>, options: KitOptions<LogExtra> = {}): ContractRule[] {
  return toRules(kit, create, options)
}

const kit: Kit<LogHarness, LogExtra> = {
  has: (harness, extra) =>
    extra === 'whole'
      ? harness.view === undefined
      : harness[extra] !== undefined && (extra === 'restart' || harness.comeBack !== undefined),
  rules: [
    {
      name: 'an entry whose write resolved is there, unchanged',
      run: async (harness, { ctx }) => {
        const { entry, kept } = on(harness)
        const entries = [entry(1), entry(2, { connectionId: 'c1' as ConnectionId, success: true }), entry(3, { success: false })]
        for (const one of entries) {
          await harness.sink.write(one, ctx)
          assert.deepEqual((await harness.entries()).at(-1), kept([one])[0])
        }
        assert.deepEqual(await harness.entries(), kept(entries))
      },
    },
    {
      name: 'any JSON comes back as it was: line breaks, quotes, all of Unicode, null, deep and long values',
      needs: ['whole'],
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
        const { entry } = on(harness)
        const entries = awkward.map((data, index) => entry(index, { data }))
        for (const one of entries) await harness.sink.write(one, ctx)
        assert.deepEqual(await harness.entries(), entries)
      },
    },
    {
      name: 'the same entry twice is harmless',
      run: async (harness, { ctx }) => {
        const { entry, once } = on(harness)
        const entries = [entry(1), entry(2), entry(3)]
        for (const one of [entries[0], entries[1], entries[1], entries[0], entries[2]]) await harness.sink.write(one as LogEntry, ctx)
        assert.deepEqual(...once(await harness.entries(), entries))
      },
    },
    {
      name: '1 000 entries are all there, in their order',
      run: async (harness, { ctx }) => {
        const { entry, kept } = on(harness)
        const entries = Array.from({ length: 1000 }, (_, index) => entry(index))
        for (const one of entries) await harness.sink.write(one, ctx)
        const found = await harness.entries()
        assert.equal(found.length, entries.length)
        // One by one: to show how two thousands differ takes seconds.
        for (const [index, one] of kept(entries).entries()) assert.deepEqual(found[index], one)
      },
    },
    {
      name: 'writes that overlap lose nothing and tear nothing',
      run: async (harness, { ctx }) => {
        const { entry, kept } = on(harness)
        // A write that timed out may still be under way when it is repeated.
        const entries = Array.from({ length: 100 }, (_, index) => entry(index, { data: String(index).repeat(5000) }))
        await Promise.all(entries.map((one) => harness.sink.write(one, ctx)))
        const found = await harness.entries()
        const byText = (one: Partial<LogEntry>) => JSON.stringify(one)
        assert.deepEqual(new Set(found.map(byText)), new Set(kept(entries).map(byText)))
      },
    },
    {
      name: 'an aborted write settles soon, and may be repeated',
      run: async (harness, { ctx, promptMs }) => {
        const { entry, once } = on(harness)
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
        assert.deepEqual(...once(await harness.entries(), entries))
      },
    },
    {
      name: 'what was written outlives the process',
      needs: ['restart'],
      run: async (harness, { ctx }) => {
        const { entry, kept } = on(harness)
        const [first, second] = [entry(1), entry(2)]
        await harness.sink.write(first, ctx)
        const next = await harness.restart?.()
        assert.deepEqual(await harness.entries(), kept([first]))
        await next?.write(second, ctx)
        assert.deepEqual(await harness.entries(), kept([first, second]))
      },
    },
    {
      name: 'an entry that could not be written is a throw, and arrives when it is written again',
      needs: ['goDown'],
      run: async (harness, { ctx }) => {
        const { entry, once } = on(harness)
        const entries = [entry(1), entry(2), entry(3)]
        const [first, second, third] = entries as [LogEntry, LogEntry, LogEntry]
        await harness.sink.write(first, ctx)
        await harness.goDown?.()
        const end = await attempt(() => harness.sink.write(second, ctx))
        assert.ok(!end.ok, 'write resolved while the log could not be reached')
        await harness.comeBack?.()
        await harness.sink.write(second, ctx)
        await harness.sink.write(third, ctx)
        assert.deepEqual(...once(await harness.entries(), entries))
      },
    },
    {
      name: 'a write without an answer settles soon after its abort, by throwing',
      needs: ['fallSilent'],
      run: async (harness, { ctx, promptMs }) => {
        const { entry, once } = on(harness)
        const [first, second] = [entry(1), entry(2)]
        await harness.fallSilent?.()
        const end = await abortCall('write', (aborted) => harness.sink.write(first, aborted), { promptMs, afterMs: 50 })
        assert.ok(!end.ok, 'write resolved without an answer')
        await harness.comeBack?.()
        await harness.sink.write(first, ctx)
        await harness.sink.write(second, ctx)
        assert.deepEqual(...once(await harness.entries(), [first, second]))
      },
    },
  ],
}

/** What is written into this log, and what is then found there. */
function on({ view = (one) => one, example }: LogHarness) {
  const kept = (entries: readonly LogEntry[]): Partial<LogEntry>[] => entries.map((one) => view(one))
  return {
    kept,
    /** As the engine makes them: frozen, because an entry is not the sink's to change. */
    entry: (index: number, patch: Partial<LogEntry> = {}): LogEntry =>
      frozen({
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
        ...example?.(index),
      }),
    /** What was found without repetitions, each where it first stands, and what should be. */
    once: (found: readonly Partial<LogEntry>[], entries: readonly LogEntry[]) =>
      [[...new Map(found.map((one) => [one.id ?? JSON.stringify(one), one])).values()], kept(entries)] as const,
  }
}
