// Where the durability lab plays: the lab's world, with a PostgreSQL server in a namespace of its own and room for engines
// whose way to it can be cut.
import { spawnSync } from 'node:child_process'
import { chownSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bin, user } from '../../packages/adapters/test/postgres.ts'
import { makeWorld, type World } from '../world.ts'

const port = 5432

export interface Stage extends AsyncDisposable {
  readonly world: World
  /** Of the PostgreSQL server, as the engines reach it. */
  readonly database: { readonly host: string; readonly port: number }
  /** A folder that goes with the stage. */
  readonly folder: string
  /** Runs statements in the database and hands back the rows of the last one, its columns parted by a tab. */
  sql(text: string): Promise<string>
  /** A namespace for an engine whose network to the store can be cut alone. */
  addPlace(name: string): Promise<void>
  /** Drops everything between this place and the store, or no longer; all else goes on. */
  partition(place: string, isCut: boolean): Promise<void>
  destroy(): Promise<void>
}

export async function makeStage(): Promise<Stage> {
  if (bin === null || user === null) throw new Error('there is no PostgreSQL server: npm run lab -- --install')
  const programs = bin
  const world = await makeWorld()
  const folder = mkdtempSync(join(tmpdir(), 'pintail-durability-'))
  world.leaves(folder)
  try {
    await world.addVantage('store')
    const host = await addressOf(world, 'store')
    const stop = await startServer(world, programs, user, folder, host)
    await world.exec('router', 'nft', fence)
    const addresses = new Map<string, string>()
    const reach = async (place: string) => {
      const own = await addressOf(world, place)
      addresses.set(place, own)
      await world.exec(place, 'ip', 'route', 'replace', `${host}/32`, 'via', own.replace(/\d+$/, '1'))
      await world.exec('store', 'ip', 'route', 'replace', `${own}/32`, 'via', host.replace(/\d+$/, '1'))
    }
    await reach('prober')
    const destroy = async () => {
      // In good order first: a server that is killed leaves its piece of shared memory behind.
      await stop()
      await world.destroy()
    }
    return {
      world,
      database: { host, port },
      folder,
      sql: (text) =>
        world.exec('store', join(programs, 'psql'), '-h', host, '-U', 'postgres', '-v', 'ON_ERROR_STOP=1', '-qAtX', '-F', '\t', '-c', text),
      addPlace: async (name) => {
        await world.addVantage(name)
        await reach(name)
      },
      partition: async (place, isCut) => {
        const own = addresses.get(place) ?? ''
        const what = isCut ? 'add' : 'delete'
        await world.exec('router', 'nft', `${what} element inet durability cut { ${own} . ${host}, ${host} . ${own} }`)
      },
      destroy,
      [Symbol.asyncDispose]: destroy,
    }
  } catch (error) {
    await world.destroy()
    throw error
  }
}

const fence = `add table inet durability
add set inet durability cut { type ipv4_addr . ipv4_addr; }
add chain inet durability forward { type filter hook forward priority -5; }
add rule inet durability forward ip saddr . ip daddr @cut drop`

async function addressOf(world: World, place: string): Promise<string> {
  const said = await world.exec(place, 'ip', '-4', '-o', 'address', 'show')
  const own = /inet (10\.98\.\d+\.2)/.exec(said)?.[1]
  if (own === undefined) throw new Error(`${place} has no address: ${said}`)
  return own
}

/** Keeps what it says it has kept, as far as the disk does. Ends with the returned function. */
async function startServer(
  world: World,
  programs: string,
  { uid, gid }: { readonly uid?: number; readonly gid?: number },
  folder: string,
  host: string,
): Promise<() => Promise<void>> {
  if (uid === undefined || gid === undefined) throw new Error('the lab runs as root')
  chownSync(folder, uid, gid)
  const data = join(folder, 'data')
  const made = spawnSync(join(programs, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], {
    uid,
    gid,
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
  await world.exec('store', 'sh', '-c', `echo 'host all all 10.98.0.0/16 trust' >> ${data}/pg_hba.conf`)
  const settings = [`listen_addresses=${host}`, `port=${port}`, 'unix_socket_directories=', 'max_connections=200', 'log_min_messages=panic']
  const as = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  const [command, ...args] = [...as, join(programs, 'postgres'), '-D', data, ...settings.flatMap((one) => ['-c', one])]
  const server = world.spawn('store', command as string, ...args)
  server.stdout?.resume()
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  for (const end = performance.now() + 120_000; ; ) {
    try {
      await world.exec('store', join(programs, 'psql'), '-h', host, '-U', 'postgres', '-qc', 'SELECT 1')
      break
    } catch (error) {
      if (performance.now() > end || server.exitCode !== null) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    server.kill('SIGINT')
    await ended
  }
}
