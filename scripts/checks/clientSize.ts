import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'tsup'
import { inTemporaryFolder } from '../lib/pack.ts'
import type { Package } from '../lib/packages.ts'
import type { Finding } from '../lib/steps.ts'

/** What a page that uses the client has to load, in bytes after gzip. */
const limit = 6 * 1024

export const judgeSize = (bytes: number): Finding =>
  bytes <= limit
    ? { ok: true, note: `${bytes} of ${limit} bytes, minified and gzipped` }
    : { ok: false, problem: `${bytes} bytes, minified and gzipped; at most ${limit}`, remedy: 'leave out what few need' }

/** Bundles what was built, as a page would. */
export async function checkClientSize(client: Package): Promise<Finding> {
  return inTemporaryFolder(async (folder) => {
    await build({
      config: false,
      entry: { index: join(client.dir, 'dist', 'index.js') },
      outDir: folder,
      tsconfig: join(client.dir, 'tsconfig.build.json'),
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      minify: true,
      dts: false,
      silent: true,
    })
    return judgeSize(gzipSync(readFileSync(join(folder, 'index.js')), { level: 9 }).length)
  })
}
