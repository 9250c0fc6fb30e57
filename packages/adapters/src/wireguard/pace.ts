import { setTimeout as sleep } from 'node:timers/promises'
import { Timestamps } from './timestamp.ts'

/**
 * WireGuard drops an initiation that comes less than 20 ms after the last one of the same key. The rest is for a
 * network that squeezes packets together.
 */
export const gapMs = 50
const longestWaitMs = 30_000
const mostServers = 10_000

/** What all probers of this process share that probe with the same key: its timestamps, and whose turn it is at a server. */
export class Pace {
  readonly timestamps = new Timestamps()
  readonly #lastTurns = new Map<string, number>()

  /**
   * Resolves when an initiation may leave for this server; rejects when the signal fires.
   * False: so many wait for this server's key already that it would take longer than 30 s.
   */
  async turn(server: string, signal: AbortSignal): Promise<boolean> {
    const now = performance.now()
    const at = Math.max(now, (this.#lastTurns.get(server) ?? -Infinity) + gapMs)
    if (at - now > longestWaitMs) return false
    this.#lastTurns.delete(server)
    this.#lastTurns.set(server, at)
    this.#forget(now)
    if (at > now) await sleep(at - now, undefined, { signal })
    return true
  }

  /** Turns are kept in the order of their use, so that the first ones are the oldest. */
  #forget(now: number): void {
    for (const [server, at] of this.#lastTurns) {
      if (at > now - gapMs && this.#lastTurns.size <= mostServers) return
      this.#lastTurns.delete(server)
    }
  }
}

const paces = new Map<string, Pace>()

/** @param key the public key that is probed with */
export function paceOf(key: string): Pace {
  const pace = paces.get(key) ?? new Pace()
  paces.set(key, pace)
  return pace
}
