import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseConnection } from '../rows.ts'
import type { Connection, ConnectionId, ServerId } from '../vocabulary.ts'
import { groupCohorts } from './cohorts.ts'
import { inOrder } from './order.ts'

function connection(row: object): Connection {
  const parsed = parseConnection(row as never)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return parsed.value
}
const nobody = { length: 0 }

/** The plain way: by source, then by id, the first of each id. */
function plainOrder(connections: readonly Connection[], from: ArrayLike<number>): number[] {
  const first = new Map<string, number>()
  for (const [place, { id }] of connections.entries()) if (!first.has(id)) first.set(id, place)
  return [...first].sort(([a, left], [b, right]) => (from[left] ?? 0) - (from[right] ?? 0) || (a < b ? -1 : 1)).map(([, place]) => place)
}

test('many connections are in the order of a plain sort, whatever their ids look like', () => {
  const ids: Record<string, (index: number) => string> = {
    numbers: (index) => `${(index * 7919) % 10_007}`,
    prefixed: (index) => `user-${(index * 7919) % 9000}`,
    long: (index) => `user-${String(index * 31).padStart(12, '0')}-suffix`,
    'of one letter': (index) => 'x'.repeat(index % 50),
    foreign: (index) => `пользователь-${(index * 17) % 9000}-é`,
    'with another prefix at the end': (index) => (index === 9998 ? 'other' : `user-${index}`),
  }
  for (const [name, idOf] of Object.entries(ids)) {
    const connections = Array.from({ length: 10_000 }, (_, index) => connection({ id: idOf(index) || 'none' }))
    const from = connections.map((_, index) => (index * 13) % 7)
    expect([...inOrder(connections, from)], name).toEqual(plainOrder(connections, from))
    expect([...inOrder(connections, nobody)], name).toEqual(plainOrder(connections, nobody))
  }
})

test('a cohort is all who need the same, and nobody else, in whatever order words and users come', () => {
  const row = fc.record({
    region: fc.constantFrom('a', 'b', 'free', null),
    tier: fc.constantFrom(0, 0, 1, 2),
    mobility: fc.constantFrom('free', 'failure-only', 'pinned'),
    preferredServer: fc.constantFrom(null, null, 'a', 's1'),
    needs: fc.record(
      {
        protocols: fc.shuffledSubarray(['a', 'b', 'wg']),
        countries: fc.shuffledSubarray(['a', 'b']),
        regions: fc.shuffledSubarray(['a', 'b']),
      },
      { requiredKeys: [] },
    ),
    refusedBy: fc.constantFrom([], [], ['s1'], ['s1', 's2'], ['s2', 's1']),
  })
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 40 }), (rows) => {
      const connections = rows.map((one, index) => connection({ ...one, id: `c${index}` }))
      const refusals = new Map<ConnectionId, ReadonlySet<ServerId>>(
        connections.map(({ id }, index) => [id, new Set<string>(rows[index]?.refusedBy) as Set<ServerId>]),
      )
      const textOf = (one: Connection) => {
        const { protocols, countries, regions } = one.needs
        const lists = [protocols, countries, regions].map((list) => list && [...list].sort())
        return JSON.stringify([one.region, one.tier, one.mobility, one.preferredServer, lists, [...(refusals.get(one.id) ?? [])].sort()])
      }
      const groups = groupCohorts(connections, inOrder(connections, nobody), refusals)
      const texts = groups.map(({ places }) => new Set([...places].map((place) => textOf(connections[place] as Connection))))
      expect(texts.every(({ size }) => size === 1)).toBe(true)
      expect(new Set(texts.map(([text]) => text)).size).toBe(groups.length)
      expect(new Set(groups.map(({ key }) => key)).size).toBe(groups.length)
      expect(groups.flatMap(({ places }) => [...places]).sort((a, b) => a - b)).toEqual(connections.map((_, index) => index))
      const backwards = connections.toReversed()
      const again = groupCohorts(backwards, inOrder(backwards, nobody), refusals)
      const plain = (list: readonly Connection[], found: typeof groups) =>
        found.map(({ key, places }) => [key, [...places].map((place) => list[place]?.id)])
      expect(plain(backwards, again)).toEqual(plain(connections, groups))
    }),
    { seed: 20261128, numRuns: 1000 },
  )
})
