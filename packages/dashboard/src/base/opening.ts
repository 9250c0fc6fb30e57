import { html, type ReactiveController, type TemplateResult } from 'lit'
import type { Session } from '../session/session.ts'

/** What can be looked at by its id, by whichever element of the page shows it. */
export type Openable = 'incident' | 'decision'

const hrefOf = (kind: Openable, id: string): string => `#pintail-${kind}=${encodeURIComponent(id)}`

/** What the page's hash names; null: nothing, or something of the host's. */
function fromHash(kind: Openable, hash: string): string | null {
  const start = `#pintail-${kind}=`
  if (!hash.startsWith(start)) return null
  try {
    return decodeURIComponent(hash.slice(start.length)) || null
  } catch {
    return null
  }
}

/** Told when a person wants to see something. A host that shows it in its own way calls `preventDefault()`. */
class OpenRequest extends Event {
  static readonly type = 'pintail-open'
  readonly detail: { readonly kind: Openable; readonly id: string }

  constructor(kind: Openable, id: string) {
    super(OpenRequest.type, { bubbles: true, composed: true, cancelable: true })
    this.detail = { kind, id }
  }
}

/** To the elements of the page: whoever shows it says so. */
class Shown extends Event {
  static readonly type = 'pintail-shown'
  readonly kind: Openable
  readonly id: string
  readonly session: Session | null
  isTaken = false

  constructor(kind: Openable, id: string, session: Session | null) {
    super(Shown.type)
    this.kind = kind
    this.id = id
    this.session = session
  }
}

interface Host {
  addController(controller: ReactiveController): void
  requestUpdate(): void
  readonly active: Session | null
}

/** Shows it on this page, and notes it in the page's hash; nothing happens where no element shows such things. */
function open(from: EventTarget & { readonly active: Session | null }, kind: Openable, id: string): void {
  if (!from.dispatchEvent(new OpenRequest(kind, id))) return
  const shown = new Shown(kind, id, from.active)
  document.dispatchEvent(shown)
  // With a `<base>` a hash alone would be another page.
  if (shown.isTaken && fromHash(kind, location.hash) !== id)
    history.pushState(history.state, '', location.pathname + location.search + hrefOf(kind, id))
}

/** A link that opens it here, and can be copied or opened in another tab as any link. */
export function link(
  host: EventTarget & { readonly active: Session | null },
  kind: Openable,
  id: string,
  label: string | TemplateResult,
  describe = '',
): TemplateResult {
  const click = (event: MouseEvent): void => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    open(host, kind, id)
  }
  return html`<a href=${hrefOf(kind, id)} part="open" data-open=${kind} aria-description=${describe} @click=${click}>${label}</a>`
}

/** What an element shows of one kind: by the page's hash, and by what is opened on the page. */
export class Opening implements ReactiveController {
  readonly #host: Host
  readonly #kind: Openable
  readonly #onOpen: () => void
  #id: string | null = null

  /** @param onOpen a person has just asked for it: the element shows itself */
  constructor(host: Host, kind: Openable, onOpen: () => void) {
    this.#host = host
    this.#kind = kind
    this.#onOpen = onOpen
    host.addController(this)
  }

  get id(): string | null {
    return this.#id
  }

  set id(id: string | null) {
    if (id === this.#id) return
    this.#id = id
    this.#host.requestUpdate()
  }

  /** Nothing is looked at any more; the hash says so too. */
  close(): void {
    this.id = null
    if (fromHash(this.#kind, location.hash) !== null) history.pushState(history.state, '', location.pathname + location.search)
  }

  hostConnected(): void {
    addEventListener('hashchange', this.#read)
    addEventListener('popstate', this.#read)
    document.addEventListener(Shown.type, this.#shown)
    const named = fromHash(this.#kind, location.hash)
    if (named === null) return
    this.id = named
    this.#onOpen()
  }

  hostDisconnected(): void {
    removeEventListener('hashchange', this.#read)
    removeEventListener('popstate', this.#read)
    document.removeEventListener(Shown.type, this.#shown)
  }

  readonly #read = (): void => {
    const named = fromHash(this.#kind, location.hash)
    // A hash of another kind, or of the host's, says nothing about this one.
    if (named === null && location.hash !== '') return
    this.id = named
    if (named !== null) this.#onOpen()
  }

  readonly #shown = (event: Event): void => {
    const { kind, id, session } = event as Shown
    // Of two fleets on a page each element shows its own.
    if (kind !== this.#kind || session !== this.#host.active) return
    ;(event as Shown).isTaken = true
    this.id = id
    this.#onOpen()
  }
}
