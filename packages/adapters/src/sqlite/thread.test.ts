import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { JournalDraft, Token } from '@pintail/core'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { evacuateOver } from '../../test/evacuation.ts'
import { shareWithThreads, sqliteThread } from '../../test/sqliteThread.ts'
import { type SqliteStores, sqliteStores } from './index.ts'

const ctx = { signal: new AbortController().signal }
const draft = (type: string): JournalDraft => ({ at: 0, type, data: {} })
const batch = (number: number, ...journal: JournalDraft[]) => ({ token: 1 as Token, batch: number, writes: [], journal })

let folder: string
let path: string
let shared: ReturnType<typeof shareWithThreads>
const opened: SqliteStores[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-sqlite-'))
  path = join(folder, 'state.db')
  shared = shareWithThreads(0)
})
afterEach(async () => {
  vi.useRealTimers()
  shared.goOn()
  await Promise.all(opened.splice(0).map((one) => one.close()))
  rmSync(folder, { recursive: true })
})

function open(worker: URL | string = sqliteThread): SqliteStores {
  const stores = sqliteStores({ path, worker })
  opened.push(stores)
  return stores
}
const types = async ({ store }: SqliteStores) => (await store.readJournal({ after: 0, limit: 99 }, ctx)).entries.map(({ type }) => type)

test('the event loop goes on while the disk holds a commit', async () => {
  const { store } = open()
  await store.commit(batch(1, draft('one')), ctx)
  shared.hang()
  let isKept = false
  const commit = store.commit(batch(2, draft('two')), ctx).then(() => {
    isKept = true
  })
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(isKept).toBe(false)
  shared.goOn()
  await commit
})

test('calls are answered in their order, and what was asked before close() is done', async () => {
  const stores = open()
  // A thread that takes longer to close is ended: that is for a disk that hangs, and not for a slow one.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const commits = Array.from({ length: 20 }, (_, index) => stores.store.commit(batch(index + 1, draft(`${index + 1}`)), ctx))
  const closed = stores.close()
  expect(await Promise.all(commits)).toEqual(Array.from({ length: 20 }, (_, index) => ({ lastSeq: index + 1 })))
  await closed
  vi.useRealTimers()
  expect(await types(open())).toHaveLength(20)
})

test('a thread that dies: of what it was writing nobody knows, what it was reading is unavailable, and the next call starts it again', async () => {
  const stores = open()
  const { store, leases } = stores
  await store.commit(batch(1, draft('one')), ctx)
  shared.hang()
  const ends = Promise.allSettled([
    store.commit(batch(2, draft('two')), ctx),
    store.get('word', 'x', ctx),
    leases.acquire('a', 1000, ctx),
    store.readJournal({ after: 0, limit: 1 }, ctx),
  ])
  shared.die()
  expect((await ends).map((end) => end.status === 'rejected' && end.reason)).toMatchObject([
    { code: 'internal', message: expect.stringMatching(/thread has died .*not known/), remedy: expect.any(String) },
    { code: 'unavailable', message: expect.stringMatching(/thread has died/) },
    { code: 'internal' },
    { code: 'unavailable' },
  ])
  expect(await store.commit(batch(2, draft('two')), ctx)).toEqual({ lastSeq: 2 })
  expect(await types(stores)).toEqual(['one', 'two'])
})

test('a batch that a thread has kept before it died is not kept again', async () => {
  const stores = open()
  const controller = new AbortController()
  shared.hang()
  const commit = stores.store.commit(batch(1, draft('one')), { signal: controller.signal })
  controller.abort()
  await expect(commit).rejects.toMatchObject({ code: 'aborted' })
  shared.goOn()
  expect(await types(stores)).toEqual(['one'])
  shared.die()
  await expect(stores.store.get('word', 'x', ctx)).rejects.toMatchObject({ code: 'unavailable' })
  expect(await stores.store.commit(batch(1, draft('one')), ctx)).toEqual({ lastSeq: 1 })
  expect(await types(stores)).toEqual(['one'])
})

test.each([
  ['that is not there', () => join(folder, 'gone.js')],
  [
    'that cannot be loaded',
    () => {
      const file = join(folder, 'bad.mjs')
      writeFileSync(file, "import 'no-such-package-anywhere'")
      return pathToFileURL(file)
    },
  ],
  ['that is no file', () => 'relative-name.js'],
])('a program %s is unsupported, and the remedy says what a bundler needs', async (_, file) => {
  const { store } = open(file())
  for (const call of [() => store.commit(batch(1), ctx), () => store.get('word', 'x', ctx)])
    await expect(call()).rejects.toMatchObject({ code: 'unsupported', remedy: expect.stringMatching(/sqlite\/worker/) })
})

test('an open file keeps no process alive', async () => {
  const program = join(import.meta.dirname, '..', '..', 'test', 'sqliteProcess.ts')
  const args = ['--conditions=@pintail/source', '--disable-warning=ExperimentalWarning', program, path, 'end']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0)
  expect(await types(open())).toEqual(['1'])
})

test('an evacuation whose thread dies with every tenth commit is done, each user moved once', async () => {
  const { store, leases } = open()
  let commits = 0
  let deaths = 0
  const dying = {
    ...store,
    commit: (...args: Parameters<typeof store.commit>) => {
      if (++commits % 10 === 0) {
        deaths++
        shared.die()
      }
      return store.commit(...args)
    },
  }
  await evacuateOver(() => ({ store: dying, leases }))
  expect(deaths).toBeGreaterThan(2)
}, 120_000)
