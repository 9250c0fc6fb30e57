import type { Pintail } from '@pintail/core'
import { statusToWire, type WireStreamWord } from '@pintail/core/wire'
import type { Mask } from '../privacy.ts'
import { Feed } from './feed.ts'
import { Batch, Frame } from './frames.ts'

type Closing = Extract<WireStreamWord, { readonly type: 'stream.closed' }>['data']['reason']
type Resetting = Extract<WireStreamWord, { readonly type: 'stream.reset' }>['data']['reason']

/** The way to one client. Nothing here waits for it. */
export interface Sink {
  /** Whether users' references are masked for this client. */
  readonly masked: boolean
  /** Bytes that it has not taken yet. */
  readonly buffered: number
  send(batch: Batch): void
  /** The last words, and the end; what does not drain within `graceMs` is cut off. */
  close(batch: Batch, reason: Closing, graceMs: number): void
  /** Shows a silent line to be alive; false: the client is gone. */
  beat(): boolean
  /** Resolves when little is buffered, or the client is gone. */
  drained(): Promise<void>
}

export interface HubLimits {
  readonly streams: number
  /** Bytes that a client may lie behind, the snapshot or replay that it asked for apart. */
  readonly buffer: number
  readonly flushMs: number
  readonly beatMs: number
  /** So that `authorize` is asked again. */
  readonly maxAgeMs: number
  /** For what a client that is cut off has not taken yet. */
  readonly graceMs: number
}

export const hubLimits: HubLimits = {
  streams: 10_000,
  buffer: 1024 * 1024,
  flushMs: 20,
  beatMs: 15_000,
  maxAgeMs: 3_600_000,
  graceMs: 30_000,
}
/** How old a snapshot may be that one more client gets; the events since then come after it. */
const snapshotAgeMs = 1000
/** Readings of the journal at once, for clients that are further behind than what is in memory. */
const replaysAtOnce = 8
const replayPage = 500
/** Clients that get a batch in one turn of the event loop, so that the engine has its turns between them. */
const clientsPerTurn = 50
/** What is left at the close of the app for a last word. */
const closingGraceMs = 100
/** What a client whose right is over has not taken by then it does not get. */
const expiringGraceMs = 1000

class Client {
  readonly sink: Sink
  readonly since = performance.now()
  readonly gone = new AbortController()
  /** The last entry that was sent. */
  cursor = 0
  isLive = false
  /** Bytes of a snapshot or replay, which do not count as lying behind. */
  credit = 0

  constructor(sink: Sink) {
    this.sink = sink
  }
}

/**
 * All live streams of one plugin. The engine's listener only notes an event; a moment later each event is written once and
 * handed to everybody, so that a thousand clients cost the engine no more than one.
 */
export class Hub {
  readonly #engine: Pintail
  readonly #mask: Mask
  readonly #limits: HubLimits
  readonly #warn: (text: string) => void
  readonly #clients = new Map<Sink, Client>()
  #feed: Feed | null = null
  #opening: Promise<void> | null = null
  #pending: Frame[] = []
  #flush: NodeJS.Timeout | null = null
  /** The batch that is going out, and to whom it has still to go. */
  #going: { readonly batch: Batch; readonly clients: Client[] } | null = null
  #turn: NodeJS.Immediate | null = null
  #beat: NodeJS.Timeout | null = null
  #snapshot: { readonly at: number; readonly seq: number; readonly frame: Frame } | null = null
  #replays = 0
  readonly #waiting: (() => void)[] = []
  #isClosed = false

  constructor(engine: Pintail, mask: Mask, warn: (text: string) => void, limits: HubLimits = hubLimits) {
    this.#engine = engine
    this.#mask = mask
    this.#warn = warn
    this.#limits = limits
  }

  get size(): number {
    return this.#clients.size
  }

  get isFull(): boolean {
    return this.#isClosed || this.#clients.size >= this.#limits.streams
  }

