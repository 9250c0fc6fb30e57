import { expect, test } from 'vitest'
import { parseArgs } from './args.ts'

test('without arguments it runs until Ctrl-C, with 300 users', () => {
  expect(parseArgs([])).toEqual({ isKill: false, isShort: false, users: 300 })
  expect(parseArgs(['--kill', '--short', '--users', '30'])).toEqual({ isKill: true, isShort: true, users: 30 })
})

test.each([['--kil'], ['--users'], ['--users', '2'], ['--users', '1e9'], ['--users', 'x'], ['--short'], ['300']])(
  '%s %s is not understood',
  (...argv) => expect(parseArgs(argv)).toBeNull(),
)
