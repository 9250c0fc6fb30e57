import { clientError } from './error.ts'

export interface Frame {
  readonly id: string | null
  readonly data: string
}

/** Reads text/event-stream (WHATWG HTML, 9.2.6) piece by piece, however it was cut. Event names are not used here. */
export class SseParser {
  readonly #mostChars: number
  /** Pieces of a line whose end has not come: joined once, because a snapshot comes in hundreds of them. */
  #pieces: string[] = []
  #data: string[] = []
  #size = 0
  #id: string | null = null
  #endedInCr = false
  /** How long the server would have us wait before we come again, milliseconds. */
  retryMs: number | null = null

  constructor(mostChars: number) {
    this.#mostChars = mostChars
  }

  /** @throws ApiError `answer_too_large` */
  *feed(text: string): Generator<Frame, void, undefined> {
    if (text === '') return
    const ends = /\r\n?|\n/g
    // The line feed of a line whose carriage return came in the piece before.
    let from = this.#endedInCr && text.startsWith('\n') ? 1 : 0
    this.#endedInCr = text.endsWith('\r')
    ends.lastIndex = from
    for (let end = ends.exec(text); end; end = ends.exec(text)) {
      this.#take(text.slice(from, end.index))
      const line = this.#pieces.join('')
      this.#pieces = []
      const frame = this.#line(line)
      if (frame) yield frame
      from = ends.lastIndex
    }
    this.#take(text.slice(from))
  }

  #take(piece: string): void {
    this.#pieces.push(piece)
    this.#size += piece.length
    if (this.#size > this.#mostChars) throw clientError('answer_too_large', `One message has more than ${this.#mostChars} characters.`)
  }

  #line(line: string): Frame | null {
    if (line === '') return this.#end()
    const colon = line.indexOf(':')
    if (colon === 0) this.#size -= line.length
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') this.#data.push(value)
    else if (field === 'id' && !value.includes('\0')) this.#id = value
    else if (field === 'retry' && /^\d{1,7}$/.test(value)) this.retryMs = Number(value)
    return null
  }

  #end(): Frame | null {
    const frame = this.#data.length > 0 ? { id: this.#id, data: this.#data.join('\n') } : null
    this.#data = []
    this.#id = null
    this.#size = 0
    return frame
  }
}
