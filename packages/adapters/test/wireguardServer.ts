// A WireGuard server as far as its handshake goes, from the paper alone: it shares no code with the prober, hashes with
// OpenSSL where the prober hashes with @noble/hashes, and computes HChaCha20 itself. Loopback only.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { blake2s } from '@noble/hashes/blake2.js'

export interface KeyPair {
  readonly secret: KeyObject
  /** base64 */
  readonly privateKey: string
  /** base64 */
  readonly publicKey: string
}

export function keyPair(): KeyPair {
  const { privateKey: secret, publicKey } = generateKeyPairSync('x25519')
  return {
    secret,
    privateKey: secret.export({ format: 'der', type: 'pkcs8' }).subarray(-32).toString('base64'),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64'),
  }
}

const HASH = (...parts: Uint8Array[]) => createHash('blake2s256').update(Buffer.concat(parts)).digest()
const HMAC = (key: Uint8Array, ...parts: Uint8Array[]) => createHmac('blake2s256', key).update(Buffer.concat(parts)).digest()
const MAC = (key: Uint8Array, text: Uint8Array) => Buffer.from(blake2s(text, { key, dkLen: 16 }))
const text = (words: string) => Buffer.from(words)

/** τ1 … τn of the paper. */
function KDF(n: number, key: Uint8Array, input: Uint8Array): Buffer[] {
  const t0 = HMAC(key, input)
  const out = [HMAC(t0, Buffer.of(1))]
  while (out.length < n) out.push(HMAC(t0, out.at(-1) as Buffer, Buffer.of(out.length + 1)))
  return out
}

const AEAD = (key: Uint8Array, nonce: Buffer, plain: Uint8Array, aad: Uint8Array) => {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
  cipher.setAAD(aad, { plaintextLength: plain.length })
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

const openAEAD = (key: Uint8Array, sealed: Buffer, aad: Uint8Array) => {
  const decipher = createDecipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 })
  decipher.setAAD(aad, { plaintextLength: sealed.length - 16 })
  decipher.setAuthTag(sealed.subarray(-16))
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
}

const X25519 = (secret: KeyObject, publicKey: Uint8Array) =>
  diffieHellman({
    privateKey: secret,
    publicKey: createPublicKey({
      key: Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), publicKey]),
      format: 'der',
      type: 'spki',
    }),
  })

/** HChaCha20 by its ten double rounds, RFC 8439 §2.1 and draft-irtf-cfrg-xchacha §2.2. */
export function HChaCha20(key: Uint8Array, nonce: Uint8Array): Buffer {
  const x = new Uint32Array(16)
  const bytes = Buffer.concat([text('expand 32-byte k'), key, nonce])
  for (let i = 0; i < 16; i += 1) x[i] = bytes.readUInt32LE(i * 4)
  const at = (i: number) => x[i] as number
  const turn = (i: number, bits: number) => {
    x[i] = (at(i) << bits) | (at(i) >>> (32 - bits))
  }
  const quarter = (a: number, b: number, c: number, d: number) => {
    for (const [p, q, r, bits] of [
      [a, b, d, 16],
      [c, d, b, 12],
      [a, b, d, 8],
      [c, d, b, 7],
    ] as const) {
      x[p] = at(p) + at(q)
      x[r] = at(r) ^ at(p)
      turn(r, bits)
    }
  }
  for (let round = 0; round < 10; round += 1) {
    for (let i = 0; i < 4; i += 1) quarter(i, 4 + i, 8 + i, 12 + i)
    for (let i = 0; i < 4; i += 1) quarter(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4))
  }
  const out = Buffer.alloc(32)
  for (let i = 0; i < 4; i += 1) {
    out.writeUInt32LE(at(i), i * 4)
    out.writeUInt32LE(at(12 + i), 16 + i * 4)
  }
  return out
}

/** A datagram that looks like an initiation to this server (base64) from outside, and is nobody's. */
export function nobodysInitiation(publicKey: string): Buffer {
  const message = Buffer.concat([Buffer.of(1, 0, 0, 0), randomBytes(112)])
  const mac1 = MAC(HASH(text('mac1----'), Buffer.from(publicKey, 'base64')), message)
  return Buffer.concat([message, mac1, Buffer.alloc(16)])
}

