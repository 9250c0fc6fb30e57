import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build as tsup } from 'tsup'
import { rewriteDeclarations } from './declarations.ts'
import { binsOf, fromRoot, type Package } from './packages.ts'
import { buildPage, versionOf } from './page.ts'
import { runTool } from './run.ts'
import type { Finding } from './steps.ts'

/** Builds one package into its `dist`: JavaScript by tsup, declarations by tsc. */
export async function buildPackage(one: Package): Promise<Finding> {
  // `.ci/run` has built everything from the very same sources, and says so.
  if (process.env.PINTAIL_BUILT && existsSync(join(one.dir, 'dist'))) return { ok: true }
  const missing = outputsOf(one).filter(({ source }) => !existsSync(join(one.dir, source)))
  if (missing.length > 0) {
    return {
      ok: false,
      problem: `no such source: ${missing.map(({ source }) => fromRoot(join(one.dir, source))).join(', ')}`,
    }
  }
  await rm(join(one.dir, 'dist'), { recursive: true, force: true })
  await buildScripts(one)
  await buildPage(one)
  const types = await runTool('tsc', ['-p', join(one.dir, 'tsconfig.build.json')])
  if (types.code !== 0) return { ok: false, problem: types.output }
  rewriteDeclarations(join(one.dir, 'dist'))
  return { ok: true }
}

/** What is built: entries, and commands. A `#!` in a command's source stays, and makes its output executable. */
const outputsOf = (one: Package): { readonly source: string; readonly js: string }[] => [...one.entries, ...binsOf(one.manifest)]

/** All entries and commands in one build with splitting: a class that two entries share stays one class. */
async function buildScripts(one: Package): Promise<void> {
  await tsup({
    config: false,
    entry: Object.fromEntries(outputsOf(one).map(({ source, js }) => [outputName(js), join(one.dir, source)])),
    outDir: join(one.dir, 'dist'),
    tsconfig: join(one.dir, 'tsconfig.build.json'),
    format: 'esm',
    target: 'node22.12',
    platform: 'node',
    splitting: true,
    // Nothing of a dependency is copied into our files. knip reports a dependency that is not listed.
    skipNodeModulesBundle: true,
    sourcemap: true,
    define: versionOf(one),
    dts: false,
    silent: true,
    // `node:` prefixes stay: without them a bundler of the host takes a package of that name.
    removeNodeProtocol: false,
  })
}

/** `./dist/testing/index.js` is written by the entry named `testing/index`. */
const outputName = (js: string): string => js.replace(/^\.\/dist\//, '').replace(/\.js$/, '')
