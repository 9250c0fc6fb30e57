import { html, nothing, type ReactiveController, type TemplateResult } from 'lit'
import type { Messages } from '../messages/index.ts'
import type { ActionName, ActionRequest, Outcome } from '../session/requests.ts'
import type { Session } from '../session/session.ts'
import type { Trouble } from '../session/trouble.ts'

/** One question to a person before something is done. */
export interface Question {
  readonly title: string | TemplateResult
  readonly text?: string | TemplateResult
  /** Word of the button that does it. Default: that it is confirmed. */
  readonly confirm?: string
  /** True: the button is red. */
  readonly isDangerous?: boolean
  /** More to fill in; its named fields are handed to `request`. */
  readonly fields?: () => TemplateResult
  /** What to ask the session for; or, where it takes several steps, what does them. */
  readonly request: (fields: FormData) => ActionRequest | ((session: Session) => Promise<Outcome>)
  /** When it has been done. */
  readonly onDone?: () => void
  /**
   * It has changed meanwhile: the question to ask now, about the record as it is; null: there is nothing left to ask.
   * Default: the person is told, and asks again himself.
   */
  readonly askAgain?: (now: Extract<Outcome, { kind: 'changed' }>['now']) => Question | null
}

/** What an element must have so that people can act in it: `PintailElement` does. */
interface Host {
  addController(controller: ReactiveController): void
  requestUpdate(): void
  readonly updateComplete: Promise<boolean>
  readonly renderRoot: ParentNode
  readonly active: Session | null
}

let lastId = 0

/**
 * The dialog of an element, and its buttons: asks, does it through the session, says what came of it. Focus goes into the dialog, and
 * back to where it was; Escape and the second button leave everything as it is.
 */
export class Asking implements ReactiveController {
  readonly #host: Host
  readonly #texts: () => Messages
  readonly #id = `pintail-asking-${++lastId}`
  #question: Question | null = null
  #isBusy = false
  #trouble: { readonly text: string; readonly why: Trouble | null } | null = null
  #opener: HTMLElement | null = null
  #asked = 0
  #shown = 0

  constructor(host: Host, texts: () => Messages) {
    this.#host = host
    this.#texts = texts
    host.addController(this)
  }

  hostDisconnected(): void {
    this.#question = null
    this.#isBusy = false
  }

  /** Why this viewer cannot do this now; null: he can. */
  hindrance(action: ActionName): string | null {
    const session = this.#host.active
    const t = this.#texts()
    if (session?.model.denied.has(action)) return t.common.notAllowed
    if (!session || session.model.link.state === 'signed-out') return t.link['signed-out']
    return null
  }

  /** A button that opens a question; who may not is told why, and can still reach it by keyboard to hear so. */
  button(
    label: string | TemplateResult,
    action: ActionName,
    question: () => Question,
    { kind = '', describe }: { kind?: 'primary' | 'danger' | ''; describe?: string } = {},
  ): TemplateResult {
    const hindrance = this.hindrance(action)
    return html`<button
      type="button"
      part="button"
      class=${kind}
      data-action=${action}
      aria-disabled=${hindrance === null ? nothing : 'true'}
      aria-description=${hindrance ?? describe ?? nothing}
      title=${hindrance ?? nothing}
      @click=${(event: Event) => hindrance === null && this.ask(question(), event.currentTarget as HTMLElement)}
    >
      ${label}
    </button>`
  }

  ask(question: Question, opener: HTMLElement | null = null): void {
    const mine = ++this.#asked
    this.#question = question
    this.#trouble = null
    this.#isBusy = false
    this.#opener = opener ?? this.#opener
    this.#host.requestUpdate()
    void this.#host.updateComplete.then(() => {
      const dialog = this.#dialog
      if (!dialog || dialog.open || !this.#question) return
      dialog.showModal()
      this.#shown = mine
    })
  }

  get #dialog(): HTMLDialogElement | null {
    return this.#host.renderRoot.querySelector<HTMLDialogElement>(`#${this.#id}`)
  }

  #close(): void {
    this.#dialog?.close()
  }

  readonly #closed = (): void => {
    // Told late: whoever is quick has asked the next question already.
    if (this.#shown !== this.#asked || this.#dialog?.open) return
    this.#question = null
    this.#trouble = null
    this.#host.requestUpdate()
    const opener = this.#opener
    this.#opener = null
    // The button may be gone with what was done.
    if (opener?.isConnected) opener.focus()
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault()
    const question = this.#question
    const session = this.#host.active
    if (!question || !session || this.#isBusy) return
    this.#isBusy = true
    this.#trouble = null
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    this.#host.requestUpdate()
    const wanted = question.request(fields)
    const outcome = await (typeof wanted === 'function' ? wanted(session) : session.perform(wanted))
    // Closed meanwhile: what was asked for is done all the same, and the page shows it.
    if (this.#question !== question) return
    this.#isBusy = false
    this.#told(question, outcome)
    this.#host.requestUpdate()
  }

  #told(question: Question, outcome: Outcome): void {
    const { common, link } = this.#texts()
    if (outcome.ok) {
      // Who does something of his own then has a better place for the focus than the button.
      if (question.onDone) this.#opener = null
      this.#close()
      question.onDone?.()
      return
    }
    const { kind, why } = outcome
    if (kind === 'changed') {
      const next = question.askAgain?.(outcome.now)
      if (next) this.#question = next
      this.#trouble = { text: common.changed, why: null }
    } else if (kind === 'forbidden') this.#trouble = { text: common.notAllowed, why }
    else if (kind === 'signed-out') this.#trouble = { text: link['signed-out'], why: null }
    else if (kind === 'unreachable') this.#trouble = { text: common.unreachable, why }
    else this.#trouble = { text: why.title || common.unknown, why }
  }

  /** The dialog: to be drawn once by the element. */
  render(): TemplateResult {
    const { common } = this.#texts()
    const question = this.#question
    return html`<dialog id=${this.#id} part="dialog" aria-labelledby="${this.#id}-title" @close=${this.#closed}>
      ${
        question &&
        html`<form @submit=${(event: SubmitEvent) => this.#submit(event)}>
          <h2 id="${this.#id}-title">${question.title}</h2>
          ${question.text ? html`<p>${question.text}</p>` : nothing} ${question.fields?.()}
          <div role="alert">${this.#trouble && problem(this.#texts(), this.#trouble.text, this.#trouble.why)}</div>
          <div class="row">
            <button type="button" part="button" @click=${() => this.#close()}>${common.keep}</button>
            <button type="submit" part="button" class=${question.isDangerous ? 'danger' : 'primary'} aria-disabled=${this.#isBusy ? 'true' : nothing}>
              ${this.#isBusy ? common.working : (question.confirm ?? common.confirm)}
            </button>
          </div>
        </form>`
      }
    </dialog>`
  }
}

/** Problem details as text. */
export function problem(t: Messages, text: string, why: Trouble | null): TemplateResult {
  return html`<div class="problem" part="problem">
    <p>${text}</p>
    ${why?.detail ? html`<p class="quiet">${why.detail}</p>` : nothing}
    ${why?.remedy ? html`<p class="quiet">${t.common.remedy}: ${why.remedy}</p>` : nothing}
    ${why && why.differences.length > 0 ? html`<ul>${why.differences.slice(0, 20).map((one) => html`<li><bdi>${one}</bdi></li>`)}</ul>` : nothing}
  </div>`
}
