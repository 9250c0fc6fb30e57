import type { Clock, Rate } from '@pintail/core'
import { pause } from './waiting.ts'

/**
 * A token bucket: at most `burst` calls at once, `perSecond` on average. cockatiel has no rate limit.
 * Who waits takes his turn in the order of asking, and gives it back when his signal fires.
 */
export class RateLimit {
  readonly #rate: Rate
  readonly #clock: Clock
  #tokens: number
  #at: number

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
    this.#tokens = rate.burst
    this.#at = clock.now()
  }

  /** Rejects with the signal's reason when it fires first. */
  async take(signal: AbortSignal): Promise<void> {
    const now = this.#clock.now()
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + ((now - this.#at) * this.#rate.perSecond) / 1000)
    this.#at = now
    // Below zero: the turns of those who wait already.
    this.#tokens--
    if (this.#tokens >= 0) return
    try {
      await pause(this.#clock, (-this.#tokens * 1000) / this.#rate.perSecond, signal)
    } catch (error) {
      this.#tokens++
      throw error
    }
  }
}
