/** Differences that are kept: those of so long, milliseconds, and so many in any case. */
const keptMs = 60_000
const keptAtLeast = 16
const keptAtMost = 256

/**
 * How far two clocks are apart, learnt from messages alone: each was read by the second clock after it had been stamped by the first, so that
 * every difference is too large by the time it was under way. The smallest one of the last minute is the best, and one message that
 * was held up says nothing.
 */
export class ClockDifference {
  readonly #differences: { readonly ms: number; readonly at: number }[] = []
  #least = Number.POSITIVE_INFINITY

  /**
   * @param from when it was stamped, by the first clock
   * @param to when it was read, by the second
   * @param now by the own clock, to forget what is old
   */
  learn(from: number, to: number, now: number): void {
    const ms = to - from
    this.#differences.push({ ms, at: now })
    if (ms <= this.#least) this.#least = ms
    let isLost = false
    for (let old = this.#differences[0]; old && this.#isOver(old.at, now); old = this.#differences[0]) {
      this.#differences.shift()
      isLost ||= old.ms <= this.#least
    }
    if (isLost) this.#least = this.#differences.reduce((least, one) => Math.min(least, one.ms), Number.POSITIVE_INFINITY)
  }

  #isOver(at: number, now: number): boolean {
    const { length } = this.#differences
    return length > keptAtMost || (length > keptAtLeast && at < now - keptMs)
  }

  /** What to add to a time of the first clock, milliseconds; null: nothing has been learnt. */
  get ms(): number | null {
    return Number.isFinite(this.#least) ? this.#least : null
  }
}
