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
 * Where many supplies meet in few nodes, these are `halls`: each supply comes as far as its hall, and then all who wait in
 * one go on at once. That changes the work and not the outcome.
 *
 * Every supply must find a place in the end: a node of its own pool that costs more than all others is the place of those who stay.
 */
export function cheapestFlow(net: Network, pools: Pools, supply: Float64Array, halls: readonly number[] = []): Flow {
  const search = new Search(net, pools, halls)
  for (let node = 0; node < net.nodes; node++) search.settle(node, supply[node] as number, 1)
  for (const hall of halls) search.leave(hall)
  // Whoever is left to do is looked for anew after each round, because one repair may undo another.
  for (let isDone = false; !isDone; ) {
    isDone = true
    for (let node = 0; node < net.nodes; node++) if (search.repair(node)) isDone = false
  }
  return { flow: search.flow, taken: search.taken, price: search.price }
}

/** A first guess of how far prices move once all is within reach; any number will do. */
const firstStep = 4096

/** A rise of prices, and how many are absorbed at it. */
type Known = readonly [rise: number, absorbed: number]

/** `1`: users look for places, forward along arcs. `-1`: places look for users, backward. */
type Way = 1 | -1

class Search {
  readonly flow: Float64Array
  readonly taken: Float64Array
  readonly price: Float64Array
  readonly #net: Network
  readonly #pools: Pools
  readonly #cheapest: Float64Array
  /** Of each pool, how many of its places cost less than its price, and how many at most that. */
  readonly #least: Float64Array
  readonly #most: Float64Array
  readonly #distance: Float64Array
  /** Nodes in the order in which the last search came to them, and all whose distance it has set. */
  #reached: number[] = []
  #touched: number[] = []
  readonly #isReached: Uint8Array
  /** The arc by which a node was found; `~arc`: against its direction. */
  readonly #by: Int32Array
  readonly #seen: Int32Array
  #round = 0
  /** 1: users may wait here for now. */
  readonly #isHall: Uint8Array
  /** The tight arcs at each node, as linked lists of arcs (`~arc`: it comes in here). */
  readonly #head: Int32Array
  readonly #tight: number[] = []
  readonly #next: number[] = []

