import type { WireEvent, WireStreamWord } from '@pintail/core/wire'
import { ApiError, clientError, errorOf } from './error.ts'
import { aborted, bounded, type Http, parse } from './http.ts'
import { SseParser } from './sse.ts'

/**
 * An event; or the whole picture, from which one goes on; or the word that the cursor could not be followed, so that whatever
 * was built from it is out of date: a picture comes next.
 */
export type ClientMessage = WireEvent | Exclude<WireStreamWord, { readonly type: 'stream.closed' }>

/** Where the stream is: a place to show people that what they see is old. */
export type ConnectionState =
  | { readonly state: 'connecting' }
  | { readonly state: 'open' }
  /** It comes again after this pause, milliseconds. */
  | { readonly state: 'waiting'; readonly delayMs: number; readonly tries: number; readonly why: ApiError }

export interface EventsOptions {
  /** The cursor to go on from: `last_seq` of a snapshot, or the `seq` of the last event. Default: a snapshot comes first. */
  readonly after?: number
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal
  /** Told when the connection opens and breaks. Must not throw. */
  readonly onConnection?: (connection: ConnectionState) => void
  /** A line that is silent for so long is dead, milliseconds, 1 000–600 000. Default 40 000: the server shows itself every 15 s. Its first word has 10 s at most. */
  readonly idleMs?: number
  /** Longest pause between tries, milliseconds, 1–3 600 000. Default 30 000. */
  readonly longestPauseMs?: number
}

const firstPauseMs = 1000
/** The server shows itself as soon as it is asked: who hears nothing for so long has something between that holds it back. */
const firstWordMs = 10_000
/** The same message broken, or the same gap, so often in a row is no accident of the network. */
const mostBroken = 3
/** Not ours, or gone for a moment: whoever asks again gets another answer. */
const passing: readonly number[] = [0, 408, 425, 429]

interface Place {
  /** Null: nothing is known yet, or any more. */
  cursor: number | null
  retryMs: number
  broken: number
}

/**
 * What happens, in the journal's order: nothing is missed and nothing comes twice, whatever breaks between. Ends with the
 * signal, or with `break`; comes again by itself after anything that may pass.
 * @throws ApiError what does not pass by itself: not allowed, not there, not understood
 */
export async function* events(http: Http, options: EventsOptions = {}): AsyncGenerator<ClientMessage, void, undefined> {
  const { after, signal, onConnection: tell = () => {}, idleMs = 40_000, longestPauseMs = 30_000 } = options
  if (after !== undefined) bounded('after', after, 0, Number.MAX_SAFE_INTEGER)
  bounded('idleMs', idleMs, 1000, 600_000)
  bounded('longestPauseMs', longestPauseMs, 1, 3_600_000)
  const place: Place = { cursor: after ?? null, retryMs: firstPauseMs, broken: 0 }
  for (let tries = 0; !signal?.aborted; ) {
    let why: ApiError
    try {
      tell({ state: 'connecting' })
      for await (const message of once(http, place, idleMs, signal, () => tell({ state: 'open' }))) {
        tries = 0
        yield message
      }
      why = clientError('network', 'The stream has ended.')
    } catch (error) {
      if (signal?.aborted) return
      if (!(error instanceof ApiError) || !isPassing(error) || place.broken >= mostBroken) throw error
      why = error
    }
    // The first pause is spread too: a thousand clients of a server that restarts must not come in one moment.
    const delayMs = Math.min(
      Math.max(why.retryAfterMs ?? 0, place.retryMs * 2 ** Math.min(tries, 20) * (0.5 + http.random())),
      longestPauseMs,
    )
    tries++
    tell({ state: 'waiting', delayMs, tries, why })
    await http.sleep(delayMs, signal).catch(() => {})
  }
}

const isPassing = ({ status, code }: ApiError): boolean =>
  (status >= 500 && status !== 501) || (passing.includes(status) && code !== 'invalid_argument' && code !== 'answer_too_large')

/** One connection, to its end. */
async function* once(
  http: Http,
  place: Place,
  idleMs: number,
  signal: AbortSignal | undefined,
  opened: () => void,
): AsyncGenerator<ClientMessage, void, undefined> {
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(signal && aborted(signal))
  signal?.addEventListener('abort', onAbort, { once: true })
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null
  try {
    const soon = Math.min(idleMs, firstWordMs)
    reader = (await http.within(soon, controller.signal, () => connect(http, place.cursor, controller.signal))).getReader()
    const parser = new SseParser(http.mostChars)
    const decoder = new TextDecoder()
    for (let isOpen = false; ; isOpen = true) {
      const { done, value } = await http.within(isOpen ? idleMs : soon, controller.signal, () =>
        (reader as NonNullable<typeof reader>).read().catch(broke),
      )
      if (done) return
      if (!isOpen) opened()
      for (const { data } of parser.feed(decoder.decode(value, { stream: true }))) {
        const message = understood(data, place)
        if (parser.retryMs !== null) place.retryMs = Math.max(1, parser.retryMs)
        if (message?.type === 'stream.closed') return
        if (message && follows(message, place)) yield message
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    reader?.cancel().catch(() => {})
    controller.abort()
  }
}

function broke(error: unknown): never {
  throw clientError('network', 'The connection broke.', error)
}

async function connect(http: Http, cursor: number | null, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const place = cursor === null ? {} : { 'last-event-id': String(cursor) }
  const response = await http.send({ path: 'events', headers: { accept: 'text/event-stream', ...place } }, signal)
  if (!response.ok) throw errorOf(response, await response.text().catch(() => ''))
  const type = response.headers.get('content-type') ?? ''
  if (response.body && /^text\/event-stream\b/i.test(type)) return response.body
  response.body?.cancel().catch(() => {})
  throw clientError('invalid_answer', `Not text/event-stream but ${type || 'nothing'}.`)
}

/** @throws ApiError `invalid_answer` */
function understood(data: string, place: Place): ClientMessage | Extract<WireStreamWord, { readonly type: 'stream.closed' }> | null {
  try {
    const message = parse(data) as ClientMessage
    if (typeof message?.type === 'string' && Number.isSafeInteger(message.seq)) return message
    throw clientError('invalid_answer', 'A message has no type, or no place.')
  } catch (error) {
    place.broken++
    throw error
  }
}

/** Whether the message is news; notes how far one has come. @throws ApiError if something lies between */
function follows(message: ClientMessage, place: Place): boolean {
  if (message.type === 'snapshot') place.cursor = message.seq
  else if (message.type === 'stream.reset') place.cursor = null
  // Told as it happens, without a place.
  else if (message.seq === 0) return true
  else if (place.cursor !== null && message.seq <= place.cursor) return false
  else if (place.cursor !== null && message.seq > place.cursor + 1) {
    place.broken++
    throw clientError('invalid_answer', `Event ${message.seq} came after ${place.cursor}.`)
  } else place.cursor = message.seq
  place.broken = 0
  return true
}
