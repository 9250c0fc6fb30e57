import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from '../lib/packages.ts'
import { runTool } from '../lib/run.ts'

// The real biome.json lints bad files in a copy of the repository's layout, outside of it. Each line of such a file is
// one case: a rule must catch it, or must let it pass.

const importRule = 'lint/style/noRestrictedImports'
const globalRule = 'lint/style/noRestrictedGlobals'
const cycleRule = 'lint/suspicious/noImportCycles'
const plugin = 'plugin'

const rooms: Record<string, { allowed: string[]; forbidden: string[] }> = {
  'core/src/vocabulary.ts': {
    allowed: [],
    forbidden: ['./errors.ts', './ports.ts', 'zod', 'node:fs', 'node:fs/promises', 'fs'],
  },
  'core/src/errors.ts': { allowed: ['./vocabulary.ts'], forbidden: ['./ports.ts', './events.ts', 'zod', 'node:util'] },
  'core/src/ports.ts': {
    allowed: ['./vocabulary.ts', './errors.ts'],
    forbidden: ['./events.ts', './engine/pintail.ts', './index.ts', 'zod', 'node:net'],
  },
  'core/src/events.ts': {
    allowed: ['./vocabulary.ts', './errors.ts'],
    forbidden: ['./engine/pintail.ts', './index.ts', 'eventemitter3', 'node:events'],
  },
  'core/src/index.ts': {
    allowed: ['./vocabulary.ts', './engine/pintail.ts', './memory/store.ts'],
    forbidden: ['zod', 'node:fs', '@pintail/adapters/jsonl', '../../adapters/src/jsonl/index.ts'],
  },
  'core/src/create.ts': {
    allowed: ['./engine/pintail.ts', './memory/store.ts', './probers/icmp.ts', './options.ts', './ports.ts', './errors.ts'],
    forbidden: ['./index.ts', './decide/guard.ts', './testing/index.ts', './resilience/retry.ts', 'zod', 'node:fs'],
  },
  'core/src/newcomer.ts': { allowed: [], forbidden: ['./vocabulary.ts', 'zod', 'node:fs'] },
  'core/src/newcomers/one.ts': { allowed: [], forbidden: ['../vocabulary.ts', './two.ts', 'zod', 'node:fs'] },
  'core/src/rows.ts': {
    allowed: ['./vocabulary.ts', './ports.ts', './errors.ts'],
    forbidden: ['./options.ts', './events.ts', './engine/pintail.ts', 'zod', 'node:net'],
  },
  'core/src/options.ts': {
    allowed: ['zod', './vocabulary.ts', './ports.ts', './errors.ts', './rows.ts'],
    forbidden: ['./engine/pintail.ts', './memory/store.ts', 'p-queue', 'node:fs'],
  },
  'core/src/wire.ts': {
    allowed: ['./vocabulary.ts', './events.ts'],
    forbidden: ['./errors.ts', './ports.ts', './index.ts', './engine/pintail.ts', 'zod', 'node:util', 'node:fs/promises'],
  },
  'core/src/assign/flow.ts': {
    allowed: ['../vocabulary.ts', './heap.ts'],
    forbidden: ['../decide/ranking.ts', '../ports.ts', '../errors.ts', '../engine/planner.ts', 'zod', 'node:crypto', '@pintail/core'],
  },
  'core/src/figures/latency.ts': {
    allowed: ['../vocabulary.ts', '../ports.ts', '../assign/cohorts.ts', './distance.ts'],
    forbidden: ['../assign/flow.ts', '../decide/ranking.ts', '../errors.ts', '../engine/planner.ts', 'zod', 'node:crypto', '@pintail/core'],
  },
  'core/src/why.ts': {
    allowed: ['./vocabulary.ts', './ports.ts', './rows.ts', './assign/cohorts.ts'],
    forbidden: ['./assign/flow.ts', './decide/plan.ts', './engine/planner.ts', 'zod', 'node:util'],
  },
  'core/src/advise/advice.ts': {
    allowed: ['../vocabulary.ts', '../decide/placement.ts'],
    forbidden: ['../assign/flow.ts', '../ports.ts', '../engine/planner.ts', 'zod', 'node:crypto', '@pintail/core'],
  },
  'core/src/decide/guard.ts': {
    allowed: ['../vocabulary.ts', '../assign/flow.ts', '../figures/latency.ts', './quorum.ts'],
    forbidden: [
      '../ports.ts',
      '../errors.ts',
      '../events.ts',
      '../options.ts',
      '../index.ts',
      '../engine/planner.ts',
      './../engine/planner.ts',
      '../memory/store.ts',
      'zod',
      'p-queue',
      'node:crypto',
      'node:timers/promises',
      'crypto',
      '@pintail/core',
      '..',
    ],
  },
  'core/src/engine/planner.ts': {
    allowed: [
      '../vocabulary.ts',
      '../decide/guard.ts',
      '../ports.ts',
      '../errors.ts',
      '../events.ts',
      '../options.ts',
      '../rows.ts',
      '../books/journal.ts',
      '../moving/migrator.ts',
      './responder.ts',
      'node:diagnostics_channel',
      'node:timers/promises',
      'p-queue',
      'eventemitter3',
    ],
    forbidden: [
      '../index.ts',
      '../wire.ts',
      '../create.ts',
      '../probers/tcp.ts',
      '../memory/store.ts',
      '../resilience/retry.ts',
      '../testing/index.ts',
      'ping',
      'zod',
      '@pintail/adapters/jsonl',
    ],
  },
  'core/src/detect/votes.ts': {
    allowed: ['../vocabulary.ts', './detector.ts'],
    forbidden: ['../decide/guard.ts', '../ports.ts', '../errors.ts', '../watch/witness.ts', 'zod', 'node:crypto'],
  },
  'core/src/books/books.ts': {
    allowed: [
      '../vocabulary.ts',
      '../decide/guard.ts',
      '../detect/votes.ts',
      '../figures/found.ts',
      '../ports.ts',
      '../telling/bus.ts',
      './journal.ts',
    ],
    forbidden: ['../engine/responder.ts', '../watch/witness.ts', '../moving/migrator.ts', '../surface.ts', '../memory/store.ts', 'zod'],
  },
  'core/src/moving/migrator.ts': {
    allowed: ['../vocabulary.ts', '../decide/migration.ts', '../books/books.ts', '../rounds/monitor.ts', './revoker.ts', 'p-queue'],
    forbidden: ['../engine/responder.ts', '../watch/witness.ts', '../surface.ts', '../memory/store.ts', 'zod'],
  },
  'core/src/rounds/monitor.ts': {
    allowed: ['../vocabulary.ts', '../detect/detector.ts', '../books/books.ts', '../watch/witness.ts', '../time.ts', './wheel.ts'],
    forbidden: ['../engine/responder.ts', '../surface.ts', '../memory/store.ts', 'node:fs', 'zod'],
  },
  'core/src/members/member.ts': {
    allowed: ['../vocabulary.ts', '../detect/share.ts', '../books/books.ts', '../watch/warnings.ts', '../rounds/monitor.ts', './body.ts'],
    forbidden: ['../engine/term.ts', '../moving/migrator.ts', '../surface.ts', '../memory/store.ts', 'node:fs', 'zod'],
  },
  'core/src/watch/witness.ts': {
    allowed: ['../vocabulary.ts', '../detect/detector.ts', '../books/books.ts', '../telling/bus.ts', '../time.ts', './wheel.ts', 'p-queue'],
    forbidden: ['../engine/responder.ts', '../surface.ts', '../options.ts', '../memory/store.ts', 'node:fs', 'zod'],
  },
  'core/src/probers/icmp.ts': {
    allowed: ['../vocabulary.ts', '../ports.ts', '../errors.ts', '../rows.ts', './tcp.ts', 'node:net'],
    forbidden: ['../decide/guard.ts', '../engine/planner.ts', '../options.ts', '../memory/store.ts', '../index.ts', 'zod'],
  },
  'core/src/memory/store.ts': {
    allowed: ['../vocabulary.ts', '../figures/found.ts', '../ports.ts', '../errors.ts', './log.ts', 'node:crypto'],
    forbidden: ['../decide/guard.ts', '../books/journal.ts', '../resilience/retry.ts', '../index.ts', 'zod', 'p-queue'],
  },
  'core/src/resilience/retry.ts': {
    allowed: ['../vocabulary.ts', '../ports.ts', '../errors.ts', './fallback.ts', 'node:timers/promises'],
    forbidden: ['../decide/guard.ts', '../books/journal.ts', '../memory/store.ts', '../index.ts', 'p-queue'],
  },
  'core/src/testing/index.ts': {
    allowed: ['../vocabulary.ts', '../ports.ts', '../errors.ts', '../index.ts', './fleet.ts', 'node:assert/strict'],
    forbidden: ['../engine/planner.ts', '../decide/guard.ts', '../memory/store.ts', 'vitest', 'fast-check'],
  },
  'core/src/testing/trace/judge.ts': {
    allowed: ['./rules.ts', '../sim/kinds.ts', '../../index.ts', '../../errors.ts', '../../decide/migration.ts'],
    forbidden: ['../sim/simulate.ts', '../fleet.ts', '../../books/journal.ts', '../../decide/guard.ts', 'node:fs'],
  },
  'core/src/testing/contracts/mover.ts': {
    allowed: ['../../vocabulary.ts', '../../ports.ts', '../../errors.ts', '../../rows.ts', './rule.ts', 'node:assert/strict'],
    forbidden: ['../../index.ts', '../../engine/planner.ts', '../../memory/mover.ts', '../fleet.ts', 'vitest', '@pintail/adapters/jsonl'],
  },
  'adapters/src/jsonl/index.ts': {
    allowed: ['@pintail/core', '@pintail/core/wire', './log.ts', '../shared/http.ts', 'node:fs/promises', 'pg'],
    forbidden: [
      '../../../core/src/index.ts',
      '../../../core/src/engine/pintail.ts',
      '@pintail/core/src/index.ts',
      '@pintail/core/dist/index.js',
      '@pintail/core/engine',
      '@pintail/fastify-plugin',
      '@pintail/service',
    ],
  },
  'fastify-plugin/src/routes/servers.ts': {
    allowed: ['@pintail/core', '@pintail/core/wire', 'fastify', '../options.ts'],
    forbidden: ['../../../core/src/index.ts', '@pintail/core/engine', '@pintail/adapters/jsonl', '@pintail/service'],
  },
  'client/src/client.ts': {
    allowed: ['@pintail/core/wire', './stream.ts'],
    forbidden: ['@pintail/core', '@pintail/core/testing', '@pintail/service', '../../core/src/wire.ts'],
  },
  'dashboard/src/element.ts': {
    allowed: ['@pintail/core/wire', './define.ts'],
    forbidden: ['@pintail/core', '@pintail/adapters/jsonl', '@pintail/service'],
  },
}

