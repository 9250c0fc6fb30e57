import { type ChildProcess, spawn } from 'node:child_process'
import { errorText, PintailError } from '../errors.ts'
import type { ProbeResult, Prober, ProbeTarget } from '../ports.ts'
import { aborted, addressOf, spacingMs } from './host.ts'

const install = 'Install ping on the machine that probes (Debian: apt-get install iputils-ping), or use tcp().'
const permit =
  'Let ping open its socket: give this process CAP_NET_RAW (systemd: AmbientCapabilities, Docker: cap_add NET_RAW), ' +
  'setcap cap_net_raw+ep on ping, or widen net.ipv4.ping_group_range; or use tcp().'

/**
 * Probes with ICMP echo requests, by the `ping` program of the system (iputils or BusyBox; IPv4 and IPv6): one process
 * a check, packets 200 ms apart. `rttMs` has one entry per reply, as ping measured it, so that a busy event loop does
 * not make servers slow. A reply that took longer than `timeoutMs` is a lost packet, a duplicate is none.
 *
 * Nothing came back: a result with `failure` `no_reply`, or `unreachable` where a router said so.
 * Throws `prober_unavailable` (no ping, no permission, no route from here, output that cannot be read), `unknown_host`,
 * `invalid_host`, `invalid_argument`, and `aborted` at once when the signal fires; the process is then killed.
 */
export function icmp(): Prober {
  return {
    name: 'icmp',
    async probe(target, { signal }) {
      const address = await addressOf(target, signal)
      return readPing(await runPing(address, target, signal), address, target)
    },
  }
}

/** What it printed, and, for the operator, how it ended. */
type Ran = { readonly text: string; readonly end: string }

// Not through the npm package `ping`: it hands out neither its child nor the exit code, so a check cannot be stopped
// (a host's stop() would wait for it, for ever if ping hangs); it parses in an event handler, where a first line of
// fewer than three words is an uncaught exception of the host; and it obeys LC_ALL, which translates the output.
function runPing(address: string, { packets, timeoutMs }: ProbeTarget, signal: AbortSignal): Promise<Ran> {
  if (process.platform === 'win32') {
    throw new PintailError('prober_unavailable', 'icmp() does not know the ping of Windows', { remedy: 'Use tcp().' })
  }
  if (signal.aborted) throw aborted(signal)
  // -W bounds the process even if this one dies. Whole seconds: BusyBox takes no others; elsewhere -W has other units.
  const linger = process.platform === 'linux' ? ['-W', `${Math.ceil(timeoutMs / 1000)}`] : []
  const args = ['-n', '-c', `${packets}`, '-i', `${spacingMs / 1000}`, ...linger, address]

  return new Promise((resolve, reject) => {
    const child = spawnPing(args)
    let text = ''
    // Interrupted, ping prints its statistics. The rest is for its start on a busy machine, and for its own pauses.
    const limitMs = (packets - 1) * (spacingMs + 10) + timeoutMs + 200
    const interrupt = setTimeout(() => child.kill('SIGINT'), limitMs)
    const kill = setTimeout(() => settle(() => resolve({ text, end: 'had to be killed' })), limitMs + 500)
    const onAbort = () => settle(() => reject(aborted(signal)))
    const settle = (outcome: () => void) => {
      clearTimeout(interrupt)
      clearTimeout(kill)
      signal.removeEventListener('abort', onAbort)
      child.kill('SIGKILL')
      child.unref()
      // A wrapper's own child may hold the pipes open for longer.
      child.stdout?.destroy()
      child.stderr?.destroy()
      outcome()
    }
    signal.addEventListener('abort', onAbort)
    child.on('error', (cause) => settle(() => reject(notStarted(cause))))
    child.on('close', (code, by) => settle(() => resolve({ text, end: `ended with ${by ?? `code ${code}`}` })))
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('error', () => {})
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        if (text.length < 65_536) text += chunk
      })
    }
  })
}

/** Most faults come as an event of the child; EPERM, E2BIG and some others are thrown at once. */
function spawnPing(args: readonly string[]): ChildProcess {
  try {
    return spawn('ping', args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
  } catch (cause) {
    throw notStarted(cause as NodeJS.ErrnoException)
  }
}

function notStarted(cause: NodeJS.ErrnoException): PintailError {
  const what = cause.code === 'ENOENT' ? 'there is no ping program on the PATH' : `ping did not start: ${cause.message}`
  const raise = cause.code === 'EAGAIN' || cause.code === 'EMFILE'
  // A binary that has a capability which this process may never get cannot be started at all.
  const remedy = raise ? 'Raise the limits of this process.' : cause.code === 'EPERM' || cause.code === 'EACCES' ? permit : install
  return new PintailError('prober_unavailable', what, { cause, remedy })
}

// Nothing here reads a translatable word, but for telling why there was no answer.
function readPing({ text, end }: Ran, address: string, { timeoutMs }: ProbeTarget): ProbeResult {
  const statistics = /^--- .*\n\D*(\d+)\D+(\d+)\D.*%/m.exec(text)
  const sent = Number(statistics?.[1] ?? 0)
  const sendFault = /^.*ping6?: send\w*: .*$/m.exec(text)?.[0]
  // Only ping's own summary proves that it did its work. Without one, silence says nothing about the server.
  if (sent === 0) throw noEvidence(text, end, address)

  const times = new Map<string, number>()
  for (const [, seq = '', ms = ''] of text.matchAll(/seq=(\d+)\b.*?[=<] ?(\d+(?:[.,]\d+)?) ?ms\b/g)) {
    if (!times.has(seq)) times.set(seq, Number(ms.replace(',', '.')))
  }
  if (times.size < Number(statistics?.[2]) || times.size > sent) throw noEvidence(text, 'cannot be understood', address)
  const rttMs = [...times.values()].filter((ms) => ms <= timeoutMs)
  if (rttMs.length > 0) return { sent, received: rttMs.length, rttMs, failure: null }
  if (times.size === 0 && sendFault !== undefined) throw noEvidence(sendFault, end, address)

  const told = /^.*(?:destination [a-z]|packet filtered|time (?:to live )?exceeded).*$/im.exec(text)?.[0]
  const failure = told
    ? { kind: 'unreachable' as const, layer: 'icmp', detail: errorText(told.trim()) }
    : { kind: 'no_reply' as const, layer: 'icmp', detail: `${sent} sent, nothing within ${timeoutMs} ms` }
  return { sent, received: 0, rttMs: [], failure }
}

function noEvidence(text: string, end: string, address: string): PintailError {
  const lines = text.split('\n').filter((one) => /ping6?: /.test(one))
  const line = errorText(lines.join('; ') || text.trim()) || 'it printed nothing'
  const remedy = /send|network is|no route|cannot assign/i.test(line)
    ? `This machine itself cannot send to ${address}: check its own network, routes and firewall, IPv6 too.`
    : /permi/i.test(line)
      ? permit
      : install
  return new PintailError('prober_unavailable', `ping ${end}: ${line}`, { remedy })
}
