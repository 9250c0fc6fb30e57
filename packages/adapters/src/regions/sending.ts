import { type CallContext, type Clock, isPintailError, type Json, PintailError, type Server } from '@pintail/core'
import type { Asking } from './asking.ts'
import { type Command, type CommandType, newCommand, type Pair, type Result } from './messages.ts'
import type { MoverTally } from './moverFigures.ts'
import type { CommandTransport } from './transport.ts'

/** A revoke on a server whose worker has just not answered waits no longer than this, milliseconds: it is kept, and the next one is due. */
const silentWaitMs = 1000
/** So long a worker that has not answered counts as silent, milliseconds. */
const silentForMs = 60_000
/** Silent servers that are remembered. */
const mostSilent = 100_000

export interface SendingParts {
  readonly transport: CommandTransport
  readonly asking: Asking
  readonly clock: Clock
  readonly timeoutMs: number
  readonly tally: MoverTally
  regionOf(server: { readonly id: string; readonly region: string | null }): string | null
  /** A worker has answered for this server. */
  heard(serverId: string): void
}

/** What is asked for one connection on one server. */
export interface Errand extends Pair {
  readonly type: CommandType
  readonly server: Server
  readonly connectionId: string
  readonly payload?: Json
  /** Not to be begun later than its answer is waited for. */
  readonly expires?: boolean
}

/** Errands as commands to the worker of the right region, and how long an answer is worth waiting for. */
export class Sending {
  readonly #parts: SendingParts
  /** Since when a worker has not answered for a server. */
  readonly #silent = new Map<string, number>()

  constructor(parts: SendingParts) {
    this.#parts = parts
  }

  get silentServers(): number {
    return this.#silent.size
  }

  heard(serverId: string): void {
    this.#silent.delete(serverId)
  }

  /** @param waitMs default: less where the worker has just not answered */
  async ask(errand: Errand, ctx: CallContext, waitMs: number = this.#waitFor(errand.server.id)): Promise<Result> {
    const { asking, clock, tally } = this.#parts
    const { id } = errand.server
    const command = this.#commandOf(errand, waitMs, ctx)
    tally.published++
    try {
      const result = await asking.ask(command, waitMs, ctx)
      tally.results++
      this.heard(id)
      this.#parts.heard(id)
      return result
    } catch (error) {
      if (isPintailError(error, 'timeout') && this.#silent.size < mostSilent) this.#silent.set(id, clock.now())
      throw error
    }
  }

  /** Nobody waits for the answer. */
  async tell(errand: Errand, ctx: CallContext): Promise<void> {
    await this.#parts.transport.publish(this.#commandOf(errand, 0, ctx), ctx)
    this.#parts.tally.published++
  }

  #commandOf(
    { type, server, connectionId, token, epoch, payload = null, expires = false }: Errand,
    waitMs: number,
    ctx: CallContext,
  ): Command {
    const region = this.#parts.regionOf(server)
    if (region === null)
      throw new PintailError('rejected', `server ${server.id} has no region, so no worker`, {
        remedy: 'Give it a region, or `regionOf` to the mover.',
      })
    const { replyTo } = this.#parts.transport
    const issuedAt = this.#parts.clock.now()
    const deadline = expires ? issuedAt + waitMs : null
    const traceId = ctx.traceparent ?? null
    return newCommand({ type, region, serverId: server.id, connectionId, token, epoch, issuedAt, deadline, replyTo, traceId, payload })
  }

  #waitFor(serverId: string): number {
    const { clock, timeoutMs } = this.#parts
    const since = this.#silent.get(serverId)
    return since !== undefined && clock.now() - since < silentForMs ? Math.min(silentWaitMs, timeoutMs) : timeoutMs
  }
}
