import { randomBytes } from 'node:crypto'

/** The host's own sign-in: tokens that end, and come anew for whoever is signed in. Yours is real. */
export interface Tokens {
  issue(): string
  accepts(header: string | undefined): boolean
  /** All tokens end now, as at a change of keys. */
  revokeAll(): void
}

export function tokens(lifetimeMs = 10 * 60_000, now: () => number = Date.now): Tokens {
  const ends = new Map<string, number>()
  return {
    issue() {
      for (const [token, end] of ends) if (end <= now()) ends.delete(token)
      const token = randomBytes(24).toString('base64url')
      ends.set(token, now() + lifetimeMs)
      return token
    },
    accepts(header) {
      const token = /^Bearer (\S+)$/.exec(header ?? '')?.[1]
      return token !== undefined && (ends.get(token) ?? 0) > now()
    },
    revokeAll: () => ends.clear(),
  }
}
