// npm start -w examples/fastify-host
import { tcp } from '@pintail/core'
import { Database } from './database.ts'
import { createHost } from './host.ts'
import { hostOf, Machines } from './machines.ts'

const machines = new Machines()
const regions = ['eu', 'eu', 'us', 'us']
const servers = await Promise.all(
  regions.map(async (region, index) => {
    const id = index + 1
    return { id, host: hostOf(id), port: await machines.plug(id, 0), region, capacity: 20, status: 'online' as const }
  }),
)
const users = ['ann', 'bob', 'cem', 'dan', 'eva', 'fay', 'gus', 'hal']
const access = users.map((user_id, index) => ({ user_id, region: index < 4 ? 'eu' : 'us', server_id: 1 + (index % servers.length) }))

const app = await createHost({
  db: new Database(servers, access),
  keys: { 'ann-key': { name: 'ann', role: 'user' }, 'ops-key': { name: 'ops', role: 'admin' } },
  // The listeners answer TCP; leave it out for icmp, by the ping of the system.
  probers: [tcp()],
  policy: { mode: 'suggest', detect: { checkIntervalMs: 1000, confirm: { durationMs: 3000 } } },
  logger: true,
})

// Not for a real host: pulls the plug of one of the machines, and puts it back.
app.post<{ Params: { id: string } }>('/admin/machines/:id/unplug', async ({ params, user }, reply) => {
  if (user.role !== 'admin') return reply.code(403).send({ error: 'for admins' })
  await machines.unplug(Number(params.id))
  return { unplugged: params.id }
})
app.post<{ Params: { id: string } }>('/admin/machines/:id/plug', async ({ params, user }, reply) => {
  const row = servers.find(({ id }) => id === Number(params.id))
  if (user.role !== 'admin' || !row) return reply.code(row ? 403 : 404).send({ error: row ? 'for admins' : 'no such machine' })
  await machines.plug(row.id, row.port)
  return { plugged: params.id }
})
app.addHook('onClose', () => machines.unplugAll())

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close())
await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
