import type { Role } from './roles.ts'

/** Who asks, after his credential has been believed. */
export interface Account {
  readonly kind: 'token' | 'key' | 'open'
  /** The subject of a token, the name of a key. */
  readonly name: string
  /** Null: he may do nothing. */
  readonly role: Role | null
  /** Of a token: by which it can be revoked alone. */
  readonly tokenId: string | null
  /** Milliseconds since 1970; null: it does not say. */
  readonly issuedAt: number | null
  /** Milliseconds since 1970; null: it does not end by itself. */
  readonly expiresAt: number | null
}

/** As it stands in the log: never a credential, and of a name no more than a line can hold. */
export const accountLabel = ({ kind, name }: Pick<Account, 'kind' | 'name'>): string =>
  `${kind}:${name.slice(0, 100).replace(/\p{C}/gu, '?')}`
