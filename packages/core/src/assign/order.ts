import type { Connection } from '../vocabulary.ts'

/** Below so many a plain sort is faster than counting. */
const few = 4096
const digits = 1 << 16

/**
 * The places of `connections` in an order that does not depend on how they came: by `from`, then by id. Of two with one id
 * the first to come is in it, alone. Takes time and memory in proportion to their number.
 */
export function inOrder(connections: readonly Connection[], from: ArrayLike<number>): Int32Array {
  const order = dropRepeated(byId(connections), connections)
  let groups = 0
  for (let place = 0; place < from.length; place++) groups = Math.max(groups, (from[place] as number) + 1)
  return groups > 1 ? counted(order, groups, (place) => from[place] as number) : order
}

const idOf = (connections: readonly Connection[], place: number): string => (connections[place] as Connection).id

function byId(connections: readonly Connection[]): Int32Array {
  let order = Int32Array.from(connections, (_, place) => place)
  const compare = (a: number, b: number): number => {
    const [left, right] = [idOf(connections, a), idOf(connections, b)]
    return left < right ? -1 : left > right ? 1 : a - b
  }
  if (connections.length < few) return order.sort(compare)
  const prefix = commonPrefix(connections)
  if (prefix === null) return order.sort(compare)
  // Six characters behind the common prefix, two a digit, the last first: each pass is stable.
  for (const at of [4, 2, 0])
    order = counted(order, digits, (place) => {
      const id = idOf(connections, place)
      return letter(id, prefix + at) * 256 + letter(id, prefix + at + 1)
    })
  // What is still equal has to be read to its end.
  const isEqual = (a: number, b: number): boolean => {
    const [left, right] = [idOf(connections, a), idOf(connections, b)]
    for (let at = prefix; at < prefix + 6; at++) if (letter(left, at) !== letter(right, at)) return false
    return true
  }
  for (let begin = 0, end = 1; begin < order.length; begin = end++) {
    while (end < order.length && isEqual(order[begin] as number, order[end] as number)) end++
    if (end - begin > 1) order.subarray(begin, end).sort(compare)
  }
  return order
}

/** 0 behind the end, so that the shorter comes first. */
const letter = (id: string, at: number): number => (at < id.length ? id.charCodeAt(at) + 1 : 0)

/** How many characters all ids have in common; null: there are letters that two of do not fit in a digit. */
function commonPrefix(connections: readonly Connection[]): number | null {
  const sample = idOf(connections, 0)
  let length = sample.length
  for (const { id } of connections) {
    let at = 0
    while (at < length && id.charCodeAt(at) === sample.charCodeAt(at)) at++
    length = at
  }
  for (const { id } of connections) {
    const end = Math.min(id.length, length + 6)
    for (let at = length; at < end; at++) if (id.charCodeAt(at) >= 255) return null
  }
  return length
}

/** By a whole number below `size`; who has the same stays in order. */
function counted(order: Int32Array, size: number, keyOf: (place: number) => number): Int32Array<ArrayBuffer> {
  const keys = new Int32Array(order.length)
  const next = new Int32Array(size + 1)
  for (let at = 0; at < order.length; at++) {
    const key = keyOf(order[at] as number)
    keys[at] = key
    next[key + 1] = (next[key + 1] as number) + 1
  }
  for (let key = 0; key < size; key++) next[key + 1] = (next[key + 1] as number) + (next[key] as number)
  const sorted = new Int32Array(order.length)
  for (let at = 0; at < order.length; at++) {
    const key = keys[at] as number
    sorted[next[key] as number] = order[at] as number
    next[key] = (next[key] as number) + 1
  }
  return sorted
}

function dropRepeated(order: Int32Array, connections: readonly Connection[]): Int32Array {
  let kept = 0
  for (const place of order) {
    if (kept > 0 && idOf(connections, order[kept - 1] as number) === idOf(connections, place)) continue
    order[kept++] = place
  }
  return order.subarray(0, kept)
}
