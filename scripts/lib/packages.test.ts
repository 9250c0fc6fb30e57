import { expect, test } from 'vitest'
import { binsOf, entriesOf, inOrderOfDependency, type Manifest, type Package, specifierOf } from './packages.ts'

const manifest = (more: Partial<Manifest>): Manifest => ({ name: '@pintail/x', version: '1.0.0', ...more })
const one = (name: string, ...needs: string[]): Package => ({
  name,
  dir: name,
  entries: [],
  manifest: manifest({ name, peerDependencies: Object.fromEntries(needs.map((need) => [need, '*'])) }),
})

test('each export with sources is an entry, package.json is none', () => {
  const exports = {
    './wire': { '@pintail/source': './src/wire.ts', types: './dist/wire.d.ts', default: './dist/wire.js' },
    './package.json': './package.json',
  }
  expect(entriesOf(manifest({ exports }))).toEqual([
    { subpath: './wire', source: './src/wire.ts', types: './dist/wire.d.ts', js: './dist/wire.js' },
  ])
})

test('an export that forgets a condition is refused by name', () => {
  expect(() => entriesOf(manifest({ exports: { '.': { default: './dist/index.js' } } }))).toThrow('the export "."')
})

test('a package is built after those that it needs', () => {
  const ordered = inOrderOfDependency([one('a', 'c', 'elsewhere'), one('b', 'a'), one('c')])
  expect(ordered.map(({ name }) => name)).toEqual(['c', 'a', 'b'])
})

test('packages that need each other are refused', () => {
  expect(() => inOrderOfDependency([one('a', 'b'), one('b', 'a')])).toThrow('a → b → a')
})

test('an entry is imported by the name of its package and its subpath', () => {
  expect(specifierOf('@pintail/core', '.')).toBe('@pintail/core')
  expect(specifierOf('@pintail/core', './wire')).toBe('@pintail/core/wire')
})

test('a command is built from the source of the same name', () => {
  expect(binsOf(manifest({ bin: { pintail: './dist/cli.js' } }))).toEqual([{ js: './dist/cli.js', source: './src/cli.ts' }])
  expect(binsOf(manifest({}))).toEqual([])
})
