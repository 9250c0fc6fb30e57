import { type Clock, errorText, type Json, type JsonObject, type Logger } from '@pintail/core'
import type { WorkerBook } from './book.ts'
import { answerOf, type Call } from './calls.ts'
import type { Tally } from './figures.ts'
import type { Gate } from './gate.ts'
import type { Access, RegionHandler } from './handler.ts'
import type { Command, WorkerEventType } from './messages.ts'
import { type Handled, type Job, type Outcomes, whenOf } from './outcomes.ts'
import { type admit, deadlineOf, type Known, type When } from './rules.ts'

export interface SingleParts {
  readonly region: string
  readonly handler: RegionHandler
  readonly book: WorkerBook
  readonly call: Call
  /** How many calls at the same time. */
  readonly gate: Gate
  readonly clock: Clock
  readonly logger: Logger
  readonly figures: Tally
  readonly outcomes: Outcomes
  readonly skewMs: number
  readonly maxTries: number
  readonly admit: typeof admit
  tell(type: WorkerEventType, serverId: string, data: JsonObject): void
}

/** Grants, revokes and checks, each in the lane of its connection: whether it may have its effect, the effect, and the book. */
export function singles(parts: SingleParts): (job: Job) => Promise<Handled> {
  return async (job) => {
    // Waited for first: what is decided about it must be true when it begins.
    const leave = await parts.gate.enter()
    if (!leave) return parts.outcomes.again(0)
    try {
      return await decide(parts, job, leave)
    } finally {
      leave()
    }
  }
}

/** @param leave called when the effect is there: others need not wait until it is written down */
async function decide(parts: SingleParts, job: Job, leave: () => void): Promise<Handled> {
  const { book, clock, figures, outcomes } = parts
  const { command, delivery } = job
  const when = whenOf(delivery, clock.now())
  const known = book.connection(command.serverId, command.connectionId)
  const admission = parts.admit(command, known, book.server(command.serverId), when, parts.skewMs)
  if (typeof admission === 'object') return outcomes.refused(job, admission)
  const isNoop = admission === 'noop'
  if (isNoop && !known?.hasAnswer) {
    figures.noop += 1
    return outcomes.done(job, 'noop')
  }
  // Every try that ends is in the book: whatever has been delivered so often without one has ended its worker each time.
  if (delivery.deliveries > parts.maxTries && !isSamePair(known, command))
    return outcomes.dead(job, 'TOO_MANY_TRIES', `delivered ${delivery.deliveries} times, and no try has come to an end`)
  if (delivery.isOurs?.() === false) return outcomes.left()
  try {
    const payload = await perform(parts, job, when, known, leave)
    figures[command.type === 'access.check' ? 'checked' : isNoop ? 'noop' : 'applied'] += 1
    return outcomes.done(job, isNoop ? 'noop' : 'ok', { payload })
  } catch (error) {
    leave()
    await remember(parts, command, known)
    return outcomes.failed(job, error)
  }
}

async function perform(parts: SingleParts, job: Job, when: When, known: Known | null, leave: () => void): Promise<Json> {
  const { handler, call } = parts
  const { command } = job
  const { type, serverId, connectionId, token, epoch, payload, traceId } = command
  const access: Access = { serverId, connectionId, token, epoch, payload, deadline: deadlineOf(command, when) }
  if (type === 'access.check') {
    const usable = handler.check ? await call(traceId, async (ctx) => handler.check?.(access, ctx)) : known?.done === 'granted'
    return { usable: usable === true }
  }
  let answer: Json = null
  if (type === 'access.grant') answer = answerOf(await call(traceId, (ctx) => handler.grant(access, ctx)))
  else await call(traceId, (ctx) => handler.revoke(access, ctx))
  leave()
  const done = type === 'access.grant' ? 'granted' : 'revoked'
  // One commit keeps both: the token that counts from now on, and the connection.
  const raised = raise(parts.book, command, when)
  const recorded = parts.book.record(serverId, connectionId, { token, epoch, done, hasAnswer: answer !== null, at: parts.clock.now() })
  await (raised ? Promise.all([raised, recorded]) : recorded)
  if (job.delivery.isOurs?.() === false) late(parts, command)
  return answer
}

/** What did not work may have had its effect all the same: what is older must not come after it. */
async function remember({ book, clock, logger, region }: SingleParts, command: Command, known: Known | null): Promise<void> {
  const { type, serverId, connectionId, token, epoch } = command
  if (type === 'access.check' || isSamePair(known, command)) return
  try {
    await book.record(serverId, connectionId, { token, epoch, done: null, hasAnswer: false, at: clock.now() })
  } catch (error) {
    logger.error({ region, serverId }, `the book of the worker cannot be written: ${errorText(error)}`)
  }
}

function late({ figures, logger, region, tell }: SingleParts, { serverId, connectionId, type }: Command): void {
  figures.late += 1
  logger.warn({ region, serverId, type }, 'an effect ended after the broker had given its command to another worker: sync this server')
  tell('effect.late', serverId, { type, connections: [connectionId] })
}

/** Null: the server has heard of this token. */
export function raise(book: WorkerBook, { serverId, token }: Command, { storedAt }: When): PromiseLike<void> | null {
  const mark = book.server(serverId)
  return mark && mark.token >= token ? null : book.mark(serverId, { token, since: storedAt, sync: mark?.sync ?? null })
}

const isSamePair = (known: Known | null, { token, epoch }: Pick<Command, 'token' | 'epoch'>): boolean =>
  known !== null && known.token === token && known.epoch === epoch
