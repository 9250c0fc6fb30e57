import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'

export interface Sending {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
  /** Called when the first byte may have left: an end before that has had no effect. */
  readonly onSent: () => void
}

/**
 * One request over a connection of its own, which ends with it. The global fetch is not used: it opens spare connections
 * after an abort and keeps them for seconds, nobody can close them, and it does not say whether a request has left.
 * That no connection is used twice costs a handshake, and saves the call that meets a connection which the other side is
 * just closing: of that nobody could say whether it was carried out. Redirects are answers like any other.
 */
export function send(url: URL, { method, headers, body, signal, onSent }: Sending): Promise<Response> {
  return new Promise((resolve, reject) => {
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const request: ClientRequest = open(url, { method, headers: { ...headers, ...length, connection: 'close' }, agent: false, signal })
    request.once('socket', (socket) => socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', onSent))
    request.on('error', reject)
    request.once('response', (message) => {
      try {
        resolve(toResponse(message))
      } catch (error) {
        request.destroy()
        reject(error)
      }
    })
    request.end(body)
  })
}

function toResponse(message: IncomingMessage): Response {
  const headers = new Headers()
  for (let index = 0; index + 1 < message.rawHeaders.length; index += 2)
    headers.append(message.rawHeaders[index] as string, message.rawHeaders[index + 1] as string)
  const { statusCode: status = 0 } = message
  // These have no body, and Response insists on it.
  const isEmpty = [204, 205, 304].includes(status)
  if (isEmpty) message.resume()
  return new Response(isEmpty ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>), { status, headers })
}
