/** What the supervisor tells a server when it starts it. */
export interface ServerSetting {
  /** The store of Pintail, and the books of the host: both outlive the process. */
  readonly store: string
  readonly books: string
  /** 0: any. */
  readonly port: number
  /** The supervisor runs one server at a time: each is its own lease, with a token higher than those before it. */
  readonly token: number
  readonly servers: number
  readonly users: number
}
