import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { readConfigFile } from '../settings/file.ts'
import { type Account, accountLabel } from './account.ts'
import { Refusal } from './refusal.ts'
import { highestRole, type Role } from './roles.ts'
import { WatchedFile } from './watched.ts'

export interface JwtOptions {
  /** Of HS256; empty: none is taken. */
  readonly secret: string
  /** URL or file of public keys; empty: none is taken. */
  readonly jwks: string
  /** Empty: any. */
  readonly issuer: string
  readonly audience: string
  /** A claim, or a dotted path to one. */
  readonly roleClaim: string
  /** Seconds. */
  readonly clockTolerance: number
}

/** With a secret this one, with public keys the others: a public key is never used as a secret. */
const symmetric = ['HS256']
const asymmetric = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** Longer ones are not looked at. */
const longestToken = 8192

/** What is wrong with a token, whoever signed it; all else is an outage of ours. */
const faults: readonly string[] = [
  errors.JOSEAlgNotAllowed.code,
  errors.JOSENotSupported.code,
  errors.JWKSMultipleMatchingKeys.code,
  errors.JWKSNoMatchingKey.code,
  errors.JWSInvalid.code,
  errors.JWSSignatureVerificationFailed.code,
  errors.JWTInvalid.code,
]

export type TokenReader = (token: string, now: number) => Promise<Account>

/** Reads tokens as the settings say. Null: none are taken. Nothing is fetched yet. */
export function tokenReader(options: JwtOptions): TokenReader | null {
  const { secret, jwks, issuer, audience, clockTolerance, roleClaim } = options
  if (secret === '' && jwks === '') return null
  const secretKey = new TextEncoder().encode(secret)
  const keySet = jwks === '' ? null : keySetOf(jwks)
  const algorithms = [...(secret === '' ? [] : symmetric), ...(keySet ? asymmetric : [])]
  const keyFor: JWTVerifyGetKey = (header, token) => {
    if (symmetric.includes(header.alg)) return secretKey
    if (!keySet) throw new errors.JOSEAlgNotAllowed('no public keys')
    return keySet(header, token)
  }
  const rules = { algorithms, audience, clockTolerance, requiredClaims: ['sub', 'exp'], ...(issuer !== '' && { issuer }) }
  return async (token, now) => {
    if (token.length > longestToken) throw invalid('The token is too long.')
    try {
      const { payload } = await jwtVerify(token, keyFor, { ...rules, currentDate: new Date(now) })
      return accountOf(payload, roleClaim, clockTolerance)
    } catch (error) {
      throw error instanceof Refusal ? error : refusalOf(error)
    }
  }
}

function accountOf(payload: JWTPayload, roleClaim: string, clockTolerance: number): Account {
  const { sub, jti, iat, exp } = payload
  if (typeof sub !== 'string' || sub === '' || exp === undefined) throw invalid('The token has no subject.')
  return {
    kind: 'token',
    name: sub,
    role: roleOf(payload, roleClaim),
    tokenId: typeof jti === 'string' ? jti : null,
    issuedAt: typeof iat === 'number' ? iat * 1000 : null,
    expiresAt: (exp + clockTolerance) * 1000,
  }
}

/** The claim itself comes first: names of claims may have dots in them. */
function roleOf(payload: JWTPayload, claim: string): Role | null {
  const own = (value: unknown, key: string): unknown =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
  const found = own(payload, claim) ?? claim.split('.').reduce<unknown>(own, payload)
  return highestRole(Array.isArray(found) ? found : [found])
}

// -------------------------------------------------------------------------------------------------------------- public keys

function keySetOf(jwks: string): JWTVerifyGetKey {
  if (/^https?:/.test(jwks))
    return createRemoteJWKSet(new URL(jwks), { timeoutDuration: 5000, cooldownDuration: 30_000, cacheMaxAge: 600_000 })
  const file = new WatchedFile(jwks, parseJwks)
  return async (header, token) => (await file.read())(header, token)
}

/** Parts of a key that only its owner may have. */
const privateParts = ['d', 'p', 'q', 'k']

function parseJwks(path: string) {
  const read = readConfigFile(path)
  if (!read.ok) throw new Error(read.faults.map(({ is, right }) => `it ${is}: ${right}`).join('; '))
  const { keys } = read.data as { readonly keys?: unknown }
  if (!Array.isArray(keys) || keys.length === 0) throw new Error('it has no keys')
  if (keys.some((key: unknown) => privateParts.some((part) => Object.hasOwn(Object(key), part))))
    throw new Error('it has a private or a shared key: give the public ones alone')
  return createLocalJWKSet({ keys })
}

// ----------------------------------------------------------------------------------------------------------------- refusals

const remedy = 'Get a new token.'
const invalid = (detail: string, who: string | null = null): Refusal => new Refusal('credentials_invalid', { detail, remedy }, { who })

/** Only what the signature proves is told on: a subject that anybody could have written is nobody's. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof errors.JWTExpired)
    return new Refusal('credentials_expired', { detail: 'The token has expired.', remedy }, { who: whoOf(error.payload) })
  if (error instanceof errors.JWTClaimValidationFailed) return invalid(claimText(error.claim), whoOf(error.payload))
  if (error instanceof errors.JOSEError && faults.includes(error.code)) return invalid('The token is not one that is believed here.')
  const detail = 'The keys that tokens are checked by cannot be had.'
  return new Refusal('accounts_unavailable', { detail, remedy: 'Try again later.' }, { cause: error })
}

const whoOf = ({ sub }: JWTPayload): string | null => (typeof sub === 'string' ? accountLabel({ kind: 'token', name: sub }) : null)

function claimText(claim: string): string {
  if (claim === 'aud') return 'The token is for another audience.'
  if (claim === 'iss') return 'The token is from another issuer.'
  if (claim === 'nbf') return 'The token is not valid yet.'
  return ['exp', 'sub', 'iat'].includes(claim)
    ? `The token has no ${claim} that is understood.`
    : 'The token is not one that is believed here.'
}
