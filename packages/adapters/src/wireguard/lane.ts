import type { CallContext } from '@pintail/core'
import { untilAborted } from '../http/waiting.ts'

interface Waiting<Item, Answer> {
  readonly item: Item
  readonly signal: AbortSignal
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** What one item of a batch came to. */
export type Outcome<Answer> = { readonly answer: Answer } | { readonly error: unknown }

/**
 * One batch after another: whoever comes while one is under way goes with the next, so that what all have in common (a
 * look at the interface, a write to it) is done once for all of them. Who gives up before his batch begins has no part in
 * it; a batch is aborted when everybody in it has given up.
 */
export class BatchLane<Item, Answer> {
  readonly #run: (items: readonly Item[], ctx: CallContext) => Promise<readonly Outcome<Answer>[]>
  readonly #most: number
  #waiting: Waiting<Item, Answer>[] = []
  #isRunning = false

  constructor(run: (items: readonly Item[], ctx: CallContext) => Promise<readonly Outcome<Answer>[]>, most: number) {
    this.#run = run
    this.#most = most
  }

  get waiting(): number {
    return this.#waiting.length
  }

  add(item: Item, signal: AbortSignal): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#waiting.push({ item, signal, resolve, reject })
    if (!this.#isRunning) void this.#drain()
    return untilAborted(promise, signal)
  }

  async #drain(): Promise<void> {
    this.#isRunning = true
    // Whoever is added in the same turn of the event loop goes along.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#most).filter(({ signal }) => !signal.aborted)
      if (batch.length > 0) await this.#perform(batch)
    }
    this.#isRunning = false
  }

  async #perform(batch: readonly Waiting<Item, Answer>[]): Promise<void> {
    const own = new AbortController()
    const abort = (): void => {
      if (batch.every(({ signal }) => signal.aborted)) own.abort(batch[0]?.signal.reason)
    }
    for (const { signal } of batch) signal.addEventListener('abort', abort, { once: true })
    try {
      const items = batch.map(({ item }) => item)
      const outcomes = await this.#run(items, { signal: own.signal })
      for (const [index, { resolve, reject }] of batch.entries()) {
        const outcome = outcomes[index]
        if (outcome && 'answer' in outcome) resolve(outcome.answer)
        else reject(outcome?.error ?? new Error('unreachable: an item without an outcome'))
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      for (const { signal } of batch) signal.removeEventListener('abort', abort)
    }
  }
}
