import { type HostGuard, hostDenial } from '../decide/guard.ts'
import { errorText, isPintailError } from '../errors.ts'
import type { Clock, GuardSource } from '../ports.ts'
import { parseGuards } from '../rows.ts'
import type { Bus } from '../telling/bus.ts'
import { callOut } from '../time.ts'
import type { GuardDenial, MigrationReason, ServerId } from '../vocabulary.ts'

/** For asking a guard source, milliseconds. */
const guardCallMs = 10_000
const unasked = 'it has not answered yet'

/** One source and what it said last; a string: why there is nothing that it said. */
interface Asked {
  readonly source: GuardSource
  said: readonly HostGuard[] | string
  asking: Promise<void> | null
  askedAt: number
}

/**
 * What the host forbids. The answers are kept, so that nobody waits for one on the way of a dead server: it is asked
 * beforehand and again, and whoever is about to act looks at what was said last.
 */
export class HostGuards {
  readonly #asked: readonly Asked[]
  /** When the host last said that it is scaling; null: it has not. */
  scalingAt: number | null = null
  readonly #parts: { readonly bus: Bus; readonly clock: Clock; readonly stopping: AbortSignal; changed(): void }

  constructor(sources: readonly GuardSource[], parts: { bus: Bus; clock: Clock; stopping: AbortSignal; changed(): void }) {
    this.#asked = sources.map((source) => ({ source, said: unasked, asking: null, askedAt: Number.NEGATIVE_INFINITY }))
    this.#parts = parts
  }

  get any(): boolean {
    return this.#asked.length > 0
  }

  /** Asks each source that was last asked so long ago, one question at a time. Never rejects. */
  async ask(olderThanMs = 0): Promise<void> {
    const now = this.#parts.clock.now()
    for (const one of this.#asked) {
      if (one.asking || now - one.askedAt < olderThanMs) continue
      one.askedAt = now
      one.asking = this.#question(one).finally(() => {
        one.asking = null
      })
    }
    await Promise.all(this.#asked.map(({ asking }) => asking))
  }

  async #question(one: Asked): Promise<void> {
    const { bus, clock, stopping, changed } = this.#parts
    const before = one.said
    try {
      const answer = await callOut(clock, guardCallMs, stopping, 'the guard source', (ctx) => one.source.current(ctx))
      one.said = parseGuards(answer)
      if (one.said.some(({ name, active }) => active && name === 'scaling')) this.scalingAt = clock.now()
    } catch (error) {
      if (stopping.aborted) return
      one.said = `it does not answer: ${errorText(error)}`
      const code = isPintailError(error) ? error.code : 'unavailable'
      const message = `a guard source counts as forbidding what is optional: ${one.said}`
      // Once, until it has answered again.
      if (typeof before !== 'string' || before === unasked)
        bus.warn({ code, message, remedy: 'Mend the source; dead servers are evacuated all the same.' })
    }
    if (JSON.stringify(one.said) !== JSON.stringify(before)) changed()
  }

  /** What the host said last about moves off this server for this reason; null: nothing against it. */
  denial(reason: MigrationReason, from: ServerId): GuardDenial | null {
    for (const { said } of this.#asked) {
      const denial = hostDenial(said, reason, from)
      if (denial) return denial
    }
    return null
  }
}
