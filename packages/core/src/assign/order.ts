import type { Connection } from '../vocabulary.ts'

/** Below so many a plain sort is faster than counting. */
const few = 4096
/** Characters behind the common prefix that are counted, two a digit; what is still equal then is read to its end. */
const pairs = 3

/**
 * The places of `connections` in an order that does not depend on how they came: by `from`, then by id. Of two with one id
 * the first to come is in it, alone. Takes time and memory in proportion to their number, and reads each connection in the
 * order of the list: going through a million objects crosswise would take longer than all the rest.
 */
export function inOrder(connections: readonly Connection[], from: ArrayLike<number>): Int32Array {
  const { order, spare } = byId(connections)
  let groups = 0
  for (let place = 0; place < from.length; place++) groups = Math.max(groups, (from[place] as number) + 1)
  return groups > 1 ? counted(order, groups, from, spare.subarray(0, order.length)) : order
}

const idOf = (connections: readonly Connection[], place: number): string => (connections[place] as Connection).id

/** Their order by id, and a list of the same length to sort into. */
function byId(connections: readonly Connection[]): { readonly order: Int32Array; readonly spare: Int32Array } {
  const keys = connections.length < few ? null : keysOf(connections)
  let order = new Int32Array(connections.length)
  for (let place = 0; place < order.length; place++) order[place] = place
  // Two lists in turns, so that a large one is not made for each pass.
  let spare = new Int32Array(order.length)
  for (const column of keys?.toReversed() ?? []) {
    const sorted = counted(order, 1 << 16, column, spare)
    spare = order
    order = sorted
  }
  const compare = (a: number, b: number): number => {
    const [left, right] = [idOf(connections, a), idOf(connections, b)]
    return left < right ? -1 : left > right ? 1 : a - b
  }
  let kept = 0
  for (let begin = 0, end = 0; begin < order.length; begin = end) {
    const first = order[begin] as number
    end = begin + 1
    while (end < order.length && (keys === null || isEqual(keys, first, order[end] as number))) end++
    if (end - begin > 1) order.subarray(begin, end).sort(compare)
    const from = kept
    for (let at = begin; at < end; at++) {
      const place = order[at] as number
      if (kept > from && idOf(connections, order[kept - 1] as number) === idOf(connections, place)) continue
      order[kept++] = place
    }
  }
  return { order: order.subarray(0, kept), spare }
}

function isEqual(keys: readonly Uint16Array[], a: number, b: number): boolean {
  for (let pair = 0; pair < pairs; pair++) if (keys[pair]?.[a] !== keys[pair]?.[b]) return false
  return true
}

/** How much of `prefix` an id begins with. */
function common(prefix: string, id: string): number {
  let length = 0
  while (length < prefix.length && id.charCodeAt(length) === prefix.charCodeAt(length)) length++
  return length
}

/** The characters behind the common prefix as digits; null: there are some of which two do not fit into one. */
function keysOf(connections: readonly Connection[]): Uint16Array[] | null {
  // The prefix is guessed from a few; whoever does not have it makes it shorter, and all is done anew.
  let prefix = idOf(connections, 0)
  for (let place = 0; place < connections.length; place += few) prefix = prefix.slice(0, common(prefix, idOf(connections, place)))
  const columns = Array.from({ length: pairs }, () => new Uint16Array(connections.length))
  // Plain loops: these are the innermost of all, and iterators would take most of the time.
  for (let place = 0; place < connections.length; place++) {
    const id = idOf(connections, place)
    const length = common(prefix, id)
    if (length < prefix.length) {
      prefix = prefix.slice(0, length)
      place = -1
      continue
    }
    for (let pair = 0; pair < pairs; pair++) {
      const high = letter(id, length + 2 * pair)
      const low = letter(id, length + 2 * pair + 1)
      if (high > 255 || low > 255) return null
      ;(columns[pair] as Uint16Array)[place] = high * 256 + low
    }
  }
  return columns
}

/** 0 behind the end, so that the shorter comes first. */
const letter = (id: string, at: number): number => (at < id.length ? id.charCodeAt(at) + 1 : 0)

/** By a whole number below `size`, into `sorted`; who has the same stays in order. */
function counted<List extends Int32Array>(order: Int32Array, size: number, keys: ArrayLike<number>, sorted: List): List {
  const next = new Int32Array(size + 1)
  // By index: an iterator makes an object for each of a million before it is compiled, and these stay in memory for a while.
  for (let at = 0; at < order.length; at++) {
    const key = (keys[order[at] as number] as number) + 1
    next[key] = (next[key] as number) + 1
  }
  for (let key = 0; key < size; key++) next[key + 1] = (next[key + 1] as number) + (next[key] as number)
  for (let at = 0; at < order.length; at++) {
    const place = order[at] as number
    const key = keys[place] as number
    sorted[next[key] as number] = place
    next[key] = (next[key] as number) + 1
  }
  return sorted
}
