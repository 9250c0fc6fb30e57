import { type HostGuard, hostDenial } from '../decide/guard.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { Clock, GuardSource, GuardState } from '../ports.ts'
import { parseGuards } from '../rows.ts'
import type { GuardDenial, MigrationReason, ServerId } from '../vocabulary.ts'
import type { Bus } from './bus.ts'
import { callOut } from './time.ts'

/** For asking a guard source, milliseconds. */
const guardCallMs = 10_000
const unasked = 'it has not answered yet'

/** One source and what it said last. */
interface Asked {
  readonly source: GuardSource
  /** Null: it has said nothing yet, or nothing that could be understood. */
  states: readonly HostGuard[] | null
  trouble: string
  asking: Promise<void> | null
  askedAt: number
}

/**
 * What the host forbids. The answers are kept, so that nobody waits for one on the way of a dead server: it is asked
 * beforehand and again, and whoever is about to act looks at what was said last.
 */
export class HostGuards {
  readonly #asked: readonly Asked[]
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #stopping: AbortSignal
  readonly #changed: () => void

  constructor(sources: readonly GuardSource[], bus: Bus, clock: Clock, stopping: AbortSignal, changed: () => void) {
    this.#asked = sources.map((source) => {
      return { source, states: null, trouble: unasked, asking: null, askedAt: Number.NEGATIVE_INFINITY }
    })
    this.#bus = bus
    this.#clock = clock
    this.#stopping = stopping
    this.#changed = changed
  }

  get any(): boolean {
    return this.#asked.length > 0
  }

  /** Asks each source that was last asked so long ago, one question at a time. Never rejects. */
  async ask(olderThanMs = 0): Promise<void> {
    const now = this.#clock.now()
    await Promise.all(
      this.#asked.map((one) => {
        if (one.asking || now - one.askedAt < olderThanMs) return one.asking
        one.askedAt = now
        one.asking = this.#question(one).finally(() => {
          one.asking = null
        })
        return one.asking
      }),
    )
  }

  async #question(one: Asked): Promise<void> {
    const before = JSON.stringify(one.states)
    try {
      const call = (ctx: { signal: AbortSignal }) => one.source.current(ctx)
      const answer = await callOut<readonly GuardState[]>(this.#clock, guardCallMs, this.#stopping, 'the guard source', call)
      const parsed = parseGuards(answer)
      if (!parsed.ok) throw new PintailError('invalid_row', parsed.problem)
      one.states = parsed.value
      one.trouble = ''
    } catch (error) {
      if (this.#stopping.aborted) return
      const trouble = `it does not answer: ${errorText(error)}`
      // Once, until it has answered again.
      if (one.states !== null || one.trouble === unasked)
        this.#bus.warn({
          code: isPintailError(error) ? error.code : 'unavailable',
          message: `a guard source counts as forbidding what is optional, since ${trouble}`,
          remedy: 'Mend the source; dead servers are evacuated all the same.',
        })
      one.states = null
      one.trouble = trouble
    }
    if (JSON.stringify(one.states) !== before) this.#changed()
  }

  /** What the host said last about moves off this server for this reason; null: nothing against it. */
  denial(reason: MigrationReason, from: ServerId): GuardDenial | null {
    for (const { states, trouble } of this.#asked) {
      const denial = hostDenial(states ?? [{ ...silent, message: trouble }], reason, from)
      if (denial) return denial
    }
    return null
  }
}

const silent = { name: 'guard source', forbids: null, servers: null, active: true, remedy: null }
