import type { CallContext } from '@pintail/core'
import { type Clock, errorText, type Logger, type Pintail } from '@pintail/core'
import type { DuckApi } from './api.ts'
import { whole } from './rows.ts'

/** What was measured of a server that answers. */
export interface ServerMetrics {
  readonly serverId: string | number
  /** Mean round trip, milliseconds; null: unknown. */
  readonly latencyMs: number | null
  /** 0–100. */
  readonly packetLossPercent: number
  /** Mean difference of successive round trips, milliseconds. */
  readonly jitterMs?: number | null
}

export interface ForwardOptions {
  /** Pause between two rounds, milliseconds, 1 000–86 400 000. Default 60 000. */
  readonly intervalMs?: number
}

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

  forward(pintail: Pick<Pintail, 'status'>, { intervalMs = 60_000 }: ForwardOptions = {}): Disposable {
    const sent = new Map<string, number>()
    let timer = this.#clock.setTimeout(() => {}, 0)
    let isOver = false
    const stop = new AbortController()
    const end = (): void => {
      isOver = true
      timer.cancel()
      stop.abort()
    }
    const round = async (): Promise<void> => {
      const due = pintail.status().servers.filter((server) => {
        const { serverId, verdict, lastSample } = server
        if (verdict.verdict !== 'up' || !lastSample || sent.get(serverId) === lastSample.sentAt) return false
        sent.set(serverId, lastSample.sentAt)
        return true
      })
      const next = async (): Promise<void> => {
        for (let server = due.pop(); server && !isOver; server = due.pop()) {
          const { sent: packets, received, rttMs } = server.lastSample ?? { sent: 0, received: 0, rttMs: [] }
          const metrics = {
            serverId: server.serverId,
            latencyMs: mean(rttMs),
            packetLossPercent: packets === 0 ? 0 : (100 * (packets - received)) / packets,
            jitterMs: jitter(rttMs),
          }
          await this.record(metrics, { signal: stop.signal }).then(
            () => this.#well(),
            (error) => this.#ill(error),
          )
        }
      }
      await Promise.all(Array.from({ length: atOnce }, next))
    }
    const plan = (): void => {
      if (isOver) return
      timer = this.#clock.setTimeout(
        () =>
          void round()
            .catch((error) => this.#ill(error))
            .then(plan),
        intervalMs,
      )
    }
    plan()
    this.#closing.signal.addEventListener('abort', end, { once: true })
    return {
      [Symbol.dispose]: () => {
        this.#closing.signal.removeEventListener('abort', end)
        end()
      },
    }
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

const round3 = (value: number): number => Math.round(value * 1000) / 1000

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : round3(values.reduce((sum, value) => sum + value, 0) / values.length)
}

function jitter(values: readonly number[]): number | null {
  return values.length < 2 ? null : mean(values.slice(1).map((value, index) => Math.abs(value - (values[index] as number))))
}
