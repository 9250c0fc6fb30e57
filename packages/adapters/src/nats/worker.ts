import { randomUUID } from 'node:crypto'
import type { JsMsg } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core'
import { type Clock, errorText, type Logger, PintailError, type Random, systemClock } from '@pintail/core'
import { memoryBook, type WorkerBook } from '../regions/book.ts'
import type { WorkerFigures } from '../regions/figures.ts'
import type { RegionHandler } from '../regions/handler.ts'
import { encode, type WorkerEvent } from '../regions/messages.ts'
import type { Handled } from '../regions/outcomes.ts'
import { regionWorker } from '../regions/worker.ts'
import { brokerClock } from './brokerClock.ts'
import { type Commands, commandsOf } from './commands.ts'
import { deadLetters } from './dead.ts'
import { durableOf } from './durable.ts'
import { type Held, holding } from './holding.ts'
import { type NatsSetUp, setUpNats } from './setUp.ts'
import { natsSubjects, type Subjects } from './subjects.ts'
import { together } from './together.ts'

export interface NatsWorkerOptions {
  /** The host's connection; the worker never closes it. Give it `maxReconnectAttempts: -1`, and the `inboxPrefix` of `natsPermissions`. */
  readonly nats: NatsConnection
  readonly region: string
  /** One consumer for each of these. Default: one for the whole region; the region then has no worker for single servers beside it. */
  readonly servers?: readonly string[]
  readonly handler: RegionHandler
  /** What it remembers. Default `memoryBook()`; `sqliteBook({ path })` survives its process. Closing it is up to the host. */
  readonly book?: WorkerBook
  /** See `natsSubjects`. Default `vpn`. */
  readonly prefix?: string
  /** Calls of the handler at the same time, 1–1 000; commands are fetched ahead for a quarter of a second, at most 1 024. Default 16. */
  readonly concurrency?: number
  /** How long the broker waits for a sign of life about a command before it gives it to another instance, milliseconds, 1 000–3 600 000. Default 30 000. */
  readonly ackWaitMs?: number
  /** Limits of the streams, should the worker have to make them again. False: it waits until somebody else does. Default: those of `setUpNats`. */
  readonly setUp?: Omit<NatsSetUp, 'prefix'> | false
  /** See `regionWorker`. */
  readonly timeoutMs?: number
  readonly maxTries?: number
  readonly skewMs?: number
  readonly syncPagesMs?: number
  /** Stops the worker at once. */
  readonly signal?: AbortSignal
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

export interface RunningWorker extends AsyncDisposable {
  readonly region: string
  /** The names of its consumers. */
  readonly consumers: readonly string[]
  figures(): WorkerFigures
  /** Resolves when it has ended: after `stop()`, the signal, or when the connection was closed. */
  readonly ended: Promise<void>
  /**
   * Takes nothing more, and waits for what is under way; then its calls are aborted. What was not begun goes to another instance at once.
   * @param waitMs default 10 000
   */
  stop(waitMs?: number): Promise<void>
}

/**
 * Applies the commands of a region. Resolves when its consumers are there; until the stream is, it waits.
 *
 * @throws PintailError `invalid_options`, `rejected` (no permission), `unsupported` (a broker without JetStream), `aborted`
 */
export async function runRegionWorker(options: NatsWorkerOptions): Promise<RunningWorker> {
  const settings = checked(options)
  const { nats, region, clock, logger, book, subjects, concurrency, ackWaitMs } = settings
  const reading = new AbortController()
  const tell = teller(nats, subjects, logger)
  const worker = regionWorker({ ...options, concurrency, book, tell, isReply: subjects.isReply })
  const toDead = deadLetters({ nats, subjects, region, clock, logger })
  const send = together(clock)
  const sources = new Map<string, Commands>()
  const clocks = new Map<string, ReturnType<typeof brokerClock>>()

  const say = (type: WorkerEvent['type'], data: WorkerEvent['data']): void =>
    tell({ v: 1, id: randomUUID(), type, region, serverId: null, at: new Date(clock.now()).toISOString(), data })
  const process = async (held: Held): Promise<void> => {
    const { message, arrivedAt } = held
    const { timestampNanos, deliveryCount, deliverySequence, consumer } = message.info
    const storedAt = timestampNanos / 1e6
    const ageMs = (await clocks.get(consumer)?.ageOf({ deliverySequence, arrivedAt, storedAt })) ?? null
    const address = subjects.addressOf(message.subject)
    const delivery = { address, deliveries: deliveryCount, arrivedAt, storedAt, ageMs, isOurs: () => hold.isOurs(held) }
    await finish(message, await worker.handle(message.data, delivery))
  }
  const finish = async (message: JsMsg, { result, replyTo, next, delayMs, reason, message: why, commandId }: Handled): Promise<void> => {
    if (next === 'dead') {
      const isKept = await toDead(message, { reason: reason ?? 'UNKNOWN', why: why ?? '', commandId })
      if (isKept) say('dead_letter', { reason, commandId })
      if (!isKept) return message.nak(10_000)
    }
    await send(() => {
      // The answer goes first, over the same connection: whatever is acknowledged has been answered.
      if (result && replyTo !== null) nats.publish(replyTo, encode(result))
      if (next === 'ack') message.ack()
      else if (next === 'dead') message.term()
      else if (next === 'retry') message.nak(delayMs)
    })
  }
  const hold = holding({
    clock,
    ackWaitMs,
    least: Math.max(32, 4 * concurrency),
    most: 1024,
    process,
    frozen: (forMs) => {
      logger.warn({ region, forMs: Math.round(forMs) }, 'this process stood still: what it had not begun is left to others')
      for (const source of sources.values()) source.renew()
    },
    failed: (error) => logger.warn({ region }, `a command could not be answered, it comes again: ${errorText(error)}`),
  })
  for (const server of settings.servers ?? [null]) {
    const durable = durableOf(region, server)
    const source = commandsOf({
      nats,
      clock,
      logger,
      ackWaitMs,
      stream: subjects.streams.commands,
      durable,
      filter: server === null ? subjects.commands(region) : subjects.command(region, server),
      signal: reading.signal,
      room: (wasFilled) => hold.room(wasFilled, reading.signal),
      take: hold.take,
      makeStream: async () => {
        if (settings.setUp === false)
          throw new PintailError('unavailable', `there is no stream ${subjects.streams.commands}`, { remedy: 'Call setUpNats().' })
        await setUpNats(nats, { ...settings.setUp, prefix: subjects.prefix })
      },
      madeAgain: (what) => {
        logger.warn({ region, durable }, `the ${what} was gone and was made again: what waited in it is lost, until the next sync`)
        say(what === 'stream' ? 'stream.made_again' : 'consumer.made_again', { durable })
      },
    })
    sources.set(durable, source)
    clocks.set(durable, brokerClock(clock, source.lastDelivery))
  }
  const pruning = every(clock, 3_600_000, () => worker.prune())

  const all = [...sources.values()]
  let ending: Promise<void> | null = null
  const end = async (waitMs: number): Promise<void> => {
    reading.abort()
    pruning()
    // The broker forgets our open request when it is asked about its consumer; before that, 2.9 may lose one that is given back.
    await Promise.all(all.map((one) => one.lastDelivery().catch(() => null)))
    worker.halt()
    await hold.idle(waitMs)
    worker.stop()
    await Promise.all([hold.idle(null), ...all.map(({ ended }) => ended)])
    hold.close()
    say('worker.stopped', {})
  }
  const stop = (waitMs = 10_000): Promise<void> => {
    settings.signal?.removeEventListener('abort', abort)
    ending ??= end(waitMs)
    return ending
  }
  const abort = (): void => void stop(0)
  settings.signal?.addEventListener('abort', abort, { once: true })
  const ended = Promise.all(all.map((one) => one.ended)).then(() => stop(0))
  try {
    await Promise.all(all.map(({ bound }) => bound))
  } catch (error) {
    await stop(0)
    throw settings.signal?.aborted ? new PintailError('aborted', 'given up before it was there', { cause: error }) : error
  }
  say('worker.started', { bookIsEmpty: book.isEmpty, servers: settings.servers ?? null })
  return { region, consumers: [...sources.keys()], figures: worker.figures, ended, stop, [Symbol.asyncDispose]: () => stop() }
}

/** Events are for whoever listens: nobody waits for them, and none is tried again. */
function teller(nats: NatsConnection, subjects: Subjects, logger: Logger): (event: WorkerEvent) => void {
  return (event) => {
    try {
      nats.publish(subjects.event(event.region, event.serverId), encode(event))
    } catch (error) {
      if (!nats.isClosed()) logger.warn({ type: event.type }, `an event could not be told: ${errorText(error)}`)
    }
  }
}

function every(clock: Clock, ms: number, work: () => Promise<unknown>): () => void {
  let timer = clock.setTimeout(tick, ms)
  let isOver = false
  function tick(): void {
    const next = (): void => {
      if (!isOver) timer = clock.setTimeout(tick, ms)
    }
    work().then(next, next)
  }
  return () => {
    isOver = true
    timer.cancel()
  }
}

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

function checked(options: NatsWorkerOptions) {
  const { servers, signal } = options
  const within = (name: 'concurrency' | 'ackWaitMs', low: number, high: number, fallback: number): number => {
    const value = options[name] ?? fallback
    if (Number.isSafeInteger(value) && value >= low && value <= high) return value
    throw new PintailError('invalid_options', `${name}: must be a whole number from ${low} to ${high}`)
  }
  if (servers && (servers.length === 0 || servers.length > 10_000 || new Set(servers).size !== servers.length))
    throw new PintailError('invalid_options', 'servers: must have 1 to 10 000 ids, each once')
  if (signal?.aborted) throw new PintailError('aborted', 'given up before it began', { cause: signal.reason })
  return {
    nats: options.nats,
    region: options.region,
    servers,
    signal,
    setUp: options.setUp ?? {},
    book: options.book ?? memoryBook(),
    subjects: natsSubjects(options.prefix),
    concurrency: within('concurrency', 1, 1000, 16),
    ackWaitMs: within('ackWaitMs', 1000, 3_600_000, 30_000),
    clock: options.clock ?? systemClock,
    logger: options.logger ?? silent,
  }
}
