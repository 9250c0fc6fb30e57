import type { PintailEvent } from '@pintail/core'
import { toWire, type WireMessage } from '@pintail/core/wire'
import type { Mask } from '../privacy.ts'

/** One message, written once for all who may see users and once for all others, and only if somebody is there. */
export class Frame {
  /** Its place in the journal; 0: it is never replayed. */
  readonly seq: number
  readonly #make: () => WireMessage
  readonly #mask: Mask
  #message: WireMessage | null = null
  #plain: Buffer | null = null
  #masked: Buffer | null = null

  constructor(seq: number, make: () => WireMessage, mask: Mask) {
    this.seq = seq
    this.#make = make
    this.#mask = mask
  }

  static of(event: PintailEvent, mask: Mask): Frame {
    return new Frame(event.seq, () => toWire(event), mask)
  }

  /** As JSON. */
  json(masked: boolean): Buffer {
    this.#message ??= this.#make()
    if (masked) {
      this.#masked ??= Buffer.from(JSON.stringify({ ...this.#message, data: this.#mask(this.#message.data) }))
      return this.#masked
    }
    this.#plain ??= Buffer.from(JSON.stringify(this.#message))
    return this.#plain
  }
}

const data = Buffer.from('data: ')
const end = Buffer.from('\n\n')

/** Frames that go out together. */
export class Batch {
  readonly frames: readonly Frame[]
  /** The place of the last of them that has one; 0: none has. */
  readonly lastSeq: number
  #plain: Buffer | null = null
  #masked: Buffer | null = null

  constructor(frames: readonly Frame[]) {
    this.frames = frames
    this.lastSeq = frames.findLast(({ seq }) => seq > 0)?.seq ?? 0
  }

  /** What comes after this place, and what has none. */
  after(seq: number): Batch {
    const isNew = (frame: Frame) => frame.seq === 0 || frame.seq > seq
    return this.frames.every(isNew) ? this : new Batch(this.frames.filter(isNew))
  }

  /** As one piece of a text/event-stream. JSON has no line breaks, so that one `data:` holds it. */
  sse(masked: boolean): Buffer {
    if (masked) {
      this.#masked ??= this.#write(true)
      return this.#masked
    }
    this.#plain ??= this.#write(false)
    return this.#plain
  }

  #write(masked: boolean): Buffer {
    const pieces = this.frames.flatMap((frame) => [
      // Without an id the client's cursor stays where it is.
      ...(frame.seq > 0 ? [Buffer.from(`id: ${frame.seq}\n`)] : []),
      data,
      frame.json(masked),
      end,
    ])
    return Buffer.concat(pieces)
  }
}
