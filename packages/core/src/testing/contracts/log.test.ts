import { expect, test } from 'vitest'
import { memoryLog, PintailError } from '../../index.ts'
import type { CallContext, LogEntry, LogSink } from '../../ports.ts'
import { type LogHarness, logSinkContract } from './index.ts'

const ofMemory = logSinkContract(
  () => {
    const sink = memoryLog()
    return { sink, entries: sink.entries }
  },
  { without: ['restart', 'goDown', 'fallSilent'] },
)
for (const rule of ofMemory) test(`memoryLog: ${rule.name}`, rule.run)

// -------------------------------------------------------------------------------------------- a sink that has everything

/** Lines on a disk that may fail; each line may be there twice. */
class Disk {
  lines: string[] = []
  state: 'up' | 'down' | 'silent' = 'up'

  async append(line: string, { signal }: CallContext): Promise<void> {
    await Promise.resolve()
    if (this.state === 'down') throw new PintailError('unavailable', 'no space left')
    this.lines.push(line)
    if (this.state === 'up') return
    await new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
}

function good(disk: Disk): LogSink {
  return { write: (entry, ctx) => disk.append(JSON.stringify(entry), ctx) }
}

function full(sinkOf: (disk: Disk) => LogSink = good): LogHarness {
  const disk = new Disk()
  return {
    sink: sinkOf(disk),
    entries: () => disk.lines.map((line) => JSON.parse(line)),
    restart: () => sinkOf(disk),
    goDown: () => {
      disk.state = 'down'
    },
    fallSilent: () => {
      disk.state = 'silent'
    },
    comeBack: () => {
      disk.state = 'up'
    },
  }
}

for (const rule of logSinkContract(full)) test(`a sink with everything: ${rule.name}`, rule.run)

// --------------------------------------------------------------------------------------------------- deliberately wrong ones

/** Writes the entry changed by `lens`. */
const changed =
  (lens: (entry: LogEntry) => object) =>
  (disk: Disk): LogSink => ({ write: (entry, ctx) => disk.append(JSON.stringify(lens(entry)), ctx) })

const wrong: Record<string, { sinkOf: (disk: Disk) => LogSink; caughtBy: string }> = {
  'leaves fields out': {
    sinkOf: changed(({ at, ...rest }) => rest),
    caughtBy: 'an entry whose write resolved is there, unchanged',
  },
  'rounds the time': {
    sinkOf: changed((entry) => ({ ...entry, at: Math.round(entry.at) })),
    caughtBy: 'an entry whose write resolved is there, unchanged',
  },
  'gives each line an id of its own': {
    sinkOf: (disk) => {
      let lines = 0
      return changed((entry) => ({ ...entry, id: `${entry.id}-${lines++}` }))(disk)
    },
    caughtBy: 'an entry whose write resolved is there, unchanged',
  },
  'resolves before it has written': {
    sinkOf: (disk) => ({
      write: (entry, ctx) => {
        setTimeout(() => void disk.append(JSON.stringify(entry), ctx), 5)
        return undefined
      },
    }),
    caughtBy: 'an entry whose write resolved is there, unchanged',
  },
  'cuts long data': {
    sinkOf: changed((entry) => (typeof entry.data === 'string' ? { ...entry, data: entry.data.slice(0, 65_536) } : entry)),
    caughtBy: 'any JSON comes back as it was: line breaks, quotes, all of Unicode, null, deep and long values',
  },
  'drops what is null': {
    sinkOf: changed((entry) => (entry.data === null ? { ...entry, data: {} } : entry)),
    caughtBy: 'any JSON comes back as it was: line breaks, quotes, all of Unicode, null, deep and long values',
  },
  'throws at an id that it knows': {
    sinkOf: (disk) => ({
      write: async (entry, ctx) => {
        if (disk.lines.some((line) => line.includes(entry.id))) throw new PintailError('conflict', 'duplicate key')
        await disk.append(JSON.stringify(entry), ctx)
      },
    }),
    caughtBy: 'the same entry twice is harmless',
  },
  'keeps the newest 500': {
    sinkOf: (disk) => ({
      write: async (entry, ctx) => {
        await disk.append(JSON.stringify(entry), ctx)
        disk.lines = disk.lines.slice(-500)
      },
    }),
    caughtBy: '1 000 entries are all there, in their order',
  },
  'writes the newest first': {
    sinkOf: (disk) => ({
      write: async (entry) => {
        disk.lines.unshift(JSON.stringify(entry))
      },
    }),
    caughtBy: '1 000 entries are all there, in their order',
  },
  'drops what comes while it is busy': {
    sinkOf: (disk) => {
      let busy = false
      return {
        write: async (entry, ctx) => {
          if (busy) return
          busy = true
          await disk.append(JSON.stringify(entry), ctx)
          busy = false
        },
      }
    },
    caughtBy: 'writes that overlap lose nothing and tear nothing',
  },
  'notes an aborted entry as written': {
    sinkOf: (disk) => {
      const seen = new Set<string>()
      return {
        write: async (entry, ctx) => {
          if (seen.has(entry.id)) return
          seen.add(entry.id)
          ctx.signal.throwIfAborted()
          await disk.append(JSON.stringify(entry), ctx)
        },
      }
    },
    caughtBy: 'an aborted write settles soon, and may be repeated',
  },
  'begins anew with each process': {
    sinkOf: (disk) => {
      disk.lines = []
      return good(disk)
    },
    caughtBy: 'what was written outlives the process',
  },
  'logs its own failure and goes on': {
    sinkOf: (disk) => ({ write: (entry, ctx) => disk.append(JSON.stringify(entry), ctx).catch(() => {}) }),
    caughtBy: 'an entry that could not be written is a throw, and arrives when it is written again',
  },
  'stays in its failed state': {
    sinkOf: (disk) => {
      let chain = Promise.resolve()
      return {
        write: (entry, ctx) => {
          chain = chain.then(() => disk.append(JSON.stringify(entry), ctx))
          return chain
        },
      }
    },
    caughtBy: 'an entry that could not be written is a throw, and arrives when it is written again',
  },
  'does not look at the signal': {
    sinkOf: (disk) => ({ write: (entry) => disk.append(JSON.stringify(entry), { signal: new AbortController().signal }) }),
    caughtBy: 'a write without an answer settles soon after its abort, by throwing',
  },
}

test.for(Object.entries(wrong))('a sink that %s is caught', async ([, { sinkOf, caughtBy }]) => {
  const rules = logSinkContract(() => full(sinkOf), { promptMs: 200, timeoutMs: 4000 })
  const rule = rules.find(({ name }) => name === caughtBy)
  await expect(rule?.run()).rejects.toThrow()
})