/** Of a TAI64N label, in some epoch. */
const msOf = (label: Buffer): number => Number(label.readBigUInt64BE(0) & 0xffffffffffn) * 1000 + label.readUInt32BE(8) / 1e6

/** How the server misbehaves. */
export type Manner =
  | 'answers'
  /** Every initiation is answered with a cookie, until it comes with a MAC2 by it. */
  | 'under_load'
  /** It never does more than that. */
  | 'only_cookies'
  | 'silent'
  /** A response as anybody on the way could make one who has seen the initiation: right index, nothing else. */
  | 'forged'
  /** The same, by somebody who also knows the prober's public key, so that MAC1 is right. */
  | 'forged_with_mac1'
  /** A cookie reply by somebody who does not know the server's public key. */
  | 'forged_cookie'
  /** Something that is not WireGuard at all. */
  | 'garbage'
  /** Each response twice. */
  | 'twice'

export interface Seen {
  readonly at: number
  /** The initiator's public key, base64. */
  readonly from: string
  readonly timestamp: Buffer
  readonly hasMac2: boolean
  readonly port: number
}

export class WireguardServer implements AsyncDisposable {
  readonly keys: KeyPair
  manner: Manner = 'answers'
  delayMs = 0
  /** What leaves and comes closer together is dropped. What left in time and was held up on its way, or here before it was read, is not. */
  floodMs = 20
  /** Of each initiation that was meant for this key, whether it had a MAC2. */
  readonly asked: boolean[] = []
  /** What was authentic, replays included. */
  readonly seen: Seen[] = []
  /** Why other initiations were dropped, as WireGuard would in silence. */
  readonly dropped: string[] = []
  cookies = 0
  port = 0
  readonly #peers = new Map<string, { readonly psk: Buffer; last: Buffer; lastAt: number }>()
  readonly #cookieSecret = Buffer.from('a cookie of 16 b')
  #socket: Socket | undefined

  constructor(keys: KeyPair = keyPair()) {
    this.keys = keys
  }

  /** Registers a peer. */
  register(publicKey: string, presharedKey?: string): void {
    const psk = presharedKey === undefined ? Buffer.alloc(32) : Buffer.from(presharedKey, 'base64')
    this.#peers.set(publicKey, { psk, last: Buffer.alloc(12), lastAt: -Infinity })
  }

