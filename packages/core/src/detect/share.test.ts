import { expect, test } from 'vitest'
import { ownerOf } from './share.ts'

const servers = Array.from({ length: 9000 }, (_, index) => `s${index}`)
const owners = (members: readonly string[]) => servers.map((server) => ownerOf(server, members))

test('each server has one owner, whatever the order of the members', () => {
  expect(owners(['a', 'b', 'c'])).toEqual(owners(['c', 'a', 'b']))
  expect(ownerOf('s1', [])).toBeNull()
  expect(ownerOf('s1', ['a'])).toBe('a')
})

test('members share evenly', () => {
  const found = owners(['pintail-0193a-1', 'pintail-0193a-2', 'pintail-0193a-3'])
  // Binomial: a standard deviation is 45, so that 200 is beyond any chance of a fair hash.
  for (const member of new Set(found)) expect(Math.abs(found.filter((one) => one === member).length - 3000)).toBeLessThan(200)
})

test('when one member goes only its servers change hands', () => {
  const before = owners(['a', 'b', 'c'])
  const after = owners(['a', 'c'])
  for (const [index, owner] of before.entries()) if (owner !== 'b') expect(after[index]).toBe(owner)
})
