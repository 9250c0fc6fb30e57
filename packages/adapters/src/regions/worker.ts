import { randomUUID } from 'node:crypto'
import { type Clock, errorText, type JsonObject, type Logger, PintailError, type Random, systemClock } from '@pintail/core'
import { memoryBook, type WorkerBook } from './book.ts'
import { type Call, handlerCalls } from './calls.ts'
import { type Tally, tally, type WorkerFigures } from './figures.ts'
import { type Gate, gate } from './gate.ts'
import type { RegionHandler } from './handler.ts'
import { lanes } from './lanes.ts'
import { type Command, limits, parseCommand, parseSyncPage, type SyncPage, type WorkerEvent, type WorkerEventType } from './messages.ts'
import { type Delivery, type Handled, type Job, type Outcomes, outcomes, pauseMs, poisonOf, whenOf } from './outcomes.ts'
import { type Pages, syncPages } from './pages.ts'
import { admit, admitSync } from './rules.ts'
import { raise, singles } from './single.ts'
import { type Syncs, syncs } from './sync.ts'

export interface RegionWorkerOptions {
  readonly region: string
  /** The only servers that it works for. Default: all of the region. */
  readonly servers?: readonly string[]
  readonly handler: RegionHandler
  /** Default `memoryBook()`. */
  readonly book?: WorkerBook
  /** Whether an answer may be sent there. Default: anywhere. */
  readonly isReply?: (subject: string) => boolean
  /** Calls of the handler at the same time, 1–1 000. Default 16. */
  readonly concurrency?: number
  /** How long a call of the handler may take, milliseconds, 100–600 000. Default 20 000. */
  readonly timeoutMs?: number
  /** How often a command is tried that fails otherwise than with `unavailable`, 1–1 000; then it is a dead letter. Default 10. */
  readonly maxTries?: number
  /** How far clocks may be apart, milliseconds, 0 to a day. Only who published long after he had issued it is judged by it. Default 600 000. */
  readonly skewMs?: number
  /** How long the pages of a sync may take to come, milliseconds, 1 000–3 600 000. Default 60 000. */
  readonly syncPagesMs?: number
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  /** What happened that nobody has asked for. Must not throw. */
  readonly tell?: (event: WorkerEvent) => void
  /** Whether a command may have its effect. For tests that break the rules on purpose. */
  readonly admit?: typeof admit
}

export interface RegionWorker {
  /** One command, from its bytes to what has to be answered. Never rejects. */
  handle(bytes: Uint8Array, delivery: Delivery): Promise<Handled>
  figures(): WorkerFigures
  /** Forgets connections revoked longer than 30 days ago, at most 10 000 at a time: nothing so late is on its way any more. */
  prune(): Promise<number>
  /** Begins nothing more: what waits for its turn ends with `retry` at once. */
  halt(): void
  /** Aborts calls of the handler and forgets syncs half collected. What is under way ends with `retry`. */
  stop(): void
}

const keepRevokedMs = 30 * 24 * 3_600_000

/** The half of a worker that knows no broker: what comes in is bytes, what goes out is what to do. @throws PintailError `invalid_options` */
export function regionWorker(options: RegionWorkerOptions): RegionWorker {
  const settings = checked(options)
  const { region, clock, random, logger, book, handler } = settings
  const stopping = new AbortController()
  const figures = tally()
  const lane = lanes()
  const tell = teller(settings)
  const { call, stop } = handlerCalls({ clock, timeoutMs: settings.timeoutMs })
  const turns = gate(settings.concurrency)
  const ends = outcomes({ ...settings, figures, stopping: stopping.signal })
  const single = singles({ ...settings, call, gate: turns, figures, outcomes: ends, tell })
  const limited = within(call, turns)
  const pages = pagesOf(settings, figures, tell)
  const page = syncing(settings, ends, pages, syncs({ handler, book, lanes: lane, call: limited, clock, logger, figures, tell }))
  const syncLane = lanes()

  const handle = async (bytes: Uint8Array, delivery: Delivery): Promise<Handled> => {
    let command: Command
    try {
      command = parseCommand(bytes)
    } catch (error) {
      const { reason, message } = poisonOf(bytes, error)
      return ends.dead(null, reason, message)
    }
    const job = { command, delivery, startedAt: clock.now() }
    const forged = forgery(command, delivery, settings)
    if (forged !== null) return ends.dead(job, 'FORGED', forged)
    const { serverId, connectionId } = command
    return command.type === 'access.sync'
      ? syncLane.run(serverId, connectionId, () => page(job))
      : lane.run(serverId, connectionId, () => single(job))
  }
  return {
    handle: async (bytes, delivery) => {
      figures.inFlight += 1
      if (delivery.deliveries > 1) figures.redelivered += 1
      try {
        return await handle(bytes, delivery)
      } catch (error) {
        logger.error({ region }, `a command could not be handled: ${errorText(error)}`)
        return ends.again(pauseMs(delivery.deliveries, random))
      } finally {
        figures.inFlight -= 1
      }
    },
    figures: () => ({ ...figures, deadBy: { ...figures.deadBy } }),
    prune: async () => book.prune(clock.now() - keepRevokedMs),
    halt: turns.shut,
    stop: () => {
      stopping.abort()
      turns.shut()
      stop()
      pages.close()
    },
  }
}

