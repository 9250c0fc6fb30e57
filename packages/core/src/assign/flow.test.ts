import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cheapestFlow } from './flow.ts'
import { Arcs } from './network.ts'
import { type Places, Pools } from './places.ts'
import { shares } from './shares.ts'

/** A layer of supplies with a dear place to stay each, one of crossings, and one of pools, with random arcs and curves. */
const world = fc.record({
  supplies: fc.array(fc.record({ amount: fc.integer({ min: 0, max: 9 }), stay: fc.constantFrom(10_000, 20_000) }), {
    minLength: 1,
    maxLength: 6,
  }),
  crossings: fc.integer({ min: 0, max: 3 }),
  halls: fc.integer({ min: 0, max: 3 }),
  pools: fc.array(
    fc.array(
      fc.record({
        room: fc.integer({ min: 0, max: 8 }),
        soft: fc.integer({ min: 0, max: 8 }),
        base: fc.integer({ min: 0, max: 30 }),
        step: fc.integer({ min: 0, max: 9 }),
        levelling: fc.boolean(),
      }),
      { minLength: 0, maxLength: 3 },
    ),
    { minLength: 1, maxLength: 5 },
  ),
  arcs: fc.infiniteStream(fc.record({ open: fc.constantFrom(true, true, false), cost: fc.integer({ min: 0, max: 40 }) })),
})
type World = typeof world extends fc.Arbitrary<infer T> ? T : never

function build({ supplies, crossings, halls, pools, arcs }: World) {
  const nodes = supplies.length + crossings + pools.length
  const crossing = Array.from({ length: Math.min(halls, crossings) }, (_, index) => supplies.length + index)
  const list = new Arcs()
  const plain: { from: number; to: number; cost: number }[] = []
  for (let from = 0; from < nodes - pools.length; from++) {
    for (let to = Math.max(from + 1, supplies.length); to < nodes; to++) {
      const { open, cost } = arcs.next().value as { open: boolean; cost: number }
      if (!open) continue
      list.add(from, to, cost)
      plain.push({ from, to, cost })
    }
  }
  const places: Places[][] = Array.from({ length: nodes }, () => [])
  for (const [node, { amount, stay }] of supplies.entries())
    places[node] = [{ room: amount, soft: amount, over: 0, base: stay, rise: { kind: 'even', step: 0 } }]
  for (const [index, pool] of pools.entries())
    places[nodes - pools.length + index] = pool.map(({ room, soft, base, step, levelling }) => ({
      room,
      soft,
      over: 1000,
      base,
      rise: levelling ? { kind: 'levelling', mean: step + 1, load: soft, weight: 50 } : { kind: 'even', step },
    }))
  const supply = new Float64Array(nodes)
  for (const [node, { amount }] of supplies.entries()) supply[node] = amount
  return { net: list.network(nodes), plain, places, pools: new Pools(places), supply, nodes, halls: crossing }
}

/** What each place costs, one by one, from its definition alone. */
const costsOf = (servers: readonly Places[]): number[] =>
  servers
    .flatMap(({ room, soft, over, base, rise }) =>
      Array.from({ length: room }, (_, k) => {
        const up = rise.kind === 'even' ? k * rise.step : Math.floor(rise.weight * (1 - rise.mean / (rise.mean + rise.load + k)))
        return base + up + (k < soft ? 0 : over)
      }),
    )
    .sort((a, b) => a - b)

