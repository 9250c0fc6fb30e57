// Which programs of other people the cluster needs, where they are, and what to do where they are missing.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Programs {
  readonly nats: string
  /** The folder with `initdb` and `postgres`. */
  readonly postgres: string
  /** Whom PostgreSQL runs as: it refuses to be root. */
  readonly user: { readonly uid?: number; readonly gid?: number }
}

/** Where to look: folders, in their order, and the one in which Debian keeps a PostgreSQL of each version. */
interface Places {
  readonly folders: readonly string[]
  readonly debian: string
}

const here = (): Places => ({
  folders: [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin'],
  debian: '/usr/lib/postgresql',
})

/** All that is needed, or what is missing, a line each. */
export function findPrograms({ folders, debian }: Places = here()): Programs | { readonly missing: readonly string[] } {
  const nats = folders.map((folder) => join(folder, 'nats-server')).find(existsSync)
  const postgres = [...debianFolders(debian), ...folders].find(
    (folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')),
  )
  const user = runAs()
  const missing = [
    nats === undefined && 'nats-server, the broker: apt-get install nats-server (or brew install nats-server)',
    postgres === undefined && 'PostgreSQL, the database: apt-get install postgresql (or brew install postgresql)',
    user === null && 'a user for PostgreSQL, which refuses to run as root: start this as another user, or install Debian’s postgresql',
  ].filter((line) => line !== false)
  return nats === undefined || postgres === undefined || user === null ? { missing } : { nats, postgres, user }
}

/** Debian keeps the server's programs out of the PATH, one folder a version. */
function debianFolders(debian: string): string[] {
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => join(debian, version, 'bin'))
}

function runAs(): Programs['user'] | null {
  if (process.getuid?.() !== 0) return {}
  const ask = (flag: string): number => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout.trim() || Number.NaN)
  const [uid, gid] = [ask('-u'), ask('-g')]
  return Number.isInteger(uid) && Number.isInteger(gid) ? { uid, gid } : null
}
