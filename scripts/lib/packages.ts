import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** The root of the repository. */
export const root = join(import.meta.dirname, '..', '..')

/** One subpath of a package's `exports`, each path relative to the package. */
export type Entry = { subpath: string; source: string; types: string; js: string }

export type Manifest = {
  name: string
  version: string
  private?: boolean
  bin?: Record<string, string>
  exports?: Record<string, string | Record<string, string>>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  devDependencies?: Record<string, string>
}

export type Package = { name: string; dir: string; manifest: Manifest; entries: readonly Entry[] }

/** The packages that are published, each after those that it depends on. */
export function publicPackages(from: string = root): Package[] {
  const folder = join(from, 'packages')
  const packages = readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .filter((dir) => existsSync(join(dir, 'package.json')))
    .map(readPackage)
    .filter(({ manifest }) => manifest.private !== true)
  return inOrderOfDependency(packages)
}

export const readManifest = (dir: string): Manifest => JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as Manifest

function readPackage(dir: string): Package {
  const manifest = readManifest(dir)
  return { name: manifest.name, dir, manifest, entries: entriesOf(manifest) }
}

/** An export without sources of ours, such as `./package.json`, is no entry. */
export function entriesOf(manifest: Manifest): Entry[] {
  return Object.entries(manifest.exports ?? {}).flatMap(([subpath, target]) => {
    if (typeof target === 'string') return []
    const { '@pintail/source': source, types, default: js } = target
    if (!source || !types || !js) {
      throw new Error(`${manifest.name}: the export "${subpath}" needs @pintail/source, types and default`)
    }
    return [{ subpath, source, types, js }]
  })
}

/** The commands of a package: `./dist/cli.js` is built from `./src/cli.ts`. They are run and never imported, so they are no entries. */
export function binsOf({ bin }: Manifest): { readonly js: string; readonly source: string }[] {
  return Object.values(bin ?? {}).map((js) => ({ js, source: js.replace(/^\.\/dist\//, './src/').replace(/\.js$/, '.ts') }))
}

/** `@pintail/core` and `./wire` make `@pintail/core/wire`. */
export const specifierOf = (name: string, subpath: string): string => name + subpath.slice(1)

export function inOrderOfDependency(packages: readonly Package[]): Package[] {
  const byName = new Map(packages.map((one) => [one.name, one]))
  const ordered = new Set<Package>()
  const visit = (one: Package, path: readonly string[]): void => {
    if (path.includes(one.name)) throw new Error(`packages depend on each other: ${[...path, one.name].join(' → ')}`)
    const { dependencies, peerDependencies } = one.manifest
    for (const name of Object.keys({ ...dependencies, ...peerDependencies }).sort()) {
      const needed = byName.get(name)
      if (needed) visit(needed, [...path, one.name])
    }
    ordered.add(one)
  }
  for (const one of packages) visit(one, [])
  return [...ordered]
}

export const fromRoot = (path: string): string => relative(root, path)
