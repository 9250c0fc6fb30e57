// A host with Pintail in it: its books are in a database of its own, Pintail's in another. Says its port when it listens.
import { DatabaseSync } from 'node:sqlite'
import { sqliteStores } from '@pintail/adapters/sqlite'
import { type ConnectionMover, createPintail, type LeaseStore, type Prober, type ServerRegistry } from '@pintail/core'
import { plainHost } from '../../packages/fastify-plugin/test/plainHost.ts'
import type { ServerSetting } from './words.ts'

const setting = JSON.parse(process.argv[2] ?? '{}') as ServerSetting
const books = new DatabaseSync(setting.books)
books.exec(
  'PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 2000; CREATE TABLE IF NOT EXISTS homes (user TEXT PRIMARY KEY, server TEXT NOT NULL)',
)
const assign = books.prepare('INSERT INTO homes (user, server) VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET server = excluded.server')
if (!books.prepare('SELECT 1 FROM homes').get())
  for (let user = 0; user < setting.users; user++) assign.run(`u${user}`, `s${1 + (user % setting.servers)}`)
const on = books.prepare('SELECT user AS id FROM homes WHERE server = ?')
const homeOf = books.prepare('SELECT server FROM homes WHERE user = ?')
const counts = books.prepare('SELECT server, count(*) AS load FROM homes GROUP BY server')

const registry: ServerRegistry = {
  async listServers() {
    const loads = new Map((counts.all() as { server: string; load: number }[]).map(({ server, load }) => [server, load]))
    return Array.from({ length: setting.servers }, (_, index) => {
      const id = `s${index + 1}`
      return { id, host: `${id}.test`, capacity: 10 * setting.users, load: loads.get(id) ?? 0 }
    })
  },
  listConnections: async ({ id }) => on.all(id) as { id: string }[],
}
const mover: ConnectionMover = {
  fencing: 'enforced',
  move: async ({ connection, to }) => void assign.run(connection.id, to.id),
  rollback: async ({ connection, from }) => void assign.run(connection.id, from.id),
  locate: async ({ connection, to }) =>
    (homeOf.get(connection.id) as { server: string } | undefined)?.server === to.id ? 'on_target' : 'on_source',
}
const prober: Prober = {
  name: 'always',
  probe: async ({ packets }) => ({ sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 1) }),
}
const leases: LeaseStore = {
  acquire: async (holder, ttlMs) => ({ token: setting.token as never, holder, ttlMs }),
  renew: async () => true,
  release: async () => {},
}

const stores = sqliteStores({ path: setting.store })
const pintail = createPintail({
  registry,
  mover,
  leases,
  store: stores.store,
  probers: [prober],
  policy: { mode: 'auto', startupDelayMs: 0, registryRefreshMs: 1000, guards: { recheckMs: 200 } },
})
await pintail.start()
const { app, address } = await plainHost(pintail, setting.port)
process.once(
  'SIGTERM',
  () =>
    void app
      .close()
      .then(stores.close)
      .then(() => process.exit(0)),
)
console.log(new URL(address).port)
