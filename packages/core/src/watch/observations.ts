import { errorText } from '../errors.ts'
import type { Clock, ObservationSource, Random, SampleInput } from '../ports.ts'
import { parseSample, problemText, shorten } from '../rows.ts'
import { defer, sleep } from '../time.ts'
import type { Sample } from '../vocabulary.ts'
import type { Warnings } from './warnings.ts'

/** How far the clock of a vantage may be ahead, and how late its samples may come, milliseconds. */
const aheadMs = 5000
const lateMs = 120_000
const firstPauseMs = 1000
const longestPauseMs = 60_000
/** So many samples are taken before everything else gets a turn. */
const atOnce = 500

/** Why a sample is not taken; each is told once. */
export type Refusal = 'impossible' | 'unknown_vantage' | 'unknown_server' | 'own_vantage' | 'in_the_future' | 'too_late' | 'not_newer'

/** Samples from elsewhere: read from the host's source, checked, counted. What they mean the witness says. */
export class Observations {
  readonly #clock: Clock
  readonly #random: Random
  readonly #warnings: Warnings
  readonly #witness: { observe(sample: Sample): Refusal | null }
  #taken = 0
  readonly #refused = new Map<Refusal, number>()

  constructor(clock: Clock, random: Random, warnings: Warnings, witness: { observe(sample: Sample): Refusal | null }) {
    this.#clock = clock
    this.#random = random
    this.#warnings = warnings
    this.#witness = witness
  }

  report(): { readonly taken: number; readonly refused: Readonly<Record<string, number>> } {
    return { taken: this.#taken, refused: Object.fromEntries(this.#refused) }
  }

  /** One sample, whatever it is: it never throws. */
  take(input: SampleInput): void {
    const parsed = parseSample(input)
    const refused = parsed.ok ? this.#problem(parsed.value) : (['impossible', problemText(parsed.problems)] as const)
    if (refused === null) this.#taken++
    else this.#refuse(...refused)
  }

  #problem(sample: Sample): readonly [Refusal, string] | null {
    const now = this.#clock.now()
    if (sample.sentAt > now + aheadMs) return ['in_the_future', `sent ${Math.round(sample.sentAt - now)} ms from now`]
    if (sample.sentAt < now - lateMs) return ['too_late', `sent ${Math.round((now - sample.sentAt) / 1000)} s ago`]
    const why = this.#witness.observe(sample)
    return why && [why, `of server ${shorten(sample.serverId)} from vantage ${shorten(sample.vantage)}`]
  }

  #refuse(why: Refusal, detail: string): void {
    this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1)
    // Repeated and overtaken ones are the way of every queue: they are counted only.
    if (why === 'not_newer') return
    this.#warnings.once(`observation/${why}`, 'invalid_row', `a sample from elsewhere is not taken (${why}): ${detail}`, {
      remedy: 'Name the vantage in policy.detect.vantages, and check what it sends; status().observations counts them.',
    })
  }

  /** Reads the host's source until the signal fires; it is asked again when it throws or ends. Never rejects. */
  async run(source: ObservationSource, stopped: AbortSignal): Promise<void> {
    for (let pauses = 0; !stopped.aborted; pauses++) {
      const before = this.#taken
      const why = await this.#read(source, stopped).catch((error) => errorText(error))
      if (stopped.aborted) return
      // Whoever has given something begins with the short pause again.
      if (this.#taken > before) {
        pauses = 0
        this.#warnings.over('observations')
      }
      this.#warnings.once('observations', 'unavailable', `observations: ${why}; the source is asked again`)
      const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(pauses, 6))
      await sleep(this.#clock, pause * (0.5 + this.#random() / 2), stopped).catch(() => {})
    }
  }

  async #read(source: ObservationSource, stopped: AbortSignal): Promise<string> {
    const iterator = source.samples({ signal: stopped })[Symbol.asyncIterator]()
    // One that hangs is not waited for: it has its signal.
    let giveUp = (): void => {}
    const onAbort = (): void => giveUp()
    stopped.addEventListener('abort', onAbort, { once: true })
    try {
      for (let count = 1; !stopped.aborted; count++) {
        const next = await new Promise<IteratorResult<SampleInput> | null>((resolve, reject) => {
          giveUp = () => resolve(null)
          iterator.next().then(resolve, reject)
        })
        if (next === null) break
        if (next.done) return 'the source has ended'
        this.take(next.value)
        if (count % atOnce === 0) await new Promise<void>((resolve) => defer(this.#clock, resolve))
      }
      return 'stopped'
    } finally {
      stopped.removeEventListener('abort', onAbort)
      new Promise((resolve) => resolve(iterator.return?.())).catch(() => {})
    }
  }
}
