/** A queue of nodes by their distance. An entry is not moved when a shorter way is found: the older one comes out later and is skipped. */
export class Heap {
  readonly #keys: number[] = []
  readonly #nodes: number[] = []

  get size(): number {
    return this.#keys.length
  }

  push(key: number, node: number): void {
    const keys = this.#keys
    const nodes = this.#nodes
    let at = keys.length
    keys.push(key)
    nodes.push(node)
    while (at > 0) {
      const above = (at - 1) >> 1
      if ((keys[above] as number) <= key) break
      keys[at] = keys[above] as number
      nodes[at] = nodes[above] as number
      at = above
    }
    keys[at] = key
    nodes[at] = node
  }

  /** The least distance; only while there are entries. */
  get least(): number {
    return this.#keys[0] as number
  }

  /** The node that comes out next; only while there are entries. */
  get next(): number {
    return this.#nodes[0] as number
  }

  /** Takes out the node with the least distance; only while there are entries. */
  pop(): number {
    const keys = this.#keys
    const nodes = this.#nodes
    const top = nodes[0] as number
    const key = keys.pop() as number
    const node = nodes.pop() as number
    const size = keys.length
    if (size === 0) return top
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= size) break
      if (below + 1 < size && (keys[below + 1] as number) < (keys[below] as number)) below++
      if ((keys[below] as number) >= key) break
      keys[at] = keys[below] as number
      nodes[at] = nodes[below] as number
      at = below
    }
    keys[at] = key
    nodes[at] = node
    return top
  }
}
