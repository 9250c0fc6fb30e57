import { historyOf, simulate } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { withStore } from './stores.ts'

test.each([1, 7, 23])('over SQLite a seed is the same world each time, and nothing breaks in it: %d', async (seed) => {
  const run = () => withStore('sqlite', (store) => simulate(historyOf(seed), true, store))
  const [first, second] = [await run(), await run()]
  expect(first.violations).toEqual([])
  expect(first.journal.length).toBeGreaterThan(0)
  expect(second.trace).toEqual(first.trace)
  expect(second.journal).toEqual(first.journal)
})
