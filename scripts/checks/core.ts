import { join } from 'node:path'
import type { Reachable } from '../lib/declarations.ts'
import type { Manifest } from '../lib/packages.ts'
import type { Finding } from '../lib/steps.ts'

/**
 * Lines of code, by room. The limits bound what must be understood at 3 a.m.; words (types and their documentation) and
 * comments are free, because rationing them makes the code worse. ARCHITECTURE.md says why there are several numbers.
 */
export const lineLimits = {
  decide: 2000,
  detect: 1000,
  assign: 800,
  figures: 400,
  advise: 400,
  watch: 1000,
  rounds: 1000,
  members: 500,
  books: 800,
  moving: 1500,
  engine: 2700,
  edges: 2500,
} as const
const words = ['vocabulary.ts', 'ports.ts', 'events.ts', 'surface.ts', 'errors.ts', 'wire.ts', 'index.ts']
const coreDependencies = ['eventemitter3', 'p-queue', 'zod']

/** `path` is relative to `packages/core/src`, with `/` between its folders. Null: it does not count. */
export function roomOf(path: string): keyof typeof lineLimits | null {
  if (!path.endsWith('.ts') || /\.test(-d)?\.ts$/.test(path) || path.startsWith('testing/') || words.includes(path)) return null
  if (path.startsWith('decide/')) return 'decide'
  if (path.startsWith('detect/')) return 'detect'
  if (path.startsWith('assign/')) return 'assign'
  if (path.startsWith('figures/')) return 'figures'
  if (path.startsWith('advise/')) return 'advise'
  if (path.startsWith('watch/')) return 'watch'
  if (path.startsWith('rounds/')) return 'rounds'
  if (path.startsWith('members/')) return 'members'
  if (path.startsWith('books/')) return 'books'
  if (path.startsWith('moving/')) return 'moving'
  return path.startsWith('engine/') || path === 'create.ts' ? 'engine' : 'edges'
}

/** Lines that hold code: neither blank nor only comment. A comment behind code does not make it a comment. */
export function linesOfCode(text: string): number {
  let inComment = false
  return text.split('\n').filter((raw) => {
    const line = raw.trim()
    if (inComment) {
      inComment = !line.includes('*/')
      return false
    }
    if (line.startsWith('/*')) {
      inComment = !line.includes('*/')
      return false
    }
    return line !== '' && !line.startsWith('//')
  }).length
}

export function checkLineLimit(files: ReadonlyMap<string, string>): Finding {
  const counted = [...files].flatMap(([path, text]) => {
    const room = roomOf(path)
    return room ? { path, room, lines: linesOfCode(text) } : []
  })
  const rooms = Object.entries(lineLimits).map(([room, limit]) => {
    const lines = counted.filter((file) => file.room === room).reduce((sum, file) => sum + file.lines, 0)
    return { room, limit, lines }
  })
  const note = rooms.map(({ room, limit, lines }) => `${room} ${lines} of ${limit}`).join(', ')
  const over = rooms.filter(({ limit, lines }) => lines > limit).map(({ room }) => room)
  if (over.length === 0) return { ok: true, note }
  const longest = counted
    .filter(({ room }) => over.includes(room))
    .sort((a, b) => b.lines - a.lines)
    .slice(0, 5)
  return {
    ok: false,
    problem: [note, 'the longest:', ...longest.map(({ path, lines }) => `  ${path}: ${lines}`)].join('\n'),
    remedy: 'make it smaller, or move what is not the engine itself out of core: to an adapter, or to testing/',
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
