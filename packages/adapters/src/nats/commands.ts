import {
  AckPolicy,
  type Consumer,
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
  ReplayPolicy,
} from '@nats-io/jetstream'
import { type NatsConnection, nanos } from '@nats-io/nats-core'
import { type Clock, isPintailError, type Logger, PintailError, type Timer } from '@pintail/core'
import type { LastDelivery } from './brokerClock.ts'
import { apiFailure, isMissing } from './failure.ts'

export interface CommandsOptions {
  readonly nats: NatsConnection
  readonly clock: Clock
  readonly logger: Logger
  readonly stream: string
  readonly durable: string
  readonly filter: string
  readonly ackWaitMs: number
  readonly signal: AbortSignal
  /** How many more messages may be asked for now, at least one. @param wasFilled whether the last request got all that it asked for */
  room(wasFilled: boolean): Promise<number>
  take(message: JsMsg): void
  /** The stream is not there: makes it, or throws. */
  makeStream(): Promise<void>
  /** It was there before, and had to be made again. */
  madeAgain(what: 'stream' | 'consumer'): void
}

export interface Commands {
  /** Resolves when the consumer is there for the first time; rejects where waiting is of no use. */
  readonly bound: Promise<void>
  /** Resolves when the signal has fired, or the connection is closed. */
  readonly ended: Promise<void>
  /** Drops what is on its way to us, as after a freeze: it may be somebody else's by now. */
  renew(): void
  lastDelivery(): Promise<LastDelivery | null>
}

const firstPauseMs = 250
const longestPauseMs = 10_000
const fetchMs = 30_000
const heartbeatMs = 5000

/** One durable consumer, made where it is missing, and its messages for as long as the signal allows. */
export function commandsOf(options: CommandsOptions): Commands {
  const { nats, clock, logger, signal, stream, durable } = options
  const first = Promise.withResolvers<void>()
  let batch: ConsumerMessages | null = null
  let consumer: Consumer | null = null
  let isKnown = false
  let generation = 0

  const bind = async (): Promise<Consumer> => {
    const { found, made } = await ensure(options)
    if (isKnown && made !== null) options.madeAgain(made)
    isKnown = true
    first.resolve()
    return found
  }
  const read = async (from: Consumer): Promise<void> => {
    for (let wasFilled = false; !signal.aborted; ) {
      const room = await options.room(wasFilled)
      if (signal.aborted) return
      batch = await from.fetch({ max_messages: room, expires: fetchMs, idle_heartbeat: heartbeatMs })
      if (signal.aborted) batch.close()
      const own = generation
      let count = 0
      for await (const message of batch) {
        if (own !== generation) continue
        options.take(message)
        count += 1
      }
      batch = null
      wasFilled = count === room
    }
  }
  const run = async (): Promise<void> => {
    for (let pauseMs = firstPauseMs; !signal.aborted && !nats.isClosed(); ) {
      try {
        consumer = await bind()
        pauseMs = firstPauseMs
        await read(consumer)
      } catch (error) {
        const failure = apiFailure(error, `reading commands from ${durable}`)
        if (!isKnown && isHopeless(failure)) return first.reject(failure)
        if (signal.aborted || nats.isClosed()) break
        logger.warn({ stream, durable, code: failure.code }, `no commands at the moment: ${failure.message}`)
        await pause(clock, pauseMs, signal)
        pauseMs = Math.min(longestPauseMs, 2 * pauseMs)
      }
    }
    first.reject(apiFailure(new Error('ended before the consumer was there'), `reading commands from ${durable}`))
  }
  // Whoever does not wait for it must not be told of a rejection that nobody handles.
  first.promise.catch(() => {})
  const renew = (): void => {
    generation += 1
    batch?.close()
  }
  const stop = (): void => void batch?.close()
  signal.addEventListener('abort', stop, { once: true })
  return {
    bound: first.promise,
    ended: run().finally(() => signal.removeEventListener('abort', stop)),
    renew,
    lastDelivery: async () => {
      const { delivered } = (await consumer?.info()) ?? {}
      const at = Date.parse(String((delivered as { readonly last_active?: string } | undefined)?.last_active))
      return delivered && Number.isFinite(at) ? { deliverySequence: delivered.consumer_seq, at } : null
    },
  }
}

async function ensure(options: CommandsOptions): Promise<{ found: Consumer; made: 'stream' | 'consumer' | null }> {
  const { nats, stream, durable, filter } = options
  const { consumers } = jetstream(nats)
  const manager = await jetstreamManager(nats, { checkAPI: false })
  const wanted = {
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(options.ackWaitMs),
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    // The worker counts tries itself: what is only unavailable is tried for as long as it takes.
    max_deliver: -1,
    // What waits for a server that is down must not hold up the others of its region.
    max_ack_pending: 50_000,
  }
  let made: 'stream' | 'consumer' | null = null
  try {
    const found = await consumers.get(stream, durable)
    const { config } = await found.info(true)
    if (config.filter_subject !== filter || config.ack_policy !== wanted.ack_policy)
      throw new PintailError('invalid_options', `the consumer ${durable} of ${stream} is there, and is somebody else's`, {
        remedy: 'Use another prefix.',
      })
    const { ack_wait, max_ack_pending, max_deliver } = wanted
    if (config.ack_wait !== ack_wait || config.max_ack_pending !== max_ack_pending || config.max_deliver !== max_deliver)
      await manager.consumers.update(stream, durable, { ack_wait, max_ack_pending, max_deliver })
    return { found, made }
  } catch (error) {
    made = isMissing(error)
    if (made === null) throw error
  }
  if (made === 'stream') await options.makeStream()
  await manager.consumers.add(stream, { ...wanted, durable_name: durable, filter_subject: filter })
  return { found: await consumers.get(stream, durable), made }
}

/** What does not get better by waiting. */
const isHopeless = (error: unknown): boolean =>
  isPintailError(error, 'rejected') || isPintailError(error, 'invalid_options') || isPintailError(error, 'unsupported')

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let timer: Timer | null = null
    const end = (): void => {
      timer?.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    timer = clock.setTimeout(end, ms)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
