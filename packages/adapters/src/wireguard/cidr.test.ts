import { SocketAddress } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { contains, formatAddress, formatCidr, parseAddress, parseCidr } from './cidr.ts'

const v4 = fc.bigInt({ min: 0n, max: (1n << 32n) - 1n })
/** Many zeros, so that there are runs of them to be left out. */
const v6 = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 65_535 })), { minLength: 8, maxLength: 8 })

test('an address survives being written and read, and is written as the system writes it', () => {
  fc.assert(
    fc.property(v4, (value) => {
      expect(parseAddress(formatAddress(4, value))).toEqual({ family: 4, value })
    }),
    { seed: 1 },
  )
  fc.assert(
    fc.property(v6, (groups) => {
      const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n)
      const text = formatAddress(6, value)
      expect(parseAddress(text)).toEqual({ family: 6, value })
      const { address } = new SocketAddress({ family: 'ipv6', address: text })
      // The system writes the end of a mapped address in dots.
      if (!address.includes('.')) expect(text).toBe(address)
      expect(parseAddress(address)).toEqual({ family: 6, value })
    }),
    { seed: 2 },
  )
})

test.each([
  '',
  '10.0.0',
  '10.0.0.256',
  '010.0.0.1',
  '::1%eth0',
  '1::2::3',
  '10.0.0.1/33',
  '::/129',
  '10.0.0.1/16',
  'fd00::1/64',
  '10.0.0.1/',
  '10.0.0.1/-1',
  ' 10.0.0.1',
  '10.0.0.1\n',
  'x',
])('%j is no network', (text) => {
  expect(parseCidr(text)).toBeNull()
})

test('an address alone is a network of one', () => {
  expect(parseCidr('10.7.0.5')).toEqual(parseCidr('10.7.0.5/32'))
  expect(formatCidr(parseCidr('FD00:0:0::5') as never)).toBe('fd00::5/128')
})

test('a network contains what begins with its bits, of its own family only', () => {
  const has = (outer: string, inner: string) => contains(parseCidr(outer) as never, parseCidr(inner) as never)
  expect(has('10.7.0.0/16', '10.7.255.255')).toBe(true)
  expect(has('10.7.0.0/16', '10.8.0.0')).toBe(false)
  expect(has('10.7.0.0/16', '10.0.0.0/8')).toBe(false)
  expect(has('0.0.0.0/0', 'fd00::1')).toBe(false)
  expect(has('::/0', 'fd00::1')).toBe(true)
})
