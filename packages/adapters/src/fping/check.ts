import type { PintailError, ProbeResult, ProbeTarget } from '@pintail/core'

/** Who wants to know how a check ended. */
export interface Asker {
  ended(check: Check, outcome: ProbeResult | PintailError): void
}

/**
 * One server to be tested once: from the call until its outcome. There are as many at once as a fleet has servers, and
 * what they cost is the work of the garbage collector: so this is one object, and has nothing that it does not need.
 */
export class Check {
  readonly target: ProbeTarget
  readonly #asker: Asker
  address = ''
  /** The process that has it; null while it waits for one. */
  batch: { leave(): void } | null = null
  /** False as soon as it has ended. */
  waits = true
  /** How many of its packets are settled, and the times of those that were answered. */
  settled = 0
  rttMs: number[] | null = null
  /** What somebody on the way said of its packets. */
  undelivered: string | null = null

  constructor(target: ProbeTarget, asker: Asker) {
    this.target = target
    this.#asker = asker
  }

  end(outcome: ProbeResult | PintailError): void {
    if (!this.waits) return
    this.waits = false
    this.#asker.ended(this, outcome)
  }

  /** Nobody waits for it any more; a process without any other is killed. */
  cancel(error: PintailError): void {
    if (!this.waits) return
    this.end(error)
    this.batch?.leave()
  }
}
