// A vantage elsewhere: `node lab/cluster/vantage.ts '{…}'` probes until it is killed.
import { connect } from '@nats-io/transport-node'
import { runVantage } from '@pintail/adapters/nats'
import { tcp } from '@pintail/core'
import type { VantageSetting } from './words.ts'

const { vantage, natsUrl, prefix, detect } = JSON.parse(process.argv[2] ?? '{}') as VantageSetting
const nats = await connect({
  servers: natsUrl.replace('nats://', ''),
  maxReconnectAttempts: -1,
  reconnectTimeWait: 100,
  waitOnFirstConnect: true,
})
await runVantage({ nats, vantage, prefix, probers: [tcp()], detect, refreshMs: 1000 })
process.stdout.write(`${JSON.stringify({ type: 'ready' })}\n`)
