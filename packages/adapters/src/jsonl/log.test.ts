import { existsSync } from 'node:fs'
import { appendFile, chmod, mkdir, mkdtemp, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPintail, type LogEntry, type LogSink, memoryMover, memoryRegistry, type Prober } from '@pintail/core'
import { logSinkContract } from '@pintail/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { patient } from '../../test/patient.ts'
import { until } from '../../test/until.ts'
import { jsonlLog } from './index.ts'

const ctx = { signal: new AbortController().signal }
const entry = (id: string, data: LogEntry['data'] = null): LogEntry => {
  return { id, at: 1, type: 'test', connectionId: null, fromServerId: null, toServerId: null, reason: null, success: null, data }
}
/** As any reader of the file must: a torn line is no entry. */
function parse(text: string): LogEntry[] {
  return text.split('\n').flatMap((line): LogEntry[] => {
    try {
      return [JSON.parse(line)]
    } catch {
      return []
    }
  })
}
const idsIn = async (path: string): Promise<string[]> => parse(await readFile(path, 'utf8')).map(({ id }) => id)

let folder = ''
let path = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-jsonl-'))
  path = join(folder, 'logs', 'audit.jsonl')
  await mkdir(join(folder, 'logs'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

for (const flush of ['disk', 'system'] as const) {
  const rules = logSinkContract(
    async () => {
      const own = await mkdtemp(join(folder, 'kit-'))
      const logs = join(own, 'logs')
      const file = join(logs, 'audit.jsonl')
      await mkdir(logs)
      const sink = jsonlLog(file, { flush })
      const sinks = [sink]
      return {
        sink,
        entries: async () => parse(await readFile(file, 'utf8')),
        restart: async () => {
          await sink.close()
          const next = jsonlLog(file, { flush })
          sinks.push(next)
          return next
        },
        goDown: () => rename(logs, join(own, 'away')),
        comeBack: () => rename(join(own, 'away'), logs),
        dispose: () => Promise.all(sinks.map((one) => one.close())),
      }
    },
    // A write that has begun is waited for: that is the disk's time.
    { without: ['fallSilent'], ...patient, promptMs: patient.timeoutMs },
  )
  for (const rule of rules) test(`flush to ${flush}: ${rule.name}`, rule.run)
}

test('making a log makes no file; the first write does, for its owner alone', async () => {
  await using log = jsonlLog(path)
  expect(existsSync(path)).toBe(false)
  await log.write(entry('a'), ctx)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('the permissions of a file that is already there stay', async () => {
  await writeFile(path, '', { mode: 0o640 })
  await chmod(path, 0o640)
  await using log = jsonlLog(path)
  await log.write(entry('a'), ctx)
  expect((await stat(path)).mode & 0o777).toBe(0o640)
})

test('an entry is one line', async () => {
  await using log = jsonlLog(path)
  await log.write(entry('a', 'two\nlines'), ctx)
  expect(await readFile(path, 'utf8')).toBe(`${JSON.stringify(entry('a', 'two\nlines'))}\n`)
})

test('what comes after a rotation is in the new file, and nothing is lost', async () => {
  await using log = jsonlLog(path)
  await log.write(entry('a'), ctx)
  await rename(path, `${path}.1`)
  await log.write(entry('b'), ctx)
  await rename(path, `${path}.2`)
  await writeFile(path, '')
  await log.write(entry('c'), ctx)
  expect(await Promise.all([idsIn(`${path}.1`), idsIn(`${path}.2`), idsIn(path)])).toEqual([['a'], ['b'], ['c']])
})

test('a file that is truncated in place is filled from its beginning', async () => {
  await using log = jsonlLog(path)
  await log.write(entry('a'), ctx)
  await truncate(path, 0)
  await log.write(entry('b'), ctx)
  expect(await readFile(path, 'utf8')).toBe(`${JSON.stringify(entry('b'))}\n`)
})

test('the torn line of a crash spoils no other', async () => {
  await writeFile(path, `${JSON.stringify(entry('a'))}\n{"id":"b","at":`)
  await using log = jsonlLog(path)
  await log.write(entry('b'), ctx)
  await log.write(entry('c'), ctx)
  expect((await readFile(path, 'utf8')).split('\n')).toEqual([
    JSON.stringify(entry('a')),
    '{"id":"b","at":',
    JSON.stringify(entry('b')),
    JSON.stringify(entry('c')),
    '',
  ])
})

test('a failed write leaves the sink usable, and every write that overlapped it knows', async () => {
  await using log = jsonlLog(path)
  await rm(join(folder, 'logs'), { recursive: true })
  const ends = await Promise.allSettled([log.write(entry('a'), ctx), log.write(entry('b'), ctx)])
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await mkdir(join(folder, 'logs'))
  await log.write(entry('a'), ctx)
  expect(await idsIn(path)).toEqual(['a'])
})

test('a directory that is missing is unavailable, and the remedy is to make it', async () => {
  await using log = jsonlLog(join(folder, 'missing', 'audit.jsonl'))
  await expect(log.write(entry('a'), ctx)).rejects.toMatchObject({
    code: 'unavailable',
    remedy: `Make the directory ${join(folder, 'missing')}.`,
    message: expect.stringContaining('ENOENT'),
    cause: { code: 'ENOENT' },
  })
})

test('a directory in the place of the file is unavailable', async () => {
  await using log = jsonlLog(join(folder, 'logs'))
  await expect(log.write(entry('a'), ctx)).rejects.toMatchObject({ code: 'unavailable', cause: { code: 'EISDIR' } })
})

test('a file that may not be written is unavailable, and the remedy names file and directory', async () => {
  // Permissions do not hold the superuser; a file of the kernel does.
  const closed = process.getuid?.() === 0 ? '/sys/kernel/uevent_seqnum' : path
  if (closed === path) await writeFile(path, '', { mode: 0o400 })
  await using log = jsonlLog(closed)
  await expect(log.write(entry('a'), ctx)).rejects.toMatchObject({
    code: 'unavailable',
    cause: { code: 'EACCES' },
    remedy: expect.stringContaining(`write to ${closed} and search`),
  })
})

test.skipIf(!existsSync('/dev/full'))('a full disk is unavailable, and the remedy is to free space (needs /dev/full)', async () => {
  await using log = jsonlLog('/dev/full')
  await expect(log.write(entry('a'), ctx)).rejects.toMatchObject({
    code: 'unavailable',
    cause: { code: 'ENOSPC' },
    remedy: expect.stringContaining('Free space'),
  })
})

test('an aborted write that has not begun is not written', async () => {
  await using log = jsonlLog(path)
  const controller = new AbortController()
  const first = log.write(entry('a'), ctx)
  const second = log.write(entry('b'), { signal: controller.signal })
  const third = log.write(entry('c'), ctx)
  controller.abort(new Error('too late'))
  await expect(second).rejects.toThrow('too late')
  await Promise.all([first, third])
  expect(await idsIn(path)).toEqual(['a', 'c'])
})

test('close waits for what is being written; later writes are refused; closing again is harmless', async () => {
  const log = jsonlLog(path)
  const writes = Promise.all(['a', 'b', 'c'].map((id) => log.write(entry(id), ctx)))
  await log.close()
  expect(await idsIn(path)).toEqual(['a', 'b', 'c'])
  await writes
  await log.close()
  await expect(log.write(entry('d'), ctx)).rejects.toMatchObject({ code: 'stopped' })
})

test('more waiting lines than go at once are all written, in their order', async () => {
  await using log = jsonlLog(path, { flush: 'system' })
  const ids = Array.from({ length: 40 }, (_, index) => `e${index}`)
  await Promise.all(ids.map((id) => log.write(entry(id, 'x'.repeat(100_000)), ctx)))
  expect(await idsIn(path)).toEqual(ids)
})

test('a line of somebody else who has not ended it is left as it is', async () => {
  await using log = jsonlLog(path)
  await log.write(entry('a'), ctx)
  await rename(path, `${path}.1`)
  await appendFile(path, 'torn')
  await log.write(entry('b'), ctx)
  expect(await readFile(path, 'utf8')).toBe(`torn\n${JSON.stringify(entry('b'))}\n`)
})

/** An engine in real time with four servers; the first dies at once, with five users. */
async function outage(log: LogSink) {
  const users = Array.from({ length: 5 }, (_, index) => ({ id: `u${index + 1}` }))
  const servers = Array.from({ length: 4 }, (_, index) => ({ id: `s${index + 1}`, host: `192.0.2.${index + 1}`, capacity: 10 }))
  const registry = memoryRegistry({ servers, connections: { s1: users } })
  const prober: Prober = {
    name: 'made-up',
    async probe({ serverId, packets }) {
      if (serverId === 's1') return { sent: packets, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'made-up' } }
      return { sent: packets, received: packets, rttMs: Array<number>(packets).fill(5) }
    },
  }
  const pintail = createPintail({
    registry,
    mover: memoryMover(registry),
    log,
    probers: [prober],
    policy: { mode: 'auto', detect: { checkIntervalMs: 50, confirm: { durationMs: 100, intervalMs: 20 } }, guards: { recheckMs: 50 } },
  })
  const warnings: string[] = []
  pintail.on('warning', ({ code, message }) => code === 'sink_failed' && warnings.push(message))
  await pintail.start()
  await until('everybody has left the dead server', () => registry.on('s1').length === 0)
  return { pintail, warnings }
}
/** Each entry once, where it first stands: a repeated one is allowed. */
const journalIn = async (): Promise<string[]> => [...new Set(await idsIn(path))]
const journal = (length: number): string[] => Array.from({ length }, (_, index) => `journal-${index + 1}`)

test('an evacuation is in the file, whole and in the order of the journal', async () => {
  const log = jsonlLog(path)
  const { pintail } = await outage(log)
  const { lastSeq } = pintail.status()
  await pintail.stop({ timeoutMs: 60_000 })
  await log.close()
  expect((await journalIn()).slice(0, lastSeq)).toEqual(journal(lastSeq))
  const moved = parse(await readFile(path, 'utf8')).filter(({ type, success }) => type === 'connection.moved' && success)
  expect(moved.map(({ connectionId }) => connectionId).sort()).toEqual(['u1', 'u2', 'u3', 'u4', 'u5'])
})

test('a log that cannot be written holds no evacuation, warns once, and gets everything when it is back', async () => {
  await rename(join(folder, 'logs'), join(folder, 'away'))
  const log = jsonlLog(path)
  const { pintail, warnings } = await outage(log)
  await until('it is said', () => warnings.length > 0)
  expect(warnings).toEqual([expect.stringContaining('ENOENT')])
  await rename(join(folder, 'away'), join(folder, 'logs'))
  const { lastSeq } = pintail.status()
  await pintail.stop({ timeoutMs: 60_000 })
  await log.close()
  expect((await journalIn()).slice(0, lastSeq)).toEqual(journal(lastSeq))
})
