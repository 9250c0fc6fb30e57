// What a command changes on an interface. Pure: the handler performs it.
import { canonical, type WireGuardGrant } from './access.ts'
import { type Cidr, contains, isSingle, parseCidr } from './cidr.ts'
import type { PeerSetting, WireGuardPeer } from './device.ts'
import type { PeerRecord } from './ledger.ts'

export type RefusalCode = 'KEY_TAKEN' | 'ADDRESS_TAKEN' | 'OUT_OF_POOL' | 'OWN_KEY'
export interface Refusal {
  readonly refused: RefusalCode
  readonly message: string
  readonly remedy: string
}

export interface PeerPlan {
  readonly set: readonly PeerSetting[]
  readonly remove: readonly string[]
  /** To be noted before the interface is changed. */
  readonly put: readonly PeerRecord[]
  /** Keys whose notes go after it. */
  readonly drop: readonly string[]
}

export interface GrantRules {
  /** Networks that users' addresses are from; empty: any address. */
  readonly pool: readonly Cidr[]
  /** The interface's own public key. */
  readonly ownKey: string
  readonly now: number
}

/** An interface as it is, and as it will be after the plans that were made by it: each one sees those before it. */
export class Table {
  readonly #peers = new Map<string, readonly string[]>()
  /** By public key. */
  readonly #records = new Map<string, PeerRecord>()
  /** The keys of each connection: one, and after a crash while it was changed the one before too. */
  readonly #keys = new Map<string, Set<string>>()
  /** Single addresses, canonical, and who has them. */
  readonly #singles = new Map<string, string>()
  /** Wider networks: few, of peers that somebody else has made. */
  readonly #wide: { readonly cidr: Cidr; readonly publicKey: string }[] = []

  constructor(peers: readonly WireGuardPeer[], records: readonly PeerRecord[]) {
    for (const { publicKey, allowedIps } of peers) this.#put(publicKey, allowedIps)
    for (const record of records) this.#note(record)
  }

  ownerOf(publicKey: string): string | null {
    return this.#records.get(publicKey)?.connectionId ?? null
  }