/** A call that waits for its turn, as those of syncs do. */
const within =
  (call: Call, turns: Gate): Call =>
  async (traceId, work) => {
    const leave = await turns.enter()
    if (!leave) throw new PintailError('unavailable', 'the worker stops')
    try {
      return await call(traceId, work)
    } finally {
      leave()
    }
  }

type Tell = (type: WorkerEventType, serverId: string | null, data: JsonObject) => void
type Settings = ReturnType<typeof checked>

const teller =
  ({ tell, region, clock }: Settings): Tell =>
  (type, serverId, data) =>
    tell({ v: 1, id: randomUUID(), type, region, serverId, at: new Date(clock.now()).toISOString(), data })

function pagesOf({ clock, syncPagesMs, logger, region }: Settings, figures: Tally, tell: Tell): Pages {
  return syncPages({
    clock,
    waitMs: syncPagesMs,
    givenUp: ({ serverId, ...rest }) => {
      figures.syncsGivenUp += 1
      logger.warn({ region, serverId, ...rest }, 'a sync was given up, because pages of it are missing: nothing of it was applied')
      tell('sync.given_up', serverId, rest)
    },
  })
}

/** One page of a sync; with the last of them the sync is applied. */
function syncing({ book, clock, skewMs }: Settings, ends: Outcomes, pages: Pages, whole: Syncs): (job: Job) => Promise<Handled> {
  return async (job) => {
    const { command, delivery } = job
    const { serverId, token, epoch } = command
    let page: SyncPage
    try {
      page = parseSyncPage(command.payload)
    } catch (error) {
      return ends.dead(job, 'MALFORMED', errorText(error))
    }
    const when = whenOf(delivery, clock.now())
    const admission = admitSync(command, book.server(serverId), when, skewMs)
    if (typeof admission === 'object') return ends.refused(job, admission)
    const collected = pages.add(command, page)
    if (collected.is === 'refused') return ends.refused(job, { rejected: 'STALE', why: collected.why })
    if (collected.is === 'done') return ends.done(job, 'noop')
    if (collected.is === 'waiting') {
      const payload = { syncId: page.syncId, have: collected.have, pages: page.pages }
      return ends.done(job, 'ok', { code: 'COLLECTED', payload })
    }
    try {
      const raised = raise(book, command, when)
      if (raised) await raised
      const { status, code, payload } = await whole.apply(command, collected.sync)
      const mark = book.server(serverId)
      if (mark && code !== 'HELD') await book.mark(serverId, { ...mark, sync: { token, epoch } })
      return ends.done(job, status, { code, retryable: status === 'failed', payload })
    } catch (error) {
      // The other pages are gone: it cannot be tried again, and the next sync does what this one did not.
      const failed = ends.failed(job, error)
      return failed.next === 'retry' && page.pages > 1 ? { ...failed, next: 'ack' as const } : failed
    }
  }
}

/** What is wrong with where it came from, or with where its answer is to go; null: nothing. */
function forgery(command: Command, { address }: Delivery, { region, servers, isReply }: Settings): string | null {
  if (!address) return 'it came on a subject that is not one of commands'
  if (address.region !== region || command.region !== region) return 'it is for another region'
  if (address.serverId !== command.serverId) return 'its subject names another server'
  if (servers && !servers.has(command.serverId)) return 'this worker does not work for its server'
  return command.replyTo === null || isReply(command.replyTo) ? null : 'its answer would go where no answer belongs'
}

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

function checked(options: RegionWorkerOptions) {
  const within = (
    name: 'concurrency' | 'timeoutMs' | 'maxTries' | 'skewMs' | 'syncPagesMs',
    low: number,
    high: number,
    fallback: number,
  ): number => {
    const value = options[name] ?? fallback
    if (Number.isSafeInteger(value) && value >= low && value <= high) return value
    throw new PintailError('invalid_options', `${name}: must be a whole number from ${low} to ${high}`)
  }
  if (typeof options.region !== 'string' || options.region === '' || options.region.length > limits.idLength)
    throw new PintailError('invalid_options', `region: must be a text of 1 to ${limits.idLength} characters`)
  if (typeof options.handler?.grant !== 'function' || typeof options.handler.revoke !== 'function')
    throw new PintailError('invalid_options', 'handler: must have grant and revoke')
  return {
    region: options.region,
    servers: options.servers ? new Set(options.servers) : null,
    handler: options.handler,
    book: options.book ?? memoryBook(),
    isReply: options.isReply ?? (() => true),
    concurrency: within('concurrency', 1, 1000, 16),
    timeoutMs: within('timeoutMs', 100, 600_000, 20_000),
    maxTries: within('maxTries', 1, 1000, 10),
    skewMs: within('skewMs', 0, 86_400_000, 600_000),
    syncPagesMs: within('syncPagesMs', 1000, 3_600_000, 60_000),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    logger: options.logger ?? silent,
    tell: options.tell ?? (() => {}),
    admit: options.admit ?? admit,
  }
}
