import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit'
import { problem } from '../base/asking.ts'
import { SessionRequest } from '../base/context.ts'
import { PintailElement } from '../base/element.ts'
import type { Tone } from '../base/states.ts'
import { Session } from '../session/session.ts'
import { type Answer, headline } from './headline.ts'

const tokenKey = 'pintail-token'

/** Shapes beside the colours: a tick, a dot, an arrow, a bar, a cross. */
const marks: Readonly<Record<Tone, string>> = { good: '✓', busy: '→', waiting: '!', idle: '–', bad: '✕' }

/**
 * `<pintail-dashboard url="./">`: the ready-made page. Answers an operator's three questions, and lays out the other elements, which
 * find their session in it. Where the API answers 401 it asks for a token, unless a host listens to `pintail-unauthorized` and calls
 * `preventDefault()`.
 */
export class PintailDashboard extends PintailElement {
  static override properties = {
    ...PintailElement.properties,
    remember: { type: Boolean },
    wasRefused: { state: true },
  }

  /** Keeps the token in `sessionStorage`, until the tab is closed. */
  declare remember: boolean
  declare wasRefused: boolean

  #own: Session | null = null
  #ticking: ReturnType<typeof setInterval> | null = null

  constructor() {
    super()
    this.remember = false
    this.wasRefused = false
    this.addEventListener(SessionRequest.type, (event) => this.#answer(event as SessionRequest))
  }

  override connectedCallback(): void {
    if (!this.session && this.url !== null && !this.#own) {
      const token = this.#token
      this.#own = new Session({ url: new URL(this.url, document.baseURI).href, ...(token !== null && { token }) })
      this.session = this.#own
    }
    super.connectedCallback()
    // Relative times and the dead man's switch go on without any event.
    this.#ticking = setInterval(() => document.visibilityState === 'visible' && this.requestUpdate(), 10_000)
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    if (this.#ticking !== null) clearInterval(this.#ticking)
    if (!this.#own) return
    this.#own.dispose()
    this.#own = null
    this.session = null
  }

  /** Elements within find the session here; what asks from above or beside does not. */
  #answer(event: SessionRequest): void {
    const session = this.session
    if (!session || event.composedPath()[0] === this) return
    event.stopPropagation()
    event.give(session)
  }

  get #token(): string | null {
    try {
      return this.remember ? sessionStorage.getItem(tokenKey) : null
    } catch {
      // A page whose storage is closed to us.
      return null
    }
  }

  #keep(token: string | null): void {
    if (!this.remember) return
    try {
      if (token === null) sessionStorage.removeItem(tokenKey)
      else sessionStorage.setItem(tokenKey, token)
    } catch {}
  }

