import { isIP } from 'node:net'

/** A network, or with the longest prefix one address. Its bits behind the prefix are zero. */
export interface Cidr {
  readonly family: 4 | 6
  readonly base: bigint
  readonly prefix: number
}

const widths = { 4: 32, 6: 128 } as const

export const widthOf = (family: 4 | 6): number => widths[family]

/** As a number; null: it is no address. */
export function parseAddress(text: string): { readonly family: 4 | 6; readonly value: bigint } | null {
  const family = isIP(text)
  if (family === 0 || text.includes('%')) return null
  if (family === 4) return { family, value: v4Value(text) }
  const last = text.slice(text.lastIndexOf(':') + 1)
  // The end of an IPv6 address may be written as an IPv4 one.
  const tail = last.includes('.') ? [v4Value(last) >> 16n, v4Value(last) & 0xffffn].map((part) => part.toString(16)).join(':') : last
  const [head = '', rest] = (text.slice(0, text.length - last.length) + tail).split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [before, after] = [groups(head), groups(rest ?? '')]
  const zeros = rest === undefined ? 0 : 8 - before.length - after.length
  const all = [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
  return { family: 6, value: all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) }
}

const v4Value = (text: string): bigint => text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)

/** As WireGuard prints it: IPv6 with its longest run of zeros left out. */
export function formatAddress(family: 4 | 6, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16))
  let [from, length] = [0, 1]
  for (let begin = 0; begin < 8; begin += 1) {
    let end = begin
    while (end < 8 && groups[end] === '0') end += 1
    if (end - begin > length) [from, length] = [begin, end - begin]
  }
  if (length < 2) return groups.join(':')
  return `${groups.slice(0, from).join(':')}::${groups.slice(from + length).join(':')}`
}

/** A network such as `10.7.0.0/16`, or an address, which is a network of one. Null: it is neither, or has bits behind its prefix. */
export function parseCidr(text: unknown): Cidr | null {
  if (typeof text !== 'string' || text.length > 60) return null
  const [, host = '', length] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const address = parseAddress(host)
  if (address === null) return null
  const width = widthOf(address.family)
  const prefix = length === undefined ? width : Number(length)
  if (prefix > width) return null
  const behind = (1n << BigInt(width - prefix)) - 1n
  return (address.value & behind) === 0n ? { family: address.family, base: address.value, prefix } : null
}

export const formatCidr = ({ family, base, prefix }: Cidr): string => `${formatAddress(family, base)}/${prefix}`

/** Whether all of `inner` is in `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false
  const shift = BigInt(widthOf(outer.family) - outer.prefix)
  return outer.base >> shift === inner.base >> shift
}

export const isSingle = ({ family, prefix }: Cidr): boolean => prefix === widthOf(family)
