import { errorText } from '@pintail/core'
import type { FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { hasAccounts } from '../settings/access.ts'
import type { Settings } from '../settings/settings.ts'
import { type Account, accountLabel } from './account.ts'
import { credentialOf } from './credential.ts'
import { tokenReader } from './jwt.ts'
import { accountOfKey, looksLikeKey } from './keys.ts'
import { Refusal } from './refusal.ts'
import { isRevoked, revocationFile } from './revocation.ts'

export type AccountSettings = Pick<
  Settings,
  'api' | 'apiKeys' | 'jwtSecret' | 'jwtJwks' | 'jwtIssuer' | 'jwtAudience' | 'jwtRoleClaim' | 'jwtClockTolerance' | 'revocations'
>

/** Who may come in at all. */
export interface Accounts {
  /** `open`: whoever reaches the port is an admin; `closed`: nobody has an account. */
  readonly mode: 'open' | 'accounts' | 'closed'
  /** @throws Refusal */
  authenticate(request: FastifyRequest): Promise<Account>
  /** Who of those that were believed is believed still, as of now. */
  judge(): Promise<(account: Account) => boolean>
}

const opened: Account = { kind: 'open', name: 'anybody', role: 'admin', tokenId: null, issuedAt: null, expiresAt: null }

/** Accounts as the settings name them. @param now milliseconds since 1970 */
export function createAccounts(settings: AccountSettings, logger: Pick<Logger, 'error'>, now: () => number = Date.now): Accounts {
  const { apiKeys, revocations } = settings
  const mode = modeOf(settings)
  const { jwtSecret: secret, jwtJwks: jwks, jwtIssuer: issuer, jwtAudience: audience } = settings
  const readToken = tokenReader({
    ...{ secret, jwks, issuer, audience },
    roleClaim: settings.jwtRoleClaim,
    clockTolerance: settings.jwtClockTolerance,
  })
  const revoked = revocations === '' ? null : revocationFile(revocations)
  const tell = onceInAWhile(logger, now)

  const isRevokedNow = async (account: Account): Promise<boolean> => {
    if (!revoked) return false
    try {
      return isRevoked(account, await revoked.read())
    } catch (error) {
      throw new Refusal('accounts_unavailable', unreadable, { cause: error, who: accountLabel(account) })
    }
  }
  const read = async (request: FastifyRequest): Promise<Account> => {
    if (mode === 'closed') throw new Refusal('accounts_missing', noAccounts)
    if (mode === 'open') return fromHere(request)
    const credential = credentialOf(request.headers, request.raw.headers.upgrade !== undefined)
    if (looksLikeKey(credential)) return accountOfKey(credential, apiKeys, now())
    if (!readToken) throw new Refusal('credentials_invalid', { detail: 'Tokens are not taken here.', remedy: 'Send an API key.' })
    return readToken(credential, now())
  }
  return {
    mode,
    async authenticate(request) {
      try {
        const account = await read(request)
        if (await isRevokedNow(account)) throw new Refusal('credentials_revoked', revokedText, { who: accountLabel(account) })
        return account
      } catch (error) {
        if (error instanceof Refusal && error.code === 'accounts_unavailable') tell(error)
        throw error
      }
    },
    async judge() {
      try {
        const list = await revoked?.read()
        return (account) => (account.expiresAt === null || now() < account.expiresAt) && !(list && isRevoked(account, list))
      } catch (error) {
        tell(new Refusal('accounts_unavailable', unreadable, { cause: error }))
        // Who cannot be checked does not stay.
        return () => false
      }
    },
  }
}

function modeOf(settings: AccountSettings): Accounts['mode'] {
  if (settings.api === 'off') return 'closed'
  if (settings.api === 'open') return 'open'
  return hasAccounts(settings) ? 'accounts' : 'closed'
}

const noAccounts = {
  detail: 'The API is closed: no account is configured.',
  remedy: 'Configure PINTAIL_API_KEYS (pintail key makes one), PINTAIL_JWT_SECRET or PINTAIL_JWT_JWKS.',
}
const revokedText = { detail: 'This credential has been revoked.', remedy: 'Ask for a new one.' }
const unreadable = { detail: 'Whether a credential has been revoked cannot be seen.', remedy: 'Try again later.' }

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

/**
 * Without accounts, whoever reaches the port may do everything: so may any page that a browser of this machine shows. Its
 * requests have a foreign origin, or a foreign name for this address.
 */
function fromHere({ headers }: FastifyRequest): Account {
  const { host = '', origin, 'sec-fetch-site': site = 'none' } = headers
  const isSame = origin === undefined || (loopback.test(host) && origin.toLowerCase() === `http://${host.toLowerCase()}`)
  if (loopback.test(host) && isSame && (site === 'none' || site === 'same-origin')) return opened
  throw new Refusal('origin_refused', {
    detail: 'With PINTAIL_API=open only this machine is answered, under its own name.',
    remedy: 'Ask http://127.0.0.1 or http://localhost without the help of another page, or configure accounts.',
  })
}

/** An outage is one line a minute, however often somebody asks. */
function onceInAWhile(logger: Pick<Logger, 'error'>, now: () => number): (refusal: Refusal) => void {
  let toldAt = Number.NEGATIVE_INFINITY
  return ({ message, cause }) => {
    if (now() - toldAt < 60_000) return
    toldAt = now()
    const remedy = 'Check PINTAIL_REVOCATIONS and PINTAIL_JWT_JWKS. Nobody is let in until then.'
    logger.error({ err: cause, remedy }, `${message} ${errorText(cause)}. ${remedy}`)
  }
}
