import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { Credentials, secret } from '../../test/credentials.ts'
import { credentialOf } from './credential.ts'
import { tokenReader } from './jwt.ts'
import { accountOfKey } from './keys.ts'
import { Refusal } from './refusal.ts'

const credentials = new Credentials()
afterAll(() => credentials[Symbol.dispose]())
const { settings } = credentials
const read = tokenReader({
  secret,
  jwks: settings.jwtJwks,
  issuer: settings.jwtIssuer,
  audience: settings.jwtAudience,
  roleClaim: settings.jwtRoleClaim,
  clockTolerance: settings.jwtClockTolerance,
})
const codeOf = async (work: () => unknown): Promise<unknown> => {
  try {
    await work()
    return 'let in'
  } catch (error) {
    return error instanceof Refusal ? error.code : error
  }
}

const part = (data: unknown): string => Buffer.from(JSON.stringify(data) ?? '').toString('base64url')
const header = fc.record(
  {
    alg: fc.oneof(
      fc.constantFrom('HS256', 'HS384', 'RS256', 'PS512', 'ES256', 'ES384', 'EdDSA', 'Ed25519', 'none', 'None', 'RSA-OAEP', '__proto__'),
      fc.jsonValue(),
    ),
    kid: fc.oneof(fc.constantFrom('rsa', 'ec', '../../etc/passwd', ''), fc.jsonValue()),
    typ: fc.jsonValue(),
    crit: fc.oneof(fc.constantFrom(['b64'], ['exp'], []), fc.jsonValue()),
    b64: fc.oneof(fc.boolean(), fc.jsonValue()),
    jwk: fc.constant(credentials.stranger.publicKey.export({ format: 'jwk' })),
    jku: fc.constant('http://127.0.0.1:1/keys'),
    x5u: fc.constant('http://127.0.0.1:1/keys'),
    zip: fc.constant('DEF'),
  },
  { requiredKeys: [] },
)
const payload = fc.oneof(fc.constant(credentials.claims('admin')), fc.jsonValue())
const signature = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64url'))

test('whatever a token says of itself, without our signature it is refused as the fault of who sends it, and not as an outage', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(header, fc.jsonValue()), payload, signature, async (head, body, sign) => {
      expect(await codeOf(() => read?.(`${part(head)}.${part(body)}.${sign}`, Date.now()))).toBe('credentials_invalid')
    }),
    { numRuns: 500 },
  )
})

test('whatever stands in the place of a credential is refused, and never a fault of ours', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (text) => {
      expect(await codeOf(() => read?.(text, Date.now()))).toBe('credentials_invalid')
      expect(await codeOf(() => accountOfKey(`pintail_${text}`, settings.apiKeys, Date.now()))).toBe('credentials_invalid')
    }),
    { numRuns: 500 },
  )
})

test('whatever the headers are, there is one credential in them or a refusal', () => {
  const text = fc.oneof(
    fc.constantFrom('Bearer a', 'bearer  a.b.c', 'Basic a', 'Bearer', 'Bearer a, Bearer b', 'pintail, pintail.bearer.x'),
    fc.string(),
  )
  fc.assert(
    fc.property(
      fc.record({ authorization: text, 'x-api-key': text, 'sec-websocket-protocol': text }, { requiredKeys: [] }),
      fc.boolean(),
      (headers, isUpgrade) => {
        try {
          const found = credentialOf(headers, isUpgrade)
          expect(Object.values(headers).some((value) => value.includes(found))).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal)
        }
      },
    ),
    { numRuns: 1000 },
  )
})
