import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Account } from './account.ts'
import { Refusal } from './refusal.ts'
import type { Role } from './roles.ts'

/** A key as the settings have it: whoever reads them cannot use it. */
export interface ApiKey {
  readonly name: string
  readonly role: Role
  /** SHA-256 of the whole key, 64 hexadecimal digits. A plain hash is enough: a key is 256 bits of chance, and cannot be guessed. */
  readonly sha256: string
  /** Milliseconds since 1970; null: it does not expire. */
  readonly expiresAt: number | null
}

const mark = 'pintail_'
const form = /^pintail_[\w-]{43}$/

/** Whether this is meant as a key, and not as a token. */
export const looksLikeKey = (credential: string): boolean => credential.startsWith(mark)

export const newKey = (random: (bytes: number) => Uint8Array = randomBytes): string => mark + Buffer.from(random(32)).toString('base64url')

export const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex')

/** @throws Refusal */
export function accountOfKey(presented: string, keys: readonly ApiKey[], now: number): Account {
  const digest = Buffer.from(hashOf(presented), 'hex')
  // All of them, always: how long it takes says nothing about which one was nearly right.
  const found = keys.filter(({ sha256 }) => timingSafeEqual(digest, Buffer.from(sha256, 'hex')))[0]
  if (!found || !form.test(presented))
    throw new Refusal('credentials_invalid', { detail: 'This key is not known.', remedy: 'Check the key.' })
  const { name, role, expiresAt } = found
  if (expiresAt !== null && now >= expiresAt)
    throw new Refusal('credentials_expired', { detail: 'This key has expired.', remedy: 'Ask for a new one.' }, { who: `key:${name}` })
  return { kind: 'key', name, role, tokenId: null, issuedAt: null, expiresAt }
}
