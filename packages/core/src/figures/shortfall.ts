import type { Cohort } from '../assign/cohorts.ts'
import type { Needs, ServerId, Shortfall } from '../vocabulary.ts'

/** Users of a cohort who found no room. */
export interface Stranded {
  readonly cohort: Cohort
  readonly count: number
}

/**
 * Which room is missing. Placement has found the most that can be placed, and each user takes one place: so there can be no
 * fewer places than users without one, and a place for each on a server that he may go to is enough.
 */
export function shortfallsOf(stranded: readonly Stranded[], only: ServerId | null, hardLimit: number | null): Shortfall[] {
  const found = new Map<string, { places: number; needs: Needs; notOn: ServerId[] }>()
  for (const { cohort, count } of stranded) {
    const { needs } = cohort.sample
    // Who is allowed nowhere is helped by no server.
    if (needs.countries?.length === 0 || needs.regions?.length === 0) continue
    const notOn = [...cohort.refusedBy].sort()
    const lists = [needs.protocols, needs.features, needs.countries, needs.regions].map((list) => list && [...new Set(list)].sort())
    const key = JSON.stringify([lists, notOn])
    const known = found.get(key)
    if (known) known.places += count
    else found.set(key, { places: count, needs, notOn })
  }
  return [...found.values()]
    .sort((a, b) => b.places - a.places)
    .map(({ places, needs, notOn }) => ({ places, needs, notOn, onlyOn: only, message: inWords(places, needs, notOn, only, hardLimit) }))
}

function inWords(places: number, needs: Needs, notOn: readonly ServerId[], only: ServerId | null, hardLimit: number | null): string {
  const { protocols = [], features = [], countries, regions } = needs
  const and = (words: readonly string[]): string => [...new Set(words)].join(' and ')
  const or = (noun: string, words: readonly string[]): string => `in ${noun} ${words.join(' or ')}`
  const where = [regions && or('region', regions), countries && or('country', countries)].filter((text) => text !== undefined).join(', ')
  const offers = [protocols.length > 0 && `speaks ${and(protocols)}`, features.length > 0 && `has ${and(features)}`].filter(
    (text) => text !== false,
  )
  const server = only === null ? ['any server', where, offers.length > 0 && `that ${offers.join(' and ')}`].filter(Boolean).join(' ') : only
  const other = notOn.length > 0 ? `, other than ${notOn.join(', ')}` : ''
  const within = hardLimit === null ? '' : ` (within ${Math.round(hardLimit * 100)} % of its capacity)`
  return `${places} more place${places === 1 ? '' : 's'} on ${server}${other}${within}`
}
