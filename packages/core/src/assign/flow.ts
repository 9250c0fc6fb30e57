import { Heap } from './heap.ts'
import type { Network } from './network.ts'
import type { Pools } from './places.ts'

/** Who goes which way at the least cost, and the prices that prove it. */
export interface Flow {
  /** Of each arc. */
  readonly flow: Float64Array
  /** Of each node: how many stay in its pool. */
  readonly taken: Float64Array
  /** Of each node: what one more user there would cost. */
  readonly price: Float64Array
}

/**
 * The cheapest way of `supply` through the network into the pools. Exact: at the end each arc that carries somebody is
 * tight against the prices, and each pool holds all of its places below its price and none above, which proves the least cost
 * (complementary slackness). All of it is whole numbers, so nothing is rounded.
 *
 * A primal-dual method (successive shortest paths by Dijkstra over reduced costs) in bulk: the places of a pool get dearer
 * one by one, so a whole supply raises the prices of all nodes that it reaches until the pools there hold it at once,
 * instead of one user at a time. Where a way was too narrow for that, pools are left with too few for their price; then prices
 * are lowered by the same method the other way round. Each step raises the dual, which ends it.
 *
 * Every supply must find a place in the end: a node of its own pool that costs more than all others is the place of those who stay.
 */
export function cheapestFlow(net: Network, pools: Pools, supply: Float64Array): Flow {
  const state = new Search(net, pools)
  for (let node = 0; node < net.nodes; node++) state.settle(node, supply[node] as number, 1)
  // Whoever is left to do is found again after each round, because one repair may undo another.
  for (let isDone = false; !isDone; ) {
    isDone = true
    for (let node = 0; node < net.nodes; node++) {
      if (pools.size(node) === 0) continue
      const taken = state.taken[node] as number
      const least = pools.count(node, (state.price[node] as number) - 1)
      const most = pools.count(node, state.price[node] as number)
      if (taken >= least && taken <= most) continue
      isDone = false
      state.taken[node] = taken < least ? least : most
      state.settle(node, taken < least ? least - taken : taken - most, taken < least ? -1 : 1)
    }
  }
  return { flow: state.flow, taken: state.taken, price: state.price }
}

/** `1`: users look for places, forward along arcs. `-1`: places look for users, backward. */
type Way = 1 | -1

class Search {
  readonly flow: Float64Array
  readonly taken: Float64Array
  readonly price: Float64Array
  readonly #net: Network
  readonly #pools: Pools
  readonly #distance: Float64Array
  /** The arc by which a node was reached; `~arc`: against its direction, -1 − arcs: it is the start. */
  readonly #by: Int32Array
  readonly #isReached: Uint8Array
  #reached: number[] = []
  #touched: number[] = []

  constructor(net: Network, pools: Pools) {
    this.#net = net
    this.#pools = pools
    this.flow = new Float64Array(net.from.length)
    this.taken = new Float64Array(net.nodes)
    this.price = firstPrices(net, pools)
    this.#distance = new Float64Array(net.nodes).fill(Number.POSITIVE_INFINITY)
    this.#by = new Int32Array(net.nodes)
    this.#isReached = new Uint8Array(net.nodes)
  }