type Case = { line: string; caughtBy?: string }

/** Every way to write an import, on one line each. */
function waysToImport(from: string, index: number): string[] {
  return [
    `export * from '${from}'`,
    `import { A as A${index} } from '${from}'; export const a${index} = A${index}`,
    `import type { B as B${index} } from '${from}'; export type C${index} = B${index}`,
    `export const lazy${index} = () => import('${from}')`,
  ]
}

const files: Record<string, Case[]> = {
  ...Object.fromEntries(
    Object.entries(rooms).map(([file, { allowed, forbidden }]) => [
      file,
      [
        ...allowed.flatMap((from, index) => waysToImport(from, index)).map((line) => ({ line })),
        ...forbidden.flatMap((from, index) => waysToImport(from, allowed.length + index)).map((line) => ({ line, caughtBy: importRule })),
        ...(file === 'core/src/wire.ts' ? [{ line: 'export const tick = process.uptime()', caughtBy: globalRule }] : []),
        // The rule above does not see this way, so a plugin forbids it whole.
        { line: `export type Inline = import('./x.ts').X`, caughtBy: plugin },
      ],
    ]),
  ),
  'core/src/decide/impure.ts': [
    { line: 'export const a1 = Date.now()', caughtBy: globalRule },
    { line: 'export const a2 = new Date()', caughtBy: globalRule },
    { line: 'export const a3 = performance.now()', caughtBy: globalRule },
    { line: 'export const a4 = setTimeout(() => {}, 1)', caughtBy: globalRule },
    { line: 'export const a5 = process.hrtime()', caughtBy: globalRule },
    { line: 'export const a6 = crypto.randomUUID()', caughtBy: globalRule },
    { line: 'export const a7 = globalThis.Math.random()', caughtBy: globalRule },
    { line: 'export const b1 = Math.random()', caughtBy: plugin },
    { line: `export const b2 = Math['random']()`, caughtBy: plugin },
    { line: 'export const { random } = Math', caughtBy: plugin },
    { line: 'export const b3 = import.meta.url', caughtBy: plugin },
    { line: 'export const c1 = Math.max(1, 2)' },
    { line: 'export const c2 = (at: number, now: number) => now - at' },
  ],
  'core/src/decide/guard.test.ts': [
    { line: `export * from 'fast-check'` },
    { line: `export * from '../testing/index.ts'` },
    { line: 'export const now = Date.now()' },
    { line: `import '../../../adapters/src/jsonl/index.ts'` },
  ],
  'core/src/engine/one.ts': [{ line: `export { two } from './two.ts'`, caughtBy: cycleRule }],
  'core/src/engine/two.ts': [
    {
      line: `import type { Three } from './three.ts'; export const two: Three = 2`,
      caughtBy: cycleRule,
    },
  ],
  'core/src/engine/three.ts': [{ line: `export * from './one.ts'; export type Three = 2`, caughtBy: cycleRule }],
  'adapters/src/index.ts': [{ line: 'export default 1', caughtBy: 'lint/style/noDefaultExport' }],
  'fastify-plugin/src/index.ts': [{ line: 'export default 1' }],
}

