/** Nodes and arcs between them, in flat arrays. An arc carries any number of users, each at its cost. */
export interface Network {
  readonly nodes: number
  readonly from: Int32Array
  readonly to: Int32Array
  /** Whole numbers, 0 or more. */
  readonly cost: Float64Array
  /** The arcs that leave a node: `out[firstOut[node]]` up to `out[firstOut[node + 1] - 1]`. */
  readonly firstOut: Int32Array
  readonly out: Int32Array
  readonly firstIn: Int32Array
  readonly in: Int32Array
}

export class Arcs {
  readonly #from: number[] = []
  readonly #to: number[] = []
  readonly #cost: number[] = []

  add(from: number, to: number, cost: number): void {
    this.#from.push(from)
    this.#to.push(to)
    this.#cost.push(cost)
  }

  network(nodes: number): Network {
    const from = Int32Array.from(this.#from)
    const to = Int32Array.from(this.#to)
    const [firstOut, out] = byNode(from, nodes)
    const [firstIn, into] = byNode(to, nodes)
    return { nodes, from, to, cost: Float64Array.from(this.#cost), firstOut, out, firstIn, in: into }
  }
}

/** The arcs of each end, in their order. */
function byNode(ends: Int32Array, nodes: number): [Int32Array, Int32Array] {
  const first = new Int32Array(nodes + 1)
  for (const node of ends) first[node + 1] = (first[node + 1] as number) + 1
  for (let node = 0; node < nodes; node++) first[node + 1] = (first[node + 1] as number) + (first[node] as number)
  const next = first.slice()
  const arcs = new Int32Array(ends.length)
  for (const [arc, node] of ends.entries()) {
    const at = next[node] as number
    arcs[at] = arc
    next[node] = at + 1
  }
  return [first, arcs]
}
