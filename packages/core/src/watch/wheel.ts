import type { Clock, Timer } from '../ports.ts'

/** What is due within one tick goes together: one timer for all of it, however large the fleet. */
const tickMs = 20

/** A timer wheel: each item is due once, at the newest time said for it. */
export class Wheel<T extends object> {
  readonly #clock: Clock
  readonly #due: (item: T) => void
  readonly #stopped: AbortSignal
  readonly #slots = new Map<number, Set<T>>()
  readonly #ticks = new WeakMap<T, number>()
  #timer: { readonly tick: number; readonly timer: Timer } | null = null

  /** @param due called for each item when its time has come; it may schedule the item again */
  constructor(clock: Clock, stopped: AbortSignal, due: (item: T) => void) {
    this.#clock = clock
    this.#stopped = stopped
    this.#due = due
  }

  schedule(item: T, delayMs: number): void {
    const tick = Math.ceil((this.#clock.now() + delayMs) / tickMs)
    this.remove(item)
    this.#ticks.set(item, tick)
    const slot = this.#slots.get(tick) ?? new Set()
    this.#slots.set(tick, slot)
    slot.add(item)
    if (!this.#timer || tick < this.#timer.tick) this.#arm(tick)
  }

  remove(item: T): void {
    this.#slots.get(this.#ticks.get(item) ?? -1)?.delete(item)
    this.#ticks.delete(item)
  }

  stop(): void {
    this.#timer?.timer.cancel()
    this.#timer = null
  }

  #arm(tick: number): void {
    this.#timer?.timer.cancel()
    if (this.#stopped.aborted) return
    const timer = this.#clock.setTimeout(() => this.#turn(), Math.max(0, tick * tickMs - this.#clock.now()))
    this.#timer = { tick, timer }
  }

  #turn(): void {
    this.#timer = null
    const now = Math.floor(this.#clock.now() / tickMs)
    let next = Number.POSITIVE_INFINITY
    for (const [tick, slot] of this.#slots) {
      if (tick > now) next = Math.min(next, tick)
      else {
        this.#slots.delete(tick)
        for (const item of slot) this.#due(item)
      }
    }
    for (const tick of this.#slots.keys()) next = Math.min(next, tick)
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next)
  }
}
