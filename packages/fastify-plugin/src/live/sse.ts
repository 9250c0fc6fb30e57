import { Readable } from 'node:stream'
import type { Batch } from './frames.ts'
import type { Sink } from './hub.ts'

/** Below this a client that catches up gets more. */
const roomBytes = 256 * 1024
const beat = Buffer.from(': beat\n\n')

/** A stream that Fastify sends as any other: hooks, headers of the host and the end of the connection work as always. */
export class SseSink implements Sink {
  readonly masked: boolean
  readonly stream: Readable
  readonly #wakers: (() => void)[] = []
  #grace: NodeJS.Timeout | null = null

  /** @param gone called once, when the client has gone or the stream has ended */
  constructor(masked: boolean, retryMs: number, gone: () => void) {
    this.masked = masked
    const wake = () => {
      if (this.stream.readableLength < roomBytes || this.stream.destroyed) for (const waker of this.#wakers.splice(0)) waker()
    }
    this.stream = new Readable({
      read: wake,
      destroy: (error, done) => {
        if (this.#grace) clearTimeout(this.#grace)
        for (const waker of this.#wakers.splice(0)) waker()
        gone()
        done(error)
      },
    })
    // How long a browser waits before it comes back; at once, so that the headers go out.
    this.stream.push(`retry: ${retryMs}\n\n`)
  }

  get buffered(): number {
    return this.stream.readableLength
  }

  send(batch: Batch): void {
    if (!this.stream.destroyed && !this.stream.readableEnded) this.stream.push(batch.sse(this.masked))
  }

  close(batch: Batch, _reason: string, graceMs: number): void {
    if (this.stream.destroyed) return
    this.stream.push(batch.sse(this.masked))
    this.stream.push(null)
    this.#grace = setTimeout(() => this.stream.destroy(new Error('cut off')), graceMs)
  }

  beat(): boolean {
    if (this.stream.destroyed) return false
    // A line that is full is busy, not silent.
    if (this.stream.readableLength === 0) this.stream.push(beat)
    return true
  }

  drained(): Promise<void> {
    if (this.stream.destroyed || this.stream.readableLength < roomBytes) return Promise.resolve()
    return new Promise((resolve) => this.#wakers.push(resolve))
  }
}
