import { Socket } from 'node:net'
import { PintailError } from '../errors.ts'
import type { ProbeResult, Prober } from '../ports.ts'
import type { ProbeFailure } from '../vocabulary.ts'
import { aborted, addressOf, spacingMs } from './host.ts'

export interface TcpOptions {
  /** 1–65 535; for targets without a port of their own. No default. */
  readonly port?: number
}

/**
 * Probes by opening TCP connections, all to one address: each begins when the one before it has settled, at the latest
 * after 200 ms, and is closed as soon as it is open. `rttMs` is the time of the handshake. Whatever takes longer than
 * `timeoutMs` is lost. (Under packet loss the kernel repeats its SYN after 1 s and 3 s: loss looks like latency.)
 *
 * Nothing came back: a result with `failure` `refused`, `unreachable` or `no_reply`, the most telling one of the check.
 * Throws `prober_unavailable` when this machine could not try (no route, no descriptor or port free, a stalled event
 * loop), `invalid_argument` when neither target nor options name a port or a value is out of range, `unknown_host`,
 * `invalid_host`, and `aborted` at once when the signal fires. No socket or timer is left in any of these.
 */
export function tcp(options: TcpOptions = {}): Prober {
  if (options.port !== undefined) checkPort(options.port)
  return {
    name: 'tcp',
    async probe(target, { signal }) {
      const port = checkPort(target.port ?? options.port)
      const host = await addressOf(target, signal)
      const answers: Promise<Answer>[] = []
      while (answers.length < target.packets && !signal.aborted) {
        await new Promise<void>((next) => answers.push(connectOnce(host, port, target.timeoutMs, signal, next)))
      }
      const all = await Promise.all(answers)
      if (signal.aborted) throw aborted(signal)
      return summary(all, port)
    },
  }
}

function checkPort(port: number | undefined): number {
  if (port !== undefined && Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  const what = port === undefined ? 'neither the target nor the options name a port' : `${port} is no port`
  const remedy = 'Give the server a port from 1 to 65535 in the registry, or call tcp({ port }).'
  throw new PintailError('invalid_argument', `tcp: ${what}`, { remedy })
}

// Values, not rejections: a packet that fails while others are still on their way must not be an unhandled rejection.
type Answer = { readonly rttMs: number } | { readonly kind: ProbeFailure['kind']; readonly why: string } | { readonly fault: PintailError }

/** One packet. Calls `next` when the next one may leave. Whatever happens, it ends within `timeoutMs`, and cleans up. */
function connectOnce(host: string, port: number, timeoutMs: number, signal: AbortSignal, next: () => void) {
  return new Promise<Answer>((resolve) => {
    const socket = new Socket()
    const startedAt = performance.now()
    let local = false
    let look: NodeJS.Immediate | undefined
    const settle = (answer: Answer) => {
      clearTimeout(timer)
      clearTimeout(pace)
      clearImmediate(look)
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(answer)
      next()
    }
    const onAbort = () => settle({ fault: aborted(signal) })
    const lateMs = () => Math.round(performance.now() - startedAt - timeoutMs)
    const unseen = (what: string): Answer => ({ fault: new PintailError('prober_unavailable', `the event loop was blocked ${what}`) })
    const expire = (late: number) => {
      // This process, not the server, is slow: the answer may have come in time, and nobody was there to see it.
      if (late > Math.max(20, timeoutMs / 10)) settle(unseen(`for at least ${late} ms`))
      else settle({ kind: 'no_reply', why: `nothing within ${timeoutMs} ms` })
    }
    // A loop that was blocked until just now has timers first: what stands there already is looked at before anybody is called silent.
    const timer = setTimeout(() => (look = setImmediate(expire, lateMs())), timeoutMs)
    const pace = setTimeout(next, spacingMs)
    signal.addEventListener('abort', onAbort)
    socket.once('connect', () => {
      const rttMs = performance.now() - startedAt
      if (rttMs <= timeoutMs) settle({ rttMs })
      else settle(unseen(`or the answer slow: it was read ${lateMs()} ms after its time`))
    })
    // The listener stays: an error after destroy() must not be an uncaught exception.
    socket.on('error', (error: NodeJS.ErrnoException) => settle(meaningOf(error, local)))
    // If the socket is destroyed as soon as connect(2) has returned, that call failed: no packet has left this machine.
    socket.once('connectionAttempt', () => process.nextTick(() => (local = socket.destroyed)))
    socket.connect({ host, port, autoSelectFamily: false })
  })
}

function meaningOf(error: NodeJS.ErrnoException, local: boolean): Answer {
  const code = error.code ?? error.message
  if (!local) {
    if (code === 'ECONNREFUSED' || code === 'ECONNRESET') return { kind: 'refused', why: code }
    if (code === 'ETIMEDOUT') return { kind: 'no_reply', why: code }
    // ICMP said so. Over IPv6 "administratively prohibited" arrives as EACCES.
    if (/^(EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|EACCES|EPROTO|ENOPROTOOPT)$/.test(code)) {
      return { kind: 'unreachable', why: code }
    }
  }
  const remedy = /UNREACH|NETDOWN|EACCES|EPERM|EINVAL/.test(code)
    ? 'This machine itself cannot reach the address: check its own network, routes and firewall, IPv6 too.'
    : 'Raise the limits of this process (open files, local ports).'
  const message = `tcp could not try: ${error.message}`
  return { fault: new PintailError('prober_unavailable', message, { cause: error, remedy }) }
}

function summary(answers: readonly Answer[], port: number): ProbeResult {
  const rttMs: number[] = []
  const failed = new Map<ProbeFailure['kind'], string>()
  for (const answer of answers) {
    if ('fault' in answer) throw answer.fault
    if ('rttMs' in answer) rttMs.push(answer.rttMs)
    else failed.set(answer.kind, answer.why)
  }
  const kind = (['refused', 'unreachable', 'no_reply'] as const).find((one) => failed.has(one))
  const failure = rttMs.length > 0 || !kind ? null : { kind, layer: 'tcp', detail: `port ${port}: ${failed.get(kind)}` }
  return { sent: answers.length, received: rttMs.length, rttMs, failure }
}
