import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { errorText, PintailError, type ProbeFailureKind } from '@pintail/core'
import type { Address } from './address.ts'
import { Handshake, type Identity, isWireguard, type Peer, replyIndex } from './handshake.ts'
import type { Workbench } from './workbench.ts'

/** What became of one packet. Values, not rejections: others are still on their way. */
export type Answer =
  | { readonly rttMs: number }
  | { readonly kind: ProbeFailureKind; readonly why: string }
  | { readonly fault: PintailError }

export interface Question {
  readonly identity: Identity
  readonly peer: Peer
  readonly timestamp: () => Uint8Array
  readonly timeoutMs: number
  readonly left: () => void
}

interface Waiting {
  readonly handshake: Handshake
  readonly timeoutMs: number
  readonly startedAt: number
  /** When the newest message left: the first one, or the one with the cookie. */
  sentAt: number
  /** Round trip of a cookie, where one has come. */
  cookieMs: number | null
  /** Answers that have come and are not read yet, and all that have come: more than a few are somebody's attack. */
  unread: number
  seen: number
  /** How late its time-out was noticed, milliseconds; null: it has time left. */
  lateMs: number | null
  otherPresharedKey: boolean
  readonly settle: (answer: Answer) => void
}

const mostAnswers = 8

/**
 * The way to one server during one check: a connected socket, because only to such a one the kernel tells that the port
 * is closed, and because answers of many servers in one receive buffer would be lost while the event loop is busy.
 */
export class Line {
  readonly #socket: Socket
  readonly #workbench: Workbench
  readonly #waiting = new Map<number, Waiting>()
  /** Datagrams from the server that are no answer to anything. */
  #foreign = 0
  #cookie: Uint8Array | null = null