/** One user after the other along the cheapest way in the residual graph, found by Bellman and Ford. */
function textbook({ plain, places, supply, nodes }: ReturnType<typeof build>): number {
  const costs = places.map(costsOf)
  const taken = costs.map(() => 0)
  const flow = plain.map(() => 0)
  let total = 0
  for (const [start, amount] of supply.entries()) {
    for (let user = 0; user < amount; user++) {
      const distance = Array.from({ length: nodes }, () => Number.POSITIVE_INFINITY)
      const by: ({ arc: number; forward: boolean } | null)[] = distance.map(() => null)
      distance[start] = 0
      for (let hasChanged = true; hasChanged; ) {
        hasChanged = false
        for (const [arc, { from, to, cost }] of plain.entries()) {
          if ((distance[from] as number) + cost < (distance[to] as number)) {
            distance[to] = (distance[from] as number) + cost
            by[to] = { arc, forward: true }
            hasChanged = true
          }
          if ((flow[arc] as number) > 0 && (distance[to] as number) - cost < (distance[from] as number)) {
            distance[from] = (distance[to] as number) - cost
            by[from] = { arc, forward: false }
            hasChanged = true
          }
        }
      }
      let end = -1
      let least = Number.POSITIVE_INFINITY
      for (let node = 0; node < nodes; node++) {
        const cost = (distance[node] as number) + (costs[node]?.[taken[node] as number] ?? Number.POSITIVE_INFINITY)
        if (cost < least) [end, least] = [node, cost]
      }
      total += least
      taken[end] = (taken[end] as number) + 1
      for (let node = end; node !== start; ) {
        const { arc, forward } = by[node] as { arc: number; forward: boolean }
        flow[arc] = (flow[arc] as number) + (forward ? 1 : -1)
        node = (forward ? plain[arc]?.from : plain[arc]?.to) as number
      }
    }
  }
  return total
}

test('the cost is that of a textbook algorithm that places one user after the other', () => {
  fc.assert(
    fc.property(world, (random) => {
      const given = build(random)
      const { flow, taken } = cheapestFlow(given.net, given.pools, given.supply, given.halls)
      const balance = Float64Array.from(given.supply)
      let cost = 0
      for (const [arc, { from, to, cost: each }] of given.plain.entries()) {
        const amount = flow[arc] as number
        expect(amount).toBeGreaterThanOrEqual(0)
        balance[from] = (balance[from] as number) - amount
        balance[to] = (balance[to] as number) + amount
        cost += amount * each
      }
      expect(balance).toEqual(taken)
      for (const [node, servers] of given.places.entries())
        cost += costsOf(servers)
          .slice(0, taken[node])
          .reduce((sum, each) => sum + each, 0)
      expect(cost).toBe(textbook(given))
    }),
    { seed: 20261121, numRuns: 3000 },
  )
})

test('shares add up to the flow: everybody is in one, and no server has more than its room or dearer places than needed', () => {
  fc.assert(
    fc.property(world, (random) => {
      const given = build(random)
      const found = cheapestFlow(given.net, given.pools, given.supply, given.halls)
      const list = shares(given.net, given.pools, given.supply, found)
      for (const [node, amount] of given.supply.entries())
        expect(list.filter(({ start }) => start === node).reduce((sum, { count }) => sum + count, 0)).toBe(amount)
      for (const [node, servers] of given.places.entries()) {
        const inPool = list.filter((share) => share.node === node)
        const each = servers.map((_, index) => inPool.filter(({ server }) => server === index).reduce((sum, { count }) => sum + count, 0))
        const spent = servers.flatMap((one, index) => costsOf([one]).slice(0, each[index]))
        for (const [index, { room }] of servers.entries()) expect(each[index]).toBeLessThanOrEqual(room)
        const best = costsOf(servers).slice(0, found.taken[node])
        expect(spent.sort((a, b) => a - b)).toEqual(best)
      }
    }),
    { seed: 20261122, numRuns: 1000 },
  )
})

test('a pool counts its places by price exactly, also after billions and where they level off', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 0, max: 1e9 }),
      fc.integer({ min: 1, max: 2 ** 36 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (mean, load, weight, share) => {
        const pool = new Pools([
          [
            {
              room: Number.POSITIVE_INFINITY,
              soft: Number.POSITIVE_INFINITY,
              over: 0,
              base: 0,
              rise: { kind: 'levelling', mean, load, weight },
            },
          ],
        ])
        const cost = (place: number) => Math.floor(weight * (1 - mean / (mean + load + place)))
        const price = cost(0) + Math.floor((weight - cost(0)) * share * 0.9)
        const count = pool.count(0, price)
        if (count < 2 ** 50) {
          expect(cost(count - 1)).toBeLessThanOrEqual(price)
          expect(cost(count)).toBeGreaterThan(price)
        }
      },
    ),
    { seed: 20261123, numRuns: 2000 },
  )
})
