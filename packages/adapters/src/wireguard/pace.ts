import { setTimeout as sleep } from 'node:timers/promises'
import { Timestamps } from './timestamp.ts'

/**
 * WireGuard drops an initiation that it reads less than 20 ms after the last one of the same key. After an answer it has
 * read the one before, so that these 25 ms are enough whatever a busy server or network does; while an answer is still
 * on its way, 50 ms are enough where neither holds packets back.
 */
const afterAnswerMs = 25
const afterSendMs = 50
/** Most that wait for one server's key: those behind would wait for more than 30 s. */
const mostWaiting = 600
const mostLanes = 10_000

/** One server's key: initiations to it leave one after another. */
class Lane {
  #sentAt = -Infinity
  #answeredAt = -Infinity
  #last: Promise<void> = Promise.resolve()
  #waiting = 0

  get isIdle(): boolean {
    return this.#waiting === 0 && this.#dueMs() <= 0
  }

  #dueMs(): number {
    return Math.max(this.#sentAt + afterSendMs, this.#answeredAt + afterAnswerMs) - performance.now()
  }

  /**
   * Resolves when it is one's turn, with what must be called when the initiation has left or will not; null when too
   * many wait already. Rejects when the signal fires.
   */
  async turn(signal: AbortSignal): Promise<(() => void) | null> {
    if (this.#waiting >= mostWaiting) return null
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    this.#waiting += 1
    const leave = () => {
      this.#waiting -= 1
      resolve()
    }
    try {
      await before
      // Looked at again: a timer may be early, and an answer may have come in between.
      for (let ms = this.#dueMs(); ms > 0; ms = this.#dueMs()) await sleep(ms, undefined, { signal })
      signal.throwIfAborted()
    } catch (error) {
      leave()
      throw error
    }
    return () => {
      this.#sentAt = performance.now()
      leave()
    }
  }

  answered(): void {
    this.#answeredAt = performance.now()
  }
}

/** What all probers of this process share that probe with the same key: its timestamps, and whose turn it is at a server. */
export class Pace {
  readonly timestamps = new Timestamps()
  readonly #lanes = new Map<string, Lane>()

  /** @param server its public key */
  lane(server: string): Lane {
    const lane = this.#lanes.get(server) ?? new Lane()
    if (!this.#lanes.has(server)) this.#makeRoom()
    this.#lanes.set(server, lane)
    return lane
  }

  #makeRoom(): void {
    if (this.#lanes.size < mostLanes) return
    for (const [server, lane] of this.#lanes) if (lane.isIdle) this.#lanes.delete(server)
  }
}

const paces = new Map<string, Pace>()

/** @param key the public key that is probed with */
export function paceOf(key: string): Pace {
  const pace = paces.get(key) ?? new Pace()
  paces.set(key, pace)
  return pace
}
