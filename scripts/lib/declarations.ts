import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'

/** An import, re-export or `import('…')` type of a declaration file. */
export type Reference = { specifier: string; start: number; end: number }

/** Every module that the text of a declaration file names. `start` and `end` enclose the specifier without its quotes. */
export function referencesOf(text: string): Reference[] {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.map(({ fileName, pos }) => {
      const start = text.indexOf(fileName, pos)
      return { specifier: fileName, start, end: start + fileName.length }
    })
    .sort((a, b) => a.start - b.start)
}

const isRelative = (specifier: string): boolean => specifier.startsWith('./') || specifier.startsWith('../')

/** tsc leaves `./errors.ts` in declarations as it is written; published files name `./errors.js`. */
export function withScriptExtensions(text: string): string {
  let result = ''
  let end = 0
  for (const reference of referencesOf(text)) {
    if (!isRelative(reference.specifier) || !/(?<!\.d)\.ts$/.test(reference.specifier)) continue
    result += text.slice(end, reference.start) + reference.specifier.replace(/\.ts$/, '.js')
    end = reference.end
  }
  return result + text.slice(end)
}

export function rewriteDeclarations(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.d.ts')) continue
    const path = join(folder, name)
    const text = readFileSync(path, 'utf8')
    const rewritten = withScriptExtensions(text)
    if (rewritten !== text) writeFileSync(path, rewritten)
  }
}

/** Reads a declaration file by its path relative to the package; `undefined` where there is none. */
export type ReadDeclaration = (path: string) => string | undefined

export const readFrom =
  (packageDir: string): ReadDeclaration =>
  (path) => {
    try {
      return readFileSync(join(packageDir, path), 'utf8')
    } catch {
      return undefined
    }
  }

export type Reachable = {
  /** Path → text of every declaration file that a user of these entries can see, sorted by path. */
  files: ReadonlyMap<string, string>
  /** Package → the files that import it. */
  packages: ReadonlyMap<string, readonly string[]>
}

/** Follows the declarations from the entries. Throws where a file is missing, because its types would be `any`. */
export function reachableFrom(entries: readonly string[], read: ReadDeclaration): Reachable {
  const files = new Map<string, string>()
  const packages = new Map<string, string[]>()
  const open = entries.map((path) => ({ path: normalize(path), from: 'package.json' }))
  for (let next = open.pop(); next; next = open.pop()) {
    const { path, from } = next
    if (files.has(path)) continue
    const text = read(path)
    if (text === undefined) throw new Error(`${from} names ${path}, which does not exist`)
    files.set(path, text)
    for (const { specifier } of referencesOf(text)) {
      if (isRelative(specifier)) {
        open.push({ path: normalize(join(dirname(path), declarationOf(specifier))), from: path })
      } else {
        packages.set(specifier, [...(packages.get(specifier) ?? []), path])
      }
    }
  }
  return { files: new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1))), packages }
}

const declarationOf = (specifier: string): string => specifier.replace(/\.js$/, '.d.ts')
