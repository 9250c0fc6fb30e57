import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const web = join(import.meta.dirname, '..', 'web')

/** A script of this example for browsers. @param version in the place of the package's own: two widgets may bring two */
export async function script(name: string, version = 'example'): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(web, name)],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    jsx: 'automatic',
    write: false,
    conditions: ['@pintail/source', 'browser', 'production', 'module'],
    define: { __PINTAIL_VERSION__: JSON.stringify(version), 'process.env.NODE_ENV': '"production"' },
  })
  return outputFiles[0]?.text ?? ''
}

export const file = (name: string): Promise<string> => readFile(join(web, name), 'utf8')
