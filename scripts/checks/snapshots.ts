import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readFrom } from '../lib/declarations.ts'
import { fromRoot, type Package, root } from '../lib/packages.ts'
import { run } from '../lib/run.ts'
import { snapshotName, snapshotOf } from './api.ts'
import type { Surface } from './changesets.ts'

export const snapshotPath = (one: Package): string => join(one.dir, snapshotName)

/** Needs the package built. */
export const generateSnapshot = (one: Package): string => snapshotOf(one.name, one.entries, readFrom(one.dir))

export function readSnapshot(one: Package): string | undefined {
  return readFrom(one.dir)(snapshotName)
}

export function pendingChangesets(): string[] {
  const folder = join(root, '.changeset')
  return readdirSync(folder)
    .filter((name) => name.endsWith('.md') && name !== 'README.md')
    .map((name) => readFileSync(join(folder, name), 'utf8'))
}

/** The surface of a package now and at its latest release, whose tag is `@pintail/core@1.2.3`, as changesets makes it. */
export async function surfaceOf(one: Package): Promise<Surface> {
  const { name } = one
  const current = readSnapshot(one) ?? ''
  const tags = await run('git', ['tag', '--list', `${name}@*`, '--merged', 'HEAD', '--sort=-version:refname'])
  const tag = tags.code === 0 ? tags.output.split('\n')[0]?.trim() : undefined
  if (!tag) return { name, current, released: undefined }
  const shown = await run('git', ['show', `${tag}:${fromRoot(snapshotPath(one))}`])
  return { name, current, released: { tag, snapshot: shown.code === 0 ? shown.output : '' } }
}