  /** Follows the journal from now on; without a client it stops by itself. @throws whatever the store throws */
  async ready(): Promise<void> {
    const feed = this.#open()
    try {
      await this.#opening
    } catch (error) {
      // The last client has left meanwhile, and this one has come.
      if (this.#feed !== feed && !this.#isClosed) return this.ready()
      this.#rest()
      throw error
    }
  }

  /** Nothing is followed for nobody. */
  settle(): void {
    if (this.#clients.size === 0) this.#rest()
  }

  #open(): Feed {
    if (this.#feed) return this.#feed
    const feed = new Feed(this.#engine, this.#mask, {
      told: (frames) => this.#tell(frames),
      torn: () => this.#resetAll(),
      failed: (text) => this.#warn(`live events wait for the journal: ${text}`),
    })
    this.#feed = feed
    this.#opening = feed.open()
    this.#beat = setInterval(() => this.#beatAll(), this.#limits.beatMs).unref()
    return feed
  }

  /** @param after the cursor to go on from; null: begin with a snapshot; NaN: one that cannot be read */
  async add(sink: Sink, after: number | null): Promise<void> {
    const client = new Client(sink)
    this.#clients.set(sink, client)
    try {
      await this.ready()
      const feed = this.#feed
      if (client.gone.signal.aborted || !feed) return
      if (after === null) return this.#begin(client)
      if (after > feed.cursor) await feed.catchUp()
      if (!(after <= feed.cursor)) return this.#reset(client, 'cursor_unknown', after)
      client.cursor = after
      await this.#replay(client)
    } catch {
      // The store does not answer: the client comes again with the cursor that it has.
      if (!client.gone.signal.aborted) this.#cut(client, 'unavailable')
    }
  }

  /** The client has gone. */
  remove(sink: Sink): void {
    this.#clients.get(sink)?.gone.abort()
    if (this.#clients.delete(sink)) this.settle()
  }

  /** The right to this stream is over. */
  expire(sink: Sink): void {
    const client = this.#clients.get(sink)
    if (client) this.#cut(client, 'expired', expiringGraceMs)
  }

  /** Ends all streams, for good. */
  close(): void {
    this.#isClosed = true
    this.#flushNow()
    for (const client of [...this.#clients.values()]) this.#cut(client, 'shutting_down', closingGraceMs)
    this.#rest()
  }

  /** Nobody listens: nothing is followed, and no timer is left. */
  #rest(): void {
    this.#feed?.close()
    this.#feed = null
    this.#opening = null
    this.#pending = []
    this.#going = null
    this.#snapshot = null
    if (this.#flush) clearTimeout(this.#flush)
    if (this.#turn) clearImmediate(this.#turn)
    if (this.#beat) clearInterval(this.#beat)
    this.#flush = null
    this.#beat = null
  }

  // ------------------------------------------------------------------------------------------------------------- live

  #tell(frames: readonly Frame[]): void {
    for (const frame of frames) this.#pending.push(frame)
    // What comes while a batch goes out is the next one.
    if (!this.#going) this.#flush ??= setTimeout(() => this.#flushInTurns(), this.#limits.flushMs).unref()
  }

  #flushInTurns(): void {
    this.#flush = null
    if (!this.#take()) return
    const goOn = (): void => {
      this.#turn = null
      this.#sendSome(clientsPerTurn)
      if (this.#going) this.#turn = setImmediate(goOn)
      else if (this.#pending.length > 0) this.#tell([])
    }
    goOn()
  }

  /** Everything to everybody who is live, now: so that whoever becomes live next has nothing to get twice. */
  #flushNow(): void {
    if (this.#flush) clearTimeout(this.#flush)
    if (this.#turn) clearImmediate(this.#turn)
    this.#flush = null
    this.#turn = null
    this.#sendSome(Number.POSITIVE_INFINITY)
    if (this.#take()) this.#sendSome(Number.POSITIVE_INFINITY)
  }

  /** Makes a batch of what waits; false: nothing does. */
  #take(): boolean {
    if (this.#pending.length === 0) return false
    this.#going = { batch: new Batch(this.#pending), clients: [...this.#clients.values()].filter(({ isLive }) => isLive) }
    this.#pending = []
    return true
  }

  #sendSome(most: number): void {
    const going = this.#going
    if (!going) return
    const { batch, clients } = going
    for (const client of clients.splice(0, most)) if (!client.gone.signal.aborted) this.#send(client, batch)
    // Somebody who is cut off may have been the last one: then nothing is followed any more.
    if (clients.length === 0 && this.#going === going) this.#going = null
  }

  #send(client: Client, whole: Batch): void {
    const { buffered } = client.sink
    if (buffered <= this.#limits.buffer) client.credit = 0
    if (buffered > this.#limits.buffer + client.credit) {
      this.#cut(client, 'too_slow')
      return
    }
    const batch = whole.after(client.cursor)
    if (batch.frames.length === 0) return
    client.sink.send(batch)
    if (batch.lastSeq > 0) client.cursor = batch.lastSeq
  }

  #beatAll(): void {
    const now = performance.now()
    for (const client of [...this.#clients.values()]) {
      if (now - client.since > this.#limits.maxAgeMs) this.#cut(client, 'expired')
      else if (!client.sink.beat()) this.remove(client.sink)
      else if (client.sink.buffered > this.#limits.buffer + client.credit) this.#cut(client, 'too_slow')
    }
  }

  #cut(client: Client, reason: Closing, graceMs = this.#limits.graceMs): void {
    const word: WireStreamWord = {
      type: 'stream.closed',
      seq: 0,
      timestamp: new Date().toISOString(),
      data: { reason, after: client.cursor },
    }
    this.remove(client.sink)
    client.sink.close(new Batch([new Frame(0, () => word, this.#mask)]), reason, graceMs)
  }

  // ---------------------------------------------------------------------------------------------------- snapshot, replay

  /** The picture, what came after it, and from then on what comes: all in one turn, so that nothing can come between. */
  #begin(client: Client): void {
    const feed = this.#feed
    if (!feed) return
    // An empty picture would look like a fleet that is gone.
    const { seq, frame } = this.#takeSnapshot(feed)
    if (!frame) {
      this.#cut(client, 'unavailable')
      return
    }
    this.#flushNow()
    const batch = new Batch([frame, ...(feed.since(seq) ?? [])])
    client.sink.send(batch)
    client.cursor = Math.max(seq, batch.lastSeq)
    client.credit = client.sink.buffered
    client.isLive = true
  }

  #takeSnapshot(feed: Feed): { readonly seq: number; readonly frame: Frame | null } {
    const at = performance.now()
    const old = this.#snapshot
    if (old && at - old.at < snapshotAgeMs && feed.since(old.seq) !== null) return old
    const status = this.#engine.status()
    if (status.state === 'standby') return { seq: 0, frame: null }
    const seq = status.lastSeq || feed.cursor
    const timestamp = new Date(status.at).toISOString()
    const data = { ...statusToWire(status), last_seq: seq }
    const frame = new Frame(seq, () => ({ type: 'snapshot', seq, timestamp, data }), this.#mask)
    this.#snapshot = { at, seq, frame }
    return this.#snapshot
  }

  #reset(client: Client, reason: Resetting, after: number): void {
    const word: WireStreamWord = {
      type: 'stream.reset',
      seq: 0,
      timestamp: new Date().toISOString(),
      data: { reason, after: Number.isSafeInteger(after) ? after : null },
    }
    client.sink.send(new Batch([new Frame(0, () => word, this.#mask)]))
    this.#begin(client)
  }

  /** The journal does not reach back to where we were. */
  #resetAll(): void {
    this.#pending = []
    this.#going = null
    this.#snapshot = null
    for (const client of [...this.#clients.values()]) if (client.isLive) this.#reset(client, 'cursor_too_old', client.cursor)
  }

  async #replay(client: Client): Promise<void> {
    const { signal } = client.gone
    while (!signal.aborted && this.#feed) {
      const missed = this.#feed.since(client.cursor)
      if (missed) {
        this.#flushNow()
        if (missed.length > 0) client.sink.send(new Batch(missed))
        client.cursor = Math.max(client.cursor, missed.at(-1)?.seq ?? 0)
        client.credit = client.sink.buffered
        client.isLive = true
        return
      }
      await client.sink.drained()
      const { events, oldestSeq, lastSeq } = await this.#inTurn(() =>
        this.#engine.replay({ after: client.cursor, limit: replayPage, signal }),
      )
      if (signal.aborted) return
      if (client.cursor + 1 < oldestSeq) return this.#reset(client, 'cursor_too_old', client.cursor)
      if (client.cursor > lastSeq) return this.#reset(client, 'cursor_unknown', client.cursor)
      if (events.length === 0) continue
      const batch = new Batch(events.map((event) => Frame.of(event, this.#mask)))
      client.sink.send(batch)
      client.cursor = batch.lastSeq
    }
  }

  async #inTurn<T>(read: () => Promise<T>): Promise<T> {
    while (this.#replays >= replaysAtOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#replays++
    try {
      return await read()
    } finally {
      this.#replays--
      this.#waiting.shift()?.()
    }
  }
}
