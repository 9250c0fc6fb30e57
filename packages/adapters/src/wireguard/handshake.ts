// The initiator's half of Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, as in §5.4 of the WireGuard paper, whose names it has.
import { generateKeyPairSync, type KeyObject, timingSafeEqual } from 'node:crypto'
import { type Bytes, dh, exportPublic, hash, importPublic, kdf1, kdf2, kdf3, mac, open, seal, xopen } from './primitives.ts'

const labels = { mac1: Buffer.from('mac1----'), cookie: Buffer.from('cookie--') }
export const chainingKey = hash(Buffer.from('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'))
export const identifiedHash = hash(chainingKey, Buffer.from('WireGuard v1 zx2c4 Jason@zx2c4.com'))

const initiationType = 1
const responseType = 2
const cookieType = 3
const transportType = 4
const lengths = { initiation: 148, response: 92, cookieReply: 64 } as const
/** Where the MACs of the two messages begin. */
const macs = { initiation: 116, response: 60 } as const

/** Who probes. */
export interface Identity {
  readonly privateKey: KeyObject
  readonly publicKey: Bytes
  /** The key of MAC1 of whatever is sent to us. */
  readonly mac1Key: Bytes
}

/** A server, and what is computed once for it. */
export interface Peer {
  readonly publicKey: KeyObject
  readonly publicBytes: Bytes
  /** DH(S_i, S_r). */
  readonly staticSecret: Bytes
  readonly presharedKey: Bytes
  readonly mac1Key: Bytes
  readonly cookieKey: Bytes
  /** The hash that every handshake with it begins with. */
  readonly firstHash: Bytes
}

export const identityOf = (privateKey: KeyObject): Identity => {
  const publicKey = exportPublic(privateKey)
  return { privateKey, publicKey, mac1Key: hash(labels.mac1, publicKey) }
}

/** Null: no handshake is possible with this key, because it is of low order. */
export function peerOf(identity: Identity, publicBytes: Bytes, presharedKey: Bytes): Peer | null {
  const publicKey = importPublic(publicBytes)
  const staticSecret = dh(identity.privateKey, publicKey)
  return (
    staticSecret && {
      publicKey,
      publicBytes,
      staticSecret,
      presharedKey,
      mac1Key: hash(labels.mac1, publicBytes),
      cookieKey: hash(labels.cookie, publicBytes),
      firstHash: hash(identifiedHash, publicBytes),
    }
  )
}

/** What a datagram that came back is. */
export type Reply =
  /** The response to our initiation, decrypted: only the holder of the server's private key can have made it. */
  | { readonly kind: 'response' }
  /** From somebody who has read our initiation, which takes the server's private key; but it does not decrypt. */
  | { readonly kind: 'other_preshared_key' }
  /** The server is under load and wants the same message again with a MAC2 by this cookie. */
  | { readonly kind: 'cookie'; readonly cookie: Bytes }
  | { readonly kind: 'foreign' }

/** One initiation and the reading of its answers. */
export class Handshake {
  readonly index: number
  /** What is to be sent, 148 bytes. */
  readonly message: Buffer
  readonly #identity: Identity
  readonly #peer: Peer
  readonly #ephemeral: KeyObject
  readonly #chain: Bytes
  readonly #hash: Bytes

  /**
   * @param index whole, 0–2³²−1, by which answers are known to belong to this initiation
   * @param timestamp TAI64N, 12 bytes, later than any that this server has seen from this identity
   */
  constructor(identity: Identity, peer: Peer, index: number, timestamp: Bytes) {
    const { privateKey: ephemeral, publicKey } = generateKeyPairSync('x25519')
    const ephemeralBytes = exportPublic(publicKey)
    const secret = dh(ephemeral, peer.publicKey)
    // peerOf() has seen that the key is not of low order, and no key made here is.
    if (secret === null) throw new Error('unreachable: a key of low order')
    let chain = kdf1(chainingKey, ephemeralBytes)
    let key: Bytes
    let seen = hash(peer.firstHash, ephemeralBytes)
    ;[chain, key] = kdf2(chain, secret)
    const sealedStatic = seal(key, identity.publicKey, seen)
    seen = hash(seen, sealedStatic)
    ;[chain, key] = kdf2(chain, peer.staticSecret)
    const sealedTime = seal(key, timestamp, seen)
    this.#hash = hash(seen, sealedTime)
    this.#chain = chain
    this.#ephemeral = ephemeral
    this.#identity = identity
    this.#peer = peer
    this.index = index
    const head = Buffer.alloc(8)
    head.writeUInt32LE(initiationType, 0)
    head.writeUInt32LE(index, 4)
    const message = Buffer.concat([head, ephemeralBytes, sealedStatic, sealedTime], lengths.initiation)
    message.set(mac(peer.mac1Key, message.subarray(0, macs.initiation)), macs.initiation)
    this.message = message
  }

  /** The same message for a server under load, with its cookie. The server has not read it yet: it is no replay. */
  withCookie(cookie: Bytes): Buffer {
    const message = Buffer.from(this.message)
    message.set(mac(cookie, message.subarray(0, macs.initiation + 16)), macs.initiation + 16)
    return message
  }

  /** Reads a datagram that `replyIndex` says is an answer to this initiation. */
  read(datagram: Buffer): Reply {
    return datagram.readUInt32LE(0) === responseType ? this.#readResponse(datagram) : this.#readCookie(datagram)
  }

  #readResponse(datagram: Buffer): Reply {
    const mac1 = mac(this.#identity.mac1Key, datagram.subarray(0, macs.response))
    // Before anything that costs: whoever does not know our public key cannot make this, and gets no work out of us.
    if (!timingSafeEqual(mac1, datagram.subarray(macs.response, macs.response + 16))) return { kind: 'foreign' }
    const ephemeralBytes = datagram.subarray(12, 44)
    const ephemeral = importPublic(ephemeralBytes)
    const [first, second] = [dh(this.#ephemeral, ephemeral), dh(this.#identity.privateKey, ephemeral)]
    if (first === null || second === null) return { kind: 'foreign' }
    const chain = kdf1(kdf1(kdf1(this.#chain, ephemeralBytes), first), second)
    const [, temporary, key] = kdf3(chain, this.#peer.presharedKey)
    const seen = hash(hash(this.#hash, ephemeralBytes), temporary)
    const isAuthentic = open(key, datagram.subarray(44, 60), seen) !== null
    return { kind: isAuthentic ? 'response' : 'other_preshared_key' }
  }

  #readCookie(datagram: Buffer): Reply {
    const mac1 = this.message.subarray(macs.initiation, macs.initiation + 16)
    const cookie = xopen(this.#peer.cookieKey, datagram.subarray(8, 32), datagram.subarray(32), mac1)
    return cookie ? { kind: 'cookie', cookie } : { kind: 'foreign' }
  }
}

/** The index of the initiation that a datagram answers; null: it is no answer to an initiation. */
export function replyIndex(datagram: Buffer): number | null {
  if (datagram.length === lengths.response && datagram.readUInt32LE(0) === responseType) return datagram.readUInt32LE(8)
  if (datagram.length === lengths.cookieReply && datagram.readUInt32LE(0) === cookieType) return datagram.readUInt32LE(4)
  return null
}

/** Whether a datagram looks like any message of WireGuard: its types are 1 to 4. */
export const isWireguard = (datagram: Buffer): boolean =>
  datagram.length >= 32 && datagram.readUInt32LE(0) >= initiationType && datagram.readUInt32LE(0) <= transportType
