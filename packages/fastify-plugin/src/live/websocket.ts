import type { Socket } from 'node:net'
import type { Batch } from './frames.ts'
import type { Sink } from './hub.ts'

/** What is used of a WebSocket of @fastify/websocket. */
export interface WebSocketLike {
  readonly bufferedAmount: number
  readonly readyState: number
  send(data: Uint8Array, options: { readonly binary: boolean }, sent?: (error?: Error) => void): void
  close(code: number, reason: string): void
  terminate(): void
  ping(): void
  on(event: 'close' | 'message' | 'pong' | 'error', listener: () => void): unknown
}

const open = 1
const roomBytes = 256 * 1024
/** What a client may send in one beat's time: answers to pings, and nothing else. */
const mostReceived = 16 * 1024

/** RFC 6455: going away, policy violation, try again later. */
const codes: Readonly<Record<string, number>> = {
  shutting_down: 1001,
  too_slow: 1013,
  unavailable: 1013,
  cursor_too_old: 1013,
  expired: 1001,
}

/** One message an event. A client has nothing to say: who talks is cut off, so that no flood is ever read. */
export class WebSocketSink implements Sink {
  readonly masked: boolean
  readonly #socket: WebSocketLike
  readonly #raw: Socket
  #answered = true
  #receivedBefore: number
  #grace: NodeJS.Timeout | null = null

  constructor(socket: WebSocketLike, raw: Socket, masked: boolean, gone: () => void) {
    this.#socket = socket
    this.#raw = raw
    this.masked = masked
    this.#receivedBefore = raw.bytesRead ?? 0
    socket.on('pong', () => {
      this.#answered = true
    })
    socket.on('message', () => socket.close(1008, 'this stream takes no messages'))
    socket.on('error', () => socket.terminate())
    socket.on('close', () => {
      if (this.#grace) clearTimeout(this.#grace)
      gone()
    })
    // Before a message is whole its pieces are in memory: a long one is not waited for.
    raw.on('data', () => {
      if ((raw.bytesRead ?? 0) - this.#receivedBefore > mostReceived) socket.terminate()
    })
  }

  get buffered(): number {
    return this.#socket.bufferedAmount
  }

  send({ frames }: Batch): void {
    if (this.#socket.readyState !== open) return
    this.#raw.cork?.()
    for (const frame of frames) this.#socket.send(frame.json(this.masked), { binary: false })
    this.#raw.uncork?.()
  }

  close(batch: Batch, reason: string, graceMs: number): void {
    this.send(batch)
    this.#socket.close(codes[reason] ?? 1011, reason)
    this.#grace = setTimeout(() => this.#socket.terminate(), graceMs)
  }

  beat(): boolean {
    if (this.#socket.readyState !== open) return false
    // Who has much to take may answer late; its buffer is looked at.
    if (!this.#answered && this.#socket.bufferedAmount === 0) {
      this.#socket.terminate()
      return false
    }
    this.#answered = false
    this.#receivedBefore = this.#raw.bytesRead ?? 0
    this.#socket.ping()
    return true
  }

  drained(): Promise<void> {
    if (this.#socket.readyState !== open || this.#socket.bufferedAmount < roomBytes) return Promise.resolve()
    return new Promise((resolve) => {
      this.#socket.on('close', resolve)
      const look = (): void => {
        if (this.#socket.readyState !== open || this.#socket.bufferedAmount < roomBytes) resolve()
        else setTimeout(look, 10).unref()
      }
      look()
    })
  }
}
