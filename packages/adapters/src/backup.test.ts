// Follows docs/backup.md: its commands are run as they stand, on stores that an evacuation is using or has used.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import {
  type ConnectionMover,
  createPintail,
  type LeaseStore,
  type MigrationStore,
  memoryRegistry,
  PintailError,
  type Prober,
} from '@pintail/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hasPostgres, needsPostgres, startPostgres } from '../test/postgres.ts'
import { until } from '../test/until.ts'
import { postgresStores } from './postgres/index.ts'
import { sqliteStores } from './sqlite/index.ts'

const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'backup.md'), 'utf8')

/** The commands of the page under this name. */
function commands(name: string): string {
  const [, text] = new RegExp(`<!-- run: ${name} -->\n\`\`\`sh\n([\\s\\S]*?)\`\`\``).exec(page) ?? []
  if (!text) throw new Error(`the page has no commands for ${name}`)
  return text
}

function run(name: string, env: Record<string, string>): void {
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter)
  const { status, stderr } = spawnSync('sh', ['-eu', '-c', commands(name)], { env: { ...env, PATH }, encoding: 'utf8' })
  expect({ name, status, stderr: stderr.replace(/^.*ExperimentalWarning.*\n.*trace-warnings.*\n/m, '') }).toEqual({
    name,
    status: 0,
    stderr: '',
  })
}

interface Stores {
  readonly store: MigrationStore
  readonly leases: LeaseStore
}

const users = 40

/** A panel that refuses old leaders, and remembers, whatever is restored, who was where and which tokens it has seen. */
function world() {
  const ids = ['s1', 's2', 's3', 's4']
  const servers = ids.map((id, index) => ({ id, host: `192.0.2.${index + 1}`, capacity: 4 * users }))
  const connections = {
    s1: Array.from({ length: users }, (_, n) => ({ id: `a${n}` })),
    s2: Array.from({ length: users }, (_, n) => ({ id: `b${n}` })),
  }
  const registry = memoryRegistry({ servers, connections })
  const dead = new Set<string>()
  const moves = new Map<string, number>()
  const logged = new Map<string, string>()
  const twice: string[] = []
  let newest = 0
  const probe: Prober['probe'] = async ({ serverId, packets }) => {
    const received = dead.has(serverId) ? 0 : packets
    return { sent: packets, received, rttMs: Array.from({ length: received }, () => 1) }
  }
  const mover: ConnectionMover = {
    fencing: 'enforced',
    move: async ({ connection, to, fencingToken }) => {
      if (fencingToken < newest) throw new PintailError('fenced', `${fencingToken} is older than ${newest}`)
      newest = fencingToken
      await new Promise((resolve) => setTimeout(resolve, 10))
      if (registry.on(to.rawId).includes(connection.id)) return
      moves.set(connection.id, (moves.get(connection.id) ?? 0) + 1)
      registry.assign({ id: connection.rawId }, to.id)
    },
    locate: async ({ connection, to }) => (registry.on(to.rawId).includes(connection.id) ? 'on_target' : 'on_source'),
  }
  const engine = ({ store, leases }: Stores) =>
    createPintail({
      registry,
      mover,
      probers: [{ name: 'static', probe }],
      store,
      leases,
      log: {
        write: async (entry) => {
          const text = JSON.stringify(entry)
          // At least once: the same entry may come again, another one under its id may not.
          if ((logged.get(entry.id) ?? text) !== text) twice.push(entry.id)
          logged.set(entry.id, text)
        },
      },
      policy: {
        mode: 'auto',
        registryRefreshMs: 200,
        detect: { checkIntervalMs: 50, confirm: { intervalMs: 20, durationMs: 100 } },
        guards: { recheckMs: 50, massFailureRatio: 0.6 },
        migration: { concurrency: 4, concurrencyPerTarget: 4, retryUnplacedMs: 200 },
      },
    })
  return { registry, dead, moves, logged, twice, engine, token: () => newest }
}

/** A copy in the middle of an evacuation; much happens after it; then the copy is what there is. */
async function follow(
  open: () => Promise<Stores & { readonly close: () => Promise<unknown> }>,
  copy: () => void,
  restore: () => void,
): Promise<void> {
  const { registry, dead, moves, logged, twice, engine, token } = world()
  const before = await open()
  const first = engine(before)
  await first.start()
  await until('every server is up', () => first.status().counts.up === 4)
  dead.add('s1')
  await until('a quarter has been moved', () => moves.size >= users / 4)
  copy()
  await until('the first evacuation is over', () => registry.on('s1').length === 0 && first.status().migrations.length === 0)
  dead.add('s2')
  await until('the second evacuation is over', () => registry.on('s2').length === 0 && first.status().migrations.length === 0)
  await first.stop()
  await before.close()
  const sum = (): number => [...moves.values()].reduce((all, one) => all + one, 0)
  const seen = { token: token(), entries: logged.size, moves: sum() }

  restore()
  const after = await open()
  const second = engine(after)
  await second.start()
  await until('both are down again', () => second.status().counts.down === 2)
  // What the copy calls open is settled with the panel, and nobody who had moved is moved again.
  await until('all is settled', () => second.status().migrations.length === 0 && second.status().evacuations.length === 0)
  registry.assign({ id: 'late' }, 's1')
  await until('the late one is moved', () => registry.on('s1').length === 0)
  expect(token()).toBeGreaterThan(seen.token)
  expect({ late: moves.get('late'), all: sum() }).toEqual({ late: 1, all: seen.moves + 1 })
  await second.stop()
  await after.close()
  expect(twice, 'two entries under one number').toEqual([])
  expect(logged.size).toBeGreaterThan(seen.entries)
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-backup-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('SQLite: copied while it runs, restored, and the evacuation goes on from the copy', async () => {
  const env = { STATE: join(folder, 'state.db'), COPY: join(folder, 'copy.db') }
  await follow(
    async () => sqliteStores({ path: env.STATE }),
    () => {
      run('sqlite copy', env)
      run('sqlite look', env)
    },
    () => run('sqlite restore', env),
  )
}, 180_000)

const hasTools = ['pg_dump', 'pg_restore', 'psql'].every((tool) => spawnSync(tool, ['--version']).status === 0)
describe.skipIf(!hasPostgres || !hasTools)(`PostgreSQL ${needsPostgres} and its client programs`, () => {
  test('copied while it runs, restored, and the evacuation goes on from the copy', async () => {
    await using server = await startPostgres()
    const env = { PGURL: `postgres://postgres@127.0.0.1:${server.port}/postgres`, SCHEMA: 'pintail', COPY: join(folder, 'copy.dump') }
    const pool = server.pool({ max: 4 })
    await postgresStores({ pool }).migrate()
    await follow(
      async () => ({ ...postgresStores({ pool }), close: async () => {} }),
      () => run('postgres copy', env),
      () => run('postgres restore', env),
    )
  }, 180_000)
})
