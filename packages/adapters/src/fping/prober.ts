import { addressOf, isPintailError, PintailError, type ProbeResult, type Prober, type ProbeTarget } from '@pintail/core'
import { Outing, Pool } from './pool.ts'
import { aborted, Waiters } from './waiters.ts'

export interface FpingOptions {
  /** The program: a name that is looked for on the PATH, or a path. Default `fping`. */
  readonly command?: string
  /**
   * How fast one process sends, packets a second, 1–1 000 000. Default 10 000: a thousand hosts within 0.1 s, without
   * the burst that routers drop. (By itself fping sends 100.)
   */
  readonly packetsPerSecond?: number
  /** How many processes may run at once, 1–64. Default 16; seldom more than four do. */
  readonly processes?: number
}

/**
 * Probes with ICMP echo requests, by the `fping` program of the system (4 and 5; IPv4 and IPv6): thousands of hosts in
 * one process. Calls of `probe` that come within a few milliseconds are gathered, so that this is also the prober for
 * large fleets whose engine calls `probe` alone. Packets to one host are 200 ms apart. `rttMs` has one entry per reply,
 * as fping measured it, so that a busy event loop makes no server slow or dead. A reply that took longer than
 * `timeoutMs` is a lost packet, a duplicate is none.
 *
 * Nothing came back: a result with `failure` `no_reply`, or `unreachable` where a router said so; the layer is `icmp`.
 * Throws `prober_unavailable` (no fping, no permission, no route from here, killed, hanging, output that cannot be
 * read), `unknown_host`, `invalid_host`, `invalid_argument`, and `aborted` at once when the signal fires; a process for
 * which nobody waits any more is killed. Each call starts afresh: after a fault the next one works as soon as fping does.
 *
 * `probeMany` yields each result when it is there, and passes over targets that could not be probed; when no target
 * could be, it throws the reason of one. Ending the iteration early stops what is left.
 * @throws PintailError `invalid_argument` for an option out of range
 */
export function fping(options: FpingOptions = {}): Prober {
  const pool = new Pool(parse(options))
  const waiters = new Waiters()
  const probe = async (target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> => {
    const address = await addressOf(target, signal)
    return new Promise((resolve, reject) => {
      const outing = new Outing(address, target.packets, target.timeoutMs, (outcome) => {
        waiters.leave(outing, signal)
        if (outcome instanceof PintailError) reject(outcome)
        else resolve(outcome)
      })
      waiters.join(outing, signal)
      pool.add(outing)
    })
  }
  return {
    name: 'fping',
    probe: (target, { signal }) => probe(target, signal),
    probeMany: (targets, { signal }) => many(targets, signal, probe),
  }
}

function parse({ command = 'fping', packetsPerSecond = 10_000, processes = 16 }: FpingOptions) {
  const refuse = (what: string): never => {
    throw new PintailError('invalid_argument', `fping: ${what}`)
  }
  if (typeof command !== 'string' || !/^[^\0]{1,4096}$/.test(command) || command.startsWith('-')) refuse('command is no program')
  if (!(packetsPerSecond >= 1 && packetsPerSecond <= 1_000_000)) refuse('packetsPerSecond must be from 1 to 1000000')
  if (!Number.isInteger(processes) || processes < 1 || processes > 64) refuse('processes must be a whole number from 1 to 64')
  // fping 4 knows hundredths of a millisecond.
  return { command, processes, intervalMs: Math.floor(100_000 / packetsPerSecond) / 100 }
}

const atOnce = 32_768

type Done = { readonly target: ProbeTarget; readonly result: ProbeResult }

async function* many(
  targets: readonly ProbeTarget[],
  signal: AbortSignal,
  probe: (target: ProbeTarget, signal: AbortSignal) => Promise<ProbeResult>,
): AsyncGenerator<Done> {
  const stop = new AbortController()
  const all = AbortSignal.any([signal, stop.signal])
  const done: Done[] = []
  let fault: unknown
  let any = false
  let wake = () => {}
  let left = targets.length
  let next = 0
  const one = async (target: ProbeTarget): Promise<void> => {
    try {
      done.push({ target, result: await probe(target, all) })
      any = true
    } catch (error) {
      // What is wrong with this machine is worth more to whoever reads it than what is wrong with one target.
      if (fault === undefined || isPintailError(error, 'prober_unavailable')) fault = error
    }
    left -= 1
    start()
    wake()
  }
  // As many at once as some processes take: the rest waits in the list, not as a promise each.
  const start = (): void => {
    const finished = targets.length - left
    while (next < targets.length && next - finished < atOnce && !all.aborted) void one(targets[next++] as ProbeTarget)
  }
  start()
  try {
    while (!signal.aborted && (left > 0 || done.length > 0)) {
      for (const item of done.splice(0)) yield item
      if (left > 0 && done.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
          if (done.length > 0 || left === 0) resolve()
        })
    }
    if (signal.aborted) throw aborted(signal)
    if (!any && fault !== undefined) throw fault
  } finally {
    stop.abort()
  }
}
