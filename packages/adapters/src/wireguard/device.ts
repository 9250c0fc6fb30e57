import { type CallContext, PintailError } from '@pintail/core'
import { formatCidr, parseCidr } from './cidr.ts'
import { keyProblem } from './keys.ts'

/** A peer as the daemon itself tells it. Keys are 32 bytes in base64, 44 characters. Never a preshared key. */
export interface WireGuardPeer {
  readonly publicKey: string
  /** As `10.7.0.5/32`. Empty: it has no addresses, as a peer that only probes. */
  readonly allowedIps: readonly string[]
  /** Where it was heard last, `host:port`; null: never. */
  readonly endpoint: string | null
  /** Milliseconds since 1970 by the server's clock; null: it never shook hands since it was added. */
  readonly latestHandshakeAt: number | null
  readonly rxBytes: number
  readonly txBytes: number
}

/** A peer as it is to be. */
export interface PeerSetting {
  readonly publicKey: string
  /** All of them: others that the peer has are taken from it. */
  readonly allowedIps: readonly string[]
  /** Absent: as it is. It never goes onto a command line. */
  readonly presharedKey?: string | null
}

/** At most 10 000 in all. What is removed is removed first. */
export interface PeerChanges {
  readonly set: readonly PeerSetting[]
  readonly remove: readonly string[]
  /** The peers as they have just been read, so that they need not be read again. */
  readonly seen?: readonly WireGuardPeer[]
}

/**
 * A WireGuard interface of this machine.
 * Errors: `unavailable` (nothing has happened: no socket, no permission, no such interface; with a remedy), `rejected` (a
 * key or an address that is none, or an address that another peer has), `timeout`, `aborted` and `internal` (some of the
 * changes may be in force; the same again is safe).
 */
export interface WireGuardDevice {
  /** For messages. */
  readonly name: string
  /** All peers of the interface, in any order. */
  peers(ctx: CallContext): PromiseLike<readonly WireGuardPeer[]>
  /**
   * Sets and removes peers; one that is not there is removed already. WireGuard itself gives an address to whoever asks
   * last and takes it silently from the peer that had it: here that is `rejected` beforehand, and nothing is changed.
   */
  apply(changes: PeerChanges, ctx: CallContext): PromiseLike<unknown>
}

export interface DeviceOptions {
  /** For each call, milliseconds, 1–600 000. Default 10 000. */
  readonly timeoutMs?: number
}

const mostChanges = 10_000

/** Checks what can be checked without the daemon. @throws PintailError `rejected`, `invalid_argument` */
export function checkChanges({ set, remove }: PeerChanges): void {
  if (set.length + remove.length > mostChanges)
    throw new PintailError('invalid_argument', `${set.length + remove.length} changes at once; at most ${mostChanges}`, {
      remedy: 'Make them in several calls.',
    })
  for (const key of [...set.map(({ publicKey }) => publicKey), ...remove]) {
    const problem = keyProblem(key)
    if (problem !== null) throw new PintailError('rejected', `a peer's public key ${problem}`)
  }
  if (new Set(set.map(({ publicKey }) => publicKey)).size < set.length)
    throw new PintailError('rejected', 'one public key is to be set twice', { remedy: 'Each user needs a key pair of his own.' })
  for (const { allowedIps, presharedKey } of set) {
    const problem = presharedKey == null ? null : keyProblem(presharedKey)
    if (problem !== null) throw new PintailError('rejected', `a peer's preshared key ${problem}`)
    if (allowedIps.length > 100) throw new PintailError('rejected', `${allowedIps.length} allowed IPs for one peer; at most 100`)
    for (const one of allowedIps)
      if (parseCidr(one) === null) throw new PintailError('rejected', `not an allowed IP: ${JSON.stringify(String(one).slice(0, 60))}`)
  }
}

/**
 * Refuses what would silently take an address from a peer that keeps it.
 * @throws PintailError `rejected`
 */
export function refuseTakeover({ set, remove }: PeerChanges, seen: readonly WireGuardPeer[]): void {
  const changed = new Set([...remove, ...set.map(({ publicKey }) => publicKey)])
  const owners = new Map<string, string>()
  for (const { publicKey, allowedIps } of [...seen.filter((peer) => !changed.has(peer.publicKey)), ...set])
    for (const one of allowedIps) {
      const cidr = parseCidr(one)
      const name = cidr ? formatCidr(cidr) : one
      const owner = owners.get(name)
      if (owner !== undefined && owner !== publicKey)
        throw new PintailError('rejected', `${name} belongs to another peer, which would silently lose it`, {
          remedy: 'Give this user another address, or remove the other peer first.',
        })
      owners.set(name, publicKey)
    }
}

export function checkTimeout(timeoutMs: number): number {
  if (timeoutMs >= 1 && timeoutMs <= 600_000) return timeoutMs
  throw new PintailError('invalid_options', `timeoutMs must be from 1 to 600000, not ${timeoutMs}`)
}

/** @throws PintailError `invalid_options`: what is no name of an interface could be a path, or an option of `wg` */
export function checkInterface(name: unknown): string {
  if (typeof name === 'string' && /^[A-Za-z0-9_=+.][A-Za-z0-9_=+.-]{0,14}$/.test(name) && !['.', '..', 'all', 'interfaces'].includes(name))
    return name
  throw new PintailError('invalid_options', `not the name of an interface: ${JSON.stringify(String(name).slice(0, 40))}`, {
    remedy: 'Give a name as wg0: up to 15 letters, digits and _ = + . -',
  })
}
