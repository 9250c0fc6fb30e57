import { expect, test } from 'vitest'
import { hasCommand, labPackages, missingPackages, parsePackages } from './debian.ts'

test('a line names a package and its commands; comments and empty lines say nothing', () => {
  expect(parsePackages('# a comment\n\nwireguard-tools wg wg-quick # and more\nfping fping\n')).toEqual([
    { name: 'wireguard-tools', commands: ['wg', 'wg-quick'] },
    { name: 'fping', commands: ['fping'] },
  ])
})

test('a package is missing if any of its commands is', () => {
  const packages = parsePackages('wireguard-tools wg wg-quick\nfping fping')
  expect(missingPackages(packages, (command) => command !== 'wg')).toEqual([{ name: 'wireguard-tools', commands: ['wg'] }])
  expect(missingPackages(packages, () => true)).toEqual([])
})

test('each package of the lab brings a command that can be looked for', () => {
  const packages = labPackages()
  expect(packages.flatMap(({ commands }) => commands)).toEqual(expect.arrayContaining(['ip', 'nft', 'ping', 'fping', 'wireguard-go', 'wg']))
  expect(packages.filter(({ commands }) => commands.length === 0)).toEqual([])
})

test('a command is looked for in the given path', () => {
  expect(hasCommand('sh')).toBe(true)
  expect(hasCommand('no-such-command')).toBe(false)
})
