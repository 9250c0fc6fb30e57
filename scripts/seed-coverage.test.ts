import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkSeeds, countsOf, seedNumbers, testNamesOf, withCounts } from './checks/seeds.ts'
import { root } from './lib/packages.ts'
import { runTool } from './lib/run.ts'

const readFromRoot = (path: string): string | null => {
  const full = join(root, path)
  return statSync(full, { throwIfNoEntry: false })?.isFile() ? readFileSync(full, 'utf8') : null
}

test('every id, state, file, test and count of SEED-COVERAGE.md is right', () => {
  expect(checkSeeds(readFileSync(join(root, 'SEED-COVERAGE.md'), 'utf8'), readFromRoot)).toEqual([])
})

/** Lines may be added when one is split; one that goes away would let a requirement vanish. */
const leastLines = [29, 171, 106, 24, 129]

test('no seed loses a requirement line', () => {
  const text = readFileSync(join(root, 'SEED-COVERAGE.md'), 'utf8')
  const lines = seedNumbers.map((seed) => text.split('\n').filter((line) => line.startsWith(`| ${seed}-`)).length)
  for (const [index, least] of leastLines.entries()) expect(lines[index]).toBeGreaterThanOrEqual(least)
})

// ------------------------------------------------------------------------------------------------- a small document

const files: Record<string, string> = {
  'src/one.ts': 'export const one = 1',
  'src/one.test.ts': "test('one is one', () => {})\ntest.skip('one is two', () => {})",
  'lab/wire.lab.ts': "test.skipIf(!root)('a cable is a cable', () => {})",
  'src/all.test.ts': "const folder = new URL('./all/', import.meta.url)",
  'src/all/one-stays-one.ts': "export const it = scenario('one stays one', {}, async () => {})",
}
const read = (path: string): string | null => files[path] ?? null

const frame = (rows: string): string =>
  withCounts(
    [
      '# Coverage',
      '<!-- counts: begin; written by `npm run seeds -- --write` -->',
      '<!-- counts: end -->',
      '## Parts to come',
      '| part | what it is |',
      '|---|---|',
      '| stores | kept |',
      ...seedNumbers.flatMap((seed) => [
        `## ${seed} a seed`,
        '| id | section | requirement | state | shown by |',
        '|---|---|---|---|---|',
        ...(seed === '004' ? rows : `| ${seed}-01 | Purpose | it exists | later: stores | – |`).split('\n'),
      ]),
      '',
    ].join('\n'),
  )

const row = (state: string, shown: string, id = '004-01'): string => `| ${id} | Purpose | it moves | ${state} | ${shown} |`
const problemsOf = (rows: string): string[] => checkSeeds(frame(rows), read).map((problem) => problem.replace(/^line \d+, /, ''))

