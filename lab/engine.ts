// A whole engine inside the prober's namespace: `node lab/engine.ts '{"hosts":[…],"port":443,"prober":"allOf"}'` tells
// each event as one line of JSON; on a line "look" of its standard input what it thinks of its servers; and on a line
// "stop" what it has come to; then it ends.
import { createInterface } from 'node:readline'
import { createPintail, memoryMover, memoryRegistry, type PolicyInput, type VerdictKind } from '@pintail/core'
import { type ProbeKeys, type ProberName, probers } from './probers.ts'

export interface Setting {
  readonly hosts: readonly string[]
  /** Of all, or one each in the order of the hosts. */
  readonly port: number | readonly number[]
  readonly usersEach: number
  readonly prober: ProberName
  readonly keys?: ProbeKeys
  readonly policy: PolicyInput
}

export interface Ending {
  readonly ended: true
  /** Users on each server, in the order of the hosts. */
  readonly users: readonly number[]
  readonly statuses: readonly string[]
}

/** The servers in the order of the hosts. */
export interface Look {
  readonly servers: readonly { readonly verdict: VerdictKind; readonly reasons: readonly string[]; readonly lastSentAt: number | null }[]
}

const { hosts, port, usersEach, prober, keys, policy } = JSON.parse(process.argv[2] ?? '{}') as Setting
const ids = hosts.map((_, index) => `s${index + 1}`)
const registry = memoryRegistry({
  servers: hosts.map((host, index) => ({
    id: ids[index] as string,
    host,
    port: typeof port === 'number' ? port : (port[index] ?? null),
    capacity: usersEach * 3,
  })),
  connections: Object.fromEntries(ids.map((id) => [id, Array.from({ length: usersEach }, (_, index) => ({ id: `${id}-c${index}` }))])),
})
const pintail = createPintail({ registry, mover: memoryMover(registry), probers: [probers[prober](keys)], policy })
pintail.on('*', ({ type, data }) => process.stdout.write(`${JSON.stringify({ type, data })}\n`))
await pintail.start()
for await (const word of createInterface({ input: process.stdin })) {
  if (word === 'stop') break
  const servers = pintail.status().servers.map(({ verdict, lastSample }) => ({
    verdict: verdict.verdict,
    reasons: verdict.reasons.map(({ code }) => code),
    lastSentAt: lastSample?.sentAt ?? null,
  }))
  process.stdout.write(`${JSON.stringify({ servers } satisfies Look)}\n`)
}
process.stdin.destroy()
const servers = new Map(pintail.status().servers.map(({ serverId, status }) => [serverId as string, status]))
await pintail.stop()
const ending: Ending = { ended: true, users: ids.map((id) => registry.on(id).length), statuses: ids.map((id) => servers.get(id) ?? 'gone') }
process.stdout.write(`${JSON.stringify(ending)}\n`)
