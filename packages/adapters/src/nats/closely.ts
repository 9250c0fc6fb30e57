import type { CallContext, Clock, Prober, ProbeTarget, ServerId } from '@pintail/core'
import { fleetLimits } from './fleet.ts'
import type { Address } from './roll.ts'

/** Checks of one server that are out at once, so that a time-out does not slow them down. */
const mostOut = 8

export interface CloselyOptions {
  readonly prober: Prober
  readonly addressOf: (serverId: string) => Address | null
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Looks at what an engine suspects as often as at what this vantage suspects itself, for as long as it is asked to. What it sees is told like
 * everything else; it judges nothing.
 */
export class Closely {
  readonly #options: CloselyOptions
  readonly #looks = new Map<string, { until: number; out: number; lastAt: number }>()
  #timer: { cancel(): void } | null = null

  constructor(options: CloselyOptions) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.#timer?.cancel(), { once: true })
  }

  /** Servers that are looked at now. */
  get size(): number {
    return this.#looks.size
  }

  look(servers: readonly string[], forMs: number): void {
    const { clock, addressOf, signal } = this.#options
    const until = clock.now() + Math.min(forMs, fleetLimits.lookMs)
    for (const id of servers) {
      const known = this.#looks.get(id)
      if (known) known.until = Math.max(known.until, until)
      else if (this.#looks.size < fleetLimits.looks && addressOf(id)) this.#looks.set(id, { until, out: 0, lastAt: 0 })
    }
    if (!this.#timer && !signal.aborted) this.#turn()
  }

  /** It has been checked just now, for whatever reason. */
  checked(id: string): void {
    const look = this.#looks.get(id)
    if (look) look.lastAt = this.#options.clock.now()
  }

  #turn(): void {
    const { clock, intervalMs, signal } = this.#options
    this.#timer = null
    if (signal.aborted) return
    const now = clock.now()
    for (const [id, look] of this.#looks) {
      if (look.until <= now) this.#looks.delete(id)
      else if (look.out < mostOut && now - look.lastAt >= intervalMs / 2) this.#check(id, look)
    }
    if (this.#looks.size > 0) this.#timer = clock.setTimeout(() => this.#turn(), intervalMs)
  }

  #check(id: string, look: { out: number; lastAt: number }): void {
    const { prober, addressOf, timeoutMs, signal, clock } = this.#options
    const address = addressOf(id)
    if (!address) return void this.#looks.delete(id)
    const target: ProbeTarget = { serverId: id as ServerId, ...address, packets: 1, timeoutMs }
    look.lastAt = clock.now()
    look.out++
    const over = (): void => {
      look.out--
    }
    // A check that could not be made tells nothing, here as everywhere.
    once(prober, target, { signal }).then(over, over)
  }
}

async function once(prober: Prober, target: ProbeTarget, ctx: CallContext): Promise<void> {
  await prober.probe(target, ctx)
}
