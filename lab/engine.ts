// A whole engine inside the prober's namespace: `node lab/engine.ts '{"hosts":[…],"port":443,"prober":"allOf"}'` tells
// each event as one line of JSON, and on a line "stop" of its standard input what it has come to; then it ends.
import { once } from 'node:events'
import { allOf, createPintail, icmp, memoryMover, memoryRegistry, type PolicyInput, tcp } from '@pintail/core'

export interface Setting {
  readonly hosts: readonly string[]
  readonly port: number
  readonly usersEach: number
  readonly prober: 'icmp' | 'tcp' | 'allOf'
  readonly policy: PolicyInput
}

export interface Ending {
  readonly ended: true
  /** Users on each server, in the order of the hosts. */
  readonly users: readonly number[]
  readonly statuses: readonly string[]
}

const { hosts, port, usersEach, prober, policy } = JSON.parse(process.argv[2] ?? '{}') as Setting
const ids = hosts.map((_, index) => `s${index + 1}`)
const registry = memoryRegistry({
  servers: hosts.map((host, index) => ({ id: ids[index] as string, host, port, capacity: usersEach * 3 })),
  connections: Object.fromEntries(ids.map((id) => [id, Array.from({ length: usersEach }, (_, index) => ({ id: `${id}-c${index}` }))])),
})
const probers = { icmp: () => [icmp()], tcp: () => [tcp()], allOf: () => [allOf(icmp(), tcp())] }
const pintail = createPintail({ registry, mover: memoryMover(registry), probers: probers[prober](), policy })
pintail.on('*', ({ type, data }) => process.stdout.write(`${JSON.stringify({ type, data })}\n`))
await pintail.start()
await once(process.stdin, 'data')
process.stdin.destroy()
const servers = new Map(pintail.status().servers.map(({ serverId, status }) => [serverId as string, status]))
await pintail.stop()
const ending: Ending = { ended: true, users: ids.map((id) => registry.on(id).length), statuses: ids.map((id) => servers.get(id) ?? 'gone') }
process.stdout.write(`${JSON.stringify(ending)}\n`)
