import { errorText, type Pintail, type PintailEvent } from '@pintail/core'
import type { Mask } from '../privacy.ts'
import { Frame } from './frames.ts'

/** Events kept in memory for who comes back. */
const ringSize = 1000
/** What one reading of the journal brings. */
const pageSize = 1000
/** Pause between looks into the journal while another engine leads, or after one that failed, milliseconds. */
const pollMs = 1000

export interface FeedHooks {
  /** In the journal's order, each once; those without a place as they are told. */
  readonly told: (frames: readonly Frame[]) => void
  /** The journal does not reach back to where this feed was: everybody begins anew. */
  readonly torn: () => void
  readonly failed: (text: string) => void
}

/**
 * One follower of the journal for all clients. What the engine tells is passed on at once where it is the next entry;
 * wherever there is a gap (another engine led, a listener was late) the journal itself is read until there is none.
 */
export class Feed {
  readonly #engine: Pintail
  readonly #mask: Mask
  readonly #hooks: FeedHooks
  readonly #closed = new AbortController()
  #listening: Disposable | null = null
  #poll: NodeJS.Timeout | null = null
  #ring: Frame[] = []
  #isLeading = false
  #reading: Promise<void> | null = null
  /** The newest entry that the engine has told of. */
  #newest = 0
  /** The last entry that was passed on. */
  cursor = 0

  constructor(engine: Pintail, mask: Mask, hooks: FeedHooks) {
    this.#engine = engine
    this.#mask = mask
    this.#hooks = hooks
  }

  /** @throws whatever the store throws */
  async open(): Promise<void> {
    this.#isLeading = this.#engine.health().state === 'leading'
    const { signal } = this.#closed
    // From here on nothing is missed: what is told meanwhile is in the journal, and `newest` says how far.
    let isOpen = false
    this.#listening = this.#engine.on('*', (event) => {
      if (isOpen) this.#hear(event)
      else this.#newest = Math.max(this.#newest, event.seq)
    })
    const { lastSeq, oldestSeq } = await this.#engine.replay({ signal })
    // So that those who were cut off by our own restart find what they missed here, and not each for himself in the store.
    this.cursor = Math.max(oldestSeq - 1, lastSeq - ringSize, 0)
    const before = await this.#engine.replay({ after: this.cursor, limit: pageSize, signal })
    for (const event of before.events) this.#keep(Frame.of(event, this.#mask))
    isOpen = true
    if (this.#newest > this.cursor) await this.catchUp()
    if (signal.aborted) return
    this.#poll = setInterval(() => {
      if (!this.#isLeading || this.#newest > this.cursor) void this.catchUp()
    }, pollMs).unref()
  }

  close(): void {
    this.#closed.abort()
    this.#listening?.[Symbol.dispose]()
    if (this.#poll) clearInterval(this.#poll)
    this.#ring = []
  }

  /** What came after this place, up to the cursor; null: it is not all here. */
  since(seq: number): readonly Frame[] | null {
    const first = this.#ring[0]?.seq ?? this.cursor + 1
    return seq >= first - 1 ? this.#ring.filter((frame) => frame.seq > seq) : null
  }

  #keep(frame: Frame): void {
    this.#ring.push(frame)
    this.cursor = frame.seq
    // In large steps, because shifting one by one would copy the list each time.
    if (this.#ring.length > ringSize * 1.25) this.#ring = this.#ring.slice(-ringSize)
  }

  #hear(event: PintailEvent): void {
    if (event.type === 'leader.acquired') this.#isLeading = true
    if (event.type === 'leader.lost') this.#isLeading = false
    const frame = Frame.of(event, this.#mask)
    if (event.seq === 0) {
      this.#hooks.told([frame])
      return
    }
    this.#newest = Math.max(this.#newest, event.seq)
    if (event.seq !== this.cursor + 1 || this.#reading) {
      void this.catchUp()
      return
    }
    this.#keep(frame)
    this.#hooks.told([frame])
  }

  /** Reads the journal until there is nothing behind. Never rejects: what fails is tried again. */
  catchUp(): Promise<void> {
    this.#reading ??= this.#read()
      .catch((error) => {
        if (!this.#closed.signal.aborted) this.#hooks.failed(errorText(error))
      })
      .finally(() => {
        this.#reading = null
      })
    return this.#reading
  }

  async #read(): Promise<void> {
    const { signal } = this.#closed
    // A store may hold an entry back for a moment that was told already; the poll looks again.
    for (let empty = 0; empty < 3; ) {
      const { events, oldestSeq, lastSeq } = await this.#engine.replay({ after: this.cursor, limit: pageSize, signal })
      if (signal.aborted) return
      if (this.cursor + 1 < oldestSeq || this.cursor > lastSeq) {
        this.#ring = []
        this.cursor = lastSeq
        this.#newest = lastSeq
        this.#hooks.torn()
        continue
      }
      const frames = events.map((event) => Frame.of(event, this.#mask))
      for (const frame of frames) this.#keep(frame)
      if (frames.length > 0) this.#hooks.told(frames)
      else if (this.#newest <= this.cursor) return
      else empty++
    }
  }
}
