import type { Bus } from '../telling/bus.ts'

type Warning = Parameters<Bus['warn']>[0]

/** Says each thing once, until it has been well in between. */
export class Warnings {
  readonly #bus: Bus
  readonly #said = new Set<string>()

  constructor(bus: Bus) {
    this.#bus = bus
  }

  once(key: string, code: Warning['code'], message: string, rest: Partial<Warning> = {}): void {
    if (this.#said.has(key)) return
    // Bounded: a registry of nonsense must not fill the memory; the counter goes on.
    if (this.#said.size < 10_000) this.#said.add(key)
    this.#bus.warn({ code, message, ...rest })
  }

  /** It is well again: the next time is told anew. */
  over(key: string): void {
    this.#said.delete(key)
  }
}
