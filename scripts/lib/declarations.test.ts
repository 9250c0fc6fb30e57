import { expect, test } from 'vitest'
import { reachableFrom, referencesOf, withScriptExtensions } from './declarations.ts'

const read = (files: Record<string, string>) => (path: string) => files[path]

test('a reference is found in imports, re-exports and import types, at its exact place', () => {
  const text = [
    `import type { A } from './a.ts'`,
    `export * from "../b.js"`,
    `export declare const c: import('./c.ts').C`,
    `export declare const d: Array<typeof import("zod")>`,
  ].join('\n')
  const found = referencesOf(text)
  expect(found.map(({ specifier }) => specifier)).toEqual(['./a.ts', '../b.js', './c.ts', 'zod'])
  for (const { specifier, start, end } of found) {
    expect(text.slice(start, end)).toBe(specifier)
    expect(text[start - 1]).toMatch(/['"]/)
  }
})

test('declarations name .js files where the source named .ts files', () => {
  expect(withScriptExtensions(`import { A } from './a.ts'\nexport type B = import('../b/b.ts').B\n`)).toBe(
    `import { A } from './a.js'\nexport type B = import('../b/b.js').B\n`,
  )
})

test('declaration files, packages and words in comments or strings keep their names', () => {
  const text = `// from './a.ts'\nimport { A } from './a.d.ts'\nimport { B } from 'b.ts'\nexport declare const c: './c.ts'\n`
  expect(withScriptExtensions(text)).toBe(text)
})

test('every declaration that an entry leads to is reached once, cycles too, in the order of their paths', () => {
  const { files, packages } = reachableFrom(
    ['./dist/index.d.ts'],
    read({
      'dist/index.d.ts': `export * from './z/one.js'; export * from './a.js'`,
      'dist/a.d.ts': `import type { Z } from 'zod'; export type A = import('./z/one.js').One`,
      'dist/z/one.d.ts': `import type { A } from '../a.js'; export type One = A`,
      'dist/unseen.d.ts': `import 'p-queue'`,
    }),
  )
  expect([...files.keys()]).toEqual(['dist/a.d.ts', 'dist/index.d.ts', 'dist/z/one.d.ts'])
  expect([...packages]).toEqual([['zod', ['dist/a.d.ts']]])
})

test('a declaration that leads nowhere is an error, never an any', () => {
  expect(() => reachableFrom(['dist/index.d.ts'], read({ 'dist/index.d.ts': `export * from './gone.js'` }))).toThrow(
    'dist/index.d.ts names dist/gone.d.ts, which does not exist',
  )
})
