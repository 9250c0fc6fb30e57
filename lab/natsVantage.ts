// A vantage in a namespace of its own, which asks the engine for the servers and publishes what it sees:
// `node lab/natsVantage.ts '{"name":"tehran1","nats":"10.98.0.2:4222","prober":"icmp"}'`. It prints "ready" with its first list, and what it has
// come to as a line of JSON each second; it ends with its standard input. A line "lie up", "lie down" or "lie no" makes a liar or an honest one of it.
import { createInterface } from 'node:readline'
import { connect } from '@nats-io/transport-node'
import { runVantage, type VantageOptions, type VantageStatus } from '@pintail/adapters/nats'
import type { ProbeResult, Prober } from '@pintail/core'
import { type ProberName, probers } from './probers.ts'

export interface NatsVantageSetting {
  readonly name: string
  readonly nats: string
  readonly prober: ProberName
  readonly detect: NonNullable<VantageOptions['detect']>
}

export type NatsVantageLine = VantageStatus

const { name, nats, prober: proberName, detect } = JSON.parse(process.argv[2] ?? '{}') as NatsVantageSetting
let lie = 'no'
const honest = probers[proberName]()
const told = (result: ProbeResult, packets: number): ProbeResult =>
  lie === 'up'
    ? { sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 1) }
    : lie === 'down'
      ? { sent: packets, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'icmp' } }
      : result
const prober: Prober = { name: proberName, probe: async (target, ctx) => told(await honest.probe(target, ctx), target.packets) }

const connection = await connect({ servers: nats, maxReconnectAttempts: -1, reconnectTimeWait: 100, pingInterval: 1000, maxPingOut: 2 })
const vantage = await runVantage({ nats: connection, vantage: name, probers: [prober], detect, refreshMs: 500 })
const timer = setInterval(() => process.stdout.write(`${JSON.stringify(vantage.status())}\n`), 250)
for await (const word of createInterface({ input: process.stdin })) lie = word.replace('lie ', '')
clearInterval(timer)
await vantage.stop()
await connection.close()
