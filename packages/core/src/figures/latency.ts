import type { Coordinates, Server, ServerId } from '../vocabulary.ts'
import { distanceKm, middleOf, roundTripOver } from './distance.ts'

/** What is known of the way to a server. */
export interface Reach {
  readonly server: Server
  /** Smoothed round trip from vantages of no region, as a single prober mostly is, milliseconds; null: not measured. */
  readonly rttMs: number | null
  /** The same by region, from the vantages there. Absent or null: from none. */
  readonly rttFor?: ReadonlyMap<string, number> | null
}

/** A round trip as users of a region see it, and what it rests on. */
export interface Latency {
  readonly ms: number
  readonly note: string
}

/** Round trips are compared in steps of so many milliseconds: what differs less is noise. */
const finestMs = 10
/** Steps are doubled until servers differ in so many ways at most, so that a plan's work does not grow with the product of regions and servers. */
const mostWays = 512
/** From here on the factor is 0, so that no coarser step would change anything. */
const worstMs = 300

/**
 * How far servers are from the users that are to be placed. In this order: what the vantages of the user's region have
 * measured; the great-circle distance from his region, where both are located; what vantages of no region have measured.
 */
export class Latencies {
  readonly stepMs: number
  readonly #places: ReadonlyMap<string, Coordinates>
  /** Servers that are not as far from everybody: the same number for those that are as far from each region, in steps. */
  readonly #keys = new Map<ServerId, number>()

  /**
   * @param regions of the users to be placed; null: of some it is not known
   * @param given where regions are; of others it is the middle of their servers
   */
  constructor(targets: readonly Reach[], regions: ReadonlySet<string | null>, given: Readonly<Record<string, Coordinates>>) {
    this.#places = placesOf(targets, regions, given)
    const list = [...regions]
    const apart = targets.filter((target) => list.some((region) => region !== null && this.#isOwn(region, target)))
    const known = new Map<string, Float64Array>()
    const ways = apart.map((target) => {
      const look = () => Float64Array.from(list, (region) => this.#raw(region, target) ?? Number.NaN)
      if (target.rttFor) return look()
      // Servers of one city are as far from everybody.
      const { latitude, longitude } = target.server.coordinates as Coordinates
      const key = `${latitude} ${longitude} ${target.rttMs}`
      const way = known.get(key) ?? look()
      known.set(key, way)
      return way
    })
    let stepMs = finestMs
    let keys = keysOf(ways, stepMs)
    while (stepMs < worstMs && new Set(keys).size > mostWays) {
      stepMs *= 2
      keys = keysOf(ways, stepMs)
    }
    this.stepMs = stepMs
    const numbers = new Map([...new Set(keys)].map((key, number) => [key, number]))
    for (const [index, { server }] of apart.entries()) this.#keys.set(server.id, numbers.get(keys[index] as string) as number)
  }

  /** What tells this server's latency from others', as far as that depends on the user's region; null: it does not. */
  keyOf({ server }: Reach): number | null {
    return this.#keys.get(server.id) ?? null
  }

  /** 0..1, 1 is nearest; null: nothing is known. */
  shareOf(region: string | null, target: Reach): number | null {
    const ms = this.#raw(region, target)
    return ms === null ? null : shareOf(Math.round(ms / this.stepMs) * this.stepMs)
  }

  of(region: string | null, target: Reach): Latency | null {
    const ms = this.#raw(region, target)
    if (ms === null) return null
    if (region === null || !this.#isOwn(region, target)) return { ms, note: `${shown(ms)} ms from the prober (of no region)` }
    const seen = target.rttFor?.get(region)
    if (seen !== undefined) return { ms, note: `${shown(ms)} ms from the vantages of region ${region}` }
    const km = Math.round(ms / roundTripOver(1))
    return { ms, note: `${km} km from region ${region}: about ${Math.round(ms)} ms` }
  }

  /** Whether it is known for this region, and not only for all alike. */
  #isOwn(region: string, { server, rttFor }: Reach): boolean {
    return rttFor?.has(region) === true || (server.coordinates !== null && this.#places.has(region))
  }

  #raw(region: string | null, { server, rttMs, rttFor }: Reach): number | null {
    if (region === null) return rttMs
    const seen = rttFor?.get(region)
    if (seen !== undefined) return seen
    const place = this.#places.get(region)
    return place && server.coordinates ? roundTripOver(distanceKm(place, server.coordinates)) : rttMs
  }
}

const shown = (ms: number): number => Math.round(ms * 10) / 10
const shareOf = (ms: number): number => Math.min(1, Math.max(0, 1 - ms / worstMs))

function keysOf(ways: readonly Float64Array[], stepMs: number): string[] {
  const known = new Map<Float64Array, string>()
  return ways.map((way) => {
    const key = known.get(way) ?? way.map((ms) => Math.min(worstMs, Math.round(ms / stepMs) * stepMs)).join()
    known.set(way, key)
    return key
  })
}

/** Where the regions of the users are. */
function placesOf(
  targets: readonly Reach[],
  regions: ReadonlySet<string | null>,
  given: Readonly<Record<string, Coordinates>>,
): Map<string, Coordinates> {
  const places = new Map<string, Coordinates[]>()
  for (const { server } of targets) {
    if (server.region === null || server.coordinates === null || !regions.has(server.region)) continue
    const some = places.get(server.region)
    if (some) some.push(server.coordinates)
    else places.set(server.region, [server.coordinates])
  }
  const found = new Map<string, Coordinates>()
  for (const region of regions) {
    if (region === null) continue
    const place = Object.hasOwn(given, region) ? given[region] : middleOf(places.get(region) ?? [])
    if (place) found.set(region, place)
  }
  return found
}