describe('the small document', () => {
  test('every good row passes', () => {
    const good = [
      row('done', "`src/one.test.ts › 'one is one'`"),
      row('done', "`src/one.ts`, `lab/wire.lab.ts › 'a cable is a cable'`: both", '004-02'),
      row('later: stores', '`GET /one` and `src/one.ts` are there', '004-03'),
      row("host's", 'its own books say so \\| its platform does', '004-04'),
      row('done', "`src/all.test.ts › 'one stays one'`", '004-05'),
    ]
    expect(problemsOf(good.join('\n'))).toEqual([])
  })

  test.each([
    ['an id twice', `${row('later: stores', '–')}\n${row('later: stores', '–')}`, '004-02: the id is "004-01" where 004-02 comes next'],
    ['an id left out', row('later: stores', '–', '004-02'), '004-01: the id is "004-02" where 004-01 comes next'],
    ["another seed's id", row('later: stores', '–', '003-01'), '004-01: the id is "003-01" where 004-01 comes next'],
    ['an unknown state', row('almost', '–'), '004-01: "almost" is no state: done, later: <part>, host\'s'],
    ['later without a part', row('later', '–'), '004-01: "later" is no state: done, later: <part>, host\'s'],
    ['a part that is not listed', row('later: soon', '–'), '004-01: "soon" is not listed under "Parts to come"'],
    ["host's without a reason", row("host's", '–'), "004-01: host's needs the reason in its last cell"],
    ['no requirement', '| 004-01 | Purpose | | later: stores | – |', '004-01: says no requirement'],
    ['no section', '| 004-01 | | it moves | later: stores | – |', '004-01: names no section of the seed'],
    ['done without a file', row('done', 'surely'), "004-01: done names no file: write `path` or `path › 'name of a test'`"],
    ['a file that is not there', row('done', '`src/two.ts`'), '004-01: there is no file src/two.ts'],
    ['a folder above', row('done', '`../src/one.ts`'), '004-01: there is no file ../src/one.ts'],
    ['a test file without a test', row('done', '`src/one.test.ts`'), '004-01: src/one.test.ts is a test file: name the test in it'],
    ['a test that is not there', row('done', "`src/one.test.ts › 'one is'`"), "004-01: src/one.test.ts has no test 'one is' that runs"],
    ['a skipped test', row('done', "`src/one.test.ts › 'one is two'`"), "004-01: src/one.test.ts has no test 'one is two' that runs"],
    [
      'a scenario that is not there',
      row('done', "`src/all.test.ts › 'one is two'`"),
      "004-01: src/all.test.ts has no test 'one is two' that runs",
    ],
    ['a test in no test file', row('done', "`src/one.ts › 'one'`"), "004-01: src/one.ts is no test file: it can have no test 'one'"],
    [
      'a name without quotes',
      row('done', '`src/one.test.ts › one`'),
      "004-01: `src/one.test.ts › one` is not of the form path › 'name of a test'",
    ],
    ['a missing file of a later row', row('later: stores', '`src/two.ts` has it'), '004-01: there is no file src/two.ts'],
    ["a missing file of a host's row", row("host's", 'as `src/two.ts` says'), '004-01: there is no file src/two.ts'],
  ])('%s is a problem', (_, rows, problem) => {
    expect(problemsOf(rows)).toEqual([problem])
  })

  test('a | that is not written as \\| is a problem', () => {
    expect(problemsOf(row('later: stores', 'a | b'))[0]).toContain('has 6 cells, not 5')
  })

  test('a seed without heading or rows is a problem', () => {
    const text = frame(row('later: stores', '–'))
    expect(checkSeeds(withCounts(text.replace('## 002 a seed', '## a seed')), read)).toEqual(['seed 002 has no heading "## 002 …"'])
    expect(checkSeeds(withCounts(text.replace(/\| 002-01 .*\n/, '')), read)).toEqual(['seed 002 has no row'])
  })

  test('a part without lines is a problem', () => {
    const text = withCounts(frame(row('later: stores', '–')).replace('| stores | kept |', '| stores | kept |\n| moon | far |'))
    expect(checkSeeds(text, read)).toEqual(['part "moon" has no line left: take it off "Parts to come"'])
  })

  test('counts that are wrong or missing are a problem, and --write mends them', () => {
    const text = frame(row('later: stores', '–'))
    const lie = text.replace('| **all** | 0 | 5 | 0 | 5 |', '| **all** | 5 | 0 | 0 | 5 |')
    expect(lie).not.toBe(text)
    expect(checkSeeds(lie, read)).toEqual(['the counts at the top are not those of the rows: npm run seeds -- --write'])
    expect(withCounts(lie)).toBe(text)
    expect(checkSeeds(text.replace('<!-- counts: end -->', ''), read)[0]).toContain('are missing')
  })

  test('lines are counted by seed, by state and by part', () => {
    const rows = [row('done', '`src/one.ts`'), row('later: stores', '–', '004-02'), row("host's", 'theirs', '004-03')]
    const counts = countsOf(frame(rows.join('\n')))
    expect(counts).toContain('| 004 a seed | 1 | 1 | 1 | 3 |')
    expect(counts).toContain('| **all** | 1 | 5 | 1 | 7 |')
    expect(counts).toContain('| stores | 5 |')
  })
})

describe('names of tests', () => {
  test('literal names of tests with a body are found, whatever is called between', () => {
    const source = [
      "test('plain', () => {})",
      'it("it\'s", () => {})',
      'test(`a template`, () => {})',
      "test.skipIf(!hasPing())('conditional', { timeout: 1 }, async () => {})",
      "test.each([[1]])('each %s', (n) => {})",
      "describe('inside', () => { for (const x of y) test.concurrent('nested', () => {}) })",
    ].join('\n')
    expect([...testNamesOf(source)]).toEqual(['plain', "it's", 'a template', 'conditional', 'each %s', 'nested'])
  })

  test('what never runs, has no body, or only looks like a test is none', () => {
    const source = [
      "test.skip('skipped', () => {})",
      "test.todo('to do')",
      "test.fails('fails', () => {})",
      "test('no body')",
      "describe.skip('off', () => { test('within', () => {}) })",
      "// test('a comment', () => {})",
      'const text = "test(\'a string\', () => {})"',
      "other('another function', () => {})",
      "/x/.test('a regular expression', () => {})",
      "test(prefix + 'computed', () => {})",
    ].join('\n')
    expect([...testNamesOf(source)]).toEqual([])
  })
})

test('npm run seeds refuses words that it does not know', async () => {
  const { code, output } = await runTool('node', ['scripts/seed-coverage.ts', '--wirte'])
  expect(code).toBe(2)
  expect(output).toContain('does not know --wirte')
})
