import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memoryBook, type WorkerBook } from './book.ts'
import type { Known } from './rules.ts'
import { sqliteBook } from './sqliteBook.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-book-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const known = (epoch: number, done: Known['done'], at = 1000): Known => ({ token: 2, epoch, done, hasAnswer: false, at })
const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return (error as { readonly code: string }).code
  }
  return 'done'
}

describe.each<[string, () => WorkerBook]>([
  ['memoryBook', () => memoryBook()],
  ['sqliteBook', () => sqliteBook({ path: join(folder, 'book.db') })],
])('%s', (_, make) => {
  test('what was recorded is there at once, the newest of it', async () => {
    const book = make()
    expect(book.isEmpty).toBe(true)
    const writes = [
      book.record('s', 'c', known(1, null)),
      book.record('s', 'c', known(2, 'granted')),
      book.record('s', 'd', known(3, 'revoked')),
    ]
    expect(book.connection('s', 'c')).toEqual(known(2, 'granted'))
    expect(book.connections('s')).toEqual(
      new Map([
        ['c', known(2, 'granted')],
        ['d', known(3, 'revoked')],
      ]),
    )
    await Promise.all(writes)
    expect(book.connection('s', 'c')).toEqual(known(2, 'granted'))
    expect(book.connection('t', 'c')).toBeNull()
    expect(book.isEmpty).toBe(false)
    await book.close()
  })

  test('the mark of a server is kept beside its connections', async () => {
    const book = make()
    const mark = { token: 7, since: 1.5, sync: { token: 7, epoch: 9 } }
    await book.mark('s', { token: 6, since: null, sync: null })
    await book.mark('s', mark)
    expect(book.server('s')).toEqual(mark)
    expect(book.server('t')).toBeNull()
    expect(book.connections('s').size).toBe(0)
    await book.close()
  })

  test('who was revoked long ago is forgotten, nobody else', async () => {
    const book = make()
    await Promise.all([
      book.record('s', 'old', known(1, 'revoked', 10)),
      book.record('s', 'granted', known(1, 'granted', 10)),
      book.record('s', 'new', known(1, 'revoked', 30)),
    ])
    expect(await book.prune(20)).toBe(1)
    expect([...book.connections('s').keys()].sort()).toEqual(['granted', 'new'])
    await book.close()
  })
})

test('a file keeps what was recorded, also when the process is killed right after', async () => {
  const path = join(folder, 'book.db')
  const source = `
    import { sqliteBook } from ${JSON.stringify(new URL('./sqliteBook.ts', import.meta.url).href)}
    const book = sqliteBook({ path: ${JSON.stringify(path)} })
    await Promise.all(Array.from({ length: 50 }, (_, n) => book.record('s', 'c' + n, { token: 1, epoch: n, done: 'granted', hasAnswer: true, at: 5 })))
    process.kill(process.pid, 'SIGKILL')`
  const { signal } = spawnSync(process.execPath, ['--conditions=@pintail/source', '--input-type=module', '-e', source], {
    encoding: 'utf8',
  })
  expect(signal).toBe('SIGKILL')
  const book = sqliteBook({ path })
  expect(book.connections('s').size).toBe(50)
  expect(book.connection('s', 'c49')).toEqual({ token: 1, epoch: 49, done: 'granted', hasAnswer: true, at: 5 })
  await book.close()
})

test('a second worker on the same file is refused, and the first goes on', async () => {
  const path = join(folder, 'book.db')
  const book = sqliteBook({ path })
  expect(() => sqliteBook({ path })).toThrow(/another process has this book/)
  await book.record('s', 'c', known(1, 'granted'))
  // The refusal has not taken the lock away: another process is refused as well.
  const source = `import { sqliteBook } from ${JSON.stringify(new URL('./sqliteBook.ts', import.meta.url).href)}; sqliteBook({ path: ${JSON.stringify(path)} })`
  const other = spawnSync(process.execPath, ['--conditions=@pintail/source', '--input-type=module', '-e', source], { encoding: 'utf8' })
  expect([other.status, other.stderr]).toEqual([1, expect.stringMatching(/another process has this book/)])
  await book.close()
  const second = sqliteBook({ path })
  expect(second.connection('s', 'c')).toEqual(known(1, 'granted'))
  await second.close()
})

test('a file of somebody else, of a newer version, or that cannot be written is refused as it is', async () => {
  const path = (name: string): string => join(folder, name)
  writeFileSync(path('text'), 'not a database, and longer than a header of SQLite would be: '.repeat(20))
  const other = new DatabaseSync(path('other'))
  other.exec('CREATE TABLE mine (x)')
  other.close()
  await sqliteBook({ path: path('newer') }).close()
  const newer = new DatabaseSync(path('newer'))
  newer.exec('PRAGMA user_version = 99')
  newer.close()
  expect(codeOf(() => sqliteBook({ path: path('text') }))).toBe('invalid_options')
  expect(codeOf(() => sqliteBook({ path: path('other') }))).toBe('invalid_options')
  expect(codeOf(() => sqliteBook({ path: path('newer') }))).toBe('unsupported')
  expect(codeOf(() => sqliteBook({ path: join(folder, 'no', 'folder') }))).toBe('unavailable')
  const untouched = new DatabaseSync(path('other'), { readOnly: true })
  expect(untouched.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'mine' }])
  untouched.close()
})

test('a book names users: it is for its owner alone', async () => {
  const path = join(folder, 'book.db')
  const book = sqliteBook({ path })
  await book.record('s', 'c', known(1, 'granted'))
  for (const file of [path, `${path}-wal`]) expect(statSync(file).mode & 0o077, file).toBe(0)
  await book.close()
})

test('what comes while the disk works is the next commit, and closing waits for all of it', async () => {
  const path = join(folder, 'book.db')
  const book = sqliteBook({ path })
  const writes = [book.record('s', 'c0', known(0, 'granted'))]
  for (let turn = 1; turn <= 20; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    writes.push(book.record('s', `c${turn}`, known(turn, 'granted')))
  }
  const closed = book.close()
  await expect(book.record('s', 'late', known(1, 'granted'))).rejects.toThrow(/closed/)
  await Promise.all([...writes, closed])
  const again = sqliteBook({ path })
  expect(again.connections('s').size).toBe(21)
  await again.close()
})

test('what cannot be written is told to whoever recorded it, and nothing after closing is taken', async () => {
  const path = join(folder, 'book.db')
  const book = sqliteBook({ path })
  await book.record('s', 'c', known(0, 'granted'))
  const first = await Promise.allSettled([
    book.record('s', 'c', known(1, 'granted')),
    book.record('s', 'c', { ...known(1, 'granted'), epoch: 2 ** 64 }),
    book.record('s', 'd', known(1, 'granted')),
  ])
  expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  // What could not be kept is not remembered either: it would be taken for done.
  expect([book.connection('s', 'c'), book.connection('s', 'd')]).toEqual([known(0, 'granted'), null])
  await book.record('s', 'd', known(1, 'granted'))
  await book.close()
  await expect(book.record('s', 'e', known(1, 'granted'))).rejects.toThrow(/closed/)
})
