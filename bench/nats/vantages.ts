// Samples a second from vantages to the engine's source, against the bare broker: the very same messages, packed beforehand, published with the same
// number under way, and read by the same client without a look at them. Both in one process beside the broker, in turns.
import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { natsVantages, setUpNats } from '@pintail/adapters/nats'
import { type SampleInput, systemClock } from '@pintail/core'
import { encodeBatch, lineOf, type Packed } from '../../packages/adapters/src/nats/batch.ts'
import { Outbox } from '../../packages/adapters/src/nats/outbox.ts'
import type { NatsServer } from '../../packages/adapters/test/nats.ts'
import { type Emit, median } from '../harness.ts'

const runs = 5
/** Samples of one run, over all vantages. */
const total = 500_000
const underWay = 8
const prefix = 'bench'
const sampleStream = 'BENCH_SAMPLES'

const sampleOf = (vantage: string, index: number): SampleInput => ({
  ...{ serverId: `server-${index}`, vantage, prober: 'icmp', sentAt: systemClock.now() - 30, sent: 1, received: 1 },
  rttMs: [20 + (index % 1000) / 100],
})

/** Vantages that hand in samples, and the source that takes them: packed, published, read, checked, translated, yielded one by one. */
async function ours(nats: NatsConnection, names: readonly string[], each: number, run: number): Promise<number> {
  const source = natsVantages({ nats, prefix, maxSamplesPerSecond: 1_000_000 })
  const stopping = new AbortController()
  let taken = 0
  const reading = (async () => {
    for await (const _ of source.samples({ signal: stopping.signal })) if (++taken === each * names.length) return
  })()
  while (!source.status().reading) await new Promise((resolve) => setTimeout(resolve, 5))
  const js = jetstream(nats, { timeout: 10_000 })
  const boxes = names.map((vantage) => {
    // Another one each time: the broker remembers numbers for two minutes.
    const runId = `run-${run}-${names.length}-${vantage}-12345678`
    const send = async (packed: Packed): Promise<void> =>
      void (await js.publish(`${prefix}.samples.${vantage}`, encodeBatch(vantage, runId, packed, systemClock.now(), 0), {
        msgID: `${runId}.${packed.seq}`,
      }))
    return { vantage, box: new Outbox({ maxWaiting: 1_000_000, inFlight: underWay, clock: systemClock, send, isOpen: () => true }) }
  })
  const begun = performance.now()
  const hand = async ({ vantage, box }: (typeof boxes)[number]): Promise<void> => {
    for (let index = 0; index < each; index++) {
      box.add(sampleOf(vantage, index))
      // As a prober does: other things have their turn, and a vantage does not run ahead of its broker.
      if (index % 1024 === 1023) while (box.waiting > underWay * 1024) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await Promise.all(boxes.map(hand))
  await Promise.all([reading, ...boxes.map(({ box }) => box.close(10_000))])
  const seconds = (performance.now() - begun) / 1000
  stopping.abort()
  return taken / seconds
}

/** The same messages through the same client, and nothing else. */
async function bare(
  nats: NatsConnection,
  names: readonly string[],
  each: number,
): Promise<{ readonly rate: number; readonly bytes: number }> {
  const base = systemClock.now()
  const messages = names.flatMap((vantage) => {
    const batches: Packed[] = []
    for (let from = 0; from < each; from += 1024) {
      const lines = Array.from({ length: Math.min(1024, each - from) }, (_, index) => lineOf(sampleOf(vantage, from + index), 0, base))
      batches.push({ seq: batches.length + 1, base, probers: ['icmp'], lines })
    }
    return batches.map((one) => ({
      subject: `${prefix}.samples.${vantage}`,
      data: Buffer.from(encodeBatch(vantage, 'run-12345678', one, base, 0)),
    }))
  })
  const js = jetstream(nats, { timeout: 10_000 })
  const consumer = await js.consumers.get(sampleStream, { deliver_policy: DeliverPolicy.New })
  const reader = await consumer.consume({ max_messages: 128 })
  const begun = performance.now()
  let at = 0
  const work = async (): Promise<void> => {
    for (let one = messages[at++]; one; one = messages[at++]) await js.publish(one.subject, one.data)
  }
  const read = async (): Promise<void> => {
    let seen = 0
    for await (const _ of reader) if (++seen === messages.length) return
  }
  await Promise.all([read(), ...Array.from({ length: Math.min(messages.length, underWay * names.length) }, work)])
  const rate = (each * names.length) / ((performance.now() - begun) / 1000)
  await consumer.delete()
  return { rate, bytes: messages.reduce((sum, { data }) => sum + data.length, 0) / (each * names.length) }
}

/** One of the cases vantages-1, vantages-10 and vantages-100. */
export async function vantages(emit: Emit, broker: NatsServer, count: number, progress: (text: string) => void): Promise<void> {
  const nats = await broker.connect()
  await setUpNats(nats, { prefix, commandBytes: 1024 * 1024, deadBytes: 1024 * 1024, sampleBytes: 512 * 1024 * 1024 })
  const manager = await jetstreamManager(nats)
  const names = Array.from({ length: count }, (_, index) => `v${index}`)
  const rates: { ours: number; bare: number; bytes: number }[] = []
  for (let run = 0; run <= runs; run++) {
    const { rate, bytes } = await bare(nats, names, total / count)
    await manager.streams.purge(sampleStream)
    const one = { ours: await ours(nats, names, total / count, run), bare: rate, bytes }
    await manager.streams.purge(sampleStream)
    // The first is not counted.
    if (run > 0) rates.push(one)
    progress(`vantages-${count}: ${Math.round(one.ours)} of ${Math.round(one.bare)} samples/s`)
  }
  const [mine, theirs] = [median(rates.map((one) => one.ours)), median(rates.map((one) => one.bare))]
  const name = `vantages-${count}`
  emit({ case: name, metric: 'samples_per_s', value: mine, unit: '1/s', peer: 'bare broker', ratio: mine / theirs, aim: 'ratio>=0.5' })
  emit({ case: name, metric: 'bytes_per_sample', value: median(rates.map((one) => one.bytes)), unit: 'B' })
}
