import type { Bus } from '../telling/bus.ts'

type Warning = Parameters<Bus['warn']>[0]

const mostSaid = 10_000

/** Says each thing once, until it has been well in between. */
export class Warnings {
  readonly #bus: Bus
  readonly #said = new Set<string>()

  constructor(bus: Bus) {
    this.#bus = bus
  }

  once(key: string, code: Warning['code'], message: string, rest: Partial<Warning> = {}): void {
    if (this.#said.has(key)) return
    // Bounded: a registry of nonsense must fill neither the memory nor the log. There is nothing new in the ten-thousandth.
    if (this.#said.size > mostSaid) return
    this.#said.add(key)
    const isLast = this.#said.size > mostSaid
    this.#bus.warn({ code, message: isLast ? `${message}; no more of these are told` : message, ...rest })
  }

  /** It is well again: the next time is told anew. */
  over(key: string): void {
    this.#said.delete(key)
  }
}
