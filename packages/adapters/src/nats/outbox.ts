import type { Clock, SampleInput } from '@pintail/core'
import { batchLimits, headBytes, lineOf, type Packed } from './batch.ts'

/** Good news wait so long for company, failing checks so long, milliseconds. */
const lingerMs = { good: 250, failing: 20 } as const
/** Packed messages that wait, or are under way, for each sample that may wait: many small ones are bounded too. */
const samplesAMessage = 16

export interface OutboxOptions {
  /** Samples that are kept while the broker is away. */
  readonly maxWaiting: number
  /** Messages under way at once. */
  readonly inFlight: number
  readonly clock: Clock
  /** Sends one message; resolves when the broker has stored it. A throw: it is sent again, with what came meanwhile. */
  readonly send: (packed: Packed) => Promise<void>
  /** Whether there is any sense in sending now; `wake()` when that changes. */
  readonly isOpen: () => boolean
}

/**
 * What has been seen and not been delivered. The newest are kept: old samples go first when there is no room, and when they
 * have become too old to be believed. Each message is sent until it is stored, under one number.
 */
export class Outbox {
  readonly #options: OutboxOptions
  #lines: string[] = []
  #bytes = 0
  #base = 0
  readonly #probers: string[] = []
  #queue: Packed[] = []
  #waiting = 0
  #flying = 0
  #seq = 0
  #dueAt = Number.POSITIVE_INFINITY
  #timer: { cancel(): void } | null = null
  #wakesAt = Number.POSITIVE_INFINITY
  #pauseUntil = 0
  #isClosed = false
  #idle: (() => void)[] = []
  lost = 0
  sent = 0

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** Samples that are not delivered yet. */
  get waiting(): number {
    return this.#waiting
  }

  add(sample: SampleInput): void {
    if (this.#isClosed) return
    const now = this.#options.clock.now()
    const prober = this.#prober(sample.prober)
    if (this.#lines.length === 0) this.#base = now
    let line = lineOf(sample, prober, this.#base)
    if (this.#lines.length > 0 && this.#bytes + line.length + 3 > batchLimits.bytes - headBytes) {
      this.#pack()
      this.#base = now
      line = lineOf(sample, prober, now)
    }
    this.#lines.push(line)
    // A line is ASCII without anything that JSON escapes.
    this.#bytes += line.length + 3
    this.#waiting++
    this.#dueAt = Math.min(this.#dueAt, now + (sample.received < sample.sent ? lingerMs.failing : lingerMs.good))
    if (this.#lines.length < batchLimits.samples) {
      this.#later(now)
      return
    }
    this.#pack()
    const { maxWaiting } = this.#options
    while (this.#waiting > maxWaiting || this.#queue.length > Math.max(64, maxWaiting / samplesAMessage)) if (!this.#drop()) break
    this.wake()
  }

  #prober(name: string): number {
    const known = this.#probers.indexOf(name)
    if (known >= 0) return known
    // More than a message can name: those before them are sent first.
    if (this.#probers.length >= batchLimits.probers) {
      this.#pack()
      this.#probers.length = 0
    }
    return this.#probers.push(name) - 1
  }

  #pack(): void {
    if (this.#lines.length === 0) return
    this.#queue.push({ seq: ++this.#seq, base: this.#base, probers: [...this.#probers], lines: this.#lines })
    this.#lines = []
    this.#bytes = 0
    this.#dueAt = Number.POSITIVE_INFINITY
  }

  /** The oldest message that is not under way. */
  #drop(): boolean {
    const oldest = this.#queue.shift()
    if (!oldest) return false
    this.#gone(oldest, 'lost')
    return true
  }

  #gone({ lines }: Packed, how: 'lost' | 'sent'): void {
    if (this.#isClosed) return
    this.#waiting -= lines.length
    this[how] += lines.length
  }

  /** Sends what is due. To be called when the way has opened too. */
  wake(): void {
    this.#timer?.cancel()
    this.#wakesAt = Number.POSITIVE_INFINITY
    if (this.#isClosed) return
    const { clock, inFlight, isOpen } = this.#options
    const now = clock.now()
    // Too old to be believed: core takes nothing that is older.
    while ((this.#queue[0]?.base ?? now) < now - batchLimits.agoMs / 2) this.#drop()
    if (now >= this.#dueAt) this.#pack()
    const mayGo = isOpen() && now >= this.#pauseUntil
    while (mayGo && this.#flying < inFlight && this.#queue.length > 0) this.#fly(this.#queue.shift() as Packed)
    this.#later(now)
  }

  #later(now: number): void {
    const retryAt = this.#queue.length === 0 ? Number.POSITIVE_INFINITY : this.#options.isOpen() ? this.#pauseUntil : now + 1000
    const at = Math.min(this.#dueAt, this.#flying < this.#options.inFlight ? Math.max(now, retryAt) : Number.POSITIVE_INFINITY)
    if (at >= this.#wakesAt) return
    this.#timer?.cancel()
    this.#wakesAt = at
    this.#timer = this.#options.clock.setTimeout(() => this.wake(), at - now)
  }

  #fly(packed: Packed): void {
    this.#flying++
    this.#options.send(packed).then(
      () => {
        this.#gone(packed, 'sent')
        this.#landed()
      },
      () => {
        // Back to where it was, so that the oldest goes first when there is no room.
        const index = this.#queue.findIndex(({ seq }) => seq > packed.seq)
        this.#queue.splice(index < 0 ? this.#queue.length : index, 0, packed)
        this.#pauseUntil = this.#options.clock.now() + 250
        this.#landed()
      },
    )
  }

  #landed(): void {
    this.#flying--
    if (this.#waiting === 0 || this.#isClosed) for (const wake of this.#idle.splice(0)) wake()
    this.wake()
  }

  /** Sends what is there; resolves when all of it is delivered, or after `timeoutMs`. Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    this.#pack()
    this.#pauseUntil = 0
    this.wake()
    if (this.#waiting > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#options.clock.setTimeout(resolve, timeoutMs)
        this.#idle.push(() => {
          timer.cancel()
          resolve()
        })
      })
    }
    this.#isClosed = true
    this.#timer?.cancel()
    this.#queue = []
    this.lost += this.#waiting
    this.#waiting = 0
  }
}
