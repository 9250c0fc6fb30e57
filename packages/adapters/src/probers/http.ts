import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { addressOf, errorText, PintailError, type Prober } from '@pintail/core'
import { type Attempt, portOf, probeEach } from './dial.ts'
import { type ExpiryOptions, expiryWatch } from './expiry.ts'
import { type CertificateOptions, handshake, parseTrust } from './secure.ts'

export interface HttpOptions extends CertificateOptions, ExpiryOptions {
  /** Over TLS, with `servername` and the certificate judged as by `tls()`. Default true. */
  readonly secure?: boolean
  /** 1–65 535, on every server. Default: the target's own port, or else 443, or 80 where `secure` is false. */
  readonly port?: number
  /** Begins with `/`, at most 2 048 characters, without control characters and spaces. Default `/`. */
  readonly path?: string
  /** Default `GET`. */
  readonly method?: 'GET' | 'HEAD'
  /** Sent with each request, e.g. `{ authorization: … }`; `host` replaces the target's own name. Never told in a failure. */
  readonly headers?: Readonly<Record<string, string>>
  /** The status codes that pass, 100–599. Default 200–399: a redirect is an answer, and is not followed. */
  readonly status?: readonly number[] | ((status: number) => boolean)
  /** What the body must contain, or match. Default: the body is not read. The server's body is never told. */
  readonly body?: string | RegExp
  /** How much of the body is read to find it, bytes, 1–16 777 216. Default 65 536. */
  readonly maxBodyBytes?: number
}

/**
 * Probes by HTTP/1.1 requests, each on a connection of its own, all to one address: each begins when the one before it
 * has settled, at the latest after 200 ms, and is closed as soon as its answer is judged. `rttMs` is the time from the
 * request to the head of the answer, without those of TCP and TLS. A packet has `timeoutMs` for all of it, body included.
 * Redirects are not followed. The header `host` names what `servername` says, or the target.
 *
 * Nothing good came back: a result with a `failure` that names the layer. `tcp` and `tls`: as `tls()` has them. `http`:
 * `wrong_answer` (another status, another body, no HTTP), `refused` (it hung up), `no_reply` (it took the request and
 * says nothing, or does not come to an end). The most telling one of the check is told. A certificate that will end soon
 * is a warning to `logger` and no failure.
 *
 * Throws as `tls()` does.
 * @throws PintailError `invalid_argument` for an option out of range
 */
export function http(options: HttpOptions = {}): Prober {
  const want = parse(options)
  const trust = parseTrust('http', options)
  const watchOf = expiryWatch('http', options)
  return {
    name: 'http',
    async probe(target, { signal }) {
      const port = want.port ?? portOf('http', target.port ?? (want.secure ? 443 : 80))
      const host = await addressOf(target, signal)
      const name = trust.nameFor(target)
      const ask = (socket: Socket, attempt: Attempt): void => exchange(socket, attempt, want, authority(name, port, want.secure))
      const watch = watchOf(target, port)
      return probeEach(target, {
        host,
        port,
        signal,
        name: 'http',
        talk: want.secure
          ? (socket, attempt) =>
              handshake(socket, attempt, { name, trust, watch, alpn: 'http/1.1', onSecure: (secured) => ask(secured, attempt) })
          : ask,
      })
    },
  }
}

type Want = ReturnType<typeof parse>

