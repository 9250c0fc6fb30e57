import type { ReactiveController } from 'lit'

const everyMs = 10_000

/** Draws its element anew every ten seconds while the page is visible: relative times go on without any event. */
export class Ticking implements ReactiveController {
  readonly #host: { addController(controller: ReactiveController): void; requestUpdate(): void }
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(host: { addController(controller: ReactiveController): void; requestUpdate(): void }) {
    this.#host = host
    host.addController(this)
  }

  hostConnected(): void {
    this.#timer = setInterval(() => document.visibilityState === 'visible' && this.#host.requestUpdate(), everyMs)
  }

  hostDisconnected(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }
}
