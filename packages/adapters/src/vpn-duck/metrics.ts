import { type CallContext, type Clock, errorText, type Logger, type Pintail, PintailError, type Sample, type Timer } from '@pintail/core'
import type { DuckApi } from './api.ts'
import type { ForwardOptions, ServerMetrics } from './options.ts'
import { whole } from './rows.ts'

const atOnce = 8

/** Sends VPN Duck what Pintail measures, as its own migration service did: only of servers that are judged available. */
export class DuckMetrics {
  readonly #api: DuckApi
  readonly #clock: Clock
  readonly #logger: Logger | undefined
  readonly #closing = new AbortController()
  #isWell = true

  constructor(api: DuckApi, clock: Clock, logger: Logger | undefined) {
    this.#api = api
    this.#clock = clock
    this.#logger = logger
  }

  async record({ serverId, latencyMs, packetLossPercent, jitterMs = null }: ServerMetrics, ctx: CallContext): Promise<void> {
    const id = whole(serverId)
    const figures = { latency: latencyMs, packet_loss: packetLossPercent, ...(jitterMs !== null && { jitter: jitterMs }) }
    await this.#api.addMetrics({ server_id: id ?? String(serverId), ...figures }, ctx)
  }

  /** @throws PintailError `invalid_argument` */
  forward(pintail: Pick<Pintail, 'status'>, { intervalMs = 60_000 }: ForwardOptions = {}): Disposable {
    if (!(intervalMs >= 1000 && intervalMs <= 86_400_000))
      throw new PintailError('invalid_argument', `intervalMs must be a number from 1000 to 86400000, not ${intervalMs}`)
    const stop = new AbortController()
    const sent = new Map<string, number>()
    let timer: Timer | null = null
    const plan = (): void => {
      timer = this.#clock.setTimeout(() => {
        timer = null
        // Nothing more of it after the end: the next round is planned by the one before.
        void this.#round(pintail, sent, stop.signal)
          .catch((error) => this.#ill(error))
          .then(() => stop.signal.aborted || plan())
      }, intervalMs)
    }
    const end = (): void => {
      this.#closing.signal.removeEventListener('abort', end)
      timer?.cancel()
      stop.abort()
    }
    plan()
    this.#closing.signal.addEventListener('abort', end, { once: true })
    if (this.#closing.signal.aborted) end()
    return { [Symbol.dispose]: end }
  }

  async #round(pintail: Pick<Pintail, 'status'>, sent: Map<string, number>, signal: AbortSignal): Promise<void> {
    const due = pintail.status().servers.flatMap(({ serverId, verdict, lastSample }) => {
      if (verdict.verdict !== 'up' || !lastSample || sent.get(serverId) === lastSample.sentAt) return []
      sent.set(serverId, lastSample.sentAt)
      return [lastSample]
    })
    const next = async (): Promise<void> => {
      for (let sample = due.pop(); sample && !signal.aborted; sample = due.pop())
        await this.record(figuresOf(sample), { signal }).then(
          () => this.#well(),
          (error) => signal.aborted || this.#ill(error),
        )
    }
    await Promise.all(Array.from({ length: atOnce }, next))
  }

  close(): void {
    this.#closing.abort()
  }

  /** Figures are not worth more than one line. */
  #ill(error: unknown): void {
    if (this.#isWell && !this.#closing.signal.aborted)
      this.#logger?.warn({ err: errorText(error) }, 'VPN Duck does not take the figures of servers')
    this.#isWell = false
  }

  #well(): void {
    if (!this.#isWell) this.#logger?.info({}, 'VPN Duck takes the figures of servers again')
    this.#isWell = true
  }
}

function figuresOf({ serverId, sent, received, rttMs }: Sample): ServerMetrics {
  const packetLossPercent = sent === 0 ? 0 : (100 * (sent - received)) / sent
  return { serverId, latencyMs: mean(rttMs), packetLossPercent, jitterMs: jitter(rttMs) }
}

const round3 = (value: number): number => Math.round(value * 1000) / 1000

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : round3(values.reduce((sum, value) => sum + value, 0) / values.length)
}

function jitter(values: readonly number[]): number | null {
  return values.length < 2 ? null : mean(values.slice(1).map((value, index) => Math.abs(value - (values[index] as number))))
}
