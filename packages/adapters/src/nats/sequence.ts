/** Numbers below the newest one that are remembered: what comes later than that is too late. */
const window = 256
/** Runs of one vantage that are remembered: its process restarts, and rarely two overlap. */
const runs = 8

export type Seen = 'new' | 'doubled' | 'replayed'

/** Which messages of a vantage have been seen, so that each counts once, in whatever order they come. */
export class Sequence {
  readonly #runs = new Map<string, { newest: number; readonly seen: Set<number> }>()

  /** @returns `doubled`: this very number was there. `replayed`: it is older than everything that is remembered, or its run has ended */
  take(run: string, seq: number): Seen {
    const known = this.#runs.get(run)
    if (!known) {
      this.#runs.set(run, { newest: seq, seen: new Set([seq]) })
      // Bounded: the oldest is forgotten.
      for (const old of [...this.#runs.keys()].slice(0, -runs)) this.#runs.delete(old)
      return 'new'
    }
    if (known.seen.has(seq)) return 'doubled'
    if (seq <= known.newest - window) return 'replayed'
    known.seen.add(seq)
    if (seq > known.newest) {
      known.newest = seq
      if (known.seen.size > 2 * window) for (const one of known.seen) if (one <= seq - window) known.seen.delete(one)
    }
    return 'new'
  }
}