const watched = [importRule, globalRule, plugin, 'lint/style/noDefaultExport']

let folder = ''
let output = ''

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-lint-'))
  mkdirSync(join(folder, 'scripts'))
  cpSync(join(root, 'biome.json'), join(folder, 'biome.json'))
  cpSync(join(root, 'scripts', 'lint'), join(folder, 'scripts', 'lint'), { recursive: true })
  for (const [file, cases] of Object.entries(files)) {
    const path = join(folder, 'packages', file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, cases.map(({ line }) => `${line}\n`).join(''))
  }
  const linted = await runTool('biome', ['lint', '--reporter=github', '--max-diagnostics=none', 'packages'], {
    cwd: folder,
  })
  output = linted.output
}, 240_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Line number → the watched rules that caught it. */
function caughtIn(file: string): Map<number, Set<string>> {
  const caught = new Map<number, Set<string>>()
  // The bad files of the rooms import each other in circles too, which is not what they are here for.
  const rules = files[file]?.some(({ caughtBy }) => caughtBy === cycleRule) ? [...watched, cycleRule] : watched
  for (const [, rule = '', path, line] of output.matchAll(/^::error title=([^,]+),file=([^,]+),line=(\d+),/gm)) {
    if (!path?.endsWith(`/packages/${file}`) || !rules.includes(rule)) continue
    caught.set(Number(line), (caught.get(Number(line)) ?? new Set()).add(rule))
  }
  return caught
}

test.for(Object.keys(files))('the linter holds the rules of %s', (file) => {
  const caught = caughtIn(file)
  const cases = files[file] ?? []
  const wrong = cases.flatMap(({ line, caughtBy }, index) => {
    const rules = [...(caught.get(index + 1) ?? [])]
    const right = caughtBy ? rules.includes(caughtBy) : rules.length === 0
    return right ? [] : [`${line} — expected ${caughtBy ?? 'nothing'}, found ${rules.join(' and ') || 'nothing'}`]
  })
  expect(wrong).toEqual([])
})

test('the linter itself ran, without a fault in its configuration', () => {
  expect(output.includes('::error')).toBe(true)
  expect(output.split('\n').filter((line) => /biome\.json,|\.grit/.test(line))).toEqual([])
})
