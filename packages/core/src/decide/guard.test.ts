import fc from 'fast-check'
import { expect, test } from 'vitest'
import { massFailure, massFailureCap, noControl, tooFewServers } from './guard.ts'

test('the cap is max(1, floor(p·N)), exactly, for fleets of 1 to 500', () => {
  for (let servers = 1; servers <= 500; servers++) {
    const cap = Math.max(1, Math.floor((3 * servers) / 10))
    expect(massFailureCap(servers, 0.3)).toBe(cap)
    for (const unwell of [cap, cap + 1]) {
      if (unwell >= servers) continue
      const denial = massFailure({ servers, down: 1, suspect: unwell - 1, up: servers - unwell }, 0.3)
      expect(denial?.guard ?? null, `${unwell} of ${servers}`).toBe(unwell <= cap ? null : 'mass_failure')
    }
  }
})

test('suspects count as much as the dead', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 500 }), fc.nat(500), fc.nat(500), (servers, a, b) => {
      const down = 1 + (a % (servers - 1))
      const suspect = b % (servers - down)
      const up = servers - down - suspect
      fc.pre(up > 0)
      const denied = massFailure({ servers, down, suspect, up }, 0.3) !== null
      expect(denied).toBe(down + suspect > massFailureCap(servers, 0.3))
    }),
    { seed: 20260102, numRuns: 1000 },
  )
})

test('when nobody answers nothing moves, even in a fleet of one', () => {
  for (const servers of [1, 2, 3, 100]) expect(massFailure({ servers, down: servers, suspect: 0, up: 0 }, 1)?.guard).toBe('all_down')
})

test('a control counts only if it answered since the suspicion began', () => {
  expect(noControl(1000, 1500, null, 2000)?.guard).toBe('no_control')
  expect(noControl(1000, 1500, { at: 999 }, 2000)?.guard).toBe('no_control')
  expect(noControl(1000, 1500, { at: 1000 }, 2000)).toBeNull()
})

test('a control that answered long before the deciding check is too old', () => {
  expect(noControl(1000, 9000, { at: 6999 }, 2000)?.guard).toBe('no_control')
  expect(noControl(1000, 9000, { at: 7000 }, 2000)).toBeNull()
})

test('auto needs a canary or three servers; suggest does not', () => {
  expect(tooFewServers(2, 0, 3, 'auto')?.guard).toBe('too_few_servers')
  expect(tooFewServers(2, 1, 3, 'auto')).toBeNull()
  expect(tooFewServers(3, 0, 3, 'auto')).toBeNull()
  expect(tooFewServers(1, 0, 3, 'suggest')).toBeNull()
})
