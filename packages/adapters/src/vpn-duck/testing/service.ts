import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Dialect } from '../options.ts'
import { Faults, goWrong, isCarriedOut } from './faults.ts'
import { type Reply, type RouteOptions, Routes } from './routes.ts'
import { type StandInServer, type StandInUser, Tables } from './tables.ts'

export interface DatabaseServiceOptions extends Partial<Omit<RouteOptions, 'dialect'>> {
  readonly dialect: Dialect
  /** How many (ids from 1 on), or each. Default 6. */
  readonly servers?: number | readonly StandInServer[]
  /** How many, all on the first server, or each. Default 0. */
  readonly users?: number | readonly StandInUser[]
  /** Told after each call. */
  readonly onCall?: (call: Call) => void
}

export interface Call {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readonly<Record<string, unknown>>
  /** What was answered; null: nothing. */
  readonly status: number | null
}

/** VPN Duck's database service over real HTTP, with everything that is odd about it, and faults to switch on. */
export interface DatabaseService extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, while it listens. */
  readonly url: string
  readonly tables: Tables
  readonly faults: Faults
  /** The calls, oldest first; of more than 100 000 the older ones are forgotten. */
  readonly calls: Call[]
  /** Connections that are open now. */
  readonly sockets: number
  /** Default: a free port of 127.0.0.1, and the same one again after `close()`. */
  listen(port?: number, host?: string): Promise<string>
  /** Refuses connections from now on, and breaks those that are open. `listen()` brings it back, with its tables. */
  close(): Promise<void>
  /** Where the user is assigned: the truth that moves change. Null: he has no configuration. */
  homeOf(user: number | string): number | null
  /** The host moves a user itself, and his client connects there. */
  assign(user: number | string, server: number | string): void
  /** The operator sets a server's status. */
  operatorSets(server: number, status: string): void
}

const mostCalls = 100_000

/**
 * @example const service = createDatabaseService({ dialect: 'v1', users: 500 }); const url = await service.listen()
 */
export function createDatabaseService(options: DatabaseServiceOptions): DatabaseService {
  const { dialect, servers = 6, users = 0, now = Date.now, clients = 'stay', configurations = 'separate', onCall } = options
  const tables = new Tables(now)
  const faults = new Faults()
  const calls: Call[] = []
  const routes = new Routes(tables, { dialect, now, clients, configurations })
  const rows = typeof servers === 'number' ? Array.from({ length: servers }, (_, index) => ({ id: index + 1 })) : servers
  for (const server of rows) tables.addServer(server)
  const people = typeof users === 'number' ? Array.from({ length: users }, (_, index) => ({ id: 100_001 + index, server: 1 })) : users
  for (const user of people) tables.addUser(user)

  let http: Server | null = null
  let port = 0
  const open = new Set<Socket>()

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', headers } = request
    const path = new URL(request.url ?? '/', 'http://stand-in').pathname
    const body = await readJson(request)
    const fault = faults.take(method, path)
    const reply = !fault || isCarriedOut(fault) ? (routes.answer({ method, path, body }) ?? unknownRoute) : unknownRoute
    if (fault) goWrong(fault, request, response, JSON.stringify(reply.body))
    else send(response, reply)
    const call = { method, path, headers, body, status: fault && ['silent', 'reset'].includes(fault.kind) ? null : response.statusCode }
    calls.push(call)
    if (calls.length > mostCalls) calls.splice(0, mostCalls / 2)
    onCall?.(call)
  }

  const service: DatabaseService = {
    get url() {
      return `http://127.0.0.1:${port}`
    },
    tables,
    faults,
    calls,
    get sockets() {
      return open.size
    },
    async listen(wanted = port, host = '127.0.0.1') {
      const server = createServer((request, response) => void handle(request, response).catch(() => request.socket.destroy()))
      server.on('connection', (socket) => {
        open.add(socket)
        socket.once('close', () => open.delete(socket))
      })
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(wanted, host, resolve))
      http = server
      port = (server.address() as AddressInfo).port
      return service.url
    },
    async close() {
      const server = http
      http = null
      if (!server) return
      server.closeAllConnections()
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
    homeOf: (user) => tables.configurations.get(Number(user))?.server ?? null,
    assign(user, server) {
      const row = tables.configurations.get(Number(user))
      if (!row) return
      row.server = Number(server)
      row.geolocationId = tables.servers.get(Number(server))?.geolocationId ?? row.geolocationId
      tables.userConfigs.set(Number(user), Number(server))
      tables.connect(Number(user), Number(server))
    },
    operatorSets(id, status) {
      const row = tables.servers.get(id)
      if (row) row.status = dialect === 'v1' || status === 'active' ? status : 'inactive'
    },
    [Symbol.asyncDispose]: () => service.close(),
  }
  return service
}

/** Flask's own page for a path that it does not know. */
const unknownRoute: Reply = {
  status: 404,
  body: '<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not found on the server.</p>\n',
}

function send(response: ServerResponse, { status, body }: Reply): void {
  const isPage = typeof body === 'string'
  response.writeHead(status, { 'content-type': isPage ? 'text/html; charset=utf-8' : 'application/json' })
  response.end(isPage ? body : JSON.stringify(body))
}

async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return {}
  }
}
