import type { Clock, Timer } from '../ports.ts'

/** What is due within one tick goes together: one timer for all of it, however large the fleet. */
const tickMs = 20
/** So many go in one turn of the event loop: after a jump of the clock all are due at once. */
const mostInTurn = 1000

/** What a wheel turns: it keeps the time of an item in the item itself. */
export interface Scheduled {
  /** The tick in which it is due; -1: in none. Written by the wheel alone. */
  dueTick: number
}

/** A timer wheel: each item is due once, at the newest time said for it. */
export class Wheel<T extends Scheduled> {
  readonly #clock: Clock
  readonly #due: (item: T) => void
  readonly #turned: () => void
  readonly #stopped: AbortSignal
  /** An item that was put elsewhere since stays where it is and is passed over: looking for it would cost more. */
  readonly #slots = new Map<number, T[]>()
  /** Items that are due some time, and places taken in slots. */
  #items = 0
  #places = 0
  /** The ticks that have a slot, as a heap: the next one first. */
  readonly #ticks: number[] = []
  #timer: { readonly tick: number; readonly timer: Timer } | null = null

  /**
   * @param due called for each item when its time has come; it may schedule the item again
   * @param turned called when all that was due has been told
   */
  constructor(clock: Clock, stopped: AbortSignal, due: (item: T) => void, turned: () => void = () => {}) {
    this.#clock = clock
    this.#stopped = stopped
    this.#due = due
    this.#turned = turned
  }

  /** @param grain whole ticks: items with a common grain come in fewer, larger turns; each up to `grain` ticks later */
  schedule(item: T, delayMs: number, grain = 1): void {
    const tick = Math.ceil((this.#clock.now() + delayMs) / tickMs / grain) * grain
    if (item.dueTick === tick) return
    if (item.dueTick < 0) this.#items++
    item.dueTick = tick
    this.#places++
    const slot = this.#slots.get(tick)
    if (slot) slot.push(item)
    else {
      this.#slots.set(tick, [item])
      push(this.#ticks, tick)
    }
    if (this.#places > 2 * this.#items + mostInTurn) this.#sweep()
    if (!this.#timer || tick < this.#timer.tick) this.#arm(tick)
  }

  /** Servers that come and go must not fill slots that are a day away. */
  #sweep(): void {
    this.#places = this.#items
    for (const [tick, slot] of this.#slots) {
      const there = new Set(slot.filter((item) => item.dueTick === tick))
      this.#slots.set(tick, [...there])
    }
  }

  /** In how many milliseconds it is due; null: it is not scheduled. */
  remaining(item: T): number | null {
    return item.dueTick < 0 ? null : Math.max(0, item.dueTick * tickMs - this.#clock.now())
  }

  /** Places taken in slots, those that are passed over among them. */
  get places(): number {
    return this.#places
  }

  remove(item: T): void {
    if (item.dueTick >= 0) this.#items--
    item.dueTick = -1
  }

  stop(): void {
    this.#timer?.timer.cancel()
    this.#timer = null
  }

  #putBack(tick: number, rest: readonly T[]): void {
    const newer = this.#slots.get(tick)
    if (!newer) push(this.#ticks, tick)
    this.#slots.set(tick, [...rest, ...(newer ?? [])])
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
    let left = mostInTurn
    for (let tick = this.#ticks[0]; tick !== undefined && tick <= now && left > 0; tick = this.#ticks[0]) {
      const slot = this.#slots.get(tick) ?? []
      // Gone before anybody is told, because an item may be put into the very tick that turns.
      this.#slots.delete(tick)
      pop(this.#ticks)
      let index = 0
      for (; index < slot.length && left > 0; index++) {
        const item = slot[index] as T
        if (item.dueTick !== tick) continue
        left--
        this.remove(item)
        this.#due(item)
      }
      this.#places -= index
      if (index < slot.length) this.#putBack(tick, slot.slice(index))
    }
    this.#turned()
    const next = this.#ticks[0]
    if (next !== undefined) this.#arm(next)
  }
}

function push(heap: number[], value: number): void {
  let index = heap.length
  while (index > 0) {
    const parent = (index - 1) >> 1
    const above = heap[parent] as number
    if (above <= value) break
    heap[index] = above
    index = parent
  }
  heap[index] = value
}

function pop(heap: number[]): void {
  const last = heap.pop() as number
  if (heap.length === 0) return
  let index = 0
  for (let child = 1; child < heap.length; child = 2 * index + 1) {
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++
    if ((heap[child] as number) >= last) break
    heap[index] = heap[child] as number
    index = child
  }
  heap[index] = last
}
