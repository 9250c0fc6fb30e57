import { existsSync } from 'node:fs'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Options, build as tsup } from 'tsup'
import type { Package } from './packages.ts'

/** What a source may know of its package: the version that is built. */
export const versionOf = ({ manifest }: Package): Record<string, string> => ({ __PINTAIL_VERSION__: JSON.stringify(manifest.version) })

/**
 * A package with `src/page/main.ts` has a page: that script as one bundle with all that it imports, and the files beside it, in
 * `dist/page`. Workspace packages are taken from their sources, so that this needs no other build.
 */
export async function buildPage(one: Package): Promise<void> {
  const from = join(one.dir, 'src', 'page')
  const to = join(one.dir, 'dist', 'page')
  if (!existsSync(join(from, 'main.ts'))) return
  // As in buildPackage().
  if (process.env.PINTAIL_BUILT && existsSync(to)) return
  await rm(to, { recursive: true, force: true })
  await tsup({
    config: false,
    entry: { main: join(from, 'main.ts') },
    outDir: to,
    tsconfig: join(one.dir, 'tsconfig.build.json'),
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: 'terser',
    // Nothing here replaces what the language has built in, which is what `unsafe` asks for.
    terserOptions: { module: true, ecma: 2020, compress: { passes: 5, unsafe: true, unsafe_arrows: true, keep_fargs: false } },
    // Each language is a script of its own: a browser loads one.
    splitting: true,
    noExternal: [/.*/],
    define: versionOf(one),
    esbuildPlugins: [tightStyles],
    esbuildOptions: (options) => {
      // Served as UTF-8: escaped, the Russian texts would be three times as long.
      options.charset = 'utf8'
      options.chunkNames = '[name]'
      // Licences of what is in the bundle, in a file beside it.
      options.legalComments = 'external'
      options.conditions = ['@pintail/source', 'browser', 'production', 'module']
    },
    dts: false,
    silent: true,
  })
  await cp(from, to, { recursive: true, filter: (path) => !path.endsWith('.ts') })
  for (const name of await readdir(to)) if (name.endsWith('.js')) await squeeze(join(to, name))
}

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

/** No minifier looks into templates. */
const tightStyles: Plugin = {
  name: 'tight-styles',
  setup(build) {
    build.onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
      const tight = (styles: string): string =>
        styles
          .replace(/\/\*.*?\*\//gs, '')
          .replace(/\s+/g, ' ')
          .replace(/ ?([{};,>]) ?/g, '$1')
          .replaceAll(': ', ':')
          .replace(/(?<![\d.])0\./g, '.')
          .replaceAll(';}', '}')
      return { contents: (await readFile(path, 'utf8')).replace(/\bcss`[^`]*`/g, tight), loader: 'ts' }
    })
  },
}

/** In a minified script only templates of markup and styles have lines that are indented, and there one space means the same. */
async function squeeze(path: string): Promise<void> {
  await writeFile(path, (await readFile(path, 'utf8')).replace(/\n {2,}/g, ' '))
}
