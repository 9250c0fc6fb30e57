import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import type { AccountSettings } from '../src/accounts/accounts.ts'
import { type ApiKey, hashOf, newKey } from '../src/accounts/keys.ts'
import { type Role, roles } from '../src/accounts/roles.ts'

export const secret = 'a secret of tests, and of nothing else, 0123456789'
const issuer = 'https://id.example'
const audience = 'pintail'

/** Keys, a key set and a list of who is revoked, in files; and what a client may send. */
export class Credentials implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'pintail-access-'))
  readonly rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  readonly ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  readonly stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
  readonly now: () => number
  readonly keys: readonly (ApiKey & { readonly key: string })[]

  constructor(now: () => number = Date.now) {
    this.now = now
    const key = (name: string, role: Role, expiresAt: number | null = null) => {
      const made = newKey()
      return { key: made, name, role, sha256: hashOf(made), expiresAt }
    }
    this.keys = [...roles.map((role) => key(role, role)), key('old', 'admin', now() - 1), key('gone', 'admin')]
    const jwk = (publicKey: KeyObject, kid: string) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' })
    this.write('jwks.json', { keys: [jwk(this.rsa.publicKey, 'rsa'), jwk(this.ec.publicKey, 'ec')] })
    this.write('revoked.json', {
      tokens: ['revoked'],
      keys: ['gone'],
      subjects: { mallory: new Date(now() + 3_600_000).toISOString() },
    })
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  write(name: string, data: unknown): void {
    writeFileSync(this.path(name), typeof data === 'string' ? data : JSON.stringify(data))
  }

  get settings(): AccountSettings {
    return {
      api: 'auto',
      apiKeys: this.keys.map(({ key: _, ...rest }) => rest),
      jwtSecret: secret,
      jwtJwks: this.path('jwks.json'),
      jwtIssuer: issuer,
      jwtAudience: audience,
      jwtRoleClaim: 'role',
      jwtClockTolerance: 5,
      revocations: this.path('revoked.json'),
    }
  }

  key(name: string): string {
    return this.keys.find((one) => one.name === name)?.key ?? ''
  }

  /** What a good token says; undefined takes a claim out. */
  claims(role: string, other: Readonly<Record<string, unknown>> = {}): JWTPayload {
    const seconds = Math.floor(this.now() / 1000)
    const all = { sub: 'alice', role, iss: issuer, aud: audience, iat: seconds, exp: seconds + 3600, jti: 'one', ...other }
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  }

  hs256(claims: JWTPayload, key: string | Uint8Array = secret): Promise<string> {
    return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(typeof key === 'string' ? new TextEncoder().encode(key) : key)
  }

  rs256(claims: JWTPayload, key = this.rsa.privateKey, kid = 'rsa'): Promise<string> {
    return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(key)
  }

  es256(claims: JWTPayload): Promise<string> {
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'ec' }).sign(this.ec.privateKey)
  }

  /** What is let in, by role and form. */
  async good(): Promise<readonly { readonly name: string; readonly role: Role; readonly headers: Headers }[]> {
    const forms = await Promise.all(
      roles.map(async (role) => [
        { name: `${role} by HS256`, role, headers: bearer(await this.hs256(this.claims(role, { sub: `hs-${role}` }))) },
        { name: `${role} by RS256`, role, headers: bearer(await this.rs256(this.claims(role, { sub: `rs-${role}` }))) },
        { name: `${role} by ES256`, role, headers: bearer(await this.es256(this.claims(role, { sub: `es-${role}` }))) },
        { name: `${role} by key`, role, headers: { 'x-api-key': this.key(role) } },
        { name: `${role} by key as Bearer`, role, headers: bearer(this.key(role)) },
      ]),
    )
    return forms.flat()
  }

  /** What is not believed, each of an admin otherwise, and the code that says so. */
  async bad(): Promise<readonly { readonly name: string; readonly code: string; readonly headers: Headers; readonly query?: string }[]> {
    const admin = (other: Readonly<Record<string, unknown>> = {}) => this.claims('admin', other)
    const seconds = Math.floor(this.now() / 1000)
    const good = await this.hs256(admin())
    const [head = '', body = '', signature = ''] = good.split('.')
    const pem = this.rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const [, unsecured = ''] = new UnsecuredJWT(admin()).encode().split('.')
    const part = (data: object): string => Buffer.from(JSON.stringify(data)).toString('base64url')
    const invalid = 'credentials_invalid'
    const one = (name: string, token: string, code = invalid) => ({ name, code, headers: bearer(token) })
    return [
      { name: 'nothing', code: 'credentials_missing', headers: {} },
      { name: 'a token in the URL', code: 'credentials_missing', headers: {}, query: `access_token=${good}` },
      { name: 'a scheme that is none', code: invalid, headers: { authorization: `Basic ${good}` } },
      { name: 'an empty Bearer', code: invalid, headers: { authorization: 'Bearer ' } },
      { name: 'two credentials', code: invalid, headers: { ...bearer(good), 'x-api-key': this.key('admin') } },
      {
        name: 'a token as a WebSocket would offer it, without one',
        code: 'credentials_missing',
        headers: { 'sec-websocket-protocol': `pintail, pintail.bearer.${good}` },
      },
      one('garbage', 'garbage'),
      one('garbage of three parts', 'a.b.c'),
      one('too long', `${head}.${part({ ...admin(), x: 'x'.repeat(9000) })}.${signature}`),
      one('alg none', new UnsecuredJWT(admin()).encode()),
      one('alg none with a signature', `${part({ alg: 'none' })}.${unsecured}.${signature}`),
      one('alg NoNe', `${part({ alg: 'NoNe' })}.${unsecured}.`),
      one('a swapped key: HS256 by the public key as PEM', await this.hs256(admin(), pem)),
      one(
        'a swapped key: HS256 by the public key as DER',
        await this.hs256(admin(), this.rsa.publicKey.export({ type: 'spki', format: 'der' })),
      ),
      one('a swapped key: HS256 that names the RSA key', `${part({ alg: 'HS256', kid: 'rsa' })}.${body}.${signature}`),
      one(
        'HS512 by the secret',
        await new SignJWT(admin()).setProtectedHeader({ alg: 'HS512' }).sign(new TextEncoder().encode(`${secret}${secret}`)),
      ),
      one('HS256 by another secret', await this.hs256(admin(), 'another secret of tests, as long as the first, 0123')),
      one('RS256 by a stranger', await this.rs256(admin(), this.stranger.privateKey)),
      one('RS256 of a key that is not known', await this.rs256(admin(), this.stranger.privateKey, 'other')),
      one(
        'a key of its own in the header',
        await new SignJWT(admin())
          .setProtectedHeader({ alg: 'RS256', jwk: this.stranger.publicKey.export({ format: 'jwk' }) as never })
          .sign(this.stranger.privateKey),
      ),
      one('a changed body', `${head}.${part(admin({ sub: 'root' }))}.${signature}`),
      one('an unknown critical header', `${part({ alg: 'HS256', crit: ['x'], x: 1 })}.${body}.${signature}`),
      one('expired', await this.hs256(admin({ exp: seconds - 6 })), 'credentials_expired'),
      one('expired, by RS256', await this.rs256(admin({ exp: seconds - 6 })), 'credentials_expired'),
      one('no end', await this.hs256(admin({ exp: undefined }))),
      one('no subject', await this.hs256(admin({ sub: undefined }))),
      one('not yet valid', await this.hs256(admin({ nbf: seconds + 3600 }))),
      one('another audience', await this.hs256(admin({ aud: 'panel' }))),
      one('no audience', await this.hs256(admin({ aud: undefined }))),
      one('another issuer', await this.rs256(admin({ iss: 'https://evil.example' }))),
      one('no issuer', await this.rs256(admin({ iss: undefined }))),
      one('revoked by its id', await this.hs256(admin({ jti: 'revoked' })), 'credentials_revoked'),
      one('revoked by its subject', await this.rs256(admin({ sub: 'mallory' })), 'credentials_revoked'),
      one('of a revoked subject, without a time', await this.hs256(admin({ sub: 'mallory', iat: undefined })), 'credentials_revoked'),
      one('a key that expired', this.key('old'), 'credentials_expired'),
      one('a key that was revoked', this.key('gone'), 'credentials_revoked'),
      one('a key that is not known', newKey()),
      one('the hash of a key', hashOf(this.key('admin'))),
      { name: 'a token as a key', code: invalid, headers: { 'x-api-key': `x${good}` } },
    ]
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true })
  }
}

type Headers = Readonly<Record<string, string>>
export const bearer = (credential: string): Headers => ({ authorization: `Bearer ${credential}` })
