import { spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import pg from 'pg'

/** What a test says in its name that is left out where no server is installed. */
export const needsPostgres = '[needs: a PostgreSQL server (Debian: postgresql)]'

/** Debian keeps the server's programs out of the PATH, one folder a version. */
function programs(): string | null {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env.PATH ?? '').split(delimiter)]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'))) ?? null
}

/** The server refuses to run as root: then it runs as Debian's own user for it. Null: there is none. */
function runAs(): { uid?: number; gid?: number } | null {
  if (process.getuid?.() !== 0) return {}
  const ask = (flag: string): number => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout.trim() || Number.NaN)
  const [uid, gid] = [ask('-u'), ask('-g')]
  return Number.isInteger(uid) && Number.isInteger(gid) ? { uid, gid } : null
}

/** The folder of the server's programs; null: there is none. */
export const bin = programs()
/** Whom the server runs as; null: nobody can be it. */
export const user = runAs()
export const hasPostgres = bin !== null && user !== null

export interface PostgresServer extends AsyncDisposable {
  readonly port: number
  /** A pool on the server; ended with it. */
  pool(options?: pg.PoolConfig): pg.Pool
  stop(): Promise<void>
}

/** A pool on a server, as a host has it. */
export function poolOn(options: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({ host: '127.0.0.1', user: 'postgres', database: 'postgres', max: 20, ...options })
  // A pool tells when an idle connection of its is cut; nobody needs to know.
  pool.on('error', () => {})
  return pool
}

/** A server of its own on loopback and a free port, its data in a folder that is removed with it. Not durable, unless it is asked for. */
export async function startPostgres({ durable = false }: { readonly durable?: boolean } = {}): Promise<PostgresServer> {
  if (bin === null || user === null) throw new Error('there is no PostgreSQL server')
  const folder = mkdtempSync(join(tmpdir(), 'pintail-postgres-'))
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const made = spawnSync(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], {
    ...user,
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
  const port = await freePort()
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    'unix_socket_directories=',
    'max_connections=60',
    ...(durable ? [] : ['fsync=off', 'autovacuum=off']),
  ]
  const child = spawn(join(bin, 'postgres'), ['-D', data, ...settings.flatMap((one) => ['-c', one])], { ...user, stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = (): void => void child.kill('SIGQUIT')
  process.once('exit', kill)
  const pools: pg.Pool[] = []
  const pool = (options: pg.PoolConfig = {}): pg.Pool => {
    const one = poolOn({ port, ...options })
    pools.push(one)
    return one
  }
  const stop = async (): Promise<void> => {
    process.removeListener('exit', kill)
    await Promise.all(pools.map((one) => one.ended || one.end()))
    child.kill('SIGINT')
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  await untilReady(pool({ max: 1 }), ended)
  return { port, pool, stop, [Symbol.asyncDispose]: stop }
}

async function untilReady(pool: pg.Pool, ended: Promise<void>): Promise<void> {
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  for (;;) {
    try {
      await pool.query('SELECT 1')
      return
    } catch (error) {
      if (isOver) throw new Error('the server ended at once', { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