  readonly #signIn = (event: SubmitEvent): void => {
    event.preventDefault()
    const token = String(new FormData(event.currentTarget as HTMLFormElement).get('token') ?? '').trim()
    // What no header can carry would end as a fault of the network.
    if (!/^[\x21-\x7e]+$/.test(token)) {
      this.wasRefused = true
      return
    }
    this.#keep(token)
    this.wasRefused = true
    this.active?.signIn(token)
  }

  readonly #signOut = (): void => {
    this.#keep(null)
    this.wasRefused = false
    this.active?.signIn(null)
  }

  protected override updated(_changed: PropertyValues): void {
    const { link } = this.model
    if (link.state === 'live') this.wasRefused = false
    this.announce(link.state === 'live' || link.state === 'loading' ? '' : this.t.link[link.state])
  }

  protected override render(): TemplateResult {
    const { t, model } = this
    return html`
      <a class="skip" href="#main" @click=${this.#skip}>${t.dashboard.skip}</a>
      <header part="header">
        <h1>${t.dashboard.title}</h1>
        ${this.#link()}
        ${this.#token === null || model.link.state === 'signed-out' ? nothing : html`<button type="button" part="button" @click=${this.#signOut}>${t.dashboard.signOut}</button>`}
      </header>
      ${this.liveRegion()}
      <main part="main" tabindex="-1">${this.#main()}</main>
    `
  }

  readonly #skip = (event: Event): void => {
    event.preventDefault()
    this.renderRoot.querySelector<HTMLElement>('main')?.focus()
  }

  #link(): TemplateResult {
    const { t, model, words } = this
    const { link, readAt } = model
    return html`<p class="link" part="link" data-state=${link.state}>
      <span class="dot" aria-hidden="true"></span>${t.link[link.state]}${
        link.state !== 'live' && readAt !== null
          ? html` <span class="quiet">${t.link.asOf(words.clock(readAt - model.clockOffsetMs))}</span>`
          : nothing
      }
    </p>`
  }

  #main(): TemplateResult {
    const { t, model } = this
    if (model.link.state === 'signed-out') return this.hostSignsIn ? html`<p class="card">${t.link['signed-out']}</p>` : this.#signInForm()
    if (model.link.state === 'refused')
      return html`<section class="card">
        ${problem(t, t.link.refused, model.link.why)}
        <button type="button" part="button" @click=${() => this.active?.refresh()}>${t.common.retry}</button>
      </section>`
    if (model.fleet === null)
      return html`<section class="card">
        ${model.link.state === 'stale' ? problem(t, t.link.stale, model.link.why) : html`<p>${t.dashboard.loading}</p>`}
      </section>`
    return html`${this.#answers()} ${model.servers.length === 0 ? html`<p class="card">${t.dashboard.noServers}</p>` : nothing}
      <div class="grid" ?hidden=${model.servers.length === 0 && model.migrations.length === 0}>
        <div class="column">
          <pintail-map part="map" exportparts="name,button"></pintail-map>
          <pintail-incident part="incident" exportparts="name,button"></pintail-incident>
          <pintail-plan part="plan" exportparts="name,button"></pintail-plan>
        </div>
        <div class="column">
          <pintail-guards part="guards" exportparts="name,button"></pintail-guards>
          <pintail-migrations part="migrations" exportparts="name,button"></pintail-migrations>
          <pintail-why part="why" exportparts="name,button"></pintail-why>
        </div>
      </div>`
  }

  #answers(): TemplateResult {
    const { t } = this
    const { isWrong, isDone, mustAct } = headline(this.model, t, this.now())
    const card = (question: string, { tone, lines }: Answer): TemplateResult =>
      html`<section class="answer card" part="answer" data-tone=${tone}>
        <h2>${question}</h2>
        ${lines.map((line, index) => html`<p class=${index === 0 ? 'first' : 'quiet'}>${index === 0 ? html`<span class="mark" aria-hidden="true">${marks[tone]}</span>` : nothing}${line}</p>`)}
      </section>`
    return html`<div class="answers">
      ${card(t.dashboard.isWrong, isWrong)} ${card(t.dashboard.isDone, isDone)} ${card(t.dashboard.mustAct, mustAct)}
    </div>`
  }

  #signInForm(): TemplateResult {
    const { t } = this
    return html`<form class="card signin" @submit=${this.#signIn}>
      <h2>${t.dashboard.signIn}</h2>
      <p class="quiet">${t.link['signed-out']}</p>
      <label for="token">${t.dashboard.token}</label>
      <input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required aria-describedby="hint" />
      <p id="hint" class="quiet">${t.dashboard.tokenHint}</p>
      <div role="alert">${this.wasRefused ? html`<p class="problem">${t.dashboard.tokenRefused}</p>` : nothing}</div>
      <button type="submit" part="button" class="primary">${t.dashboard.signIn}</button>
    </form>`
  }

  static override styles = [
    PintailElement.styles,
    css`
      :host {
        background: var(--ground);
        min-height: 100dvh;
        padding: 0 clamp(0.75rem, 2vw, 2rem) 2rem;
      }
      h1 {
        margin: 0;
        font-size: 1.25rem;
      }
      header {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem 1rem;
        align-items: center;
        padding: 0.75rem 0;
      }
      header .link {
        margin-inline-start: auto;
      }
      main:focus {
        outline: none;
      }
      .dot {
        display: inline-block;
        width: 0.625rem;
        height: 0.625rem;
        margin-inline-end: 0.5rem;
        border: 2px solid var(--idle);
        border-radius: 50%;
      }
      .link[data-state='live'] .dot {
        background: var(--good);
        border-color: var(--good);
      }
      .link[data-state='polled'] .dot,
      .link[data-state='stale'] .dot,
      .link[data-state='refused'] .dot,
      .link[data-state='signed-out'] .dot {
        border-color: var(--bad);
        border-radius: 0;
      }
      .skip {
        position: absolute;
        left: -100rem;
        padding: 0.5rem;
        background: var(--ground);
        color: var(--accent);
      }
      .skip:focus {
        left: 0.5rem;
        top: 0.5rem;
        z-index: 1;
      }
      .answers {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr));
        gap: 0.75rem;
        margin-bottom: 0.75rem;
      }
      .answer {
        border-inline-start-width: 4px;
      }
      .answer h2 {
        font-size: 0.8125rem;
        font-weight: 500;
        color: var(--quiet);
      }
      .answer .first {
        display: flex;
        font-size: 1.125rem;
        font-weight: 600;
      }
      .answer .mark {
        display: inline-block;
        flex: none;
        min-width: 1.5em;
      }
      .answer[data-tone='good'] {
        border-inline-start-color: var(--good);
      }
      .answer[data-tone='good'] .mark {
        color: var(--good);
      }
      .answer[data-tone='busy'] {
        border-inline-start-color: var(--busy);
      }
      .answer[data-tone='busy'] .mark {
        color: var(--busy);
      }
      .answer[data-tone='waiting'] {
        border-inline-start-color: var(--waiting);
      }
      .answer[data-tone='waiting'] .mark {
        color: var(--waiting);
      }
      .answer[data-tone='bad'] {
        border-inline-start-color: var(--bad);
      }
      .answer[data-tone='bad'] .mark {
        color: var(--bad);
      }
      .grid,
      .column {
        display: grid;
        gap: 0.75rem;
        align-content: start;
        min-width: 0;
      }
      .grid[hidden],
      .column > :not(:defined) {
        display: none;
      }
      @media (min-width: 64rem) {
        .grid {
          grid-template-columns: minmax(0, 2fr) minmax(20rem, 1fr);
        }
      }
      .signin {
        display: grid;
        gap: 0.5rem;
        max-width: 26rem;
        margin: 10vh auto 0;
      }
    `,
  ]
}
