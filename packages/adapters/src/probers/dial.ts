import { Socket } from 'node:net'
import { errorText, PintailError, type ProbeFailure, type ProbeResult, type ProbeTarget } from '@pintail/core'

/** Packets of one check begin at most this far apart, milliseconds, as those of `tcp()`. */
const spacingMs = 200

// Values, not rejections: a packet that fails while others are still on their way must not be an unhandled rejection.
export type Answer =
  | { readonly rttMs: number }
  | { readonly kind: ProbeFailure['kind']; readonly layer: string; readonly why: string }
  | { readonly fault: PintailError }

/** What happens on an open connection. Calls `settle` once, at whatever time; the sockets are closed for it then. */
export type Talk = (socket: Socket, attempt: Attempt) => void

/** One packet under way: how it is settled, and how far it has come. */
export interface Attempt {
  readonly settle: (answer: Answer) => void
  /** The layer that is being tried now; silence is told as its failure. */
  layer: string
  /** What is to be destroyed with the attempt, beside the socket. */
  readonly own: (closing: () => void) => void
}

/** All packets of a check, to one address: each begins when the one before it has settled, at the latest after 200 ms. */
export async function probeEach(
  { packets, timeoutMs }: ProbeTarget,
  { host, port, signal, name, talk }: { host: string; port: number; signal: AbortSignal; name: string; talk: Talk },
): Promise<ProbeResult> {
  const answers: Promise<Answer>[] = []
  while (answers.length < packets && !signal.aborted)
    await new Promise<void>((next) => answers.push(attemptOnce({ host, port, timeoutMs, signal, name, talk, next })))
  const all = await Promise.all(answers)
  if (signal.aborted) throw aborted(signal)
  return summary(all, port)
}

interface Once {
  readonly host: string
  readonly port: number
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly name: string
  readonly talk: Talk
  readonly next: () => void
}

/** One packet: a connection of its own, and what is said on it. Whatever happens, it ends within its time and cleans up. */
function attemptOnce({ host, port, timeoutMs, signal, name, talk, next }: Once): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = new Socket()
    const startedAt = performance.now()
    const closings: (() => void)[] = []
    let local = false
    let connected = false
    let look: NodeJS.Immediate | undefined
    const attempt: Attempt = {
      layer: 'tcp',
      own: (closing) => void closings.push(closing),
      settle: (answer) => {
        clearTimeout(timer)
        clearTimeout(pace)
        clearImmediate(look)
        signal.removeEventListener('abort', onAbort)
        for (const closing of closings.splice(0)) closing()
        socket.destroy()
        resolve('rttMs' in answer && performance.now() - startedAt > timeoutMs ? unseen() : answer)
        next()
      },
    }
    const lateMs = (): number => Math.round(performance.now() - startedAt - timeoutMs)
    const fault = (what: string): Answer => ({ fault: new PintailError('prober_unavailable', `the event loop was blocked ${what}`) })
    const unseen = (): Answer => fault(`or the answer slow: it was read ${lateMs()} ms after its time`)
    const silent = (late: number): Answer => {
      // This process, not the server, is slow: the answer may have come in time, and nobody was there to see it.
      if (late > Math.max(20, timeoutMs / 10)) return fault(`for at least ${late} ms`)
      return { kind: 'no_reply', layer: attempt.layer, why: `nothing within ${timeoutMs} ms` }
    }
    const onAbort = (): void => attempt.settle({ fault: aborted(signal) })
    // A loop that was blocked until just now has timers first: what stands there already is looked at before anybody is called silent.
    const timer = setTimeout(() => {
      const before = { connected, late: lateMs() }
      look = setImmediate(() => attempt.settle(connected === before.connected ? silent(before.late) : unseen()))
    }, timeoutMs)
    const pace = setTimeout(next, spacingMs)
    signal.addEventListener('abort', onAbort)
    socket.once('connect', () => {
      connected = true
      // A small request must not wait for an acknowledgement: that would be measured.
      socket.setNoDelay(true)
      talk(socket, attempt)
    })
    // The listener stays: an error after destroy() must not be an uncaught exception.
    socket.on('error', (error: NodeJS.ErrnoException) => attempt.settle(meaningOf(error, { name, layer: attempt.layer, connected, local })))
    // If the socket is destroyed as soon as connect(2) has returned, that call failed: no packet has left this machine.
    socket.once('connectionAttempt', () => process.nextTick(() => (local = socket.destroyed)))
    socket.connect({ host, port, autoSelectFamily: false })
  })
}

function meaningOf(
  error: NodeJS.ErrnoException,
  { name, layer, connected, local }: { name: string; layer: string; connected: boolean; local: boolean },
): Answer {
  const code = error.code ?? errorText(error)
  // On an open connection whatever ends it has come from there, or from the way there.
  if (connected) return { kind: /^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/.test(code) ? 'unreachable' : 'refused', layer, why: code }
  if (!local) {
    if (code === 'ECONNREFUSED' || code === 'ECONNRESET') return { kind: 'refused', layer, why: code }
    if (code === 'ETIMEDOUT') return { kind: 'no_reply', layer, why: code }
    // ICMP said so. Over IPv6 "administratively prohibited" arrives as EACCES.
    if (/^(EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|EACCES|EPROTO|ENOPROTOOPT)$/.test(code)) return { kind: 'unreachable', layer, why: code }
  }
  const remedy = /UNREACH|NETDOWN|EACCES|EPERM|EINVAL/.test(code)
    ? 'This machine itself cannot reach the address: check its own network, routes and firewall, IPv6 too.'
    : 'Raise the limits of this process (open files, local ports).'
  return { fault: new PintailError('prober_unavailable', `${name} could not try: ${error.message}`, { cause: error, remedy }) }
}

// The most telling one of a check first: a wrong answer says more than silence.
const telling = ['wrong_answer', 'refused', 'unreachable', 'no_reply', 'too_slow'] as const

function summary(answers: readonly Answer[], port: number): ProbeResult {
  const rttMs: number[] = []
  const failed = new Map<ProbeFailure['kind'], Exclude<Answer, { rttMs: number } | { fault: PintailError }>>()
  for (const answer of answers) {
    if ('fault' in answer) throw answer.fault
    if ('rttMs' in answer) rttMs.push(answer.rttMs)
    else failed.set(answer.kind, answer)
  }
  const kind = telling.find((one) => failed.has(one))
  const first = kind && failed.get(kind)
  const failure = rttMs.length > 0 || !first ? null : { kind: first.kind, layer: first.layer, detail: `port ${port}: ${first.why}` }
  return { sent: answers.length, received: rttMs.length, rttMs, failure }
}

function aborted(signal: AbortSignal): PintailError {
  return new PintailError('aborted', 'the probe was aborted', { cause: signal.reason })
}

export function portOf(name: string, port: number | null | undefined): number {
  if (typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  const what = port === undefined || port === null ? 'neither the target nor the options name a port' : `${port} is no port`
  const remedy = `Give the server a port from 1 to 65535 in the registry, or call ${name}({ port }).`
  throw new PintailError('invalid_argument', `${name}: ${what}`, { remedy })
}
