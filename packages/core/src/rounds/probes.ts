import { errorText, PintailError } from '../errors.ts'
import type { Clock, ProbeResult, Prober, ProbeTarget } from '../ports.ts'

/** What goes first: 2 a person or a move waits for it, 1 a suspicion, 0 the steady pace. */
export type Urgency = 0 | 1 | 2

export interface Check {
  /** Whom it is for. */
  readonly key: string
  readonly urgency: Urgency
}

export interface ProbesHooks<C extends Check> {
  /** It goes out now; null: there is nothing to probe any more, and it does not end. */
  begin(check: C): ProbeTarget | null
  /** Exactly once for each check that has begun. */
  ended(check: C, outcome: ProbeOutcome): void
  /** The prober said something that makes no sense and hurts nobody. */
  odd(message: string): void
}

export type ProbeOutcome =
  | { readonly how: 'answered'; readonly result: ProbeResult }
  | { readonly how: 'failed'; readonly error: unknown }
  | { readonly how: 'stopped' }

/** Targets of one `probeMany`; urgent ones go in small batches, so that none waits for many others. */
const mostInBatch = { steady: 1024, urgent: 32 } as const
/** What a prober may say beyond one result for each target before it is taken for one that never ends. */
const mostOdd = 1000
/** Of what may be out at once, one in so many is kept for urgent checks. */
const keptForUrgent = 4

/** Checks that go out together: one signal and one bound for all. */
interface Round<C extends Check> {
  /** Not ended yet. */
  readonly open: Map<C, ProbeTarget>
  readonly controller: AbortController
  cancel(): void
}

/**
 * Sends checks to the prober: urgent ones first, at most so many targets at once, as batches where the prober takes them.
 * Whatever a prober does, each check ends once, and what comes after that is ignored.
 */
export class Probes<C extends Check> {
  readonly #prober: Prober
  readonly #clock: Clock
  readonly #limit: () => number
  readonly #hooks: ProbesHooks<C>
  readonly #waiting: Record<Urgency, Fifo<C>> = { 0: new Fifo(), 1: new Fifo(), 2: new Fifo() }
  readonly #rounds = new Set<Round<C>>()
  readonly #out = { steady: 0, urgent: 0 }
  #isSending = false
  #isStopped = false

  /** @param limit how many targets may be out at once; asked anew each time */
  constructor(prober: Prober, clock: Clock, limit: () => number, hooks: ProbesHooks<C>) {
    this.#prober = prober
    this.#clock = clock
    this.#limit = limit
    this.#hooks = hooks
  }

  /** Urgent checks that wait or are out. */
  get urgent(): number {
    return this.#out.urgent + this.#waiting[1].size + this.#waiting[2].size
  }

