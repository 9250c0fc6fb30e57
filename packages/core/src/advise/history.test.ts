import fc from 'fast-check'
import { expect, test } from 'vitest'
import { byOperator } from '../decide/failback.ts'
import type { Connection, Migration } from '../vocabulary.ts'
import { leftForCost, resting, sharesOf } from './history.ts'

const migration = (patch: object): Migration =>
  ({
    fromServerId: 's1',
    toServerId: 's2',
    status: 'completed',
    reason: 'manual',
    triggeredBy: 'admin',
    errorMessage: null,
    connectionsMoved: 1,
    createdAt: 0,
    completedAt: 1000,
    ...patch,
  }) as Migration
const rest = (patch: object, now: number) => [...resting([migration(patch)], { cooldownMs: 500 }, { declinedMs: 5000 }, now)]

test('whom users have left or come to rests for the cooldown; a migration that moved nobody counts for nothing', () => {
  expect(rest({}, 1400)).toEqual(['s1', 's2'])
  expect(rest({}, 1500)).toEqual([])
  expect(rest({ connectionsMoved: 0 }, 1400)).toEqual([])
  expect(rest({ completedAt: null }, 1400)).toEqual([])
})

test("a person's no to advice holds for longer, and his no to something else says nothing about advice", () => {
  const no = { status: 'cancelled', errorMessage: byOperator, connectionsMoved: 0, reason: 'rebalancing', triggeredBy: 'system' }
  expect(rest(no, 5999)).toEqual(['s1'])
  expect(rest(no, 6000)).toEqual([])
  expect(rest({ ...no, triggeredBy: 'admin' }, 2000)).toEqual([])
  expect(rest({ ...no, errorMessage: 'the advice holds no longer' }, 2000)).toEqual([])
})

test('left to save money is a server whose last users have left for that', () => {
  const cost = migration({ reason: 'cost-optimization', createdAt: 10 })
  expect(leftForCost([cost])).toEqual(new Set(['s1']))
  expect(leftForCost([cost, migration({ createdAt: 20 })])).toEqual(new Set())
  expect(leftForCost([{ ...cost, connectionsMoved: 0 }])).toEqual(new Set())
})

test('the parts of the migrations add up to what giving back the server saves, to the last digit', () => {
  const parts = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), parts, (price, counts) => {
      const whole = { savingsEurHour: price / 10_000, savingsEurMonth: Math.round(price * 7.3) / 100 }
      const some = counts.map((length) => ({ connections: new Array<Connection>(length) }))
      const shares = sharesOf(whole, some)
      const all = (key: keyof typeof whole, steps: number) => shares.reduce((sum, one) => sum + Math.round(one[key] * steps), 0)
      expect(all('savingsEurHour', 10_000)).toBe(price)
      expect(all('savingsEurMonth', 100)).toBe(Math.round(whole.savingsEurMonth * 100))
      for (const { savingsEurHour } of shares) expect(savingsEurHour).toBeGreaterThanOrEqual(0)
    }),
    { seed: 20261130 },
  )
})
