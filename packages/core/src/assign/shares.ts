import type { Flow } from './flow.ts'
import type { Network } from './network.ts'
import type { Pools } from './places.ts'

/** So many of one supply stay with one server of a node's pool. */
export interface Share {
  /** The node where they came from. */
  readonly start: number
  readonly node: number
  /** Of the node's servers, in the order in which they were given. */
  readonly server: number
  readonly count: number
}

/** The users of one start, on their way through a node. */
interface Group {
  readonly start: number
  count: number
}

/**
 * Who of those that share a way goes where, in as few pieces as can be: in order, so that each start, way and server is cut
 * at most once. Arcs lead to higher nodes only.
 */
export function shares(net: Network, pools: Pools, supply: Float64Array, { flow, taken, price }: Flow): Share[] {
  const waiting: Group[][] = Array.from({ length: net.nodes }, () => [])
  const found: Share[] = []
  for (let node = 0; node < net.nodes; node++) {
    const groups = waiting[node] as Group[]
    if ((supply[node] as number) > 0) groups.push({ start: node, count: supply[node] as number })
    let next = 0
    const take = (amount: number, give: (start: number, count: number) => void): void => {
      for (let left = amount; left > 0; ) {
        const group = groups[next] as Group
        const count = Math.min(left, group.count)
        give(group.start, count)
        group.count -= count
        left -= count
        if (group.count === 0) next++
      }
    }
    for (let index = net.firstOut[node] as number; index < (net.firstOut[node + 1] as number); index++) {
      const arc = net.out[index] as number
      take(flow[arc] as number, (start, count) => (waiting[net.to[arc] as number] as Group[]).push({ start, count }))
    }
    if ((taken[node] as number) > 0)
      for (const [server, amount] of filled(pools, node, taken[node] as number, price[node] as number).entries())
        take(amount, (start, count) => found.push({ start, node, server, count }))
    waiting[node] = []
  }
  return found
}

/** How many each server of a pool gets: all its places below the price, and of those at the price what is left, in order. */
function filled(pools: Pools, node: number, taken: number, price: number): number[] {
  const most = pools.counts(node, price)
  const amounts = pools.counts(node, price - 1)
  let left = taken - amounts.reduce((sum, amount) => sum + amount, 0)
  for (const [server, amount] of amounts.entries()) {
    const more = Math.min(left, (most[server] as number) - amount)
    amounts[server] = amount + more
    left -= more
  }
  return amounts
}