  /** Brings `amount` from a node to where it costs the least. */
  settle(start: number, amount: number, way: Way): void {
    let left = amount
    while (left > 0) {
      const raise = this.#explore(start, left, way)
      for (const node of this.#reached)
        this.price[node] = (this.price[node] as number) + way * Math.max(0, raise - (this.#distance[node] as number))
      left = this.#push(start, left, way, raise)
      for (const node of this.#touched) {
        this.#distance[node] = Number.POSITIVE_INFINITY
        this.#isReached[node] = 0
      }
    }
  }

  /**
   * Dijkstra from a node, until the pools that it has reached hold `amount` at some rise of prices. Returns that rise.
   */
  #explore(start: number, amount: number, way: Way): number {
    const heap = new Heap()
    this.#reached = []
    this.#touched = [start]
    this.#distance[start] = 0
    this.#by[start] = -1 - this.flow.length
    heap.push(0, start)
    const sinks: number[] = []
    // A look at all pools costs as much as their servers; it is taken when as much has been done since the last one.
    let toLook = 0
    let done = 0
    let low = -1
    while (heap.size > 0) {
      const at = heap.least
      if (done > toLook && at > low && sinks.length > 0) {
        if (this.#absorbed(sinks, at - 1, way) >= amount) return this.#least(sinks, amount, way, low, at - 1)
        low = at - 1
        done = 0
      }
      const node = heap.pop()
      if (this.#isReached[node]) continue
      this.#isReached[node] = 1
      this.#reached.push(node)
      done += 1
      const size = this.#pools.size(node)
      if (size > 0) {
        sinks.push(node)
        toLook += size
      }
      done += this.#relax(node, way, heap)
    }
    let high = Math.max(1, low + 1)
    while (this.#absorbed(sinks, high, way) < amount) {
      low = high
      high *= 2
    }
    return this.#least(sinks, amount, way, low, high)
  }

  /** Looks along the arcs of a node. Returns how many. */
  #relax(node: number, way: Way, heap: Heap): number {
    const { firstOut, out, firstIn, in: into, from, to, cost } = this.#net
    const [first, ahead, ends] = way === 1 ? [firstOut, out, to] : [firstIn, into, from]
    const [firstBack, behind, starts] = way === 1 ? [firstIn, into, from] : [firstOut, out, to]
    const price = this.price[node] as number
    const so = this.#distance[node] as number
    const begin = first[node] as number
    const end = first[node + 1] as number
    for (let index = begin; index < end; index++) {
      const arc = ahead[index] as number
      const next = ends[arc] as number
      const length = (cost[arc] as number) + way * ((this.price[next] as number) - price)
      if (so + length < (this.#distance[next] as number)) this.#visit(next, so + length, arc, heap)
    }
    const beginBack = firstBack[node] as number
    const endBack = firstBack[node + 1] as number
    for (let index = beginBack; index < endBack; index++) {
      const arc = behind[index] as number
      // Somebody on it makes it tight, so that the way back is free.
      if ((this.flow[arc] as number) > 0 && so < (this.#distance[starts[arc] as number] as number))
        this.#visit(starts[arc] as number, so, ~arc, heap)
    }
    return end - begin + endBack - beginBack
  }

  #visit(node: number, distance: number, by: number, heap: Heap): void {
    if (this.#distance[node] === Number.POSITIVE_INFINITY) this.#touched.push(node)
    this.#distance[node] = distance
    this.#by[node] = by
    heap.push(distance, node)
  }

  /** How many the pools take (or give) if prices move by `rise` at the start, and the less the farther they are. */
  #absorbed(sinks: readonly number[], rise: number, way: Way): number {
    let sum = 0
    for (const node of sinks) {
      const more = rise - (this.#distance[node] as number)
      if (more >= 0) sum += this.#open(node, (this.price[node] as number) + way * more, way)
    }
    return sum
  }

  /** How many more a pool takes, or gives, at a price. */
  #open(node: number, price: number, way: Way): number {
    const taken = this.taken[node] as number
    return Math.max(0, way === 1 ? this.#pools.count(node, price) - taken : taken - this.#pools.count(node, price - 1))
  }

  /** The least rise in (low, high] at which `amount` is absorbed; `high` is enough. Halving, with guesses by the straight line. */
  #least(sinks: readonly number[], amount: number, way: Way, low: number, high: number): number {
    let below = low < 0 ? 0 : this.#absorbed(sinks, low, way)
    let above = this.#absorbed(sinks, high, way)
    for (let round = 0; high - low > 1; round++) {
      const share = round % 3 === 2 || above === below ? 0.5 : (amount - 0.5 - below) / (above - below)
      const middle = Math.min(high - 1, Math.max(low + 1, low + Math.floor((high - low) * share)))
      const found = this.#absorbed(sinks, middle, way)
      if (found >= amount) [high, above] = [middle, found]
      else [low, below] = [middle, found]
    }
    return high
  }

  /** Brings as many as the ways let pass to the pools that were reached. Returns how many are left. */
  #push(start: number, amount: number, way: Way, raise: number): number {
    let left = amount
    // First to pools that lack somebody at their new price (or have too many), so that less has to be repaired later.
    for (const isOwed of [true, false]) {
      for (const node of this.#reached) {
        if (left === 0) return 0
        if ((this.#distance[node] as number) > raise || this.#pools.size(node) === 0) continue
        const price = (this.price[node] as number) - (isOwed ? way : 0)
        const open = this.#open(node, price, way)
        if (open > 0) left -= this.#along(start, node, Math.min(open, left), way)
      }
    }
    return left
  }

  #along(start: number, end: number, amount: number, way: Way): number {
    const { from, to } = this.#net
    const before = (by: number): number => (by >= 0 === (way === 1) ? (from[by >= 0 ? by : ~by] as number) : (to[by >= 0 ? by : ~by] as number))
    let least = amount
    for (let node = end; node !== start; node = before(this.#by[node] as number)) {
      const by = this.#by[node] as number
      if (by < 0) least = Math.min(least, this.flow[~by] as number)
    }
    if (least === 0) return 0
    for (let node = end; node !== start; node = before(this.#by[node] as number)) {
      const by = this.#by[node] as number
      if (by >= 0) this.flow[by] = (this.flow[by] as number) + least
      else this.flow[~by] = (this.flow[~by] as number) - least
    }
    this.taken[end] = (this.taken[end] as number) + way * least
    return least
  }
}

/** Prices at which nobody has come yet: of each pool its cheapest place, of each node the cheapest way from it. */
function firstPrices(net: Network, pools: Pools): Float64Array {
  const price = Float64Array.from({ length: net.nodes }, (_, node) => pools.cheapest(node))
  // Arcs lead to higher nodes only, so that one pass from the end is enough.
  for (let node = net.nodes - 1; node >= 0; node--) {
    for (let index = net.firstOut[node] as number; index < (net.firstOut[node + 1] as number); index++) {
      const arc = net.out[index] as number
      price[node] = Math.min(price[node] as number, (net.cost[arc] as number) + (price[net.to[arc] as number] as number))
    }
  }
  return price
}
