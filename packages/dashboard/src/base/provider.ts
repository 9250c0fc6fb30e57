import { LitElement, type PropertyValues } from 'lit'
import { Session } from '../session/session.ts'
import { providedEvent, SessionRequest } from './context.ts'
import { version } from './version.ts'

/**
 * `<pintail-session url="/pintail">`: gives one session to all elements within it. With the property `token`, `headers`, `fetch` or
 * `session` a host brings its own sign-in; none of these is an attribute, so that no secret stands in markup.
 */
export class PintailSession extends LitElement {
  static readonly version = version

  static override properties = {
    url: { type: String },
    token: { attribute: false },
    headers: { attribute: false },
    fetch: { attribute: false },
    session: { attribute: false },
  }

  declare url: string | null
  declare token: string | null
  declare headers: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>) | null
  declare fetch: typeof globalThis.fetch | null
  declare session: Session | null

  #own: Session | null = null
  #token: string | null = null
  /** What `#own` was made of, beside the token. */
  #madeOf: readonly unknown[] = []

  constructor() {
    super()
    this.url = null
    this.token = null
    this.headers = null
    this.fetch = null
    this.session = null
    this.addEventListener(SessionRequest.type, (event) => this.#answer(event as SessionRequest))
  }

  /** What it gives; null: it has neither `session` nor `url`. */
  get active(): Session | null {
    if (this.session) return this.session
    if (this.url === null) return null
    const { url, token, headers, fetch } = this
    if (!this.#own) {
      this.#own = new Session({ url, ...(token !== null && { token }), ...(headers && { headers }), ...(fetch && { fetch }) })
      this.#madeOf = [url, headers, fetch]
      this.#token = token
    }
    return this.#own
  }

  protected override createRenderRoot(): this {
    return this
  }

  override connectedCallback(): void {
    super.connectedCallback()
    document.dispatchEvent(new Event(providedEvent))
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#own?.dispose()
    this.#own = null
  }

  protected override willUpdate(_changed: PropertyValues): void {
    const { url, headers, fetch, token } = this
    const isSame = this.#madeOf.length > 0 && [url, headers, fetch].every((value, index) => value === this.#madeOf[index])
    if (this.#own && !isSame) {
      this.#own.dispose()
      this.#own = null
    } else if (this.#own && token !== this.#token) {
      this.#token = token
      this.#own.signIn(token)
    }
    document.dispatchEvent(new Event(providedEvent))
  }

  #answer(event: SessionRequest): void {
    const session = this.active
    if (!session) return
    event.stopPropagation()
    event.give(session)
  }
}
