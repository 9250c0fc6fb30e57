import { expect, test } from 'vitest'
import { checkDependencies, checkLineLimit, checkNoZodTypes, coreLineLimit, countsAsCore, linesOf } from './core.ts'

test('tests, typed tests and testing/ do not count as core, the rest does', () => {
  const paths = ['index.ts', 'decide/guard.ts', 'decide/guard.test.ts', 'index.test-d.ts', 'testing/fleet.ts', 'notes.md']
  expect(paths.filter(countsAsCore)).toEqual(['index.ts', 'decide/guard.ts'])
  expect(countsAsCore('engine/testing/x.ts')).toBe(true)
})

test('a last line without a line break is a line too', () => {
  expect([linesOf(''), linesOf('a'), linesOf('a\n'), linesOf('a\nb')]).toEqual([0, 1, 1, 2])
})

test('core may have exactly the limit of lines and not one more', () => {
  const lines = (count: number) => 'x\n'.repeat(count)
  expect(checkLineLimit(new Map([['a.ts', lines(coreLineLimit)]]))).toEqual({
    ok: true,
    note: '4000 of 4000 lines in 1 files',
  })
  const more = new Map([
    ['a.ts', lines(coreLineLimit)],
    ['b.ts', 'y'],
    ['b.test.ts', lines(100)],
  ])
  expect(checkLineLimit(more)).toMatchObject({
    ok: false,
    problem: expect.stringContaining('4001 of 4000 lines in 2 files'),
  })
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
