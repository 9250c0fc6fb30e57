import { type Clock, errorText, isPintailError, type Logger, type Random } from '@pintail/core'
import { failureOf } from './calls.ts'
import type { Tally } from './figures.ts'
import { type Command, limits, type Result, type ResultStatus } from './messages.ts'
import type { Admission, When } from './rules.ts'

/** What a transport knows of a message beside its bytes. */
export interface Delivery {
  /** What its subject names; null: it came where no command belongs. */
  readonly address: { readonly region: string; readonly serverId: string } | null
  /** How often it has been delivered, from 1. */
  readonly deliveries: number
  /** When it arrived, by the worker's clock. */
  readonly arrivedAt: number
  /** When the broker stored it, by the broker's clock; null: not known. */
  readonly storedAt: number | null
  /** How old it was when it arrived, by the broker's clock; null: not known. */
  readonly ageMs: number | null
  /** False when the broker has given it to somebody else meanwhile. Default: always true. */
  readonly isOurs?: () => boolean
}

export interface Handled {
  /** To be sent to `replyTo` before anything is acknowledged. Null: there is nothing to say. */
  readonly result: Result | null
  /** Null: nobody waits, or it is nobody's reply subject. */
  readonly replyTo: string | null
  /** `retry`: to be delivered again after `delayMs`. `dead`: to be kept with the reason. `leave`: somebody else has it. */
  readonly next: 'ack' | 'retry' | 'dead' | 'leave'
  readonly delayMs: number
  /** Why it is dead. */
  readonly reason: string | null
  readonly message: string | null
  readonly commandId: string | null
}

/** One command that was understood. */
export interface Job {
  readonly command: Command
  readonly delivery: Delivery
  readonly startedAt: number
}

export interface OutcomeParts {
  readonly region: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly figures: Tally
  readonly maxTries: number
  readonly stopping: AbortSignal
  readonly isReply: (subject: string) => boolean
}

/** How commands end, each way counted. */
export interface Outcomes {
  done(job: Job, status: ResultStatus, more?: Partial<Result>): Handled
  /** Null: it was not understood, and nobody can be told. */
  dead(job: Job | null, reason: string, message: string): Handled
  refused(job: Job, refusal: Exclude<Admission, string>): Handled
  /** What a handler, or the book, has thrown. */
  failed(job: Job, error: unknown): Handled
  /** Nobody is told: somebody else has it. */
  left(): Handled
  /** The worker itself has failed, or stops. */
  again(delayMs: number): Handled
}

const nothing = { result: null, replyTo: null, delayMs: 0, reason: null, message: null, commandId: null } as const

export function outcomes({ region, clock, random, logger, figures, maxTries, stopping, isReply }: OutcomeParts): Outcomes {
  const told = (job: Job, next: Handled['next'], status: ResultStatus, more: Partial<Result> = {}): Handled => {
    const { replyTo, id } = job.command
    const mayReply = replyTo !== null && isReply(replyTo)
    return { ...nothing, next, commandId: id, replyTo: mayReply ? replyTo : null, result: resultOf(job, clock.now(), status, more) }
  }
  const dead = (job: Job | null, reason: string, message: string): Handled => {
    figures.dead += 1
    figures.deadBy[reason] = (figures.deadBy[reason] ?? 0) + 1
    logger.warn({ region, reason, commandId: job?.command.id ?? null }, `a command is a dead letter: ${message}`)
    const status = reason === 'TOO_MANY_TRIES' ? 'failed' : 'rejected'
    const handled: Handled = job ? told(job, 'dead', status, { code: reason, message }) : { ...nothing, next: 'dead' }
    return { ...handled, reason, message }
  }
  return {
    done: (job, status, more) => told(job, 'ack', status, more),
    dead,
    refused: (job, { rejected, why }) => {
      figures[rejected === 'STALE' ? 'stale' : rejected === 'FENCED' ? 'fenced' : 'expired'] += 1
      return told(job, 'ack', 'rejected', { code: rejected, message: why })
    },
    failed: (job, error) => {
      if (stopping.aborted) return { ...nothing, next: 'retry' }
      const { code, message } = failureOf(error)
      if (code === 'REJECTED') {
        figures.rejected += 1
        return told(job, 'ack', 'rejected', { code, message })
      }
      const { deliveries } = job.delivery
      if (code === 'FAILED' && deliveries >= maxTries)
        return dead(job, 'TOO_MANY_TRIES', `tried ${deliveries} times: ${message}`.slice(0, 300))
      figures.failed += 1
      const { serverId, type } = job.command
      logger.warn({ region, serverId, type, code, deliveries }, `a command did not work: ${message}`)
      return { ...told(job, 'retry', 'failed', { retryable: true, code, message }), delayMs: pauseMs(deliveries, random) }
    },
    left: () => {
      figures.left += 1
      return { ...nothing, next: 'leave' }
    },
    again: (delayMs) => ({ ...nothing, next: 'retry', delayMs }),
  }
}

function resultOf({ command, startedAt }: Job, now: number, status: ResultStatus, more: Partial<Result>): Result {
  return {
    v: 1,
    commandId: command.id,
    idempotencyKey: command.idempotencyKey,
    status,
    retryable: false,
    code: null,
    message: null,
    serverId: command.serverId,
    token: command.token,
    epoch: command.epoch,
    finishedAt: new Date(now).toISOString(),
    durationMs: Math.max(0, now - startedAt),
    payload: null,
    ...more,
  }
}

/** From one second to a minute, spread so that not all come back at once. */
export const pauseMs = (deliveries: number, random: Random): number =>
  Math.round(Math.min(60_000, 1000 * 2 ** Math.min(deliveries - 1, 6)) * (0.5 + random() / 2))

/** The broker's time of a message is measured on the broker's clock until it arrived, and on the worker's since. */
export function whenOf({ arrivedAt, storedAt, ageMs }: Delivery, now: number): When {
  return { now, storedAt, ageMs: ageMs === null ? null : ageMs + Math.max(0, now - arrivedAt) }
}

export function poisonOf(bytes: Uint8Array, error: unknown): { readonly reason: string; readonly message: string } {
  const isLarge = bytes.byteLength > limits.messageBytes
  const reason = isLarge ? 'OVERSIZED' : isPintailError(error, 'unsupported') ? 'UNKNOWN_VERSION' : 'MALFORMED'
  return { reason, message: errorText(error) }
}
