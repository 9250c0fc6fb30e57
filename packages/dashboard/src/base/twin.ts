import { html, type ReactiveController, type TemplateResult } from 'lit'
import type { Messages } from '../messages/index.ts'

/** A picture and its table: the same facts, and a button that goes from one to the other. */
export class Twin implements ReactiveController {
  readonly #host: { addController(controller: ReactiveController): void; requestUpdate(): void }
  readonly #texts: () => Messages
  isTable = false

  constructor(host: { addController(controller: ReactiveController): void; requestUpdate(): void }, texts: () => Messages) {
    this.#host = host
    this.#texts = texts
    host.addController(this)
  }

  hostConnected(): void {}

  readonly #toggle = (): void => {
    this.isTable = !this.isTable
    this.#host.requestUpdate()
  }

  button(): TemplateResult {
    const { common } = this.#texts()
    return html`<button type="button" part="button" data-twin aria-pressed=${this.isTable ? 'true' : 'false'} @click=${this.#toggle}>
      ${common.asTable}
    </button>`
  }

  /** Only the one that is seen is made. */
  render(picture: () => TemplateResult, table: () => TemplateResult): TemplateResult {
    return this.isTable ? table() : picture()
  }
}
