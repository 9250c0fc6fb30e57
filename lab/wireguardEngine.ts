// An engine that moves WireGuard users through the broker: `node lab/wireguardEngine.ts '{…}'` (EngineSetting) with default
// settings but the mode. It tells each event, and each update for a client as type `update`, as one line of JSON. On a line
// "followed" the first user, who is real, has done what the oldest update for him says, and the engine goes on; on "sync" all servers
// are brought to what the books say; on "drain ID" that server is drained; on "homes" it tells who is where; and it ends with its
// standard input.
import { createInterface } from 'node:readline'
import { connect } from '@nats-io/transport-node'
import { memoryAccess } from '@pintail/adapters/access'
import { natsMover, natsVantages, setUpNats } from '@pintail/adapters/nats'
import { wireguardNotifier, wireguardProber } from '@pintail/adapters/wireguard'
import { allOf, createPintail, icmp } from '@pintail/core'
import type { EngineSetting } from './wireguardWords.ts'

const { broker, servers, port, users, probeKey, vantages, revokeGraceMs } = JSON.parse(process.argv[2] ?? '{}') as EngineSetting
/** Users whose devices follow before the engine goes on: the first one is real. */
const real = users[0]?.id
const following: (() => void)[] = []
const say = (type: string, data: unknown): void => void process.stdout.write(`${JSON.stringify({ type, data })}\n`)

const nats = await connect({ servers: broker, maxReconnectAttempts: -1, waitOnFirstConnect: true })
await setUpNats(nats)
const access = memoryAccess()
for (const { id, host } of servers) await access.putServer({ id, host, port, region: id, capacity: users.length * 2 })
for (const { id, home, publicKey, allowedIps, region = null } of users) await access.assign({ id, region }, home, { publicKey, allowedIps })
const keys = Object.fromEntries(servers.map(({ id, publicKey }) => [id, publicKey]))
const mover = natsMover({ nats, access, leads: () => pintail.status().leader?.token ?? null })
const observations = vantages && natsVantages({ nats, servers: access, refreshMs: 1000 })
const pintail = createPintail({
  registry: access,
  mover,
  notifier: wireguardNotifier({
    deliver: async (update) => {
      const followed = new Promise<void>((resolve) => update.connectionId === real && following.push(resolve))
      say('update', update)
      if (update.connectionId === real) await followed
    },
    publicKeyOf: ({ id }) => keys[id] ?? null,
  }),
  ...(observations && { observations }),
  probers: [allOf(icmp(), wireguardProber({ privateKey: probeKey, publicKeys: keys }))],
  policy: {
    mode: 'auto',
    ...(vantages && { detect: { vantages: Object.fromEntries(Object.entries(vantages).map(([name, region]) => [name, { region }])) } }),
    ...(revokeGraceMs !== undefined && { migration: { revokeGraceMs } }),
  },
})
observations?.follow(pintail)
pintail.on('*', ({ type, data }) => say(type, data))
await pintail.start()

for await (const line of createInterface({ input: process.stdin })) {
  const [word, id = ''] = line.split(' ')
  if (word === 'followed') following.shift()?.()
  else if (word === 'sync') say('synced', await mover.sync())
  else if (word === 'drain') await pintail.drain(id)
  else if (word === 'uncordon') await pintail.uncordon(id)
  else if (word === 'homes')
    say('homes', Object.fromEntries(await Promise.all(users.map(async (user) => [user.id, await access.homeOf(user.id)]))))
}
await pintail.stop()
await mover.close()
await nats.close()
