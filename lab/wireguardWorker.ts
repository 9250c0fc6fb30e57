// A region's worker on its server's own machine: `node lab/wireguardWorker.ts '{…}'` (WorkerSetting) says "ready" when it
// takes commands, and ends with its standard input.
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import { runRegionWorker } from '@pintail/adapters/nats'
import { sqliteBook } from '@pintail/adapters/regions'
import { fileLedger, uapiDevice, wireguardHandler } from '@pintail/adapters/wireguard'
import type { WorkerSetting } from './wireguardWords.ts'

const { broker, server, port, network, folder } = JSON.parse(process.argv[2] ?? '{}') as WorkerSetting
const nats = await connect({ servers: broker, maxReconnectAttempts: -1, waitOnFirstConnect: true })
const book = sqliteBook({ path: join(folder, `${server.id}-book.db`) })
const ledger = fileLedger({ path: join(folder, `${server.id}-ledger.db`) })
const handler = wireguardHandler({
  devices: { [server.id]: uapiDevice({ interface: server.interface }) },
  client: { endpointOf: () => `${server.host}:${port}`, publicKeyOf: () => server.publicKey, allowedIps: [network] },
  addresses: [network],
  ledger,
})
const worker = await runRegionWorker({ nats, region: server.id, handler, book })
console.log('ready')
process.stdin.resume().on('end', async () => {
  await worker.stop()
  await nats.close()
  book.close()
  ledger.close()
  process.exit()
})
