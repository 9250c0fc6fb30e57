import { RequestProblem } from './problem.ts'

export interface Kept {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Entry {
  readonly fingerprint: string
  readonly at: number
  readonly answer: Promise<Kept>
  bytes: number
}

/** How many answers are kept, for how long, and how large all of them may be; the oldest go first. */
export const idempotencyLimits = { entries: 1000, ms: 24 * 3_600_000, bytes: 32 * 1024 * 1024 } as const

/**
 * A repeated POST with the same `Idempotency-Key` gets the first one's answer and does nothing. Only answers of success are
 * kept: what was refused did nothing, and may be asked again. In this process alone; the engine's own rules (one evacuation
 * a source, legal transitions) hold without it.
 */
export class Idempotency {
  readonly #entries = new Map<string, Entry>()
  readonly #now: () => number
  #bytes = 0

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /**
   * @param fingerprint what was asked; the same key for something else is refused
   * @throws RequestProblem `idempotency_key_reused`
   */
  async run(key: string, fingerprint: string, work: () => Promise<Kept>): Promise<Kept & { readonly replayed: boolean }> {
    this.#forget()
    const found = this.#entries.get(key)
    if (found) {
      if (found.fingerprint !== fingerprint)
        throw new RequestProblem('idempotency_key_reused', {
          detail: 'The key was used for another request before.',
          remedy: 'Make a new key for each new request.',
        })
      return { ...(await found.answer), replayed: true }
    }
    const answer = work()
    const entry: Entry = { fingerprint, at: this.#now(), answer, bytes: 0 }
    this.#entries.set(key, entry)
    try {
      const kept = await answer
      if (this.#entries.get(key) === entry) {
        entry.bytes = Buffer.byteLength(kept.body)
        this.#bytes += entry.bytes
      }
      return { ...kept, replayed: false }
    } catch (error) {
      this.#drop(key, entry)
      throw error
    } finally {
      this.#forget()
    }
  }

  #forget(): void {
    const oldest = this.#now() - idempotencyLimits.ms
    for (const [key, entry] of this.#entries) {
      const isOver = this.#entries.size > idempotencyLimits.entries || this.#bytes > idempotencyLimits.bytes
      if (!isOver && entry.at > oldest) break
      this.#drop(key, entry)
    }
  }

  #drop(key: string, entry: Entry): void {
    if (this.#entries.get(key) !== entry) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }
}
