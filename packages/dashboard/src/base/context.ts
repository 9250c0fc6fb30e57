import type { Session } from '../session/session.ts'

/** Asks the elements above for a session: whoever provides one calls `give`. */
export class SessionRequest extends Event {
  static readonly type = 'pintail-session-request'
  readonly give: (session: Session) => void

  constructor(give: (session: Session) => void) {
    super(SessionRequest.type, { bubbles: true, composed: true })
    this.give = give
  }
}

/** Told on the document when a provider appears or has another session, as elements may be there before it. */
export const providedEvent = 'pintail-session-provided'
