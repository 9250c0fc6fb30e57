import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Package } from './packages.ts'
import { run, toolPath } from './run.ts'

/** Runs `work` with a folder outside the workspace, which is removed afterwards. */
export async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'pintail-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What `npm publish` would send: packs a built package into `folder` and answers the path of the tarball. */
export async function packInto(folder: string, one: Package): Promise<string> {
  const { code, output } = await run('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: one.dir,
    env: { PATH: toolPath() },
  })
  const file = /^\S+\.tgz$/m.exec(output)?.[0]
  if (code !== 0 || !file) throw new Error(`npm pack of ${one.name} failed:\n${output}`)
  return join(folder, file)
}
