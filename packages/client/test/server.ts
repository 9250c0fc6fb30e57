import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Fake {
  readonly url: string
  readonly requests: readonly {
    readonly method: string
    readonly url: string
    readonly headers: IncomingMessage['headers']
    readonly body: string
  }[]
  close(): Promise<void>
}

/** A server on loopback that answers as it is told, for what the real one does not do on request. */
export async function fakeServer(
  answer: (request: IncomingMessage, reply: ServerResponse, count: number, body: string) => void,
): Promise<Fake> {
  const requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = []
  const server: Server = createServer((request, reply) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (piece) => {
      body += piece
    })
    request.on('end', () => {
      requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
      answer(request, reply, requests.length, body)
    })
  })
  // A line that is idle for long is the client's to close: one that the server closes as it is used again would break a call.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export function json(reply: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const type = status >= 400 ? 'application/problem+json; charset=utf-8' : 'application/json; charset=utf-8'
  reply.writeHead(status, { 'content-type': type, ...headers }).end(JSON.stringify(body))
}
