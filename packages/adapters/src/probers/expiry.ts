import type { PeerCertificate } from 'node:tls'
import { type Clock, type Logger, PintailError, type ProbeTarget } from '@pintail/core'

export interface ExpiryOptions {
  /**
   * Days before a certificate ends from which on `logger` is warned about it, 0–3650; 0: never. Default 14. A server
   * whose certificate has ended fails its check; until then it passes, because its users lose nothing yet.
   */
  readonly warnBeforeDays?: number
  /** Where the warnings go: once a day for each server and certificate. Default: nowhere. */
  readonly logger?: Logger
  /** For the days that are left. Default: the time of day. */
  readonly clock?: Pick<Clock, 'now'>
}

/** What sees each certificate that was accepted. */
export interface ExpiryWatch {
  see(certificate: PeerCertificate, name: string): void
}

const dayMs = 86_400_000
/** As many as a large fleet has; beyond that the oldest may be warned about once more. */
const mostRemembered = 100_000

/** Makes the watch of one prober: a function that gives the watch for a target. */
export function expiryWatch(prober: string, options: ExpiryOptions): (target: ProbeTarget, port: number) => ExpiryWatch {
  const { warnBeforeDays = 14, logger, clock = { now: () => Date.now() } } = options
  if (!(warnBeforeDays >= 0 && warnBeforeDays <= 3650))
    throw new PintailError('invalid_argument', `${prober}: warnBeforeDays must be from 0 to 3650, not ${warnBeforeDays}`)
  const warnedAt = new Map<string, number>()
  return ({ serverId, host }, port) => ({
    see(certificate, name) {
      if (!logger || warnBeforeDays === 0) return
      const now = clock.now()
      const endsAt = Date.parse(certificate.valid_to)
      if (!(endsAt - now < warnBeforeDays * dayMs)) return
      const key = `${serverId} ${port} ${certificate.fingerprint256}`
      if (now - (warnedAt.get(key) ?? Number.NEGATIVE_INFINITY) < dayMs) return
      warnedAt.delete(key)
      warnedAt.set(key, now)
      if (warnedAt.size > mostRemembered) warnedAt.delete(warnedAt.keys().next().value as string)
      const daysLeft = Math.floor((endsAt - now) / dayMs)
      const data = { serverId, host, port, servername: name, endsAt: new Date(endsAt).toISOString(), daysLeft }
      try {
        logger.warn(data, `the certificate of server ${serverId} ends in ${daysLeft} day${daysLeft === 1 ? '' : 's'}`)
      } catch {
        // A logger that throws is no reason to judge a server.
      }
    },
  })
}
