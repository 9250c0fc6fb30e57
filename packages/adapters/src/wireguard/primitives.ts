// The primitives of the WireGuard paper (Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", §5.4), under its names.
import { createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'
import { blake2s } from '@noble/hashes/blake2.js'
import { hmac } from '@noble/hashes/hmac.js'

export type Bytes = Uint8Array

/** HASH: BLAKE2s-256. */
export const hash = (...parts: readonly Bytes[]): Bytes => blake2s(Buffer.concat(parts))

/** MAC: keyed BLAKE2s-128. node:crypto has no keyed BLAKE2s. */
export const mac = (key: Bytes, ...parts: readonly Bytes[]): Bytes => blake2s(Buffer.concat(parts), { key, dkLen: 16 })

/** KDF1. */
export const kdf1 = (key: Bytes, input: Bytes): Bytes => derive(key, input, 1)[0] as Bytes
/** KDF2. */
export const kdf2 = (key: Bytes, input: Bytes) => derive(key, input, 2) as [Bytes, Bytes]
/** KDF3. */
export const kdf3 = (key: Bytes, input: Bytes) => derive(key, input, 3) as [Bytes, Bytes, Bytes]

function derive(key: Bytes, input: Bytes, count: number): Bytes[] {
  const secret = hmac(blake2s, key, input)
  const keys: Bytes[] = []
  for (let n = 1; n <= count; n += 1) keys.push(hmac(blake2s, secret, Buffer.concat([keys[n - 2] ?? Buffer.alloc(0), Buffer.of(n)])))
  return keys
}

const tagLength = 16
const authTagLength = { authTagLength: tagLength } as const
const firstNonce = Buffer.alloc(12)

/** AEAD with counter 0: each key of a handshake seals one thing. */
export function seal(key: Bytes, plain: Bytes, aad: Bytes): Bytes {
  const cipher = createCipheriv('chacha20-poly1305', key, firstNonce, authTagLength)
  cipher.setAAD(aad, { plaintextLength: plain.length })
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** Null: it was not sealed with this key and these data. */
export function open(key: Bytes, sealed: Bytes, aad: Bytes, nonce: Bytes = firstNonce): Bytes | null {
  const length = sealed.length - tagLength
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, authTagLength)
  decipher.setAAD(aad, { plaintextLength: length })
  decipher.setAuthTag(sealed.subarray(length))
  const plain = decipher.update(sealed.subarray(0, length))
  try {
    return Buffer.concat([plain, decipher.final()])
  } catch {
    return null
  }
}

/** XAEAD: the same with a nonce of 24 bytes (draft-irtf-cfrg-xchacha, §2.3). */
export const xopen = (key: Bytes, nonce: Bytes, sealed: Bytes, aad: Bytes): Bytes | null =>
  open(hchacha20(key, nonce.subarray(0, 16)), sealed, aad, Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]))

const constants = Buffer.from('expand 32-byte k')

/**
 * HChaCha20 (same draft, §2.2). A block of ChaCha20 is its state after the rounds plus its state before them;
 * HChaCha20 is the first and last four words after the rounds. So it is a block from which they are taken away again.
 */
export function hchacha20(key: Bytes, nonce: Bytes): Bytes {
  const block = createCipheriv('chacha20', key, nonce).update(Buffer.alloc(64))
  const words = new Uint8Array(32)
  const out = new DataView(words.buffer)
  for (let at = 0; at < 16; at += 4) {
    out.setUint32(at, block.readUInt32LE(at) - constants.readUInt32LE(at), true)
    out.setUint32(16 + at, block.readUInt32LE(48 + at) - Buffer.from(nonce).readUInt32LE(at), true)
  }
  return words
}

const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex')

export function importPrivate(bytes: Bytes): KeyObject {
  const der = Buffer.concat([pkcs8, bytes])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  return key
}

export const importPublic = (bytes: Bytes): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(bytes).toString('base64url') }, format: 'jwk' })

/** The 32 bytes of the public key; of a private one, those of its public key. */
export function exportPublic(key: KeyObject): Bytes {
  const { x = '' } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' }) as { x?: string }
  return Buffer.from(x, 'base64url')
}

/** DH. Null for a public key of low order, with which any secret would be the same: WireGuard refuses it too. */
export function dh(privateKey: KeyObject, publicKey: KeyObject): Bytes | null {
  try {
    return diffieHellman({ privateKey, publicKey })
  } catch {
    return null
  }
}
