import { expect, test } from 'vitest'
import { checkDependencies, checkLineLimit, checkNoZodTypes, lineLimits, linesOfCode, roomOf } from './core.ts'

test('tests, typed tests, testing/ and the words do not count; the rest belongs to one room', () => {
  const paths = [
    'decide/guard.ts',
    'detect/votes.ts',
    'assign/flow.ts',
    'figures/latency.ts',
    'advise/advice.ts',
    'watch/witness.ts',
    'rounds/wheel.ts',
    'books/journal.ts',
    'moving/migrator.ts',
    'engine/term.ts',
    'create.ts',
    'options.ts',
    'probers/tcp.ts',
    'engine/testing/x.ts',
  ]
  expect(paths.map(roomOf)).toEqual([
    'decide',
    'detect',
    'assign',
    'figures',
    'advise',
    'watch',
    'rounds',
    'books',
    'moving',
    'engine',
    'engine',
    'edges',
    'edges',
    'engine',
  ])
  const free = ['vocabulary.ts', 'index.ts', 'decide/guard.test.ts', 'index.test-d.ts', 'testing/fleet.ts', 'notes.md']
  expect(free.map(roomOf)).toEqual(free.map(() => null))
})

test('blank lines and comments are no code, code with a comment behind it is', () => {
  expect(linesOfCode('')).toBe(0)
  expect(linesOfCode('/** one */\n/*\n two\n*/\n\n// three\n  x() // four\ny()')).toBe(2)
})

test('a room may have exactly its limit of lines and not one more', () => {
  const lines = (count: number) => 'x\n'.repeat(count)
  const full = new Map([['engine/a.ts', lines(lineLimits.engine)]])
  expect(checkLineLimit(full)).toEqual({
    ok: true,
    note: 'decide 0 of 2000, detect 0 of 1000, assign 0 of 800, figures 0 of 400, advise 0 of 400, watch 0 of 1000, rounds 0 of 1000, members 0 of 500, books 0 of 800, moving 0 of 1500, engine 2700 of 2700, edges 0 of 2500',
  })
  const more = new Map([...full, ['engine/b.ts', 'y'], ['engine/b.test.ts', lines(100)]])
  expect(checkLineLimit(more)).toMatchObject({ ok: false, problem: expect.stringContaining('engine 2701 of 2700') })
  expect(checkLineLimit(new Map([['decide/a.ts', lines(lineLimits.decide + 1)]]))).toMatchObject({ ok: false })
})

const three = { eventemitter3: '^5', 'p-queue': '^10', zod: '^4' }
const manifest = { name: '@pintail/core', version: '1.0.0' }

test('core depends on exactly its three packages, in any order', () => {
  expect(checkDependencies({ ...manifest, dependencies: three })).toMatchObject({ ok: true })
  expect(checkDependencies({ ...manifest, dependencies: { ...three, pg: '^8' } })).toMatchObject({ ok: false })
  const { zod: _, ...two } = three
  expect(checkDependencies({ ...manifest, dependencies: two })).toMatchObject({ ok: false })
  expect(checkDependencies({ ...manifest, dependencies: { ...three, ping: '^1' } })).toMatchObject({ ok: false })
})

test('core has no peer and no optional dependency either', () => {
  expect(checkDependencies({ ...manifest, dependencies: three, peerDependencies: { pg: '*' } })).toMatchObject({
    ok: false,
  })
  expect(checkDependencies({ ...manifest, dependencies: three, optionalDependencies: { pg: '*' } })).toMatchObject({
    ok: false,
  })
})

test('a public declaration that names zod, or a part of it, fails', () => {
  const files = new Map([['dist/index.d.ts', '']])
  expect(checkNoZodTypes({ files, packages: new Map([['eventemitter3', ['dist/index.d.ts']]]) })).toMatchObject({
    ok: true,
  })
  for (const name of ['zod', 'zod/v4/core']) {
    expect(checkNoZodTypes({ files, packages: new Map([[name, ['dist/index.d.ts']]]) })).toMatchObject({
      ok: false,
      problem: expect.stringContaining('packages/core/dist/index.d.ts'),
    })
  }
})
