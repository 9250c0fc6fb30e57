/** Seconds in front of the Unix epoch in TAI64 labels, with the ten leap seconds that WireGuard counts. */
const epoch = 0x400000000000000an

/**
 * TAI64N labels that never repeat and never run back: a server drops an initiation whose time is not later than the
 * last one of the same key. The time of day, so that they also rise across restarts; a nanosecond later than the one
 * before where the clock has not moved or was set back.
 */
export class Timestamps {
  #last = 0n

  next(nowMs: number): Buffer {
    const now = BigInt(Math.floor(nowMs)) * 1_000_000n
    this.#last = now > this.#last ? now : this.#last + 1n
    const label = Buffer.alloc(12)
    label.writeBigUInt64BE(epoch + this.#last / 1_000_000_000n, 0)
    label.writeUInt32BE(Number(this.#last % 1_000_000_000n), 8)
    return label
  }
}
