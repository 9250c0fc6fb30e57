/** How a server's places get dearer: each by the same step, or levelling off as `m / (m + load)` falls. */
export type Rise =
  | { readonly kind: 'even'; readonly step: number }
  | { readonly kind: 'levelling'; readonly mean: number; readonly load: number; readonly weight: number }

/** The free places of one server; the k-th costs `base` plus the rise up to k. Costs are whole numbers, so that sums are exact. */
export interface Places {
  /** Whole, 0 or more. */
  readonly room: number
  /** The first so many cost nothing extra; those from here up to `room` cost `over` more. */
  readonly soft: number
  readonly over: number
  readonly base: number
  readonly rise: Rise
}

/**
 * The free places of all nodes, in flat arrays. Each node has a pool of servers. All that is asked is how many of a pool's
 * places cost at most a price: nothing is sorted and nothing is stored for a single place.
 */
export class Pools {
  readonly #first: Int32Array
  readonly #room: Float64Array
  readonly #soft: Float64Array
  readonly #over: Float64Array
  readonly #base: Float64Array
  readonly #step: Float64Array
  readonly #levelling: ({ mean: number; load: number; weight: number } | undefined)[]

  /** @param pools of each node, its servers */
  constructor(pools: readonly (readonly Places[])[]) {
    const count = pools.reduce((sum, { length }) => sum + length, 0)
    const column = () => new Float64Array(count)
    this.#first = new Int32Array(pools.length + 1)
    this.#room = column()
    this.#soft = column()
    this.#over = column()
    this.#base = column()
    this.#step = column()
    this.#levelling = []
    let next = 0
    for (const [node, servers] of pools.entries()) {
      for (const { room, soft, over, base, rise } of servers) {
        this.#room[next] = room
        this.#soft[next] = Math.min(soft, room)
        this.#over[next] = over
        this.#base[next] = base
        this.#step[next] = rise.kind === 'even' ? rise.step : Number.NaN
        if (rise.kind === 'levelling') this.#levelling[next] = rise
        next++
      }
      this.#first[node + 1] = next
    }
  }

  /** How many servers a node has. */
  size(node: number): number {
    return (this.#first[node + 1] as number) - (this.#first[node] as number)
  }

  /** How many places of a node cost at most `price`. */
  count(node: number, price: number): number {
    const base = this.#base
    const step = this.#step
    const soft = this.#soft
    const end = this.#first[node + 1] as number
    let sum = 0
    for (let server = this.#first[node] as number; server < end; server++) {
      const above = price - (base[server] as number)
      if (above < 0) continue
      // The common case at once: an even rise that ends before the fill limit. All else is the same, said at length.
      const within = Math.floor(above / (step[server] as number)) + 1
      sum += within <= (soft[server] as number) ? within : this.#at(server, price)
    }
    return sum
  }

  /** The same of each of its servers. */
  counts(node: number, price: number): number[] {
    const first = this.#first[node] as number
    return Array.from({ length: this.size(node) }, (_, index) => this.#at(first + index, price))
  }

  /** What the cheapest place of a node costs; Infinity: it has none. */
  cheapest(node: number): number {
    let least = Number.POSITIVE_INFINITY
    for (let server = this.#first[node] as number; server < (this.#first[node + 1] as number); server++)
      if ((this.#room[server] as number) > 0) least = Math.min(least, this.#cost(server))
    return least
  }

  #cost(server: number): number {
    const levelling = this.#levelling[server]
    const first = levelling ? levelled(levelling, 0) : 0
    return (this.#base[server] as number) + first + ((this.#soft[server] as number) > 0 ? 0 : (this.#over[server] as number))
  }

  #at(server: number, price: number): number {
    const above = price - (this.#base[server] as number)
    if (above < 0) return 0
    const soft = this.#soft[server] as number
    const within = this.#upTo(server, above)
    if (within < soft) return within
    const beyond = above - (this.#over[server] as number)
    return beyond < 0 ? soft : Math.max(soft, Math.min(this.#room[server] as number, this.#upTo(server, beyond)))
  }

  /** How many places have risen by at most `rise`, were there room without end. */
  #upTo(server: number, rise: number): number {
    const step = this.#step[server] as number
    if (step > 0) return Math.floor(rise / step) + 1
    if (step === 0) return Number.POSITIVE_INFINITY
    return inverse(this.#levelling[server] as { mean: number; load: number; weight: number }, rise)
  }
}

type Levelling = { readonly mean: number; readonly load: number; readonly weight: number }

function levelled({ mean, load, weight }: Levelling, place: number): number {
  return Math.floor(weight * (1 - mean / (mean + load + place)))
}

function inverse(curve: Levelling, rise: number): number {
  const { mean, load, weight } = curve
  const share = 1 - (rise + 1) / weight
  if (share <= 0) return Number.POSITIVE_INFINITY
  let count = Math.max(0, Math.ceil(mean / share - mean - load))
  // The quotient may be off by its last digit, and a count must agree with the costs exactly. Beyond 2^53 places it is enough.
  while (count > 0 && levelled(curve, count - 1) > rise) count--
  while (count < Number.MAX_SAFE_INTEGER && levelled(curve, count) <= rise) count++
  return count
}
