import type { Clock, Timer } from '../ports.ts'

export interface FakeClock extends Clock {
  /** Lets this many milliseconds pass: every timer fires at its own time, and all that it sets off is done first. */
  advance(ms: number): Promise<void>
  /** Lets everything that is ready happen, while no time passes. */
  settle(): Promise<void>
  /** Timers that have not fired yet: after `stop()` there must be none. */
  readonly pending: number
}

interface Entry {
  readonly at: number
  readonly order: number
  readonly callback: () => void
}

/** Virtual time. Begins at 2026-01-01T00:00:00Z unless told otherwise; milliseconds since 1970. */
export function fakeClock(startAt: number = Date.UTC(2026, 0, 1)): FakeClock {
  let now = startAt
  let order = 0
  const heap: Entry[] = []
  const cancelled = new Set<Entry>()
  /** Neither fired nor cancelled. */
  const live = new Set<Entry>()
  let deferred = 0

  const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
  const push = (entry: Entry): void => {
    heap.push(entry)
    let index = heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(entry, heap[parent] as Entry)) break
      heap[index] = heap[parent] as Entry
      index = parent
    }
    heap[index] = entry
  }
  const pop = (): void => {
    const last = heap.pop() as Entry
    if (heap.length === 0) return
    let index = 0
    while (true) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++
      if (!before(heap[child] as Entry, last)) break
      heap[index] = heap[child] as Entry
      index = child
    }
    heap[index] = last
  }
  const next = (): Entry | undefined => {
    for (let top = heap[0]; top && cancelled.delete(top); top = heap[0]) pop()
    return heap[0]
  }

  const clock: FakeClock = {
    now: () => now,
    setTimeout(callback, delayMs): Timer {
      const entry = { at: now + (delayMs > 0 ? delayMs : 0), order: order++, callback }
      push(entry)
      live.add(entry)
      return {
        cancel() {
          if (live.delete(entry)) cancelled.add(entry)
        },
      }
    },
    defer(callback) {
      deferred++
      setImmediate(() => {
        deferred--
        callback()
      })
    },
    async settle() {
      do {
        // A turn of the real event loop: by then every promise that could settle has.
        await new Promise((resolve) => setImmediate(resolve))
      } while (deferred > 0)
      await new Promise((resolve) => setImmediate(resolve))
    },
    async advance(ms) {
      const end = now + ms
      await clock.settle()
      for (let entry = next(); entry && entry.at <= end; entry = next()) {
        pop()
        live.delete(entry)
        now = Math.max(now, entry.at)
        entry.callback()
        await clock.settle()
      }
      now = end
      await clock.settle()
    },
    get pending() {
      return live.size
    },
  }
  return clock
}
