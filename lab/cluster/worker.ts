// The worker of one region: `node lab/cluster/worker.ts '{…}'` runs until it is killed. Its daemon and its book are files, and
// outlive it.
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import { runRegionWorker } from '@pintail/adapters/nats'
import { sqliteBook } from '@pintail/adapters/regions'
import { openDaemon } from './daemon.ts'
import type { WorkerSetting } from './words.ts'

const { region, natsUrl, prefix, folder } = JSON.parse(process.argv[2] ?? '{}') as WorkerSetting
const nats = await connect({
  servers: natsUrl.replace('nats://', ''),
  maxReconnectAttempts: -1,
  reconnectTimeWait: 100,
  waitOnFirstConnect: true,
})
const handler = openDaemon(join(folder, `daemon-${region}.db`))
const book = sqliteBook({ path: join(folder, `book-${region}.db`) })
const worker = await runRegionWorker({ nats, region, handler, book, prefix, ackWaitMs: 5000, setUp: false })
process.stdout.write(`${JSON.stringify({ type: 'ready' })}\n`)
await worker.ended
