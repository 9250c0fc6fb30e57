import { PintailError } from '@pintail/core'
import { type Cidr, contains, formatAddress, formatCidr, parseCidr, widthOf } from './cidr.ts'

export interface AddressPoolOptions {
  /** As `10.7.0.0/16`: /8 to /30. This, `v6`, or both: then each connection gets one of each. */
  readonly v4?: string
  /** As `fd07::/64`: up to /126. */
  readonly v6?: string
  /** Addresses and networks within the pool that no user gets: the servers' own, resolvers. At most 1 000. */
  readonly reserved?: readonly string[]
}

/** A connection's addresses in the tunnel, as a peer's allowed IPs: `['10.7.0.5/32', 'fd07::5/128']`. */
export interface AllocatedAddress {
  readonly allowedIps: readonly string[]
  readonly v4: string | null
  readonly v6: string | null
}

/** Addresses by number. The same number is the same place in both networks: `10.7.1.2` goes with `fd07::102`. */
export interface AddressPool {
  /** How many connections fit. */
  readonly size: number
  /** The networks, for `wireguardHandler({ addresses })` and for routes. */
  readonly networks: readonly string[]
  /** The highest number there may be. */
  readonly last: number
  /** Numbers that nobody gets: ranges in order, without overlaps. */
  readonly reserved: readonly (readonly [number, number])[]
  /** The lowest number from this one on that is not reserved; null: there is none. */
  next(from: number): number | null
  /** @throws PintailError `invalid_argument`: no such number */
  at(slot: number): AllocatedAddress
  /** The number of an address of the pool; null: it is in none of its networks. */
  slotOf(address: string): number | null
}

/** What one process and one index can bear, and a /8 has. */
const mostSlots = 1 << 24

/**
 * The addresses that users get in their tunnels. Pure: who has which is kept by `memoryAddresses` or `postgresAddresses`.
 * The network's own address and the broadcast are nobody's.
 * @throws PintailError `invalid_options`
 */
export function addressPool({ v4, v6, reserved = [] }: AddressPoolOptions): AddressPool {
  const networks = [...(v4 === undefined ? [] : [network('v4', v4, 4, 8, 30)]), ...(v6 === undefined ? [] : [network('v6', v6, 6, 8, 126)])]
  if (networks.length === 0) throw new PintailError('invalid_options', 'addressPool: give v4, v6 or both')
  if (reserved.length > 1000) throw new PintailError('invalid_options', 'addressPool: at most 1000 reserved networks')
  const last = Math.min(
    ...networks.map(({ family, prefix }) => Number(atMost((1n << BigInt(widthOf(family) - prefix)) - 1n)) - (family === 4 ? 1 : 0)),
  )
  const ranges = merged([[0, 0], ...reserved.flatMap((one) => rangesOf(one, networks, last))])
  const size = last + 1 - ranges.reduce((sum, [low, high]) => sum + high - low + 1, 0)
  const next = (from: number): number | null => {
    let slot = Math.max(0, from)
    for (const [low, high] of ranges) if (slot >= low && slot <= high) slot = high + 1
    return slot <= last ? slot : null
  }
  const at = (slot: number): AllocatedAddress => {
    if (!Number.isInteger(slot) || slot < 0 || slot > last)
      throw new PintailError('invalid_argument', `the pool has no address number ${slot}`)
    const all = networks.map(({ family, base }) => [family, formatAddress(family, base + BigInt(slot))] as const)
    return {
      allowedIps: all.map(([family, address]) => `${address}/${widthOf(family)}`),
      v4: all.find(([family]) => family === 4)?.[1] ?? null,
      v6: all.find(([family]) => family === 6)?.[1] ?? null,
    }
  }
  const slotOf = (address: string): number | null => {
    const single = parseCidr(address)
    const home = single && networks.find((one) => contains(one, single))
    const slot = home && single ? single.base - home.base : null
    return slot !== null && slot <= BigInt(last) ? Number(slot) : null
  }
  return { size, networks: networks.map(formatCidr), last, reserved: ranges, next, at, slotOf }
}

const atMost = (value: bigint): bigint => (value < BigInt(mostSlots) ? value : BigInt(mostSlots) - 1n)

function network(option: string, text: string, family: 4 | 6, least: number, most: number): Cidr {
  const cidr = parseCidr(text)
  if (cidr?.family === family && cidr.prefix >= least && cidr.prefix <= most && text.includes('/')) return cidr
  throw new PintailError(
    'invalid_options',
    `addressPool: ${option} must be a network from /${least} to /${most}, not ${JSON.stringify(String(text).slice(0, 60))}`,
    {
      remedy: 'Its bits behind the prefix must be zero, as in 10.7.0.0/16 or fd07::/64.',
    },
  )
}

function rangesOf(text: string, networks: readonly Cidr[], last: number): [number, number][] {
  const cidr = parseCidr(text)
  const home = cidr && networks.find((one) => contains(one, cidr))
  if (!cidr || !home)
    throw new PintailError(
      'invalid_options',
      `addressPool: reserved ${JSON.stringify(String(text).slice(0, 60))} is in no network of the pool`,
    )
  const low = cidr.base - home.base
  const high = low + (1n << BigInt(widthOf(cidr.family) - cidr.prefix)) - 1n
  return low > BigInt(last) ? [] : [[Number(low), Number(high < BigInt(last) ? high : BigInt(last))]]
}

function merged(ranges: readonly (readonly [number, number])[]): [number, number][] {
  const found: [number, number][] = []
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = found.at(-1)
    if (before && low <= before[1] + 1) before[1] = Math.max(before[1], high)
    else found.push([low, high])
  }
  return found
}

export function exhausted(pool: AddressPool): PintailError {
  return new PintailError('unavailable', `no address is free in ${pool.networks.join(' and ')}: all ${pool.size} are taken, or rest`, {
    remedy: 'Widen the networks (their beginning must stay), release addresses of users who have left, or let them rest for less long.',
  })
}
