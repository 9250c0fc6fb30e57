import { expect, test } from 'vitest'
import { compareSnapshots, difference, snapshotOf } from './api.ts'

const entries = [{ subpath: '.', source: './src/index.ts', types: './dist/index.d.ts', js: './dist/index.js' }]
const snapshot = (files: Record<string, string>) => snapshotOf('@pintail/x', entries, (path) => files[path])

test('a snapshot names its entries and holds every declaration that they lead to', () => {
  const text = snapshot({
    'dist/index.d.ts': `export { one } from './one.js'`,
    'dist/one.d.ts': `export declare const one: 1;`,
    'dist/internal.d.ts': `export declare const unseen: 0;`,
  })
  expect(text).toContain('// @pintail/x → ./dist/index.d.ts')
  expect(text).toContain('// ─── dist/one.d.ts\nexport declare const one: 1;')
  expect(text).not.toContain('unseen')
})

test('comments, white space and line endings do not change a snapshot', () => {
  const bare = snapshot({ 'dist/index.d.ts': 'export declare function go(to: string): void;\n' })
  const dressed = snapshot({
    'dist/index.d.ts':
      '/** Goes. */\r\nexport declare function go(\r\n    /* where */ to: string): void;\r\n//# sourceMappingURL=index.d.ts.map',
  })
  expect(dressed).toBe(bare)
})

test('another type changes a snapshot', () => {
  expect(snapshot({ 'dist/index.d.ts': 'export declare const a: 1;' })).not.toBe(
    snapshot({ 'dist/index.d.ts': 'export declare const a: 2;' }),
  )
})

test('a snapshot that is missing or stale fails with the remedy and the lines that differ', () => {
  expect(compareSnapshots('a.d.ts', 'x\n', undefined)).toMatchObject({ ok: false, remedy: 'npm run api' })
  expect(compareSnapshots('a.d.ts', 'same\nnew\n', 'same\nold\n')).toEqual({
    ok: false,
    problem: 'a.d.ts is not what the sources say now:\n- old\n+ new',
    remedy: 'npm run api',
  })
  expect(compareSnapshots('a.d.ts', 'x\n', 'x\n')).toEqual({ ok: true })
})

test('a difference shows a line as often as it is missing, and not more than twenty lines', () => {
  expect(difference('a\na\nb', 'a\nb')).toBe('- a')
  expect(difference('a\nb', 'b\na')).toBe('the same lines in another order')
  const long = Array.from({ length: 30 }, (_, index) => `line ${index}`).join('\n')
  expect(difference('', long).split('\n')).toHaveLength(21)
})
