import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type PanelNode = { id: number; address: string; enabled: boolean; max_users: number; location: string }
type PanelUser = { uuid: string; country: string | null; node: number; locked: boolean }

/** The made-up Acme panel, on a port of loopback: its books in memory, and the troubles that a panel can have. */
export class AcmePanel {
  readonly nodes = new Map<number, PanelNode>()
  readonly users = new Map<string, PanelUser>()
  readonly #used = new Set<string>()
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  #port = 0
  #silent = false

  constructor(nodes: readonly PanelNode[], users: readonly PanelUser[]) {
    for (const node of nodes) this.nodes.set(node.id, { ...node })
    for (const user of users) this.users.set(user.uuid, { ...user })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
    return this
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  /** Carries requests out, and does not answer them. */
  fallSilent(): void {
    this.#silent = true
  }

  async comeBack(): Promise<void> {
    this.#silent = false
    if (!this.#server.listening) await this.start()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += chunk
    const [status, body] =
      request.headers.authorization === 'Bearer secret'
        ? this.#answer(request, new URL(request.url ?? '/', this.url), text === '' ? {} : JSON.parse(text))
        : [401, { error: 'who are you?' }]
    if (this.#silent) return
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body))
  }

  #answer({ method, headers }: IncomingMessage, url: URL, body: Record<string, unknown>): [status: number, body: object] {
    const [kind, id = ''] = url.pathname.slice(1).split('/').map(decodeURIComponent)
    if (method === 'GET' && kind === 'nodes') return [200, { nodes: [...this.nodes.values()] }]
    if (method === 'PATCH' && kind === 'nodes') {
      const node = this.nodes.get(Number(id))
      if (!node) return [404, { error: 'no such node' }]
      return [200, Object.assign(node, { enabled: body.enabled === true })]
    }
    if (method === 'GET' && kind === 'users') return this.#list(url.searchParams)
    if (method === 'PUT' && kind === 'users') return this.#put(id, body, String(headers['idempotency-key']))
    return [404, { error: 'no such path' }]
  }

  #list(query: URLSearchParams): [number, object] {
    const uuid = query.get('uuid')
    if (uuid !== null) return [200, { users: [...this.users.values()].filter((user) => user.uuid === uuid) }]
    const node = this.nodes.get(Number(query.get('node')))
    if (!node) return [404, { error: 'no such node' }]
    const users = [...this.users.values()].filter((user) => user.node === node.id)
    const page = Number(query.get('page') ?? 1)
    return [200, { users: users.slice(2 * page - 2, 2 * page), next: users.length > 2 * page ? page + 1 : null }]
  }

  /** Moves a user once for each key, and only off the node that the caller believes the user on. */
  #put(uuid: string, { node, only_from }: Record<string, unknown>, key: string): [number, object] {
    const user = this.users.get(uuid)
    if (!user) return [404, { error: 'no such user' }]
    if (this.#used.has(key)) return [200, user]
    if (!this.nodes.has(node as number)) return [422, { error: 'no such node' }]
    if (user.locked) return [423, { error: 'locked' }]
    if (user.node !== only_from) return [409, { error: `the user is on ${user.node}` }]
    this.#used.add(key)
    user.node = node as number
    return [200, user]
  }
}
