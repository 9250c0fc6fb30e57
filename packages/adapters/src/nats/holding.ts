import type { JsMsg } from '@nats-io/jetstream'
import type { Clock } from '@pintail/core'

/** A message that was taken and has not come to its end. */
export interface Held {
  readonly message: JsMsg
  /** By the worker's clock. */
  readonly arrivedAt: number
  /** When the broker was last told that we work at it. */
  keptAt: number
}

export interface HoldingOptions {
  readonly clock: Clock
  readonly ackWaitMs: number
  /** Messages at the same time: at the beginning, and where they take long. */
  readonly least: number
  /** Where they are done as fast as they come. */
  readonly most: number
  /** What to do with one; whatever it throws is told to `failed`, and the message comes again. */
  process(held: Held): Promise<void>
  /** The process stood still for long enough that the broker may have given away what we had. */
  frozen(forMs: number): void
  failed(error: unknown): void
}

export interface Holding {
  /** How many more may be asked for, at least 1; waits until it is worth it, or the signal fires. */
  room(wasFilled: boolean, signal: AbortSignal): Promise<number>
  take(message: JsMsg): void
  /** False when the broker may have given it to somebody else. */
  isOurs(held: Held): boolean
  /** Resolves when nothing is under way; after `waitMs` in any case (null: never). */
  idle(waitMs: number | null): Promise<void>
  close(): void
}

/** Longer than this nobody should wait behind others while another instance may have nothing to do. */
const aheadMs = 250

/**
 * The messages that a worker has. More than can be worked at, so that none has to be waited for, and not more than will be done
 * soon; and the broker hears of each of them often enough that it does not give it to somebody else.
 */
export function holding(options: HoldingOptions): Holding {
  const { clock, ackWaitMs } = options
  let window = options.least
  const active = new Set<Held>()
  const roomWanted = new Set<() => void>()
  let idleWanted: (() => void)[] = []
  let aliveAt = clock.now()

  const over = (held: Held): void => {
    active.delete(held)
    if (active.size <= window / 2) for (const wanted of [...roomWanted]) wanted()
    if (active.size > 0) return
    for (const resolve of idleWanted) resolve()
    idleWanted = []
  }
  /** Whether it stood still since the last look: then what is in the socket may be somebody else's. */
  const thaw = (): boolean => {
    const now = clock.now()
    const forMs = now - aliveAt
    aliveAt = now
    if (forMs < (ackWaitMs * 2) / 3) return false
    options.frozen(forMs)
    return true
  }
  const keep = (): void => {
    timer = clock.setTimeout(keep, ackWaitMs / 4)
    if (thaw()) return
    for (const held of active) {
      if (!isOurs(held)) continue
      held.message.working()
      held.keptAt = aliveAt
    }
  }
  let timer = clock.setTimeout(keep, ackWaitMs / 4)
  const isOurs = ({ keptAt }: Held): boolean => clock.now() - keptAt < ackWaitMs

  return {
    room: async (wasFilled, signal) => {
      const askedAt = clock.now()
      if (active.size > window / 2)
        await new Promise<void>((resolve) => {
          const end = (): void => {
            roomWanted.delete(end)
            signal.removeEventListener('abort', end)
            resolve()
          }
          roomWanted.add(end)
          signal.addEventListener('abort', end, { once: true })
        })
      const waitedMs = clock.now() - askedAt
      if (waitedMs > aheadMs) window = Math.max(options.least, window / 2)
      else if (wasFilled && waitedMs < aheadMs / 4) window = Math.min(options.most, window * 2)
      return Math.max(1, Math.floor(window - active.size))
    },
    take: (message) => {
      if (thaw()) return
      const held = { message, arrivedAt: aliveAt, keptAt: aliveAt }
      active.add(held)
      options
        .process(held)
        .catch(options.failed)
        .finally(() => over(held))
    },
    isOurs,
    idle: (waitMs) =>
      new Promise((resolve) => {
        if (active.size === 0) return resolve()
        const end = waitMs === null ? null : clock.setTimeout(resolve, waitMs)
        idleWanted.push(() => {
          end?.cancel()
          resolve()
        })
      }),
    close: () => timer.cancel(),
  }
}
