import type { Connection, ConnectionId, ServerId } from '../vocabulary.ts'

/** Connections with identical needs. */
export interface Cohort {
  /** Stable and unique within one plan; also the order of last resort. */
  readonly key: string
  /** One of them; the needs of all. */
  readonly sample: Connection
  /** Targets that have refused these connections before. */
  readonly refusedBy: ReadonlySet<ServerId>
}

/** A cohort, and where its connections are in the list that was given. */
export interface Grouped extends Cohort {
  readonly places: Int32Array
}

interface Kind {
  readonly first: Connection
  readonly refusedBy: ReadonlySet<ServerId>
}

const kindsCompared = 16
const nobody: ReadonlySet<ServerId> = new Set()

/**
 * The cohorts of the connections in `order`, by key, each in that order. Nothing is written down for a single connection but
 * the number of its cohort: each word gets a number once, and numbers are joined to one.
 */
export function groupCohorts(
  connections: readonly Connection[],
  order: Int32Array,
  refusals: ReadonlyMap<ConnectionId, ReadonlySet<ServerId>>,
): Grouped[] {
  const found: Kind[] = []
  const of = new Int32Array(connections.length)
  const numbers = new Map<number, number>()
  const words = new Words()
  // Those of one list are mostly of a few kinds: the last ones are compared before anything is looked up.
  const recent: number[] = []
  for (let place = 0; place < connections.length; place++) {
    const connection = connections[place] as Connection
    const refusedBy = refusals.size === 0 ? nobody : (refusals.get(connection.id) ?? nobody)
    let at = 0
    while (at < recent.length && !isAlike(found[recent[at] as number] as Kind, connection, refusedBy)) at++
    if (at === recent.length) {
      const key = words.keyOf(connection, refusedBy)
      const number = numbers.get(key) ?? found.length
      if (number === found.length) {
        numbers.set(key, number)
        found.push({ first: connection, refusedBy })
      }
      recent.unshift(number)
      if (recent.length > kindsCompared) recent.pop()
      at = 0
    }
    of[place] = recent[at] as number
  }
  return divide(order, of, found.length)
    .flatMap((places, index): Grouped[] => {
      // Empty, if all of them are repeated in another.
      if (places.length === 0) return []
      const { first, refusedBy } = found[index] as Kind
      return [{ key: cohortKey(first, refusedBy), sample: connections[places[0] as number] as Connection, refusedBy, places }]
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** The places of each group, in their order, in one piece of memory. */
function divide(order: Int32Array, of: Int32Array, groups: number): Int32Array[] {
  const next = new Int32Array(groups + 1)
  // By index, as in `order.ts`.
  for (let at = 0; at < order.length; at++) {
    const after = (of[order[at] as number] as number) + 1
    next[after] = (next[after] as number) + 1
  }
  for (let group = 0; group < groups; group++) next[group + 1] = (next[group + 1] as number) + (next[group] as number)
  const begin = next.slice()
  const divided = new Int32Array(order.length)
  for (let at = 0; at < order.length; at++) {
    const place = order[at] as number
    const group = of[place] as number
    divided[next[group] as number] = place
    next[group] = (next[group] as number) + 1
  }
  return Array.from({ length: groups }, (_, group) => divided.subarray(begin[group], begin[group + 1]))
}

function isAlike({ first, refusedBy }: Kind, one: Connection, refused: ReadonlySet<ServerId>): boolean {
  return (
    first.region === one.region &&
    first.tier === one.tier &&
    refusedBy === refused &&
    first.mobility === one.mobility &&
    first.preferredServer === one.preferredServer &&
    (first.needs === one.needs || areAlike(first.needs, one.needs))
  )
}

function areAlike(a: Connection['needs'], b: Connection['needs']): boolean {
  return (
    isSame(a.protocols, b.protocols) && isSame(a.features, b.features) && isSame(a.regions, b.regions) && isSame(a.countries, b.countries)
  )
}

function isSame(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === b) return true
  if (!a || !b || a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}

/** The same for all connections of a cohort, and for nobody else. */
export function cohortKey({ region, needs, mobility, tier, preferredServer }: Connection, refusedBy: ReadonlySet<ServerId>): string {
  const { protocols, features, countries, regions } = needs
  const lists = [protocols, features, countries, regions].map((list) => list && sorted(list))
  return JSON.stringify([region, ...lists, mobility, tier, preferredServer, ...sorted(refusedBy)])
}

/** The order of words in a list of needs means nothing, nor does a word that is there twice. */
const sorted = (words: Iterable<string>): string[] => [...new Set(words)].sort()

/** Numbers for words, lists of words, and pairs of numbers. */
class Words {
  readonly #numbers = new Map<unknown, number>()
  readonly #lists = new Map<number, number>()
  readonly #pairs = new Map<number, Map<number, number>>()
  readonly #needs = new Map<object, number>()
  #next = 1

  keyOf({ region, needs, mobility, tier, preferredServer }: Connection, refusedBy: ReadonlySet<ServerId>): number {
    let key = this.#number(region)
    if (mobility !== 'free') key = this.#pair(key, this.#number(mobility))
    if (tier !== 0) key = this.#pair(key, this.#number(tier))
    // A preference is told apart from a region of that name by what stands between them.
    if (preferredServer !== null) key = this.#pair(this.#pair(key, -1), this.#number(preferredServer))
    const { protocols, features, countries, regions } = needs
    if (protocols || features || countries || regions) key = this.#pair(this.#pair(key, -2), this.#needsOf(needs))
    return refusedBy.size > 0 ? this.#pair(this.#pair(key, -3), this.#list(refusedBy)) : key
  }

  #number(word: unknown): number {
    let number = this.#numbers.get(word)
    if (number === undefined) {
      number = this.#next++
      this.#numbers.set(word, number)
    }
    return number
  }

  /** Lists of the same content have one number; the object itself is remembered, as rows of one kind often share it. */
  #needsOf(needs: Connection['needs']): number {
    let number = this.#needs.get(needs)
    if (number !== undefined) return number
    number = this.#pair(
      this.#pair(this.#list(needs.protocols), this.#list(needs.countries)),
      this.#pair(this.#list(needs.features), this.#list(needs.regions)),
    )
    if (this.#needs.size < 4096) this.#needs.set(needs, number)
    return number
  }

  #list(words: Iterable<string> | undefined): number {
    if (!words) return 0
    let asGiven = -4
    for (const word of words) asGiven = this.#pair(asGiven, this.#number(word))
    const known = this.#lists.get(asGiven)
    if (known !== undefined) return known
    let number = -5
    for (const word of sorted(words)) number = this.#pair(number, this.#number(word))
    this.#lists.set(asGiven, number)
    return number
  }

  #pair(a: number, b: number): number {
    let second = this.#pairs.get(a)
    if (!second) {
      second = new Map()
      this.#pairs.set(a, second)
    }
    let number = second.get(b)
    if (number === undefined) {
      number = this.#next++
      second.set(b, number)
    }
    return number
  }
}
