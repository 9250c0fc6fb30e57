import { createHmac, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { Credentials, secret } from '../../test/credentials.ts'
import { tokenReader } from './jwt.ts'
import type { Refusal } from './refusal.ts'

afterEach(() => void vi.useRealTimers())

const refused = async (work: Promise<unknown>) =>
  work.then(
    () => 'let in',
    ({ code, who }: Refusal) => [code, who],
  )
function reader({ settings }: Credentials, other: object = {}) {
  const {
    jwtSecret: secret,
    jwtJwks: jwks,
    jwtIssuer: issuer,
    jwtAudience: audience,
    jwtRoleClaim: roleClaim,
    jwtClockTolerance: clockTolerance,
  } = settings
  const read = tokenReader({ secret, jwks, issuer, audience, roleClaim, clockTolerance, ...other })
  if (!read) throw new Error('no tokens are taken')
  return read
}

test('public keys are fetched from their URL, once; without them tokens are no fault of who sends them', async () => {
  // For how long no key is asked for again, by the clock: that time is never over here.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
  using credentials = new Credentials()
  const [rsa, other] = [credentials.rsa.publicKey.export({ format: 'jwk' }), credentials.stranger.publicKey.export({ format: 'jwk' })]
  let [asked, status] = [0, 200]
  const server = createServer((_request, response) => {
    asked++
    response.writeHead(status, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        keys: [
          { ...rsa, kid: 'rsa' },
          { ...other, kid: 'old' },
        ],
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    const read = reader(credentials, { jwks })
    const token = await credentials.rs256(credentials.claims('operator', { sub: 'bob' }))
    expect(await read(token, Date.now())).toMatchObject({ kind: 'token', name: 'bob', role: 'operator', tokenId: 'one' })
    await read(token, Date.now())
    expect(asked).toBe(1)
    // A key that is not known is no reason to ask again and again.
    for (let index = 0; index < 20; index++)
      expect(
        await refused(read(await credentials.rs256(credentials.claims('admin'), credentials.rsa.privateKey, `k${index}`), Date.now())),
      ).toEqual(['credentials_invalid', null])
    expect(asked).toBe(1)
    status = 500
    expect(await refused(reader(credentials, { jwks })(token, Date.now()))).toEqual(['accounts_unavailable', null])
    // What is signed by the secret needs no keys.
    expect(await reader(credentials, { jwks })(await credentials.hs256(credentials.claims('viewer')), Date.now())).toMatchObject({
      role: 'viewer',
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
  expect(
    await refused(
      reader(credentials, { jwks: 'http://127.0.0.1:9/keys' })(await credentials.rs256(credentials.claims('admin')), Date.now()),
    ),
  ).toEqual(['accounts_unavailable', null])
})

test('public keys in a file are read again when it changes; a file that cannot be used lets nobody in', async () => {
  using credentials = new Credentials()
  const read = reader(credentials)
  const token = await credentials.rs256(credentials.claims('admin'))
  expect(await refused(read(token, Date.now()))).toBe('let in')
  const jwk = { ...credentials.stranger.publicKey.export({ format: 'jwk' }), kid: 'rsa' }
  credentials.write('jwks.json', { keys: [jwk] })
  expect(await refused(read(token, Date.now()))).toEqual(['credentials_invalid', null])
  expect(await refused(read(await credentials.rs256(credentials.claims('admin'), credentials.stranger.privateKey), Date.now()))).toBe(
    'let in',
  )
  const owner = credentials.stranger.privateKey.export({ format: 'jwk' })
  for (const wrong of ['', '{}', { keys: [] }, { keys: [owner] }, { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }, { keys: 'x' }]) {
    credentials.write('jwks.json', wrong)
    expect([wrong, await refused(read(token, Date.now()))]).toEqual([wrong, ['accounts_unavailable', null]])
  }
})

test('with a secret alone no public key is believed, and with public keys alone no secret', async () => {
  using credentials = new Credentials()
  const [hs, rs] = [await credentials.hs256(credentials.claims('admin')), await credentials.rs256(credentials.claims('admin'))]
  expect(await refused(reader(credentials, { jwks: '' })(rs, Date.now()))).toEqual(['credentials_invalid', null])
  expect(await refused(reader(credentials, { jwks: '' })(hs, Date.now()))).toBe('let in')
  expect(await refused(reader(credentials, { secret: '' })(hs, Date.now()))).toEqual(['credentials_invalid', null])
  // Without a secret its key is empty, and so is that of who hopes for it.
  const [head, body] = hs.split('.')
  const { createHmac } = await import('node:crypto')
  const empty = `${head}.${body}.${createHmac('sha256', '').update(`${head}.${body}`).digest('base64url')}`
  expect(await refused(reader(credentials, { secret: '' })(empty, Date.now()))).toEqual(['credentials_invalid', null])
  expect(tokenReader({ secret: '', jwks: '', issuer: '', audience: 'pintail', roleClaim: 'role', clockTolerance: 0 })).toBeNull()
})

test('who it was is told only where the signature proves it', async () => {
  using credentials = new Credentials()
  const read = reader(credentials)
  const old = credentials.claims('admin', { sub: 'eve\n\u001b[31m', exp: 1 })
  expect(await refused(read(await credentials.hs256(old), Date.now()))).toEqual(['credentials_expired', 'token:eve??[31m'])
  expect(await refused(read(await credentials.hs256(old, 'another secret of tests, as long as the first'), Date.now()))).toEqual([
    'credentials_invalid',
    null,
  ])
})

test('the clock may be off by the tolerance, and no more', async () => {
  using credentials = new Credentials()
  const now = Math.floor(Date.now() / 1000) * 1000
  const read = reader(credentials)
  const at = async (claims: object) => refused(read(await credentials.hs256(credentials.claims('viewer', { ...claims })), now))
  expect(await at({ exp: now / 1000 - 4 })).toBe('let in')
  expect(await at({ exp: now / 1000 - 5 })).toEqual(['credentials_expired', 'token:alice'])
  expect(await at({ nbf: now / 1000 + 5 })).toBe('let in')
  expect(await at({ nbf: now / 1000 + 6 })).toEqual(['credentials_invalid', 'token:alice'])
})

test('an RSA key that is too short is not used', async () => {
  using credentials = new Credentials()
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  credentials.write('jwks.json', { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'rsa' }] })
  expect(await refused(reader(credentials)(await credentials.rs256(credentials.claims('admin')), Date.now()))).toEqual([
    'accounts_unavailable',
    null,
  ])
})

test('whatever key a token names, HS256 is the secret: neither nothing nor a public key signs one', async () => {
  using credentials = new Credentials()
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = (key: Buffer, header: object) => {
    const text = `${part(header)}.${part(credentials.claims('admin'))}`
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  const read = reader(credentials)
  const pem = Buffer.from(credentials.rsa.publicKey.export({ type: 'spki', format: 'pem' }))
  for (const header of [
    { alg: 'HS256' },
    { alg: 'HS256', kid: 'rsa' },
    { alg: 'HS256', kid: '' },
    { alg: 'HS256', kid: '../../dev/null' },
  ]) {
    for (const key of [Buffer.alloc(0), Buffer.from('\0'), pem])
      expect(await refused(read(signed(key, header), Date.now()))).toEqual(['credentials_invalid', null])
    expect(await read(signed(Buffer.from(secret), header), Date.now())).toMatchObject({ role: 'admin' })
  }
})
