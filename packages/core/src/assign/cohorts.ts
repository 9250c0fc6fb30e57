import type { Connection, ConnectionId, ServerId } from '../vocabulary.ts'

/** Connections with identical needs. */
export interface Cohort {
  /** Stable and unique within one plan; also the order of last resort. */
  readonly key: string
  readonly sample: Connection
  readonly connections: readonly Connection[]
  /** Targets that have refused these connections before. */
  readonly refusedBy: ReadonlySet<ServerId>
}

/** A cohort and, of each of its connections, where it is in the list that was given. */
export interface Grouped extends Cohort {
  readonly places: readonly number[]
}

const nobody: ReadonlySet<ServerId> = new Set()

/**
 * The cohorts of connections, by key, and in each the connections in the given order. Nothing is written down for a single
 * connection: each word gets a number once, and numbers are joined to one.
 */
export function groupCohorts(
  connections: readonly Connection[],
  order: Int32Array,
  refusals: ReadonlyMap<ConnectionId, ReadonlySet<ServerId>>,
): Grouped[] {
  const words = new Words()
  const found = new Map<number, { connections: Connection[]; places: number[]; refusedBy: ReadonlySet<ServerId> }>()
  let last: Connection | null = null
  let group: { connections: Connection[]; places: number[]; refusedBy: ReadonlySet<ServerId> } | undefined
  for (const place of order) {
    const connection = connections[place] as Connection
    const refusedBy = refusals.size === 0 ? nobody : (refusals.get(connection.id) ?? nobody)
    // Neighbours are often alike: then there is nothing to look up.
    if (!group || !last || group.refusedBy !== refusedBy || !isAlike(connection, last)) {
      const key = words.keyOf(connection, refusedBy)
      group = found.get(key)
      if (!group) {
        group = { connections: [], places: [], refusedBy }
        found.set(key, group)
      }
    }
    group.connections.push(connection)
    group.places.push(place)
    last = connection
  }
  return [...found.values()]
    .map(({ refusedBy, ...rest }): Grouped => {
      const sample = rest.connections[0] as Connection
      return { ...rest, key: textOf(sample, refusedBy), sample, refusedBy }
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1))
}

function isAlike(a: Connection, b: Connection): boolean {
  return (
    a.needs === b.needs &&
    a.region === b.region &&
    a.tier === b.tier &&
    a.mobility === b.mobility &&
    a.preferredServer === b.preferredServer
  )
}

function textOf({ region, needs, mobility, tier, preferredServer }: Connection, refusedBy: ReadonlySet<ServerId>): string {
  const { protocols, countries, regions } = needs
  const lists = [protocols, countries, regions].map((list) => list && sorted(list))
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
    const { protocols, countries, regions } = needs
    if (protocols || countries || regions) key = this.#pair(this.#pair(key, -2), this.#needsOf(needs))
    return refusedBy.size > 0 ? this.#pair(this.#pair(key, -3), this.#list(refusedBy)) : key
  }

  #number(word: unknown): number {
    let number = this.#numbers.get(word)
    if (number === undefined) this.#numbers.set(word, (number = this.#next++))
    return number
  }

  /** Lists of the same content have one number; the object itself is remembered, as rows of one kind often share it. */
  #needsOf(needs: Connection['needs']): number {
    let number = this.#needs.get(needs)
    if (number !== undefined) return number
    number = this.#pair(this.#pair(this.#list(needs.protocols), this.#list(needs.countries)), this.#list(needs.regions))
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
    if (!second) this.#pairs.set(a, (second = new Map()))
    let number = second.get(b)
    if (number === undefined) second.set(b, (number = this.#next++))
    return number
  }
}
