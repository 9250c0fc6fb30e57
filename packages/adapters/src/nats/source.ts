import type { Consumer, ConsumerMessages } from '@nats-io/jetstream'
import { DeliverPolicy, jetstream } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core'
import type { CallContext, Clock, Logger, ObservationSource, Pintail, SampleInput, ServerRegistry } from '@pintail/core'
import { errorText, PintailError, systemClock } from '@pintail/core'
import { Desk } from './desk.ts'
import { Intake, type VantageIntake } from './intake.ts'
import { natsSubjects } from './subjects.ts'

/** Messages that are fetched ahead of the engine, at most: 32 MiB. */
const ahead = 128
/** Without a word of the broker for twice as long the consumer is lost, milliseconds: sooner than a vantage counts as silent. */
const heartbeatMs = 1500
/** A consumer that nobody reads is gone after this, milliseconds. */
const forgottenMs = 30_000

export interface NatsVantagesOptions {
  /** The host's connection; it is never closed here. With `maxReconnectAttempts: -1` it comes back by itself. */
  readonly nats: NatsConnection
  /** As for `setUpNats`. Default `vpn`. */
  readonly prefix?: string
  /** Where the fleet is listed, for vantages that ask which servers there are: the engine's own registry. Default: none is told. */
  readonly servers?: Pick<ServerRegistry, 'listServers'>
  /** How often that is read anew, milliseconds, 1 000–3 600 000. Default 30 000. */
  readonly refreshMs?: number
  /**
   * Samples that one vantage may send a second on average, 1–1 000 000, and two seconds' worth at once. What is above that is
   * refused and counted. Default 50 000: a fleet of 250,000 servers at the default pace.
   */
  readonly maxSamplesPerSecond?: number
  readonly clock?: Clock
  /** Each trouble is told once for each vantage. Default: nowhere. */
  readonly logger?: Logger
}

export interface NatsVantagesStatus {
  /** Whether somebody reads, and gets what comes from now on: the engine that leads. */
  readonly reading: boolean
  readonly vantages: readonly VantageIntake[]
  /** Messages on subjects that name no vantage. */
  readonly nobody: number
  /** Requests for the fleet's list, and those that were none or too many. */
  readonly lists: { readonly answered: number; readonly unanswered: number }
}

/** Samples of vantages elsewhere, for `createPintail({ observations })`. */
export interface NatsVantages extends ObservationSource {
  /**
   * From now on vantages are asked to look closely at what this engine suspects, once a second while it does and this source is read.
   * Dispose to end that. The engine's stop needs no call.
   */
  follow(pintail: Pick<Pintail, 'on'>): Disposable
  status(): NatsVantagesStatus
}

/**
 * Takes what vantages publish with `runVantage`. Times become the engine's own: how far a vantage's clock is off is learnt from the
 * broker's time stamps. What is malformed, oversized, doubled, replayed, too old, too much, or written in another's name is refused, counted in
 * `status()` and told once. A start reads nothing of before it; a reconnection goes on where it was.
 * @throws PintailError `invalid_options`. The iterator throws `unavailable` while there is no stream or no broker
 */
export function natsVantages(options: NatsVantagesOptions): NatsVantages {
  const { nats, prefix, servers = null, clock = systemClock, logger = silent } = options
  const subjects = natsSubjects(prefix)
  const refreshMs = whole(options.refreshMs ?? 30_000, 1000, 3_600_000, 'refreshMs')
  const maxSamplesPerSecond = whole(options.maxSamplesPerSecond ?? 50_000, 1, 1_000_000, 'maxSamplesPerSecond')
  const intake = new Intake({ maxSamplesPerSecond, clock, logger })
  const desk = new Desk({ nats, prefix: subjects.prefix, servers, refreshMs, clock, logger })
  const reader = new Reader(nats, subjects.streams.samples, (subject, data, at) => intake.take(subjects.vantageOf(subject), data, at))
  return {
    samples: ({ signal }: CallContext) => ({ [Symbol.asyncIterator]: () => flat(reader.read(signal, (until) => desk.run(until))) }),
    follow: (pintail) => desk.follow(pintail),
    status: () => ({
      reading: reader.isOpen,
      ...intake.report(),
      lists: { answered: desk.answered, unanswered: desk.unanswered },
    }),
  }
}

type Take = (subject: string, data: Uint8Array, storedAt: number) => readonly SampleInput[]

