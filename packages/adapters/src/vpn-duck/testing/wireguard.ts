import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Dialect } from '../options.ts'
import { keyOf, textFor } from './tables.ts'

export interface WireGuardServiceOptions {
  readonly dialect: Dialect
  /** v2: the server that the proxy chooses, by its `server_id` or its number. Default: none is told. */
  readonly chooses?: string | number
}

/** wireguard-service (v1), or wireguard-proxy (v2), of one server, over real HTTP. */
export interface WireGuardService extends AsyncDisposable {
  readonly url: string
  /** Peers by public key, each with its user. */
  readonly peers: Map<string, number>
  isRunning: boolean
  listen(port?: number): Promise<string>
  close(): Promise<void>
}

export function createWireGuardService({ dialect, chooses }: WireGuardServiceOptions): WireGuardService {
  const peers = new Map<string, number>()
  let http: Server | null = null
  let port = 0
  let made = 0

  function answer(method: string, path: string, body: Readonly<Record<string, unknown>>): readonly [status: number, body: unknown] {
    // As a WSGI server does: %2F is a / like any other, and the route takes one part only.
    const decoded = decodeURIComponent(path)
    const [, key] = /^\/remove\/([^/]+)$/.exec(decoded) ?? []
    if (method === 'GET' && path === '/status') {
      if (dialect === 'v2') return [200, { proxy_status: 'running', servers_status: [], connected_servers: 1, total_servers: 1 }]
      return [200, service.isRunning ? { status: 'running', interface: {}, peers: [...peers.keys()] } : { status: 'not running' }]
    }
    if (method === 'POST' && path === '/create') {
      const user = Number(body.user_id)
      // Without the `/` that half of all keys have: its own route could not remove such a peer.
      const publicKey = keyOf(`peer ${port} ${user} ${++made}`).replaceAll('/', 'x')
      peers.set(publicKey, user)
      const chosen = chooses === undefined ? {} : { server_id: chooses, geolocation_id: body.geolocation_id }
      return [201, { config: textFor(user, keyOf(`private ${publicKey}`)), public_key: publicKey, ...(dialect === 'v2' && chosen) }]
    }
    if (method === 'DELETE' && key !== undefined)
      return peers.delete(key) ? [200, { status: 'success' }] : [404, { error: 'Peer not found' }]
    return [404, null]
  }

  const service: WireGuardService = {
    get url() {
      return `http://127.0.0.1:${port}`
    },
    peers,
    isRunning: true,
    async listen(wanted = port) {
      const server = createServer(async (request, response) => {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        const text = Buffer.concat(chunks).toString('utf8')
        const [status, body] = answer(request.method ?? 'GET', request.url ?? '/', text === '' ? {} : JSON.parse(text))
        response.writeHead(status, { 'content-type': body === null ? 'text/html' : 'application/json' })
        response.end(body === null ? '<!doctype html><h1>Not Found</h1>' : JSON.stringify(body))
      })
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(wanted, '127.0.0.1', resolve))
      http = server
      port = (server.address() as AddressInfo).port
      return service.url
    },
    async close() {
      const server = http
      http = null
      server?.closeAllConnections()
      if (server) await new Promise((resolve) => server.close(resolve))
    },
    [Symbol.asyncDispose]: () => service.close(),
  }
  return service
}