  /** Puts a check into its line; `send()` sees to it. False: all has been stopped. */
  add(check: C): boolean {
    if (!this.#isStopped) this.#waiting[check.urgency].push(check)
    return !this.#isStopped
  }

  /** Sends what may go out now. */
  send(): void {
    // A prober that throws at once ends checks while they are being sent: they are not sent from within that.
    if (this.#isSending) return
    this.#isSending = true
    try {
      while (!this.#isStopped && this.#sendSome()) {}
    } finally {
      this.#isSending = false
    }
  }

  /** Ends everything that is out, and forgets what waits. */
  stop(): C[] {
    this.#isStopped = true
    for (const round of [...this.#rounds]) {
      for (const check of [...round.open.keys()]) this.#end(round, check, { how: 'stopped' })
      round.controller.abort(new PintailError('aborted', 'stopped before it was done'))
    }
    return ([2, 1, 0] as const).flatMap((urgency) => this.#waiting[urgency].takeAll())
  }

  // ---------------------------------------------------------------------------------------------------------- sending

  /** Whether there was something to do. */
  #sendSome(): boolean {
    for (const urgency of [2, 1, 0] as const) {
      const line = this.#waiting[urgency]
      const free = this.#free(urgency)
      if (line.size === 0 || free <= 0) continue
      const isBatch = this.#prober.probeMany !== undefined
      // As results trickle in places become free one by one: that must not make batches of one.
      if (isBatch && urgency === 0 && free < Math.min(line.size, Math.ceil(this.#limit() / keptForUrgent))) continue
      const most = isBatch ? mostInBatch[urgency === 0 ? 'steady' : 'urgent'] : mostInBatch.steady
      this.#start(this.#take(line, Math.min(free, most), isBatch))
      return true
    }
    return false
  }

  #free(urgency: Urgency): number {
    const limit = this.#limit()
    const { steady, urgent } = this.#out
    const free = limit - steady - urgent
    return urgency > 0 ? free : Math.min(free, limit - Math.floor(limit / keptForUrgent) - steady)
  }

  #take(line: Fifo<C>, most: number, isBatch: boolean): Map<C, ProbeTarget> {
    const open = new Map<C, ProbeTarget>()
    const keys = new Set<string>()
    for (let check = line.first; check && open.size < most; check = line.first) {
      // The results of a batch are told apart by their server.
      if (isBatch && keys.has(check.key)) break
      line.shift()
      const target = this.#hooks.begin(check)
      if (!target) continue
      keys.add(check.key)
      open.set(check, target)
    }
    return open
  }

  #start(open: Map<C, ProbeTarget>): void {
    if (open.size === 0) return
    const controller = new AbortController()
    const targets = [...open.values()]
    // The prober keeps its own time; this bound is for one that hangs.
    const perTarget = this.#prober.probeMany ? 10 * targets.length : 0
    const boundMs = Math.max(...targets.map(({ packets, timeoutMs }) => packets * (timeoutMs + 1000))) + 5000 + perTarget
    const timer = this.#clock.setTimeout(() => this.#giveUp(round, boundMs), boundMs)
    const round: Round<C> = { open, controller, cancel: () => timer.cancel() }
    this.#rounds.add(round)
    for (const { urgency } of open.keys()) this.#out[urgency === 0 ? 'steady' : 'urgent']++
    if (this.#prober.probeMany) void this.#many(round, targets)
    else for (const [check, target] of [...open]) this.#one(round, check, target)
  }

  #giveUp(round: Round<C>, boundMs: number): void {
    const error = new PintailError('timeout', `prober ${this.#prober.name} did not answer within ${boundMs} ms`)
    this.#fail(round, error)
    round.controller.abort(error)
  }

  #one(round: Round<C>, check: C, target: ProbeTarget): void {
    const failed = (error: unknown) => this.#end(round, check, { how: 'failed', error })
    try {
      Promise.resolve(this.#prober.probe(target, { signal: round.controller.signal })).then(
        (result) => this.#end(round, check, { how: 'answered', result }),
        failed,
      )
    } catch (error) {
      failed(error)
    }
  }

  async #many(round: Round<C>, targets: readonly ProbeTarget[]): Promise<void> {
    const { name } = this.#prober
    const checks = new Map([...round.open.keys()].map((check) => [check.key, check]))
    let odd = 0
    try {
      const results = this.#prober.probeMany?.(targets, { signal: round.controller.signal }) ?? []
      for await (const item of results) {
        if (round.open.size === 0) break
        const check = checks.get(keyOf(item))
        if (check && round.open.has(check)) this.#end(round, check, { how: 'answered', result: item.result })
        // It may never leave this turn of the event loop, and then no timer bounds it.
        else if (++odd > mostOdd) break
        if (!check) this.#hooks.odd(`prober ${name} gave a result for a server that it was not asked for`)
        if (round.open.size === 0) break
      }
      if (round.open.size > 0) this.#fail(round, new PintailError('prober_unavailable', `prober ${name} gave no result`))
    } catch (error) {
      this.#fail(round, error)
    }
  }

  // ----------------------------------------------------------------------------------------------------------- ending

  #fail(round: Round<C>, error: unknown): void {
    for (const check of [...round.open.keys()]) this.#end(round, check, { how: 'failed', error })
  }

  #end(round: Round<C>, check: C, outcome: ProbeOutcome): void {
    if (!round.open.delete(check)) return
    this.#out[check.urgency === 0 ? 'steady' : 'urgent']--
    if (round.open.size === 0) {
      round.cancel()
      this.#rounds.delete(round)
    }
    try {
      this.#hooks.ended(check, outcome)
    } catch (error) {
      this.#hooks.odd(errorText(error))
    }
    this.send()
  }
}

/** Whose result this is; a prober may hand out anything. */
function keyOf(item: { readonly target: ProbeTarget }): string {
  try {
    return item.target.serverId
  } catch {
    return ''
  }
}

/** A line in which the first goes without moving all others. */
class Fifo<T> {
  #items: T[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  get first(): T | undefined {
    return this.#items[this.#head]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): void {
    this.#head++
    if (this.#head < 1024 && this.#head < this.#items.length) return
    this.#items = this.#items.slice(this.#head)
    this.#head = 0
  }

  takeAll(): T[] {
    const all = this.#items.slice(this.#head)
    this.#items = []
    this.#head = 0
    return all
  }
}
