import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { HChaCha20, keyPair } from '../../test/wireguardServer.ts'
import { chainingKey, Handshake, identifiedHash, identityOf, peerOf, replyIndex } from './handshake.ts'
import { dh, exportPublic, hash, hchacha20, importPrivate, importPublic, kdf1, kdf2, kdf3, mac, open, seal, xopen } from './primitives.ts'
import { Timestamps } from './timestamp.ts'

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex')
const counting = (length: number) => Buffer.from(Array.from({ length }, (_, index) => index))

test('handshakes begin with the constants that every WireGuard has', () => {
  // From the Linux kernel and wireguard-go, where they are computed once.
  expect(Buffer.from(chainingKey)).toEqual(hex('60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36'))
  expect(Buffer.from(identifiedHash)).toEqual(hex('2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3'))
})

test('the hash is BLAKE2s: the value of RFC 7693, and what OpenSSL computes', () => {
  expect(Buffer.from(hash(Buffer.from('abc')))).toEqual(hex('508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982'))
  for (const length of [0, 1, 63, 64, 65, 200]) {
    const input = counting(length)
    expect(Buffer.from(hash(input))).toEqual(createHash('blake2s256').update(input).digest())
  }
})

test('the keyed hash has the key in it, and 16 bytes', () => {
  const [one, other] = [mac(counting(32), Buffer.from('x')), mac(counting(16), Buffer.from('x'))]
  expect(one).toHaveLength(16)
  expect(Buffer.from(one)).not.toEqual(Buffer.from(other))
  expect(Buffer.from(one)).not.toEqual(Buffer.from(hash(Buffer.from('x')).subarray(0, 16)))
})

test('derived keys begin alike, however many are taken', () => {
  const [one, two, three] = kdf3(counting(32), Buffer.from('input'))
  expect(kdf2(counting(32), Buffer.from('input'))).toEqual([one, two])
  expect(kdf1(counting(32), Buffer.from('input'))).toEqual(one)
  expect(new Set([one, two, three].map((key) => Buffer.from(key).toString('hex'))).size).toBe(3)
})

test('HChaCha20 has the values of its specification', () => {
  const [key, nonce] = [counting(32), hex('000000090000004a0000000031415927')]
  const expected = hex('82413b42 27b27bfe d30e4250 8a877d73 a0f9e4d5 8a74a853 c12ec413 26d3ecdc')
  expect(Buffer.from(hchacha20(key, nonce))).toEqual(expected)
  // The server of these tests computes it in another way.
  expect(HChaCha20(key, nonce)).toEqual(expected)
})

test('XChaCha20-Poly1305 opens the example of its specification', () => {
  const plain = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
  const sealed =
    hex(`bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba4
    0db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e c0875924c1c7987947deafd8780acf49`)
  const key = hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f')
  const [nonce, aad] = [hex('404142434445464748494a4b4c4d4e4f5051525354555657'), hex('50515253c0c1c2c3c4c5c6c7')]
  expect(Buffer.from(xopen(key, nonce, sealed, aad) ?? '').toString()).toBe(plain)
  sealed[5] = (sealed[5] ?? 0) ^ 1
  expect(xopen(key, nonce, sealed, aad)).toBeNull()
})

test('what is sealed opens with the same key and data only', () => {
  const sealed = seal(counting(32), Buffer.from('secret'), Buffer.from('with'))
  expect(Buffer.from(open(counting(32), sealed, Buffer.from('with')) ?? '').toString()).toBe('secret')
  expect(open(counting(32), sealed, Buffer.from('witH'))).toBeNull()
  expect(open(Buffer.alloc(32), sealed, Buffer.from('with'))).toBeNull()
})

test('X25519 has the values of RFC 7748', () => {
  const bob = importPrivate(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'))
  const alice = importPublic(hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'))
  expect(Buffer.from(exportPublic(bob))).toEqual(hex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'))
  expect(dh(bob, alice)).toEqual(hex('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'))
})

const setUp = () => {
  const [probe, server] = [keyPair(), keyPair()]
  const identity = identityOf(importPrivate(Buffer.from(probe.privateKey, 'base64')))
  const peer = peerOf(identity, Buffer.from(server.publicKey, 'base64'), Buffer.alloc(32))
  if (!peer) throw new Error('a good key was refused')
  return { probe, identity, peer }
}

test('an initiation is 148 bytes, of type 1, with its index, without a MAC2, and each is another', () => {
  const { identity, peer, probe } = setUp()
  const messages = [1, 2].map(() => new Handshake(identity, peer, 0xfedcba98, Buffer.alloc(12)).message)
  for (const message of messages) {
    expect(message).toHaveLength(148)
    expect(message.readUInt32LE(0)).toBe(1)
    expect(message.readUInt32LE(4)).toBe(0xfedcba98)
    expect(message.subarray(132)).toEqual(Buffer.alloc(16))
    expect(message.includes(Buffer.from(probe.publicKey, 'base64'))).toBe(false)
  }
  expect(messages[0]?.subarray(8, 40)).not.toEqual(messages[1]?.subarray(8, 40))
})

test('a public key of low order is no server', () => {
  const { identity } = setUp()
  for (const low of [Buffer.alloc(32), Buffer.concat([Buffer.of(1), Buffer.alloc(31)])])
    expect(peerOf(identity, low, Buffer.alloc(32))).toBeNull()
})

test('only the two messages that answer an initiation have an index', () => {
  const response = Buffer.alloc(92)
  response.set([2, 0, 0, 0, 1, 1, 1, 1, 5, 0, 0, 0])
  expect(replyIndex(response)).toBe(5)
  expect(replyIndex(response.subarray(0, 91))).toBeNull()
  const cookie = Buffer.alloc(64)
  cookie.set([3, 0, 0, 0, 6, 0, 0, 0])
  expect(replyIndex(cookie)).toBe(6)
  for (const other of [Buffer.alloc(0), Buffer.alloc(3), Buffer.alloc(92), Buffer.alloc(148, 1)]) expect(replyIndex(other)).toBeNull()
})

test('timestamps rise within a millisecond, over a clock that is set back, and across a restart a millisecond later', () => {
  const one = new Timestamps()
  const labels = [1000, 1000, 1000, 999, 5, 1001].map((now) => one.next(now))
  labels.push(new Timestamps().next(1002))
  expect(labels.toSorted(Buffer.compare)).toEqual(labels)
  expect(new Set(labels.map((label) => label.toString('hex'))).size).toBe(labels.length)
})

test('a timestamp is TAI64N: 2⁶² plus ten leap seconds plus the Unix time, and nanoseconds', () => {
  expect(new Timestamps().next(1_700_000_000_123)).toEqual(hex('40000000 6553f10a 0754d4c0'))
})
