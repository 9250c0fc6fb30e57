import { type CSSResultGroup, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit'
import { type Language, language, type Messages } from '../messages/index.ts'
import type { Link, Model } from '../session/model.ts'
import { emptyModel } from '../session/model.ts'
import { Session, type Subscription } from '../session/session.ts'
import { providedEvent, SessionRequest } from './context.ts'
import { shared, tokens } from './styles.ts'
import { shortened } from './text.ts'
import { version } from './version.ts'

/** Sessions of `url` attributes: elements of one page with the same URL share one. */
const byUrl = new Map<string, { readonly session: Session; users: number }>()

/**
 * What all elements of Pintail have: a session, found by the property `session`, by a `<pintail-session>` above, or made of the
 * attribute `url`; the model of the session; the language; a polite word for screen readers.
 *
 * A subclass draws from `this.model` and `this.t`. It is asked to only if a part of the model that `watches` names has changed.
 */
export abstract class PintailElement extends LitElement {
  /** Of the package that registered this element, where a page has loaded two. */
  static readonly version = version

  static override properties = {
    session: { attribute: false },
    url: { type: String },
    theme: { type: String, reflect: true },
    lang: { type: String },
  }

  static override styles: CSSResultGroup = [tokens, shared]

  declare session: Session | null
  /** Where the API is; used where no session is given and none is above. */
  declare url: string | null
  /** `light`, `dark`; without it as the page is. */
  declare theme: string | null

  #found: Session | null = null
  #subscription: Subscription | null = null
  #leased: string | null = null
  #model: Model = emptyModel
  #lastLink: Link['state'] = 'resting'
  /** Null until its texts are there: until then nothing is drawn and no session opened. */
  #language: Language | null = null

  /** Parts of the model that the element draws; undefined: all. */
  protected readonly watches: readonly (keyof Model)[] | undefined = undefined

  /** The host has taken `pintail-unauthorized` upon itself, by `preventDefault()`. */
  protected hostSignsIn = false

  constructor() {
    super()
    this.session = null
    this.url = null
    this.theme = null
  }

  get model(): Model {
    return this.#model
  }

  /** The session in use; null: none was found yet. */
  get active(): Session | null {
    return this.#found
  }

  protected get t(): Messages {
    return this.words.messages
  }

  protected get words(): Language {
    // Nobody draws or hears of a model before it is there.
    return this.#language as Language
  }

  /** Milliseconds by the server's clock. */
  protected now(): number {
    return this.#found?.now() ?? Date.now()
  }

  override connectedCallback(): void {
    super.connectedCallback()
    document.addEventListener(providedEvent, this.#seek)
    watchLanguage(this)
    const speaks = this.#speak()
    if (speaks === null) this.#seek()
    // Where it fails the first drawing fails with it, and is told there.
    else void speaks.then(this.#seek, () => {})
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    document.removeEventListener(providedEvent, this.#seek)
    unwatchLanguage(this)
    this.#use(null)
  }

  /** The first drawing waits for the texts. */
  protected override async scheduleUpdate(): Promise<void> {
    if (!this.#language) await this.#speak()
    await super.scheduleUpdate()
  }

  /** Null: in the language that is wanted already; else what it waits for, and speaks the one before. */
  #speak(): Promise<void> | null {
    const found = language(languageTag(this))
    if (!(found instanceof Promise)) {
      this.#language = found
      return null
    }
    return found.then((loaded) => {
      this.#language ??= loaded
    })
  }

  protected override willUpdate(changed: PropertyValues): void {
    this.#speak()?.then(
      () => this.requestUpdate(),
      () => {},
    )
    if (changed.has('session') || changed.has('url')) this.#seek()
  }

  readonly #seek = (): void => {
    if (!this.isConnected || this.#language === null) return
    let found = this.session
    if (!found) {
      this.dispatchEvent(
        new SessionRequest((session) => {
          found ??= session
        }),
      )
    }
    if (found) this.#use(found)
    else if (this.url !== null) this.#use(this.#lease(this.url))
    else this.#use(null)
  }

  #lease(url: string): Session {
    const key = new URL(url, document.baseURI).href
    const known = byUrl.get(key)
    if (this.#leased === key && known) return known.session
    const entry = known ?? { session: new Session({ url }), users: 0 }
    entry.users++
    byUrl.set(key, entry)
    this.#giveBack()
    this.#leased = key
    return entry.session
  }

  #giveBack(): void {
    const entry = this.#leased === null ? undefined : byUrl.get(this.#leased)
    if (entry && --entry.users === 0) byUrl.delete(this.#leased as string)
    this.#leased = null
  }

  #use(session: Session | null): void {
    if (session === this.#found && (session === null) === (this.#subscription === null)) return
    this.#subscription?.cancel()
    this.#subscription = null
    this.#found = session
    if (this.#leased !== null && byUrl.get(this.#leased)?.session !== session) this.#giveBack()
    if (!session) return
    this.#subscription = session.subscribe((model) => this.#take(model))
    this.#take(session.model)
  }

  #take(model: Model): void {
    const old = this.#model
    this.#model = model
    const isNews = this.watches === undefined || this.watches.some((part) => old[part] !== model[part])
    if (isNews) {
      this.modelChanged(model, old)
      this.requestUpdate()
    }
    const { state } = model.link
    if (state === 'signed-out' && this.#lastLink !== state) {
      const detail = { session: this.#found }
      this.hostSignsIn = !this.dispatchEvent(
        new CustomEvent('pintail-unauthorized', { bubbles: true, composed: true, cancelable: true, detail }),
      )
    }
    this.#lastLink = state
  }

  /** Before the element is drawn with a new model. */
  protected modelChanged(_model: Model, _old: Model): void {}

  /** A name from outside: isolated, cut, its control characters visible. In SVG use `shortened` itself. */
  protected name(name: string, most = 40): TemplateResult {
    const { text, title } = shortened(name, most)
    return html`<bdi part="name" title=${title ?? nothing}>${text}</bdi>`
  }

  /** `2 minutes ago`, with the whole time in the title. */
  protected time(iso: string | null): TemplateResult | typeof nothing {
    if (iso === null) return nothing
    const at = Date.parse(iso)
    return html`<time datetime=${iso} title=${this.words.dateTime(at)}>${this.words.relative(at, this.now())}</time>`
  }

  /** Says something to screen readers, politely. The element draws `this.liveRegion()` once. */
  protected announce(text: string): void {
    const region = this.renderRoot?.querySelector('[data-live]')
    if (region && region.textContent !== text) region.textContent = text
  }

  /** Filled by `announce` alone, and so never drawn anew. */
  protected liveRegion(): TemplateResult {
    return html`<div data-live class="unseen" role="status" aria-live="polite"></div>`
  }
}

/** The nearest `lang`, through shadow roots up to the page. */
function languageTag(element: Element): string {
  for (let at: Element | null = element; at; ) {
    const found = at.closest('[lang]')
    const tag = found?.getAttribute('lang')
    if (tag) return tag
    const root = at.getRootNode()
    at = root instanceof ShadowRoot ? root.host : null
  }
  return document.documentElement.lang || 'en'
}

/** A page that changes its `lang`, or that of anything above an element, changes our texts: one observer for all elements. */
const speaking = new Set<PintailElement>()
let listening: MutationObserver | null = null

function watchLanguage(element: PintailElement): void {
  speaking.add(element)
  if (listening) return
  listening = new MutationObserver(() => {
    for (const one of speaking) one.requestUpdate()
  })
  listening.observe(document, { attributes: true, attributeFilter: ['lang'], subtree: true })
}

function unwatchLanguage(element: PintailElement): void {
  speaking.delete(element)
  if (speaking.size > 0) return
  listening?.disconnect()
  listening = null
}
