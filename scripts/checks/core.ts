import { join } from 'node:path'
import type { Reachable } from '../lib/declarations.ts'
import type { Manifest } from '../lib/packages.ts'
import type { Finding } from '../lib/steps.ts'

export const coreLineLimit = 4000
const coreDependencies = ['eventemitter3', 'p-queue', 'zod']

/** `path` is relative to `packages/core/src`, with `/` between its folders. */
export function countsAsCore(path: string): boolean {
  return path.endsWith('.ts') && !/\.test(-d)?\.ts$/.test(path) && !path.startsWith('testing/')
}

/** A last line without a line break is a line too. */
export function linesOf(text: string): number {
  if (text === '') return 0
  const breaks = text.split('\n').length - 1
  return text.endsWith('\n') ? breaks : breaks + 1
}

export function checkLineLimit(files: ReadonlyMap<string, string>): Finding {
  const counted = [...files].filter(([path]) => countsAsCore(path)).map(([path, text]) => ({ path, lines: linesOf(text) }))
  const total = counted.reduce((sum, { lines }) => sum + lines, 0)
  const note = `${total} of ${coreLineLimit} lines in ${counted.length} files`
  if (total <= coreLineLimit) return { ok: true, note }
  const longest = counted.sort((a, b) => b.lines - a.lines).slice(0, 5)
  return {
    ok: false,
    problem: [note, 'the longest:', ...longest.map(({ path, lines }) => `  ${path}: ${lines}`)].join('\n'),
    remedy: 'move what is not the engine itself out of core: to an adapter, or to testing/',
  }
}

export function checkDependencies(manifest: Manifest & Record<string, unknown>): Finding {
  const found = Object.keys(manifest.dependencies ?? {}).sort()
  const others = ['peerDependencies', 'optionalDependencies', 'bundleDependencies'].filter((key) => manifest[key])
  if (others.length === 0 && found.join() === coreDependencies.join()) return { ok: true, note: found.join(', ') }
  return {
    ok: false,
    problem: `core depends on ${found.join(', ') || 'nothing'}${others.length > 0 ? ` and has ${others.join(', ')}` : ''}; it may depend on exactly ${coreDependencies.join(', ')}`,
    remedy: 'a heavier dependency belongs to an adapter, as an optional peer behind its own subpath',
  }
}

/** A user's zod need not be ours: a zod type in a declaration would tie the two versions together. */
export function checkNoZodTypes({ packages, files }: Reachable): Finding {
  const users = [...packages].filter(([name]) => name === 'zod' || name.startsWith('zod/')).flatMap(([, paths]) => paths)
  if (users.length === 0) return { ok: true, note: `${files.size} declaration files` }
  return {
    ok: false,
    problem: `zod is named by the public declarations ${[...new Set(users)]
      .sort()
      .map((path) => join('packages/core', path))
      .join(', ')}`,
    remedy: 'write the type out by hand, and let a typed test compare it with the schema',
  }
}