  private constructor(socket: Socket, workbench: Workbench) {
    this.#socket = socket
    this.#workbench = workbench
    socket.on('message', (datagram) => this.#receive(datagram, performance.now()))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#told(error))
  }

  /** @throws PintailError `prober_unavailable` when this machine has no route, or no socket to spare */
  static async open({ host, port }: Address, workbench: Workbench): Promise<Line> {
    const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' })
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.once('connect', () => {
          socket.off('error', reject)
          resolve()
        })
        socket.connect(port, host)
      })
    } catch (error) {
      socket.close()
      throw couldNotTry(error as NodeJS.ErrnoException)
    }
    return new Line(socket, workbench)
  }

  /**
   * Sends one initiation. Resolves at the latest some moments after `timeoutMs`, or when the line is closed.
   * `left` is called when it has been sent or cannot be.
   */
  ask({ identity, peer, timestamp, timeoutMs, left }: Question): Promise<Answer> {
    return new Promise((resolve) => {
      this.#workbench.do(() => {
        try {
          const handshake = new Handshake(identity, peer, this.#freeIndex(), timestamp())
          this.#start(handshake, timeoutMs, resolve)
        } catch (cause) {
          // The host's clock.
          resolve({ fault: new PintailError('prober_unavailable', `wireguard could not try: ${errorText(cause)}`, { cause }) })
        } finally {
          left()
        }
      })
    })
  }

  #start(handshake: Handshake, timeoutMs: number, resolve: (answer: Answer) => void): void {
    const now = performance.now()
    const waiting: Waiting = {
      ...{ handshake, timeoutMs, startedAt: now, sentAt: now, cookieMs: null, unread: 0, seen: 0 },
      ...{ lateMs: null, otherPresharedKey: false },
      settle: (answer) => {
        clearTimeout(timer)
        this.#waiting.delete(handshake.index)
        resolve(answer)
      },
    }
    // What is in the receive buffer already is read before anything is called late.
    const timer = setTimeout(() => setImmediate(() => this.#expire(waiting)), timeoutMs)
    this.#waiting.set(handshake.index, waiting)
    this.#send(waiting, this.#cookie ? handshake.withCookie(this.#cookie) : handshake.message)
  }

  close(): void {
    this.#isClosed = true
    for (const { settle } of [...this.#waiting.values()]) settle({ fault: new PintailError('aborted', 'the probe was aborted') })
    this.#socket.close()
  }
  #isClosed = false

  #freeIndex(): number {
    for (;;) {
      const index = randomInt(2 ** 32)
      if (!this.#waiting.has(index)) return index
    }
  }

  #send(waiting: Waiting, message: Buffer, again = true): void {
    if (this.#isClosed) {
      waiting.settle({ fault: new PintailError('aborted', 'the probe was aborted') })
      return
    }
    waiting.sentAt = performance.now()
    this.#socket.send(message, (error) => {
      if (!error) return
      // The kernel tells of an older packet's fate with the next call, and that call does nothing else.
      if (again && (error as NodeJS.ErrnoException).code === 'ECONNREFUSED') {
        this.#told(error, waiting)
        this.#send(waiting, message, false)
      } else waiting.settle({ fault: couldNotTry(error) })
    })
  }

  /** ICMP has said something about what was sent before: about which packet the kernel does not say. */
  #told(error: NodeJS.ErrnoException, except?: Waiting): void {
    const code = error.code ?? error.message
    const kind = code === 'ECONNREFUSED' ? 'refused' : /^(EHOSTUNREACH|ENETUNREACH|EACCES|EPROTO)$/.test(code) ? 'unreachable' : null
    for (const waiting of [...this.#waiting.values()]) {
      if (waiting === except) continue
      waiting.settle(kind ? { kind, why: code } : { fault: couldNotTry(error) })
    }
  }

  #receive(datagram: Buffer, at: number): void {
    const index = replyIndex(datagram)
    const waiting = index === null ? undefined : this.#waiting.get(index)
    // Late and doubled answers, and what else WireGuard sends, are no sign of anybody else.
    if (!isWireguard(datagram)) this.#foreign += 1
    if (!waiting || waiting.seen >= mostAnswers) return
    waiting.seen += 1
    waiting.unread += 1
    this.#workbench.do(() => {
      waiting.unread -= 1
      if (this.#waiting.get(waiting.handshake.index) === waiting) this.#read(waiting, datagram, at)
    })
  }

  #read(waiting: Waiting, datagram: Buffer, at: number): void {
    const reply = waiting.handshake.read(datagram)
    const rttMs = at - (at >= waiting.sentAt ? waiting.sentAt : waiting.startedAt)
    const inTime = at - waiting.startedAt <= waiting.timeoutMs
    if (reply.kind === 'response' && inTime) waiting.settle({ rttMs })
    else if (reply.kind === 'cookie' && inTime && waiting.cookieMs === null) {
      waiting.cookieMs = rttMs
      this.#cookie = reply.cookie
      if (waiting.lateMs === null) this.#send(waiting, waiting.handshake.withCookie(reply.cookie))
    } else if (reply.kind === 'other_preshared_key') waiting.otherPresharedKey = true
    else if (reply.kind === 'foreign') this.#foreign += 1
    if (waiting.lateMs !== null) this.#expire(waiting)
  }

  /** Its time is over; what has come and is not read yet is waited for. */
  #expire(waiting: Waiting): void {
    waiting.lateMs ??= Math.round(performance.now() - waiting.startedAt - waiting.timeoutMs)
    if (waiting.unread === 0 && this.#waiting.get(waiting.handshake.index) === waiting)
      waiting.settle(this.#silence(waiting, waiting.lateMs))
  }

  #silence({ timeoutMs, cookieMs, otherPresharedKey }: Waiting, lateMs: number): Answer {
    if (otherPresharedKey) return { fault: wrongPresharedKey() }
    if (cookieMs !== null) return { rttMs: cookieMs }
    // This process, not the server, is slow: the answer may have come in time, and nobody was there to see it.
    if (lateMs > Math.max(20, timeoutMs / 10))
      return { fault: new PintailError('prober_unavailable', `the event loop was blocked for at least ${lateMs} ms`) }
    if (this.#foreign > 0) return { kind: 'wrong_answer', why: `only what this server's WireGuard never sends (${this.#foreign})` }
    return { kind: 'no_reply', why: `nothing within ${timeoutMs} ms` }
  }
}

function wrongPresharedKey(): PintailError {
  const remedy =
    'Give the preshared key that the probe’s peer has on that server (`wg show wg0 preshared-keys`), or none where it has none.'
  return new PintailError('prober_unavailable', 'the server has read the handshake and answers with another preshared key', { remedy })
}

function couldNotTry(error: NodeJS.ErrnoException): PintailError {
  const local = /UNREACH|NETDOWN|EACCES|EPERM|EINVAL|EADDRNOTAVAIL/.test(error.code ?? '')
  const remedy = local
    ? 'This machine itself cannot reach the address: check its own network, routes and firewall, IPv6 too.'
    : 'Raise the limits of this process (open files, local ports, memory of sockets).'
  return new PintailError('prober_unavailable', `wireguard could not try: ${error.message}`, { cause: error, remedy })
}
