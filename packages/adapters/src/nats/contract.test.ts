import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { type SampleInput, systemClock } from '@pintail/core'
import { type ObservationHarness, observationSourceContract } from '@pintail/core/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { patient } from '../../test/patient.ts'
import { encodeBatch, lineOf } from './batch.ts'
import { type NatsVantages, natsVantages, setUpNats } from './index.ts'
import { natsSubjects } from './subjects.ts'

const small = { commandBytes: 1024 * 1024, deadBytes: 1024 * 1024 }

describe.skipIf(!hasNats)(`the contract of sources, over NATS ${needsNats}`, { timeout: 180_000 }, () => {
  let broker: NatsServer
  let nats: NatsConnection
  let worlds = 0
  beforeAll(async () => {
    broker = await startNats()
    nats = await broker.connect()
  })
  afterAll(() => broker?.stop())

  async function harness(): Promise<ObservationHarness> {
    const prefix = `c${++worlds}`
    const subjects = natsSubjects(prefix)
    await setUpNats(nats, { prefix, ...small })
    const js = jetstream(nats, { timeout: 1000 })
    let seq = 0
    const run = `run-of-${prefix}-1`
    /** Until the broker has it: what was under way when it went down is sent again. */
    const stored = async (subject: string, message: () => string, tries = 50): Promise<void> => {
      for (let left = tries; ; left--) {
        try {
          return void (await js.publish(subject, message()))
        } catch (error) {
          if (left === 0) throw error
        }
      }
    }
    /** As `runVantage` writes them. */
    const send = async (samples: readonly SampleInput[], times = 1): Promise<void> => {
      for (const vantage of new Set(samples.map((one) => one.vantage))) {
        const its = samples.filter((one) => one.vantage === vantage)
        const probers = [...new Set(its.map(({ prober }) => prober))]
        const base = systemClock.now()
        const lines = its.map((one) => lineOf(one, probers.indexOf(one.prober), base))
        const packed = { seq: ++seq, base, probers, lines }
        for (let time = 0; time < times; time++)
          await stored(subjects.sample(vantage), () => encodeBatch(vantage, run, packed, systemClock.now(), 0))
      }
    }
    let source: NatsVantages = natsVantages({ nats, prefix })
    const junk = ['', '7', 'null', '[]', '{"v":1}', '{"v":9}', '\u0000', 'x'.repeat(264_000)]
    return {
      get source() {
        return source
      },
      // Brokers, machines and clients take their time, but no more of it than the rule has.
      toleranceMs: patient.timeoutMs,
      ready: () => expect.poll(() => source.status().reading, { interval: 5 }).toBe(true),
      send,
      sendTwice: (samples) => send(samples, 2),
      sendJunk: async () => {
        for (const body of junk) for (const vantage of ['contract-1', 'nobody']) await stored(subjects.sample(vantage), () => body)
        await stored(`${prefix}.samples.=00zz`, () => 'x')
      },
      restart: () => {
        source = natsVantages({ nats, prefix })
        return source
      },
      goDown: () => broker.down(),
      comeBack: () => broker.start(),
      dispose: async () => void (await (await jetstreamManager(nats)).streams.delete(subjects.streams.samples)),
    }
  }

  for (const rule of observationSourceContract(harness, patient)) test(rule.name, rule.run)
})
