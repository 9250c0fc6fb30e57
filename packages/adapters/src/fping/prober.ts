import { addressOf, isPintailError, PintailError, type ProbeResult, type Prober, type ProbeTarget } from '@pintail/core'
import { type Asker, Check } from './check.ts'
import { Pool } from './pool.ts'
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
  return {
    name: 'fping',
    probe: (target, { signal }) =>
      new Promise((resolve, reject) => {
        const call = new Call(resolve, reject, signal, waiters)
        addressOf(target, signal).then((address) => {
          const check = new Check(target, call)
          check.address = address
          if (signal.aborted) return reject(aborted(signal))
          waiters.join(check, signal)
          pool.add(check)
        }, reject)
      }),
    probeMany: (targets, { signal }) => many(targets, signal, pool),
  }
}

/** One call of `probe`. */
class Call implements Asker {
  readonly #resolve: (result: ProbeResult) => void
  readonly #reject: (error: PintailError) => void
  readonly #signal: AbortSignal
  readonly #waiters: Waiters

  constructor(resolve: (result: ProbeResult) => void, reject: (error: PintailError) => void, signal: AbortSignal, waiters: Waiters) {
    this.#resolve = resolve
    this.#reject = reject
    this.#signal = signal
    this.#waiters = waiters
  }

  ended(check: Check, outcome: ProbeResult | PintailError): void {
    this.#waiters.leave(check, this.#signal)
    if (outcome instanceof PintailError) this.#reject(outcome)
    else this.#resolve(outcome)
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

type Done = { readonly target: ProbeTarget; readonly result: ProbeResult }

async function* many(targets: readonly ProbeTarget[], signal: AbortSignal, pool: Pool): AsyncGenerator<Done> {
  const round = new Round(targets, signal, pool)
  const onAbort = (): void => round.stop()
  signal.addEventListener('abort', onAbort)
  try {
    while (!signal.aborted && round.goesOn()) {
      for (const item of round.done.splice(0)) yield item
      await round.more()
    }
    if (signal.aborted) throw aborted(signal)
    if (round.fault !== null) throw round.fault
  } finally {
    signal.removeEventListener('abort', onAbort)
    round.stop()
  }
}

/** As many targets as some processes take; the rest waits in the list. */
const atOnce = 32_768

/** One call of `probeMany`. */
class Round implements Asker {
  /** What has not been handed out yet. */
  readonly done: Done[] = []
  readonly #targets: readonly ProbeTarget[]
  readonly #pool: Pool
  readonly #stopping = new AbortController()
  readonly #under = new Set<Check>()
  #next = 0
  #ended = 0
  #any = false
  #fault: unknown = null
  #wake = (): void => {}

  constructor(targets: readonly ProbeTarget[], signal: AbortSignal, pool: Pool) {
    this.#targets = targets
    this.#pool = pool
    if (!signal.aborted) this.#start()
  }

  goesOn(): boolean {
    return this.done.length > 0 || this.#ended < this.#targets.length
  }

  /** Why there was no result at all; null: there was one, or nothing to do. */
  get fault(): unknown {
    return this.#any ? null : this.#fault
  }

  /** Resolves when there is something to hand out, or nothing will be any more. */
  async more(): Promise<void> {
    if (this.done.length > 0 || this.#ended === this.#targets.length || this.#stopping.signal.aborted) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  stop(): void {
    this.#stopping.abort()
    const error = new PintailError('aborted', 'the probe was aborted')
    for (const check of [...this.#under]) check.cancel(error)
    this.#wake()
  }

  ended(check: Check, outcome: ProbeResult | PintailError): void {
    this.#under.delete(check)
    if (outcome instanceof PintailError) this.#failed(outcome)
    else {
      this.#any = true
      this.done.push({ target: check.target, result: outcome })
    }
    this.#oneLess()
  }

  #start(): void {
    const { signal } = this.#stopping
    while (this.#next < this.#targets.length && this.#next - this.#ended < atOnce && !signal.aborted) {
      const target = this.#targets[this.#next++] as ProbeTarget
      addressOf(target, signal).then(
        (address) => this.#send(target, address),
        (error: unknown) => {
          this.#failed(error)
          this.#oneLess()
        },
      )
    }
  }

  #send(target: ProbeTarget, address: string): void {
    const check = new Check(target, this)
    check.address = address
    this.#under.add(check)
    if (this.#stopping.signal.aborted) check.cancel(new PintailError('aborted', 'the probe was aborted'))
    else this.#pool.add(check)
  }

  #failed(error: unknown): void {
    // What is wrong with this machine is worth more to whoever reads it than what is wrong with one target.
    if (this.#fault === null || isPintailError(error, 'prober_unavailable')) this.#fault = error
  }

  #oneLess(): void {
    this.#ended += 1
    this.#start()
    this.#wake()
  }
}
