import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fileLedger, type OwnWord } from './ledger.ts'
import { seenEverything, seenNothing } from './rows.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-ledger-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const day = 86_400_000
const word = (to: string, more: Partial<OwnWord> = {}): OwnWord => ({
  from: '2',
  to,
  seen: seenNothing,
  at: 5 * day,
  isAnswered: true,
  ...more,
})
const open = (at = 5 * day) => fileLedger(join(folder, 'deep', 'moves.jsonl'), { now: () => at })
const path = () => join(folder, 'deep', 'moves.jsonl')

test('the last word of each user outlives the process, with what JSON has no number for', () => {
  const first = open()
  first.write(7, word('3', { isAnswered: false }))
  first.write(8, word('4', { seen: { connectedAt: 17, rowId: 4 } }))
  first.write(7, word('5', { seen: seenEverything }))
  expect([...open().read()]).toEqual([
    [8, word('4', { seen: { connectedAt: 17, rowId: 4 } })],
    [7, word('5', { seen: seenEverything })],
  ])
})

test('a torn line and strange ones are left out, and the rest counts', () => {
  open().write(7, word('3'))
  const whole = readFileSync(path(), 'utf8')
  appendFileSync(path(), `nonsense\n{"user":"x"}\n{"user":9}\n[]\nnull\n${whole.replace('7', '8')}${whole.slice(0, 30)}`)
  expect([...open().read()].map(([user]) => user)).toEqual([7, 8])
})

test('a word of yesterday is over', () => {
  open().write(7, word('3'))
  expect([...open(6 * day - 1).read()]).toHaveLength(1)
  expect([...open(6 * day).read()]).toHaveLength(0)
  expect(readFileSync(path(), 'utf8')).toBe('')
})

test('it does not grow without end, and only its owner reads it', () => {
  const ledger = open()
  for (let n = 0; n < 45_000; n++) ledger.write(n % 10, word(String(n % 6)))
  expect(readFileSync(path(), 'utf8').split('\n').length).toBeLessThan(20_020)
  expect([...open().read()]).toHaveLength(10)
  expect(statSync(path()).mode & 0o777).toBe(0o600)
})

test('a place that cannot be written is refused at once, with a remedy', () => {
  writeFileSync(join(folder, 'deep'), 'a file where a folder should be')
  expect(() => open()).toThrow(expect.objectContaining({ code: 'invalid_options', remedy: expect.stringContaining('folder') }))
})
