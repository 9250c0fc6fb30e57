import type { Clock } from '@pintail/core'

/** A message as far as the broker's time is concerned. */
export interface Timed {
  /** The consumer's own number of the delivery. */
  readonly deliverySequence: number
  /** By the worker's clock. */
  readonly arrivedAt: number
  /** By the broker's clock. */
  readonly storedAt: number
}

/** What the broker says of the last delivery of a consumer. */
export interface LastDelivery {
  readonly deliverySequence: number
  /** By the broker's clock, milliseconds since 1970. */
  readonly at: number
}

export interface BrokerClock {
  /** How old a message was when it arrived, by the broker's clock; null: the broker's time is not known. */
  ageOf(message: Timed): Promise<number | null>
}

const keepMs = 60_000
const againMs = 1000
const remembered = 1024

/**
 * The broker's clock beside ours: it says when it last delivered, and we know when that arrived. No message from anybody else is
 * needed, and neither clock has to be right. Asked once a minute while messages come.
 */
export function brokerClock(clock: Clock, ask: () => Promise<LastDelivery | null>): BrokerClock {
  const arrivals = new Map<number, number>()
  let aheadMs: number | null = null
  let askedAt = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | null = null

  const learn = async (): Promise<void> => {
    try {
      const last = await ask()
      const arrivedAt = last ? arrivals.get(last.deliverySequence) : undefined
      // Another instance may have got it: then the next message is asked about.
      if (last && arrivedAt !== undefined) aheadMs = arrivedAt - last.at
    } catch {
      // It goes on with what is known, and is asked again.
    } finally {
      asking = null
    }
  }
  return {
    ageOf: async ({ deliverySequence, arrivedAt, storedAt }) => {
      arrivals.set(deliverySequence, arrivedAt)
      if (arrivals.size > remembered) arrivals.delete(arrivals.keys().next().value as number)
      const now = clock.now()
      if (now - askedAt > (aheadMs === null ? againMs : keepMs)) {
        askedAt = now
        asking = learn()
      }
      if (aheadMs === null && asking) await asking
      return aheadMs === null ? null : Math.max(0, arrivedAt - aheadMs - storedAt)
    },
  }
}
