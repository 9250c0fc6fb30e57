import type { Books } from '../books/books.ts'
import { calmed } from '../detect/calm.ts'
import { detectFor } from '../detect/override.ts'
import type { DetectPolicy } from '../vocabulary.ts'

/**
 * The policy by which one server is judged: with the overrides for it and its prober, and a confirmation as long as a fleet of
 * this size needs. Lengths are kept, because each is the result of a calculation.
 */
export class Tuned {
  readonly #books: Books
  #of: DetectPolicy | null = null
  #servers = 0
  readonly #calm = new Map<number, DetectPolicy>()

  constructor(books: Books) {
    this.#books = books
  }

  /** @param vantages how many look at it, as far as their word counts; at least 1 */
  for(server: string, prober: string, vantages: number): DetectPolicy {
    const { policy, servers } = this.#books
    if (this.#of !== policy.detect || this.#servers !== servers.size) {
      this.#of = policy.detect
      this.#servers = servers.size
      this.#calm.clear()
    }
    let calm = this.#calm.get(vantages)
    if (!calm) {
      calm = calmed(policy.detect, { vantages, servers: servers.size })
      this.#calm.set(vantages, calm)
    }
    return detectFor(calm, server, prober)
  }
}