  constructor(net: Network, pools: Pools, halls: readonly number[]) {
    const { nodes } = net
    this.#isHall = new Uint8Array(nodes)
    for (const hall of halls) this.#isHall[hall] = 1
    this.#net = net
    this.#pools = pools
    this.flow = new Float64Array(net.from.length)
    this.taken = new Float64Array(nodes)
    this.#cheapest = Float64Array.from({ length: nodes }, (_, node) => pools.cheapest(node))
    this.price = firstPrices(net, this.#cheapest)
    this.#least = new Float64Array(nodes)
    this.#most = Float64Array.from(this.price, (price, node) => pools.count(node, price))
    this.#distance = new Float64Array(nodes).fill(Number.POSITIVE_INFINITY)
    this.#isReached = new Uint8Array(nodes)
    this.#by = new Int32Array(nodes)
    this.#seen = new Int32Array(nodes)
    this.#head = new Int32Array(nodes)
  }

  /** Brings `amount` from a node to where it costs the least. */
  settle(start: number, amount: number, way: Way): void {
    let left = amount
    while (left > 0) {
      const rise = this.#explore(start, left, way)
      this.#raise(rise, way)
      this.#link(rise)
      for (let before = Number.POSITIVE_INFINITY; left > 0 && left < before; ) {
        before = left
        left = this.#push(start, left, way)
      }
      for (const node of this.#touched) {
        this.#distance[node] = Number.POSITIVE_INFINITY
        this.#isReached[node] = 0
      }
    }
  }

  /** All who wait in a hall go on. */
  leave(hall: number): void {
    const waiting = this.taken[hall] as number
    this.#isHall[hall] = 0
    this.taken[hall] = 0
    this.settle(hall, waiting, 1)
  }

  /** A pool that holds too few or too many for its price; false: it does not. */
  repair(node: number): boolean {
    const taken = this.taken[node] as number
    const least = this.#least[node] as number
    const most = this.#most[node] as number
    if (taken >= least && taken <= most) return false
    this.taken[node] = taken < least ? least : most
    this.settle(node, Math.abs(taken - (this.taken[node] as number)), taken < least ? -1 : 1)
    return true
  }

  /** Dijkstra from a node, until the pools that it has reached hold `amount` at some rise of prices. Returns that rise. */
  #explore(start: number, amount: number, way: Way): number {
    const heap = new Heap()
    this.#reached = []
    this.#touched = [start]
    this.#distance[start] = 0
    heap.push(0, start)
    const sinks: number[] = []
    // A look at all pools costs as much as their servers; it is taken when as much has been done since the last one.
    let toLook = 0
    let done = 0
    let low = -1
    let below = 0
    while (heap.size > 0) {
      const high = heap.least - 1
      const isNextHall = this.#isHall[heap.next] === 1
      if ((done > toLook || isNextHall) && high > low && sinks.length > 0) {
        const found = this.#absorbed(sinks, high, way)
        if (found >= amount) return this.#leastRise(sinks, amount, way, [low, below], [high, found])
        low = high
        below = found
        done = 0
      }
      const node = heap.pop()
      if (this.#isReached[node]) continue
      this.#isReached[node] = 1
      this.#reached.push(node)
      if (this.#isHall[node] === 1) return this.#distance[node] as number
      const size = this.#pools.size(node)
      if (size > 0) sinks.push(node)
      toLook += size
      done += 1 + this.#relax(node, way, heap)
    }
    for (let step = firstStep; ; step *= 8) {
      const found = this.#absorbed(sinks, low + step, way)
      if (found >= amount) return this.#leastRise(sinks, amount, way, [low, below], [low + step, found])
      low += step
      below = found
    }
  }

  /** Looks along the arcs of a node. Returns how many they are. */
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
      if (so + length < (this.#distance[next] as number)) this.#visit(next, so + length, heap)
    }
    const beginBack = firstBack[node] as number
    const endBack = firstBack[node + 1] as number
    for (let index = beginBack; index < endBack; index++) {
      const arc = behind[index] as number
      const next = starts[arc] as number
      // Somebody on it makes it tight, so that the way back is free.
      if ((this.flow[arc] as number) > 0 && so < (this.#distance[next] as number)) this.#visit(next, so, heap)
    }
    return end - begin + endBack - beginBack
  }

  #visit(node: number, distance: number, heap: Heap): void {
    if (this.#distance[node] === Number.POSITIVE_INFINITY) this.#touched.push(node)
    this.#distance[node] = distance
    heap.push(distance, node)
  }

  /** How many the pools take (or give) if prices move by `rise` at the start, and the less the farther they are. */
  #absorbed(sinks: readonly number[], rise: number, way: Way): number {
    let sum = 0
    for (const node of sinks) {
      const more = rise - (this.#distance[node] as number)
      if (more < 0) continue
      const taken = this.taken[node] as number
      const price = (this.price[node] as number) + way * more
      // Most pools of those who would stay are far from any price.
      if (way === 1 && price < (this.#cheapest[node] as number)) continue
      if (more === 0) sum += this.#open(node, way)
      else sum += Math.max(0, way === 1 ? this.#pools.count(node, price) - taken : taken - this.#pools.count(node, price - 1))
    }
    return sum
  }

  /** How many more a pool takes, or gives, at its price. */
  #open(node: number, way: Way): number {
    if (this.#isHall[node] === 1) return Number.POSITIVE_INFINITY
    const taken = this.taken[node] as number
    return Math.max(0, way === 1 ? (this.#most[node] as number) - taken : taken - (this.#least[node] as number))
  }

  /** The same, of those only without whom it would hold too few (or too many). */
  #owed(node: number, way: Way): number {
    const taken = this.taken[node] as number
    return Math.max(0, way === 1 ? (this.#least[node] as number) - taken : taken - (this.#most[node] as number))
  }

  /**
   * The least rise above `from`, where too little is absorbed, up to `to`, where `amount` is. Guesses by the straight line, each a little
   * beyond, so that the next one closes in from the other side; what that does not make much smaller is halved.
   */
  #leastRise(sinks: readonly number[], amount: number, way: Way, from: Known, to: Known): number {
    let [low, below] = from
    let [high, above] = to
    for (let isSlow = false; high - low > 1; ) {
      const width = high - low
      let middle = low + Math.floor(width / 2)
      // Where a few users more or less are the question, prices are steps and no line.
      const isLine: boolean = !isSlow && Math.min(amount - below, above - amount) > 4
      if (isLine) {
        const margin = Math.ceil(width / 64) * (amount - below < above - amount ? 1 : -1)
        middle = low + Math.floor((width * (amount - below)) / (above - below)) + margin
      }
      middle = Math.min(high - 1, Math.max(low + 1, middle))
      const found = this.#absorbed(sinks, middle, way)
      if (found >= amount) {
        high = middle
        above = found
      } else {
        low = middle
        below = found
      }
      isSlow = isLine && high - low > width / 4
    }
    return high
  }

  /** Moves the prices of what was reached. */
  #raise(rise: number, way: Way): void {
    for (const node of this.#reached) {
      const more = rise - (this.#distance[node] as number)
      if (more <= 0) continue
      const price = (this.price[node] as number) + way * more
      this.price[node] = price
      if (this.#pools.size(node) === 0) continue
      this.#least[node] = this.#pools.count(node, price - 1)
      this.#most[node] = this.#pools.count(node, price)
    }
  }

  /** Gathers the tight arcs between the nodes within reach: only along these users may go, and all who go are on these. */
  #link(rise: number): void {
    const { firstOut, out, to, cost } = this.#net
    this.#tight.length = 0
    this.#next.length = 0
    const isNear = (node: number) => this.#isReached[node] === 1 && (this.#distance[node] as number) <= rise
    for (const node of this.#reached) this.#head[node] = -1
    for (const node of this.#reached) {
      if ((this.#distance[node] as number) > rise) break
      for (let index = firstOut[node] as number; index < (firstOut[node + 1] as number); index++) {
        const arc = out[index] as number
        const end = to[arc] as number
        if ((cost[arc] as number) + (this.price[end] as number) !== this.price[node] || !isNear(end)) continue
        this.#hang(node, arc)
        this.#hang(end, ~arc)
      }
    }
  }

  #hang(node: number, arc: number): void {
    this.#next.push(this.#head[node] as number)
    this.#head[node] = this.#tight.length
    this.#tight.push(arc)
  }

  /** Brings as many as the ways let pass to the pools that a search in breadth finds. Returns how many are left. */
  #push(start: number, amount: number, way: Way): number {
    const { from, to } = this.#net
    const queue = [start]
    this.#round += 1
    this.#seen[start] = this.#round
    let left = amount
    for (let at = 0; at < queue.length; at++) {
      const node = queue[at] as number
      for (let link = this.#head[node] as number; link >= 0; link = this.#next[link] as number) {
        const arc = this.#tight[link] as number
        // Along the way arcs take anybody; against it only those who are on them can be turned round.
        const isAhead = arc >= 0 === (way === 1)
        const end = (arc >= 0 ? to[arc] : from[~arc]) as number
        if (this.#seen[end] === this.#round || !(isAhead || (this.flow[arc >= 0 ? arc : ~arc] as number) > 0)) continue
        this.#seen[end] = this.#round
        this.#by[end] = arc
        queue.push(end)
      }
    }
    // First to pools that would hold too few for their price (or too many), so that less has to be repaired later.
    for (const isOwed of [true, false]) {
      for (const node of queue) {
        const open = isOwed ? this.#owed(node, way) : this.#open(node, way)
        if (open > 0) left -= this.#along(start, node, Math.min(open, left), way)
        if (left === 0) return 0
      }
    }
    return left
  }

  #along(start: number, end: number, amount: number, way: Way): number {
    const { from, to } = this.#net
    let least = amount
    for (let node = end; node !== start; ) {
      const by = this.#by[node] as number
      const arc = by >= 0 ? by : ~by
      if (by >= 0 !== (way === 1)) least = Math.min(least, this.flow[arc] as number)
      node = (by >= 0 ? from[arc] : to[arc]) as number
    }
    if (least === 0) return 0
    for (let node = end; node !== start; ) {
      const by = this.#by[node] as number
      const arc = by >= 0 ? by : ~by
      this.flow[arc] = (this.flow[arc] as number) + (by >= 0 === (way === 1) ? least : -least)
      node = (by >= 0 ? from[arc] : to[arc]) as number
    }
    this.taken[end] = (this.taken[end] as number) + way * least
    return least
  }
}

/** Prices at which nobody has come yet: of each pool its cheapest place, of each node the cheapest way from it. */
function firstPrices(net: Network, cheapest: Float64Array): Float64Array {
  const price = cheapest.slice()
  // Arcs lead to higher nodes only, so that one pass from the end is enough.
  for (let node = net.nodes - 1; node >= 0; node--) {
    for (let index = net.firstOut[node] as number; index < (net.firstOut[node + 1] as number); index++) {
      const arc = net.out[index] as number
      price[node] = Math.min(price[node] as number, (net.cost[arc] as number) + (price[net.to[arc] as number] as number))
    }
  }
  return price
}
