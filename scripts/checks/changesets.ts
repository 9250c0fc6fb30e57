import type { Finding } from '../lib/steps.ts'

export type Bump = 'major' | 'minor' | 'patch' | 'none'

/** The packages that one changeset names, from the front matter between its two `---` lines. */
export function packagesOf(changeset: string): ReadonlyMap<string, Bump> {
  const matter = /^---\r?\n([\s\S]*?)^---\s*$/m.exec(changeset)?.[1] ?? ''
  const named = new Map<string, Bump>()
  for (const line of matter.split(/\r?\n/)) {
    const found = /^\s*["']?([^"':\s]+)["']?\s*:\s*["']?(major|minor|patch|none)["']?\s*$/.exec(line)
    if (found?.[1] && found[2]) named.set(found[1], found[2] as Bump)
  }
  return named
}

export type Surface = {
  name: string
  /** The snapshot in the working tree. */
  current: string
  /** The snapshot at the latest release tag; `undefined` where there is no tag, or no snapshot at it. */
  released: { tag: string; snapshot: string } | undefined
}

/** A surface that differs from the last release must be announced by a pending changeset that names the package. */
export function checkAnnounced(surfaces: readonly Surface[], changesets: readonly string[]): Finding {
  const announced = new Set(changesets.flatMap((text) => [...packagesOf(text)].filter(([, bump]) => bump !== 'none').map(([name]) => name)))
  const silent = surfaces.filter(({ name, current, released }) => released?.snapshot !== current && !announced.has(name))
  if (silent.length === 0) return { ok: true }
  return {
    ok: false,
    problem: silent
      .map(({ name, released }) =>
        released
          ? `${name}: its surface differs from ${released.tag}, and no changeset names it`
          : `${name}: was not released yet (no tag ${name}@…), and no changeset names it`,
      )
      .join('\n'),
    remedy: 'npx changeset (and in a clone without tags: git fetch --tags)',
  }
}
