// A whole engine inside the prober's namespace: `node lab/engine.ts '{"hosts":[…],"port":443,"prober":"allOf"}'` tells
// each event as one line of JSON; on a line "look" of its standard input what it thinks of its servers; and on a line
// "stop" what it has come to; then it ends. A line of JSON is a sample of a vantage elsewhere.
import { createInterface } from 'node:readline'
import { connect } from '@nats-io/transport-node'
import { natsVantages, setUpNats } from '@pintail/adapters/nats'
import { createPintail, memoryMover, memoryRegistry, type PolicyInput, type Reason, type VerdictKind } from '@pintail/core'
import { type ProbeKeys, type ProberName, probers } from './probers.ts'

export interface Setting {
  readonly hosts: readonly string[]
  /** Of all, or one each in the order of the hosts. */
  readonly port: number | readonly number[]
  readonly usersEach: number
  readonly prober: ProberName
  readonly keys?: ProbeKeys
  readonly policy: PolicyInput
  /** Where it probes from. */
  readonly vantage?: { readonly name: string; readonly region: string }
  /** The regions of users, in turns. Default: not known. */
  readonly regions?: readonly string[]
  /** A broker over which vantages elsewhere tell what they see, `host:port`. */
  readonly nats?: string
}

export interface Ending {
  readonly ended: true
  /** Users on each server, in the order of the hosts. */
  readonly users: readonly number[]
  readonly statuses: readonly string[]
  /** The same by the users' regions. */
  readonly byRegion: Readonly<Record<string, readonly number[]>>
}

/** The servers in the order of the hosts. */
export interface Look {
  readonly servers: readonly { readonly verdict: VerdictKind; readonly reasons: readonly Reason[]; readonly lastSentAt: number | null }[]
}

const { hosts, port, usersEach, prober, keys, policy, vantage, regions = [], nats } = JSON.parse(process.argv[2] ?? '{}') as Setting
const ids = hosts.map((_, index) => `s${index + 1}`)
const registry = memoryRegistry({
  servers: hosts.map((host, index) => ({
    id: ids[index] as string,
    host,
    port: typeof port === 'number' ? port : (port[index] ?? null),
    capacity: usersEach * 3,
  })),
  connections: Object.fromEntries(
    ids.map((id) => [
      id,
      Array.from({ length: usersEach }, (_, index) => ({ id: `${id}-c${index}`, region: regions[index % regions.length] ?? null })),
    ]),
  ),
})
const broker = nats === undefined ? null : await connect({ servers: nats, maxReconnectAttempts: -1, pingInterval: 1000 })
if (broker) await setUpNats(broker)
const observations = broker && natsVantages({ nats: broker, servers: registry, refreshMs: 1000 })
const pintail = createPintail({
  registry,
  mover: memoryMover(registry),
  probers: [probers[prober](keys)],
  policy,
  ...(vantage && { vantage }),
  ...(observations && { observations }),
})
pintail.on('*', ({ type, data }) => process.stdout.write(`${JSON.stringify({ type, data })}\n`))
observations?.follow(pintail)
await pintail.start()
for await (const word of createInterface({ input: process.stdin })) {
  if (word === 'stop') break
  if (word.startsWith('{')) {
    await pintail.observe([JSON.parse(word)])
    continue
  }
  const servers = pintail.status().servers.map(({ verdict, lastSample }) => ({
    verdict: verdict.verdict,
    reasons: verdict.reasons,
    lastSentAt: lastSample?.sentAt ?? null,
  }))
  process.stdout.write(`${JSON.stringify({ servers } satisfies Look)}\n`)
}
process.stdin.destroy()
const servers = new Map(pintail.status().servers.map(({ serverId, status }) => [serverId as string, status]))
await pintail.stop()
await broker?.close()
/** Users keep their number wherever they go. */
const regionOf = (user: string) => regions[Number(user.split('-c')[1]) % regions.length]
const of = (region: string) => ids.map((id) => registry.on(id).filter((user) => regionOf(user) === region).length)
const ending: Ending = {
  ended: true,
  users: ids.map((id) => registry.on(id).length),
  statuses: ids.map((id) => servers.get(id) ?? 'gone'),
  byRegion: Object.fromEntries(regions.map((region) => [region, of(region)])),
}
process.stdout.write(`${JSON.stringify(ending)}\n`)
