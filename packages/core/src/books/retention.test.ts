import { expect, test } from 'vitest'
import { createPintail, memoryMover, memoryRegistry, PintailError } from '../index.ts'
import type { MigrationStore, Pruned, PruneQuery } from '../ports.ts'
import { createFleet, type FleetOptions } from '../testing/index.ts'
import type { Evacuation } from '../vocabulary.ts'

const hour = 3_600_000
const day = 24 * hour
const ctx = { signal: new AbortController().signal }
const policy = { mode: 'auto', detect: { checkIntervalMs: 60_000 } } as const

/** A world whose store notes how it is asked to forget, and answers as it is told. */
function asked(answer: (query: PruneQuery, calls: number) => Partial<Pruned> | Promise<Pruned> = () => ({})) {
  const queries: (PruneQuery & { readonly at: number })[] = []
  const replace: FleetOptions['replace'] = ({ store, clock }) => ({
    store: {
      ...store,
      prune: async (query: PruneQuery) => {
        queries.push({ ...query, at: clock.now() })
        return { moves: 0, entries: 0, more: false, heldBy: null, ...(await answer(query, queries.length)) }
      },
    },
  })
  return { queries, replace }
}

test('a leader has its store forget what is over, once an hour, and says how old that must be', async () => {
  const { queries, replace } = asked()
  const fleet = await createFleet({ servers: 3, policy: { ...policy, retention: { movesMs: 2 * day, journalMs: 3 * day } }, replace })
  await fleet.advance(10 * hour)
  expect(queries.length).toBeGreaterThanOrEqual(9)
  expect(queries.length).toBeLessThanOrEqual(12)
  for (const { at, movesBefore, journalBefore, limit } of queries) {
    expect({ movesBefore, journalBefore }).toEqual({ movesBefore: at - 2 * day, journalBefore: at - 3 * day })
    expect(limit).toBeLessThanOrEqual(100_000)
  }
  await fleet.stop()
  const before = queries.length
  await fleet.advance(10 * hour)
  expect(queries).toHaveLength(before)
})

test('what is left is asked for at once, one call after the other, and never two together', async () => {
  let running = 0
  let most = 0
  const { queries, replace } = asked(async (_, calls) => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    return { moves: 9, entries: 0, more: calls % 50 !== 0, heldBy: null }
  })
  const fleet = await createFleet({ servers: 3, policy, replace })
  await fleet.advance(hour / 2)
  expect(queries).toHaveLength(50)
  expect(most).toBe(1)
  await fleet.stop()
})

test('a round that hangs is given up, ends with the term, and leaves no timer', async () => {
  const { queries, replace } = asked(() => new Promise<Pruned>(() => {}))
  const fleet = await createFleet({ servers: 3, policy, replace })
  await fleet.advance(3 * hour)
  expect(queries.length).toBeGreaterThanOrEqual(2)
  await fleet.stop()
  expect(fleet.clock.pending).toBe(0)
})

test('a store that fails is told once, and asked again in the next round; a journal that a reader holds is told too', async () => {
  const { queries, replace } = asked((_, calls) => {
    if (calls < 4) throw new PintailError('unavailable', 'no')
    return { heldBy: 'log' }
  })
  const fleet = await createFleet({ servers: 3, policy, replace })
  await fleet.advance(8 * hour)
  expect(queries.length).toBeGreaterThan(5)
  const warnings = fleet.events.flatMap((event) => (event.type === 'warning' ? event.data.message : []))
  expect(warnings.filter((text) => text.includes('forget'))).toEqual([expect.stringContaining('no')])
  expect(warnings.filter((text) => text.includes('reader log'))).toHaveLength(1)
  await fleet.stop()
})

const movesOf = async (store: MigrationStore) => {
  const found: unknown[] = []
  const listing = store.list('move', {}, ctx)
  for (const move of await (listing as PromiseLike<readonly unknown[]>)) found.push(move)
  return found
}

test('the moves of an evacuation are gone a day after its incident is closed, and not before; counts and migrations stay', async () => {
  const fleet = await createFleet({ servers: 4, connections: 5, policy })
  await fleet.advance(hour / 10)
  fleet.kill('s1')
  // As long as it is dead they say who was there.
  await fleet.advance(2 * day)
  expect(await movesOf(fleet.store)).toHaveLength(5)
  fleet.revive('s1')
  await fleet.advance(2 * hour)
  expect(fleet.pintail.status().incidents).toEqual([])
  await fleet.advance(day)
  expect(await movesOf(fleet.store)).toEqual([])
  const { migrations } = await fleet.pintail.migrations.list()
  expect(migrations.reduce((sum, { connectionsMoved }) => sum + connectionsMoved, 0)).toBe(5)
  await fleet.stop()
})

test('with journalMs null entries are kept for good', async () => {
  const { queries, replace } = asked()
  const fleet = await createFleet({ servers: 3, policy: { ...policy, retention: { journalMs: null } }, replace })
  await fleet.advance(2 * hour)
  expect(queries.every(({ journalBefore }) => journalBefore === 0)).toBe(true)
  expect(queries.length).toBeGreaterThan(0)
  await fleet.stop()
})

test.each([
  ['with a key by its HMAC', 'a key of thirty-two characters..', /^hmac:[0-9a-f]{32}$/],
  ['without one not at all', undefined, /^forgotten$/],
])('who was left behind is named while the moves are kept, and then %s', async (_, pseudonymKey, pseudonym) => {
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: [{ id: 'stays', mobility: 'pinned' }, { id: 'goes' }] },
    policy,
    replace: () => (pseudonymKey ? { pseudonymKey } : {}),
  })
  await fleet.advance(hour / 10)
  fleet.kill('s1')
  await fleet.advance(hour)
  const named = async () =>
    (await (fleet.store.list('evacuation', {}, ctx) as PromiseLike<readonly Evacuation[]>)).flatMap(({ unplaced }) =>
      unplaced.map(({ connectionId, code }) => [connectionId, code]),
    )
  expect(await named()).toEqual([['stays', 'pinned']])
  fleet.revive('s1')
  await fleet.advance(hour)
  expect(await named()).toEqual([['stays', 'pinned']])
  await fleet.advance(2.2 * day)
  expect(await named()).toEqual([[expect.stringMatching(pseudonym), 'pinned']])
  expect(fleet.pintail.status().state).toBe('leading')
  const again = await fleet.crash()
  await again.advance(2 * hour)
  expect(await named()).toEqual([[expect.stringMatching(pseudonym), 'pinned']])
  await again.stop()
})

test('a key that is too short is refused, and not shown', () => {
  const registry = memoryRegistry({ servers: [], connections: {} })
  const create = () => createPintail({ registry, mover: memoryMover(registry), pseudonymKey: 'hunter2' })
  expect(create).toThrow(expect.objectContaining({ code: 'invalid_options', message: expect.stringContaining('pseudonymKey') }))
  expect(create).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }))
})