  async listen(host = '127.0.0.1', port = 0): Promise<this> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    this.#socket = socket
    socket.on('message', (datagram, from) => this.#take(datagram, from))
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, host, resolve)
    })
    this.port = socket.address().port
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const socket = this.#socket
    this.#socket = undefined
    if (socket) await new Promise<void>((resolve) => socket.close(() => resolve()))
  }

  #reply(message: Buffer, { address, port }: RemoteInfo): void {
    const send = () => this.#socket?.send(message, port, address)
    if (this.delayMs > 0) setTimeout(send, this.delayMs)
    else send()
  }

  #take(datagram: Buffer, from: RemoteInfo): void {
    const own = Buffer.from(this.keys.publicKey, 'base64')
    const cookie = MAC(this.#cookieSecret, text(`${from.address} ${from.port}`))
    const hasMac2 = MAC(cookie, datagram.subarray(0, 132)).equals(datagram.subarray(132, 148))
    const mac1 = MAC(HASH(text('mac1----'), own), datagram.subarray(0, 116))
    if (datagram.length === 148 && mac1.equals(datagram.subarray(116, 132))) this.asked.push(hasMac2)
    if (this.manner === 'silent') return
    if (this.manner === 'garbage') this.#reply(text('HTTP/1.1 400 Bad Request\r\n\r\n this is a web server, go away'), from)
    else if (datagram.length !== 148 || datagram.readUInt32LE(0) !== 1) this.dropped.push('no initiation')
    else if (!mac1.equals(datagram.subarray(116, 132))) this.dropped.push('mac1')
    else if (this.manner === 'forged_cookie') this.#sendCookie(datagram, cookie, Buffer.alloc(32, 7), from)
    else if (this.manner === 'only_cookies' || (this.manner === 'under_load' && !hasMac2)) this.#sendCookie(datagram, cookie, own, from)
    else this.#tryToConsume(datagram, own, hasMac2, from)
  }

  #tryToConsume(...[datagram, own, hasMac2, from]: [Buffer, Buffer, boolean, RemoteInfo]): void {
    try {
      this.#consume(datagram, own, hasMac2, from)
    } catch (error) {
      this.dropped.push(String(error))
    }
  }

  #sendCookie(datagram: Buffer, cookie: Buffer, own: Buffer, from: RemoteInfo): void {
    this.cookies += 1
    const nonce = HASH(Buffer.of(this.cookies)).subarray(0, 24)
    const key = HChaCha20(HASH(text('cookie--'), own), nonce.subarray(0, 16))
    const sealed = AEAD(key, Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]), cookie, datagram.subarray(116, 132))
    this.#reply(Buffer.concat([Buffer.of(3, 0, 0, 0), datagram.subarray(4, 8), nonce, sealed]), from)
  }

  #consume(datagram: Buffer, own: Buffer, hasMac2: boolean, from: RemoteInfo): void {
    const none = Buffer.alloc(12)
    const ephemeral = datagram.subarray(8, 40)
    let C: Buffer = HASH(text('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'))
    let H: Buffer = HASH(HASH(C, text('WireGuard v1 zx2c4 Jason@zx2c4.com')), own)
    ;[C] = KDF(1, C, ephemeral) as [Buffer]
    H = HASH(H, ephemeral)
    let k: Buffer
    ;[C, k] = KDF(2, C, X25519(this.keys.secret, ephemeral)) as [Buffer, Buffer]
    const initiator = openAEAD(k, datagram.subarray(40, 88), H)
    H = HASH(H, datagram.subarray(40, 88))
    ;[C, k] = KDF(2, C, X25519(this.keys.secret, initiator)) as [Buffer, Buffer]
    const timestamp = openAEAD(k, datagram.subarray(88, 116), H)
    H = HASH(H, datagram.subarray(88, 116))

    const key = initiator.toString('base64')
    const at = performance.now()
    this.seen.push({ at, from: key, timestamp, hasMac2, port: from.port })
    const peer = this.#peers.get(key)
    if (!peer) throw new Error('unknown peer')
    if (Buffer.compare(timestamp, peer.last) <= 0) throw new Error('replay')
    if (Math.max(at - peer.lastAt, msOf(timestamp) - msOf(peer.last)) < this.floodMs) throw new Error('flood')
    Object.assign(peer, { last: timestamp, lastAt: at })

    const mine = keyPair()
    const mineBytes = Buffer.from(mine.publicKey, 'base64')
    ;[C] = KDF(1, C, mineBytes) as [Buffer]
    H = HASH(H, mineBytes)
    ;[C] = KDF(1, C, X25519(mine.secret, ephemeral)) as [Buffer]
    ;[C] = KDF(1, C, X25519(mine.secret, initiator)) as [Buffer]
    const [, t, last] = KDF(3, C, peer.psk) as [Buffer, Buffer, Buffer]
    H = HASH(H, t)
    const isForged = this.manner.startsWith('forged')
    const empty = isForged ? Buffer.alloc(16, 1) : AEAD(last, none, Buffer.alloc(0), H)
    const body = Buffer.concat([Buffer.of(2, 0, 0, 0), Buffer.of(9, 9, 9, 9), datagram.subarray(4, 8), mineBytes, empty])
    const mac1 = this.manner === 'forged' ? Buffer.alloc(16, 2) : MAC(HASH(text('mac1----'), initiator), body)
    const response = Buffer.concat([body, mac1, Buffer.alloc(16)])
    this.#reply(response, from)
    if (this.manner === 'twice') this.#reply(response, from)
  }
}
