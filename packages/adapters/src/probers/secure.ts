import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { errorText, PintailError, type ProbeTarget } from '@pintail/core'
import type { Attempt } from './dial.ts'
import type { ExpiryWatch } from './expiry.ts'

/** How the certificate of a server is judged. */
export interface CertificateOptions {
  /**
   * The name that is asked for (SNI) and that the certificate must have, or how to tell it from a target. Default: the
   * target's host; of an IP address none is asked for, and the certificate must have the address.
   */
  readonly servername?: string | ((target: ProbeTarget) => string)
  /** The authorities that are trusted, PEM, instead of the public ones. */
  readonly ca?: string | readonly string[]
  /**
   * Default true. False: any certificate will do, also one that has expired or has another name; only the handshake
   * counts. (For servers that are meant to show a certificate that is not theirs.)
   */
  readonly verifyCertificate?: boolean
}

export type Trust = ReturnType<typeof parseTrust>

export function parseTrust(prober: string, { servername, ca, verifyCertificate = true }: CertificateOptions) {
  if (typeof servername === 'string') checkName(prober, servername)
  const authorities = ca === undefined ? undefined : typeof ca === 'string' ? [ca] : [...ca]
  return {
    verify: verifyCertificate,
    ca: authorities,
    nameFor: (target: ProbeTarget): string =>
      typeof servername === 'function'
        ? checkName(prober, servername(target))
        : (servername ?? target.host.toLowerCase().replace(/\.$/, '')),
  }
}

function checkName(prober: string, name: unknown): string {
  if (typeof name === 'string' && /^[a-z0-9_*.:-]{1,253}$/i.test(name) && !name.startsWith('-')) return name
  throw new PintailError('invalid_argument', `${prober}: servername must be a DNS name or an IP address`)
}

/**
 * The handshake on an open connection. Calls `onSecure` when it is over and the certificate is accepted, with how long
 * it took; settles the attempt otherwise. Half a handshake is silence of the layer `tls`.
 */
export function handshake(
  socket: Socket,
  attempt: Attempt,
  {
    name,
    trust,
    onSecure,
    watch,
    alpn,
  }: { name: string; trust: Trust; watch: ExpiryWatch | null; alpn?: string; onSecure: (tls: TLSSocket, tookMs: number) => void },
): void {
  attempt.layer = 'tls'
  const startedAt = performance.now()
  const tls = connect({
    socket,
    ...(isIP(name) === 0 && { servername: name }),
    ...(trust.ca && { ca: trust.ca }),
    ...(alpn && { ALPNProtocols: [alpn] }),
    // Judged below, when the handshake is over: then it is known whether the server speaks TLS at all.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    minVersion: 'TLSv1.2',
  })
  attempt.own(() => tls.destroy())
  tls.on('error', (error: NodeJS.ErrnoException) => attempt.settle({ ...meaningOf(error), layer: attempt.layer }))
  tls.once('close', () => attempt.settle({ kind: 'refused', layer: attempt.layer, why: 'the connection was closed' }))
  tls.once('secureConnect', () => {
    const tookMs = performance.now() - startedAt
    const certificate = tls.getPeerCertificate()
    const refused = trust.verify ? refusal(tls, name, certificate) : null
    if (refused) return void attempt.settle({ kind: 'wrong_answer', layer: 'tls', why: refused })
    watch?.see(certificate, name)
    onSecure(tls, tookMs)
  })
}

function refusal(tls: TLSSocket, name: string, certificate: PeerCertificate): string | null {
  if (!tls.authorized) return `certificate refused: ${errorText(tls.authorizationError ?? 'not trusted')}`
  const wrong = checkServerIdentity(name, certificate)
  return wrong ? `certificate for another name: ${errorText(wrong)}` : null
}

function meaningOf(error: NodeJS.ErrnoException): { kind: 'refused' | 'wrong_answer'; why: string } {
  const code = error.code ?? ''
  // It hung up, which a server that speaks another protocol does too.
  if (/^(ECONNRESET|EPIPE|ECONNABORTED)$/.test(code)) return { kind: 'refused', why: code }
  return { kind: 'wrong_answer', why: `no TLS: ${code || errorText(error)}` }
}
