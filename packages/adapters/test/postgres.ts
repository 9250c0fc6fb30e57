import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
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
  /** What a connection is told that is made now: by the server's newest settings, and of no pool. */
  anew(sql: string): Promise<Readonly<Record<string, unknown>> | undefined>
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
  const { child, ended, port } = await started(bin, user, data, durable)
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
  return { port, pool, anew: (sql) => askOnce(port, sql), stop, [Symbol.asyncDispose]: stop }
}

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<void>
  readonly port: number
}

/** On a port that was free a moment ago; when somebody else has taken it since, on another. */
async function started(programs: string, as: { uid?: number; gid?: number }, data: string, durable: boolean): Promise<Running> {
  for (let left = 9; ; left--) {
    const port = await freePort()
    const settings = [
      'listen_addresses=127.0.0.1',
      `port=${port}`,
      'unix_socket_directories=',
      'max_connections=60',
      ...(durable ? [] : ['fsync=off', 'autovacuum=off']),
    ]
    const args = ['-D', data, ...settings.flatMap((one) => ['-c', one])]
    const child = spawn(join(programs, 'postgres'), args, { ...as, stdio: 'ignore' })
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    if (await isReady(port, data, ended)) return { child, ended, port }
    if (left === 0) throw new Error('the server ended at once')
  }
}

/** Answers when it answers; false: it has ended. Another server on the port is not ours. */
async function isReady(port: number, data: string, ended: Promise<void>): Promise<boolean> {
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  while (!isOver) {
    const found = await askOnce(port, 'SHOW data_directory').catch(() => null)
    if (found?.data_directory === data) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

async function askOnce(port: number, sql: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const client = new pg.Client({ host: '127.0.0.1', user: 'postgres', database: 'postgres', port, connectionTimeoutMillis: 20_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query(sql)).rows[0]
  } finally {
    await client.end().catch(() => {})
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