function parse(options: HttpOptions) {
  const { secure = true, path = '/', method = 'GET', headers = {}, status, body, maxBodyBytes = 65_536 } = options
  const refuse = (what: string): never => {
    throw new PintailError('invalid_argument', `http: ${what}`)
  }
  if (typeof path !== 'string' || !/^\/[\x21-\x7e]{0,2047}$/.test(path))
    refuse('path must begin with / and have no space, control or other character')
  if (method !== 'GET' && method !== 'HEAD') refuse('method must be GET or HEAD')
  for (const [name, value] of Object.entries(headers))
    if (!/^[\w!#$%&'*+.^`|~-]{1,256}$/.test(name) || typeof value !== 'string' || !/^[\t\x20-\x7e\x80-\xff]{0,8192}$/.test(value))
      refuse(`header ${JSON.stringify(name.slice(0, 80))} cannot be sent`)
  const given: unknown = status
  if (given !== undefined && typeof given !== 'function' && !Array.isArray(given)) refuse('status must be a list of codes or a function')
  if (Array.isArray(status) && !(status.length > 0 && status.every((one) => Number.isInteger(one) && one >= 100 && one <= 599)))
    refuse('status must name codes from 100 to 599')
  if (body !== undefined && typeof body !== 'string' && !((body as unknown) instanceof RegExp))
    refuse('body must be a text or a regular expression')
  if (body !== undefined && method === 'HEAD') refuse('HEAD has no body to match')
  if (!Number.isInteger(maxBodyBytes) || maxBodyBytes < 1 || maxBodyBytes > 16_777_216) refuse('maxBodyBytes must be from 1 to 16777216')
  const passes =
    typeof status === 'function' ? status : status ? (code: number) => status.includes(code) : (code: number) => code >= 200 && code <= 399
  // A sticky or global expression remembers where it was: each check begins anew.
  const matches =
    body === undefined
      ? null
      : typeof body === 'string'
        ? (text: string) => text.includes(body)
        : (text: string) => new RegExp(body.source, body.flags.replace(/[gy]/g, '')).test(text)
  return {
    secure,
    port: options.port === undefined ? null : portOf('http', options.port),
    path,
    method,
    headers,
    passes,
    matches,
    maxBodyBytes,
  }
}

/** What stands in the header `host`. */
function authority(name: string, port: number, secure: boolean): string {
  const host = isIP(name) === 6 ? `[${name}]` : name
  return port === (secure ? 443 : 80) ? host : `${host}:${port}`
}

/** One request on an open connection, and the judgement of its answer. */
function exchange(socket: Socket, attempt: Attempt, want: Want, host: string): void {
  attempt.layer = 'http'
  const startedAt = performance.now()
  const { method, path, headers } = want
  const call: ClientRequest = request({
    createConnection: () => socket,
    method,
    path,
    headers: { host, 'user-agent': 'pintail', accept: '*/*', connection: 'close', ...lowerCase(headers) },
    // The limit of one head; the time is bounded by the attempt.
    maxHeaderSize: 16_384,
  })
  attempt.own(() => call.destroy())
  call.on('error', (error: NodeJS.ErrnoException) => attempt.settle(meaningOf(error)))
  call.once('response', (response) => {
    const rttMs = performance.now() - startedAt
    const { statusCode = 0 } = response
    guarded(attempt, 'status', () => {
      if (!want.passes(statusCode)) return void attempt.settle({ kind: 'wrong_answer', layer: 'http', why: `status ${statusCode}` })
      if (!want.matches) return void attempt.settle({ rttMs })
      search(response, attempt, want, want.matches, rttMs)
    })
  })
  call.end()
}

// A server that sends byte by byte must not make us look through all of it for each.
const lookEveryMs = 50

/** Reads the body until it matches, ends, or is longer than is read; a server need not close to be believed. */
function search(response: IncomingMessage, attempt: Attempt, want: Want, matches: (text: string) => boolean, rttMs: number): void {
  const chunks: Buffer[] = []
  let length = 0
  let look: NodeJS.Timeout | undefined
  const judge = (over: boolean): void => {
    clearTimeout(look)
    look = undefined
    const text = Buffer.concat(chunks, Math.min(length, want.maxBodyBytes)).toString('utf8')
    if (matches(text)) return void attempt.settle({ rttMs })
    const why = `status ${response.statusCode}, and what is looked for is not in the first ${Math.min(length, want.maxBodyBytes)} bytes`
    if (over) attempt.settle({ kind: 'wrong_answer', layer: 'http', why })
  }
  attempt.own(() => clearTimeout(look))
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
    if (length >= want.maxBodyBytes) judge(true)
    else look ??= setTimeout(judge, lookEveryMs, false)
  })
  response.once('end', () => judge(true))
  response.on('error', (error: NodeJS.ErrnoException) => attempt.settle(meaningOf(error)))
}

/** What the host has given may throw, and this is called by a socket. */
function guarded(attempt: Attempt, what: string, judge: () => void): void {
  try {
    judge()
  } catch (cause) {
    attempt.settle({ fault: new PintailError('prober_unavailable', `http: ${what} threw: ${errorText(cause)}`, { cause }) })
  }
}

const lowerCase = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

function meaningOf(error: NodeJS.ErrnoException): { kind: 'refused' | 'wrong_answer'; layer: string; why: string } {
  const code = error.code ?? ''
  if (/^(ECONNRESET|EPIPE|ECONNABORTED)$/.test(code)) return { kind: 'refused', layer: 'http', why: code }
  return { kind: 'wrong_answer', layer: 'http', why: `no HTTP: ${code || errorText(error)}` }
}