  /** The newest of its peers that is there. */
  recordOf(connectionId: string): PeerRecord | null {
    const records = this.keysOf(connectionId).flatMap((key) => (this.#peers.has(key) ? (this.#records.get(key) ?? []) : []))
    return records.reduce<PeerRecord | null>((newest, one) => (newest && newest.grantedAt > one.grantedAt ? newest : one), null)
  }

  keysOf(connectionId: string): readonly string[] {
    return [...(this.#keys.get(connectionId) ?? [])]
  }

  grant(connectionId: string, { publicKey, allowedIps }: WireGuardGrant, rules: GrantRules): PeerPlan | Refusal {
    const refusal = this.#refusal(connectionId, publicKey, allowedIps, rules)
    if (refusal) return refusal
    const before = this.#records.get(publicKey)
    const isThere = isSame(this.#peers.get(publicKey), allowedIps)
    const isNoted = before !== undefined && isSame(before.allowedIps, allowedIps)
    const others = this.keysOf(connectionId).filter((key) => key !== publicKey)
    const plan: PeerPlan = {
      set: isThere ? [] : [{ publicKey, allowedIps }],
      remove: others.filter((key) => this.#peers.has(key)),
      put: isThere && isNoted ? [] : [{ connectionId, publicKey, allowedIps, grantedAt: rules.now }],
      drop: others,
    }
    this.#perform(plan)
    return plan
  }

  /** @param grant what the command says of the peer, for one whose note was lost */
  revoke(connectionId: string, grant: WireGuardGrant | null): PeerPlan {
    const keys = this.keysOf(connectionId)
    const isLost =
      keys.length === 0 && grant && this.ownerOf(grant.publicKey) === null && isSame(this.#peers.get(grant.publicKey), grant.allowedIps)
    const gone = isLost ? [grant.publicKey] : keys
    const plan: PeerPlan = { set: [], remove: gone.filter((key) => this.#peers.has(key)), put: [], drop: keys }
    this.#perform(plan)
    return plan
  }

  /** Takes away a peer that nobody is noted for, if it has addresses: one without probes. */
  removeUnowned(publicKey: string): PeerPlan {
    const isUnowned = (this.#peers.get(publicKey)?.length ?? 0) > 0 && this.ownerOf(publicKey) === null
    const plan: PeerPlan = { set: [], remove: isUnowned ? [publicKey] : [], put: [], drop: [] }
    this.#perform(plan)
    return plan
  }

  #refusal(connectionId: string, publicKey: string, allowedIps: readonly string[], { pool, ownKey }: GrantRules): Refusal | null {
    if (publicKey === ownKey)
      return { refused: 'OWN_KEY', message: 'the public key is the server’s own', remedy: 'Send the user’s own public key.' }
    const owner = this.ownerOf(publicKey)
    if (owner !== null ? owner !== connectionId : this.#peers.has(publicKey) && !isSame(this.#peers.get(publicKey), allowedIps))
      return {
        refused: 'KEY_TAKEN',
        message: owner === null ? 'the public key is that of a peer that Pintail has not made' : 'the public key is another connection’s',
        remedy: 'Each connection needs a key pair of its own: two with one key would take the tunnel from each other.',
      }
    for (const one of allowedIps) {
      const cidr = parseCidr(one)
      if (cidr && pool.length > 0 && !pool.some((network) => contains(network, cidr)))
        return {
          refused: 'OUT_OF_POOL',
          message: `${one} is not in the address pool`,
          remedy: 'Allocate addresses from the pool, or widen it.',
        }
      const holder = cidr && this.#holderOf(one, cidr, pool, [publicKey, ...this.keysOf(connectionId)])
      if (holder)
        return {
          refused: 'ADDRESS_TAKEN',
          message: `${one} belongs to another peer, which would silently lose it`,
          remedy: 'Give one of the two another address: one allocator for all servers (postgresAddresses) does not give one twice.',
        }
    }
    return null
  }

  /** Who has this address, or a network that it is in; a network that holds a whole pool is a way to elsewhere, and nobody's address. */
  #holderOf(one: string, cidr: Cidr, pool: readonly Cidr[], own: readonly string[]): string | null {
    const single = this.#singles.get(canonical(one))
    if (single !== undefined && !own.includes(single)) return single
    const isWay = (wide: Cidr): boolean => wide.prefix === 0 || pool.some((network) => contains(wide, network))
    return this.#wide.find((wide) => !own.includes(wide.publicKey) && contains(wide.cidr, cidr) && !isWay(wide.cidr))?.publicKey ?? null
  }

  #perform({ set, remove, put, drop }: PeerPlan): void {
    for (const key of remove) this.#take(key)
    for (const { publicKey, allowedIps } of set) this.#put(publicKey, allowedIps)
    for (const key of drop) this.#forget(key)
    for (const record of put) this.#note(record)
  }

  #put(publicKey: string, allowedIps: readonly string[]): void {
    this.#take(publicKey)
    this.#peers.set(publicKey, allowedIps)
    for (const one of allowedIps) {
      const cidr = parseCidr(one)
      if (cidr === null) continue
      if (isSingle(cidr)) this.#singles.set(canonical(one), publicKey)
      else this.#wide.push({ cidr, publicKey })
    }
  }

  #take(publicKey: string): void {
    for (const one of this.#peers.get(publicKey) ?? [])
      if (this.#singles.get(canonical(one)) === publicKey) this.#singles.delete(canonical(one))
    if (!this.#peers.delete(publicKey)) return
    for (let at = this.#wide.length - 1; at >= 0; at -= 1) if (this.#wide[at]?.publicKey === publicKey) this.#wide.splice(at, 1)
  }

  #note(record: PeerRecord): void {
    const { connectionId, publicKey } = record
    this.#forget(publicKey)
    this.#records.set(publicKey, record)
    const keys = this.#keys.get(connectionId) ?? new Set()
    this.#keys.set(connectionId, keys.add(publicKey))
  }

  #forget(publicKey: string): void {
    const record = this.#records.get(publicKey)
    if (!record) return
    this.#records.delete(publicKey)
    const keys = this.#keys.get(record.connectionId)
    keys?.delete(publicKey)
    if (keys?.size === 0) this.#keys.delete(record.connectionId)
  }
}

/** The same addresses, in any order and spelling. */
export function isSame(some: readonly string[] | undefined, others: readonly string[]): boolean {
  if (some === undefined || some.length !== others.length) return false
  const names = new Set(some.map(canonical))
  return others.every((one) => names.has(canonical(one)))
}
