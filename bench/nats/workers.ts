// What a command costs through a region worker, against the same messages through the same broker bare: delivered, answered with as
// many bytes, acknowledged, by the client's own `consume`. Commands wait in the stream when a run begins, one region a worker;
// it ends with the last answer at the desk. Ours also parses and checks each, applies it to a handler that does nothing, keeps it in a
// new book on disk, and builds the answer.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { natsSubjects, runRegionWorker, setUpNats } from '@pintail/adapters/nats'
import { type Command, encodeCommand, memoryBook, newCommand, sqliteBook, type WorkerBook } from '@pintail/adapters/regions'
import type { NatsServer } from '../../packages/adapters/test/nats.ts'
import { type Emit, median } from '../harness.ts'

const runs = 5
const commands = 20_000
const payload = {
  publicKey: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
  allowedIps: ['10.66.0.7/32', 'fd66::7/128'],
  endpoint: '192.0.2.7:51820',
}
const answer = { address: ['10.66.0.7/32', 'fd66::7/128'], endpoint: '192.0.2.7:51820', serverPublicKey: payload.publicKey }

interface Field {
  readonly prefix: string
  readonly regions: readonly string[]
  readonly publisher: NatsConnection
  /** Resolves when as many answers have come. */
  answered(count: number): Promise<void>
  connect(): Promise<NatsConnection>
  readonly replyTo: string
}

async function fieldOf(server: NatsServer, workers: number): Promise<Field> {
  const prefix = `bench${workers}`
  const subjects = natsSubjects(prefix)
  const publisher = await server.connect()
  await setUpNats(publisher, { prefix })
  const desk = await server.connect()
  const replyTo = subjects.reply('desk')
  let count = 0
  let wanted: { readonly count: number; readonly resolve: () => void } | null = null
  desk.subscribe(replyTo, {
    callback: () => {
      count += 1
      if (wanted && count >= wanted.count) wanted.resolve()
    },
  })
  await desk.flush()
  const answered = (more: number): Promise<void> => {
    count = 0
    return new Promise((resolve) => {
      wanted = { count: more, resolve }
    })
  }
  return {
    prefix,
    publisher,
    replyTo,
    answered,
    regions: Array.from({ length: workers }, (_, index) => `r${index}`),
    connect: () => server.connect(),
  }
}

let round = 0

function commandsOf({ regions, replyTo }: Field): Command[] {
  round += 1
  const issuedAt = Date.now()
  return Array.from({ length: commands }, (_, index) =>
    newCommand({
      type: 'access.grant',
      region: regions[index % regions.length] ?? '',
      serverId: `s${index % 32}`,
      connectionId: `c${index}`,
      token: 1,
      epoch: round,
      issuedAt,
      deadline: issuedAt + 3_600_000,
      replyTo,
      traceId: null,
      payload,
    }),
  )
}

async function fill({ publisher, prefix }: Field, all: readonly Command[]): Promise<void> {
  const stream = jetstream(publisher, { timeout: 60_000 })
  const subjects = natsSubjects(prefix)
  for (let from = 0; from < all.length; from += 500)
    await Promise.all(
      all
        .slice(from, from + 500)
        .map((one) => stream.publish(subjects.command(one.region, one.serverId), encodeCommand(one), { msgID: one.id })),
    )
}

/** Commands a second, from the start of the workers to the last answer. */
async function timed(field: Field, start: () => Promise<() => Promise<void>>): Promise<number> {
  await fill(field, commandsOf(field))
  const answered = field.answered(commands)
  const begun = performance.now()
  const stop = await start()
  await answered
  const rate = commands / ((performance.now() - begun) / 1000)
  await stop()
  return rate
}

async function bare(field: Field): Promise<() => Promise<void>> {
  const { prefix, replyTo } = field
  const subjects = natsSubjects(prefix)
  const stream = subjects.streams.commands
  const result = new Uint8Array(420)
  const stops = await Promise.all(
    field.regions.map(async (region) => {
      const nats = await field.connect()
      const manager = await jetstreamManager(nats)
      const filter_subject = subjects.commands(region)
      await manager.consumers.add(stream, {
        durable_name: `bare-${region}`,
        ack_policy: AckPolicy.Explicit,
        filter_subject,
        max_ack_pending: 50_000,
      })
      const messages = await (await jetstream(nats).consumers.get(stream, `bare-${region}`)).consume({ max_messages: 64 })
      const ended = (async () => {
        for await (const message of messages) {
          nats.publish(replyTo, result)
          message.ack()
        }
      })()
      return async () => {
        await messages.close()
        await ended
        await nats.flush()
        // A work queue has one consumer a subject.
        await manager.consumers.delete(stream, `bare-${region}`)
        await nats.close()
      }
    }),
  )
  return async () => void (await Promise.all(stops.map((stop) => stop())))
}

async function ours(field: Field, bookOf: (region: string) => WorkerBook): Promise<() => Promise<void>> {
  const { prefix, regions } = field
  const stops = await Promise.all(
    regions.map(async (region) => {
      const nats = await field.connect()
      const book = bookOf(region)
      const worker = await runRegionWorker({ nats, prefix, region, book, handler: { grant: async () => answer, revoke: async () => {} } })
      return async () => {
        await worker.stop()
        await nats.flush()
        await (await jetstreamManager(nats)).consumers.delete(natsSubjects(prefix).streams.commands, worker.consumers[0] ?? '')
        await nats.close()
        await book.close()
      }
    }),
  )
  return async () => void (await Promise.all(stops.map((stop) => stop())))
}

/** `workers-1`, `-4`, `-16`: so many regions, in this process, each with a connection and a book of its own. */
export async function workers(emit: Emit, server: NatsServer, count: number, progress: (text: string) => void): Promise<void> {
  const name = `workers-${count}`
  const folder = mkdtempSync(join(tmpdir(), 'pintail-bench-'))
  const figures: { bare: number[]; ours: number[]; memory: number[] } = { bare: [], ours: [], memory: [] }
  try {
    const field = await fieldOf(server, count)
    for (let run = 0; run <= runs; run++) {
      const one = {
        bare: await timed(field, () => bare(field)),
        ours: await timed(field, () => ours(field, (region) => sqliteBook({ path: join(folder, `${run}-${region}.db`) }))),
        memory: await timed(field, () => ours(field, () => memoryBook())),
      }
      const text = `bare ${one.bare.toFixed(0)}/s, ours ${one.ours.toFixed(0)}/s, with a book in memory ${one.memory.toFixed(0)}/s`
      progress(`${name}, run ${run} of ${runs}${run === 0 ? ' (not counted)' : ''}: ${text}`)
      if (run > 0) for (const key of ['bare', 'ours', 'memory'] as const) figures[key].push(one[key])
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const peer = 'the same messages delivered, answered and acknowledged bare'
  const ratioOf = (key: 'ours' | 'memory'): number =>
    median(figures[key].map((value, index) => value / (figures.bare[index] ?? Number.NaN)))
  emit({ case: name, metric: 'commands_per_s', value: median(figures.ours), unit: '1/s', peer, ratio: ratioOf('ours') })
  emit({ case: name, metric: 'bare_per_s', value: median(figures.bare), unit: '1/s' })
  emit({ case: name, metric: 'of_bare_broker', value: ratioOf('ours'), unit: 'ratio', peer, ratio: ratioOf('ours'), aim: 'ratio>=0.5' })
  emit({ case: name, metric: 'of_bare_broker_in_memory', value: ratioOf('memory'), unit: 'ratio', peer, ratio: ratioOf('memory') })
}
