import { addressOf, type Prober } from '@pintail/core'
import { portOf, probeEach } from './dial.ts'
import { type ExpiryOptions, expiryWatch } from './expiry.ts'
import { type CertificateOptions, handshake, parseTrust } from './secure.ts'

export interface TlsOptions extends CertificateOptions, ExpiryOptions {
  /**
   * 1–65 535: where TLS is spoken, on every server. Default: the target's own port, or 443 where it has none. (A server's
   * own port is that of its VPN, so that this one goes first, unlike that of `tcp()`.)
   */
  readonly port?: number
}

/**
 * Probes by TLS handshakes, 1.2 or newer, each on a TCP connection of its own, all to one address: each begins when the
 * one before it has settled, at the latest after 200 ms, and is closed as soon as it is done. `rttMs` is the time of
 * the handshake alone, without that of the TCP connection: about one round trip and the server's arithmetic. A packet
 * has `timeoutMs` for all of it.
 *
 * Nothing came back: a result with a `failure` that names the layer. `tcp`: `refused`, `unreachable`, `no_reply`. `tls`:
 * `wrong_answer` (no TLS, or a certificate that was refused, has ended or has another name), `refused` (it hung up),
 * `no_reply` (the port is open, and nothing is said). The most telling one of the check is told.
 * A certificate that will end soon is a warning to `logger` and no failure.
 *
 * Throws `prober_unavailable` when this machine could not try (no route, no descriptor or port free, a stalled event
 * loop), `unknown_host`, `invalid_host`, `invalid_argument`, and `aborted` at once when the signal fires. No socket or
 * timer is left in any of these.
 * @throws PintailError `invalid_argument` for an option out of range
 */
export function tls(options: TlsOptions = {}): Prober {
  const fixed = options.port === undefined ? null : portOf('tls', options.port)
  const trust = parseTrust('tls', options)
  const watchOf = expiryWatch('tls', options)
  return {
    name: 'tls',
    async probe(target, { signal }) {
      const port = fixed ?? portOf('tls', target.port ?? 443)
      const host = await addressOf(target, signal)
      const name = trust.nameFor(target)
      const watch = watchOf(target, port)
      return probeEach(target, {
        host,
        port,
        signal,
        name: 'tls',
        talk: (socket, attempt) => handshake(socket, attempt, { name, trust, watch, onSecure: (_, rttMs) => attempt.settle({ rttMs }) }),
      })
    },
  }
}