/** Reads the stream; remembers how far it has come, so that the next one who reads goes on there. */
class Reader {
  readonly #nats: NatsConnection
  readonly #stream: string
  readonly #take: Take
  /** The broker's time stamp of the newest message that was read, nanoseconds. */
  #newest = 0n
  /** When reading began, by the broker's clock: a consumer that is lost before its first message is made anew from here. */
  #begunAt: string | null = null
  isOpen = false

  constructor(nats: NatsConnection, stream: string, take: Take) {
    this.#nats = nats
    this.#stream = stream
    this.#take = take
  }

  /** @param beside what is to work as long as somebody reads */
  async *read(signal: AbortSignal, beside: (until: AbortSignal) => void): AsyncGenerator<readonly SampleInput[], void, undefined> {
    if (signal.aborted) return
    this.#begunAt = null
    const ended = new AbortController()
    const end = (): void => ended.abort()
    signal.addEventListener('abort', end, { once: true })
    try {
      beside(ended.signal)
      while (!ended.signal.aborted) yield* this.#consume(ended.signal)
    } finally {
      this.isOpen = false
      signal.removeEventListener('abort', end)
      end()
    }
  }

  async *#consume(signal: AbortSignal): AsyncGenerator<readonly SampleInput[], void, undefined> {
    const [consumer, messages] = await this.#open()
    const close = (): void => void messages.close().catch(() => {})
    signal.addEventListener('abort', close, { once: true })
    const lost = this.#watch(messages)
    this.isOpen = true
    try {
      if (signal.aborted) return
      for await (const message of messages) {
        const stamp = message.timestampNanos
        // After a reconnection the last one comes again.
        if (stamp > this.#newest) {
          this.#newest = stamp
          const samples = this.#take(message.subject, message.data, Number(stamp / 1000n) / 1000)
          if (samples.length > 0) yield samples
        }
        if (signal.aborted) return
      }
      if (this.#nats.isClosed()) throw new PintailError('unavailable', 'the connection to NATS is closed')
      if (!lost.isLost && !signal.aborted) throw new PintailError('unavailable', 'the broker has ended the subscription')
    } finally {
      this.isOpen = false
      signal.removeEventListener('abort', close)
      close()
      // Not waited for: what is left is gone by itself after a while.
      if (!this.#nats.isClosed()) consumer.delete().catch(() => {})
    }
  }

  async #open(): Promise<[Consumer, ConsumerMessages]> {
    const since = this.#newest === 0n ? this.#begunAt : new Date(Number(this.#newest / 1_000_000n)).toISOString()
    const from = since === null ? { deliver_policy: DeliverPolicy.New } : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since }
    try {
      const consumer = await jetstream(this.#nats).consumers.get(this.#stream, { ...from, inactive_threshold: forgottenMs * 1_000_000 })
      this.#begunAt ??= (await consumer.info(true)).created
      return [consumer, await consumer.consume({ max_messages: ahead, idle_heartbeat: heartbeatMs, expires: 30_000 })]
    } catch (error) {
      throw new PintailError('unavailable', `no samples can be read: ${errorText(error)}`, {
        cause: error,
        remedy: `Run setUpNats, and give the engine's user the permission to read stream ${this.#stream}.`,
      })
    }
  }

  /**
   * The client makes a lost consumer anew from the number after the last message: in a stream that was wiped that number may be far
   * ahead. So it is made anew here, from the time of the last message.
   */
  #watch(messages: ConsumerMessages): { isLost: boolean } {
    const seen = { isLost: false }
    const follow = async (): Promise<void> => {
      for await (const { type } of messages.status()) {
        if (type !== 'ordered_consumer_recreated') continue
        seen.isLost = true
        await messages.close()
      }
    }
    follow().catch(() => {})
    return seen
  }
}

/** Single samples out of lists of them: where one is there already nothing is waited for. */
function flat(lists: AsyncGenerator<readonly SampleInput[], void, undefined>): AsyncIterator<SampleInput, undefined> {
  let list: readonly SampleInput[] = []
  let index = 0
  const more = async (): Promise<IteratorResult<SampleInput, undefined>> => {
    const next = await lists.next()
    if (next.done) return { done: true, value: undefined }
    list = next.value
    index = 1
    return { done: false, value: list[0] as SampleInput }
  }
  return {
    next: () => (index < list.length ? Promise.resolve({ done: false, value: list[index++] as SampleInput }) : more()),
    return: async () => {
      await lists.return()
      return { done: true, value: undefined }
    },
  }
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** @throws PintailError `invalid_options` */
export function whole(value: number, low: number, high: number, name: string): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value
  throw new PintailError('invalid_options', `${name} must be a whole number from ${low} to ${high}, not ${String(value).slice(0, 20)}`)
}
