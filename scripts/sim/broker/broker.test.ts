import { expect, test } from 'vitest'
import { brokerMutants } from './mutants.ts'
import { brokerHistoryOf, simulateBroker } from './simulate.ts'

// Seeds that have shown something once: a grant that an undoing left, one on a server that was taken away, a list that came late.
const telling = [8, 191, 368, 391]

test('in worlds with a broker that have shown a fault once there is none any more', async () => {
  for (const seed of telling) {
    const { violations, moves } = await simulateBroker(brokerHistoryOf(seed))
    expect(violations, `seed ${seed}`).toEqual([])
    expect(moves).toBeGreaterThan(0)
  }
}, 600_000)

test('a world with a broker is the same each time', async () => {
  const [first, second] = [await simulateBroker(brokerHistoryOf(3), true), await simulateBroker(brokerHistoryOf(3), true)]
  expect([second.steps, second.moves, second.virtualMs]).toEqual([first.steps, first.moves, first.virtualMs])
}, 600_000)

test('each mutant has a name of its own, and is noticed in one of the first worlds', async () => {
  expect(new Set(brokerMutants.map(({ name }) => name)).size).toBe(brokerMutants.length)
  for (const { name } of brokerMutants) {
    let isNoticed = false
    for (let seed = 1; seed <= 20 && !isNoticed; seed++)
      isNoticed = (await simulateBroker(brokerHistoryOf(seed), false, undefined, name)).violations.length > 0
    expect(isNoticed, name).toBe(true)
  }
}, 600_000)
