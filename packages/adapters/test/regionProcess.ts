// A worker of region `de` in a process of its own, for tests that kill or stop it. Arguments: the broker's port, the prefix, the file
// of its servers, and of its book (`-`: in memory). It says `ready`, `begun <connection>` before an effect and `done <connection>`
// after it, and goes on when it reads a line: before the effect with `hold-before` as the last argument, after it with `hold-after`.
import { createInterface } from 'node:readline'
import { connect } from '@nats-io/transport-node'
import { runRegionWorker } from '../src/nats/worker.ts'
import { memoryBook } from '../src/regions/book.ts'
import { sqliteBook } from '../src/regions/sqliteBook.ts'
import { fileServers } from './fileServers.ts'

const [port, prefix = '', path = '', book = '-', hold = ''] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const servers = fileServers(path)
const held = async (what: () => unknown, id: string): Promise<void> => {
  say(`begun ${id}`)
  if (hold === 'hold-before') await lines.next()
  await what()
  say(`done ${id}`)
  if (hold === 'hold-after') await lines.next()
}

const nats = await connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
const worker = await runRegionWorker({
  nats,
  prefix,
  region: 'de',
  ackWaitMs: 1000,
  concurrency: 1,
  timeoutMs: 600_000,
  book: book === '-' ? memoryBook() : sqliteBook({ path: book }),
  handler: {
    ...servers,
    grant: (access, ctx) => held(() => servers.grant(access, ctx), access.connectionId),
    revoke: (access, ctx) => held(() => servers.revoke(access, ctx), access.connectionId),
  },
})
process.once('SIGTERM', () => {
  void worker.stop(0).then(async () => {
    say(`figures ${JSON.stringify(worker.figures())}`)
    await nats.close()
    process.exit(0)
  })
})
say('ready')
