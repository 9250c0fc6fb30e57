import { expect, test } from 'vitest'
import type { Migration } from '../vocabulary.ts'
import { sumsOf } from './found.ts'
import { migrationStats } from './stats.ts'

const one = (part: Partial<Migration>): Migration =>
  ({
    reason: 'manual',
    startedAt: null,
    completedAt: null,
    savingsEurHour: null,
    savingsEurMonth: null,
    errorMessage: null,
    ...part,
  }) as Migration
const statsOf = (migrations: readonly Migration[]) => migrationStats(sumsOf(migrations))

test('without migrations there is no rate and no mean, and every state counts nothing', () => {
  const stats = statsOf([])
  expect(stats).toMatchObject({ total: 0, successRate: null, averageDurationSeconds: null, totalSavingsEurHour: 0, failures: [] })
  expect(Object.values(stats.byStatus)).toEqual(Array(9).fill(0))
})

test('the success rate is completed of completed and failed, whatever else there is', () => {
  const states = ['completed', 'completed', 'completed', 'failed', 'cancelled', 'suggested', 'transferring'] as const
  const stats = statsOf(states.map((status) => one({ status })))
  expect(stats.successRate).toBe(0.75)
  expect(stats.byStatus).toMatchObject({ completed: 3, failed: 1, cancelled: 1, suggested: 1, transferring: 1, preparing: 0 })
})

test('the mean duration is from start to completion of those that completed; a failed one does not count', () => {
  const stats = statsOf([
    one({ status: 'completed', startedAt: 1000, completedAt: 3000 }),
    one({ status: 'completed', startedAt: 1000, completedAt: 5000 }),
    one({ status: 'failed', startedAt: 0, completedAt: 99_000 }),
  ])
  expect(stats.averageDurationSeconds).toBe(3)
})

test('savings are those of completed migrations alone, and decimals add up', () => {
  const stats = statsOf([
    one({ status: 'completed', savingsEurHour: 0.1, savingsEurMonth: 73 }),
    one({ status: 'completed', savingsEurHour: 0.2, savingsEurMonth: 146 }),
    one({ status: 'suggested', savingsEurHour: 5, savingsEurMonth: 3650 }),
  ])
  expect(stats).toMatchObject({ totalSavingsEurHour: 0.3, totalSavingsEurMonth: 219 })
})

test('failures are counted by what they were made for and by why they failed, the most frequent first', () => {
  const stats = statsOf([
    one({ status: 'failed', reason: 'server-down', errorMessage: 'b' }),
    one({ status: 'failed', reason: 'server-down', errorMessage: 'a' }),
    one({ status: 'failed', reason: 'manual', errorMessage: 'b' }),
    one({ status: 'failed' }),
  ])
  expect(stats.failuresByReason).toEqual({ 'server-down': 2, manual: 2 })
  expect(stats.failures).toEqual([
    { error: 'b', count: 2 },
    { error: 'a', count: 1 },
    { error: 'not known', count: 1 },
  ])
  const many = Array.from({ length: 30 }, (_, index) => one({ status: 'failed', errorMessage: `e${index}` }))
  expect(statsOf(many).failures).toHaveLength(20)
})
