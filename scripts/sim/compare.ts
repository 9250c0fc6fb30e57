import type { JournalEntry } from '@pintail/core'
import type { NthOn } from '@pintail/core/testing'
import { type Recorded, type RecordedEvacuation, type RecordedIncident, type RecordedMove, readRecorded } from './recorded.ts'

/** What came out differently. */
export interface Difference {
  readonly what: string
  readonly recorded: string
  readonly replayed: string
}

export interface Comparison {
  readonly differences: readonly Difference[]
  /** Incidents, evacuations and users that were compared. */
  readonly compared: { readonly incidents: number; readonly evacuations: number; readonly users: number }
}

/** Times agree within this, milliseconds, or within a quarter: checks do not come at the same moment in two runs. */
const toleranceMs = 6000
const mostUsers = 20

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
const agree = (a: number, b: number): boolean => Math.abs(a - b) <= Math.max(toleranceMs, 0.25 * Math.max(a, b))
const keyOf = ({ server, nth }: NthOn): string => `${server}${nth === 0 ? '' : ` (number ${nth + 1})`}`
const byPlace = <T extends { readonly place: NthOn }>(items: readonly T[]): Map<string, T> =>
  new Map(items.map((one) => [keyOf(one.place), one]))
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** One run, as far as it can be compared: what is under way when the recording ends is compared at that moment. */
class Run {
  readonly recorded: Recorded
  readonly incidents: ReadonlyMap<string, RecordedIncident>
  readonly evacuations: ReadonlyMap<string, RecordedEvacuation>
  readonly lastAt: number

  constructor(entries: readonly JournalEntry[]) {
    this.recorded = readRecorded(entries)
    this.incidents = byPlace(this.recorded.incidents)
    this.evacuations = byPlace(this.recorded.evacuations)
    this.lastAt = entries.reduce((latest, { at }) => Math.max(latest, at), 0)
  }

  movesOf(evacuation: RecordedEvacuation, forMs: number): RecordedMove[] {
    return this.recorded.moves.filter(
      ({ migration, end, at }) => migration?.evacuation === evacuation && end === 'moved' && at - evacuation.createdAt <= forMs,
    )
  }
}

/** From when on the users of an evacuation were waiting. */
const beganAt = ({ incident, createdAt }: RecordedEvacuation): number => incident?.suspectedAt ?? createdAt

class Comparing {
  readonly differences: Difference[] = []
  readonly #was: Run
  readonly #is: Run
  readonly #names: (user: string) => boolean

  constructor(was: Run, is: Run, names: (user: string) => boolean) {
    this.#was = was
    this.#is = is
    this.#names = names
  }

  #differ(what: string, recorded: string, replayed: string): void {
    if (recorded !== replayed) this.differences.push({ what, recorded, replayed })
  }

  #timed(what: string, recorded: number, replayed: number): void {
    if (!agree(recorded, replayed)) this.differences.push({ what, recorded: seconds(recorded), replayed: seconds(replayed) })
  }

  incidents(): number {
    const places = new Set([...this.#was.incidents.keys(), ...this.#is.incidents.keys()])
    for (const place of places) this.#incident(place, this.#was.incidents.get(place), this.#is.incidents.get(place))
    return places.size
  }

  #incident(place: string, was: RecordedIncident | undefined, is: RecordedIncident | undefined): void {
    const what = `incident on ${place}`
    if (!was || !is) return void this.#differ(what, was ? 'opened' : 'none', is ? 'opened' : 'none')
    this.#timed(`${what}: confirmed after`, was.openedAt - was.suspectedAt, is.openedAt - is.suspectedAt)
    const held = ({ heldBy }: RecordedIncident) => [...heldBy].sort().join(', ') || 'nothing'
    this.#differ(`${what}: held by`, held(was), held(is))
    const forMs = this.#was.lastAt - was.openedAt + toleranceMs
    const ends = (one: RecordedIncident) => (one.endedAt !== null && one.endedAt - one.openedAt <= forMs ? 'ended' : 'open at the end')
    this.#differ(what, ends(was), ends(is))
    if (was.endedAt !== null && is.endedAt !== null && ends(is) === 'ended')
      this.#timed(`${what}: lasted`, was.endedAt - was.suspectedAt, is.endedAt - is.suspectedAt)
  }

  evacuations(): number {
    const places = new Set([...this.#was.evacuations.keys(), ...this.#is.evacuations.keys()])
    for (const place of places) this.#evacuation(place, this.#was.evacuations.get(place), this.#is.evacuations.get(place))
    return places.size
  }

  #evacuation(place: string, was: RecordedEvacuation | undefined, is: RecordedEvacuation | undefined): void {
    const what = `evacuation of ${place}`
    if (!was || !is) {
      const told = (one: RecordedEvacuation | undefined) => (one ? `${one.reason}, ${one.end?.how ?? 'open at the end'}` : 'none')
      return void this.#differ(what, told(was), told(is))
    }
    this.#differ(`${what}: reason`, was.reason, is.reason)
    const forMs = was.end ? Number.POSITIVE_INFINITY : this.#was.lastAt - was.createdAt + toleranceMs
    const ends = ({ end, createdAt }: RecordedEvacuation) => (end && end.at - createdAt <= forMs ? end.how : 'open at the end')
    this.#differ(what, ends(was), ends(is))
    const moved = (run: Run, one: RecordedEvacuation) => `${new Set(run.movesOf(one, forMs).map(({ user }) => user)).size} moved`
    this.#differ(`${what}: users`, moved(this.#was, was), moved(this.#is, is))
    this.#differ(`${what}: reported without a place`, String(was.unplaced.size), String(is.unplaced.size))
    this.#differ(`${what}: migrations that did not complete`, broken(this.#was, was, forMs), broken(this.#is, is, forMs))
    this.#timed(`${what}: decided after`, was.createdAt - beganAt(was), is.createdAt - beganAt(is))
    if (was.end && is.end && was.end.how === is.end.how)
      this.#timed(`${what}: ${was.end.how} after`, was.end.at - beganAt(was), is.end.at - beganAt(is))
    this.#pace(what, was, is, forMs)
  }

  #pace(what: string, was: RecordedEvacuation, is: RecordedEvacuation, forMs: number): void {
    const took = (run: Run, one: RecordedEvacuation) => run.movesOf(one, forMs).map(({ at }) => at - beganAt(one))
    const [then, now] = [took(this.#was, was), took(this.#is, is)]
    if (then.length === 0 || now.length === 0) return
    this.#timed(`${what}: half of its users were moved after`, median(then), median(now))
    this.#timed(`${what}: the last one was moved after`, Math.max(...then), Math.max(...now))
  }

  /** Who was moved off which server; where to is told in one line, because loads are not recorded. */
  users(): number {
    const all = new Set([...this.#was.recorded.moves, ...this.#is.recorded.moves].map(({ user }) => user).filter(this.#names))
    const [was, is] = [this.#ways(this.#was), this.#ways(this.#is)]
    const told: Difference[] = []
    const elsewhere: string[] = []
    for (const way of new Set([...was.keys(), ...is.keys()])) {
      const [then, now] = [was.get(way), is.get(way)]
      if (then && now) {
        if (then.to !== now.to) elsewhere.push(`${then.user} ${then.to} (${now.to})`)
      } else told.push({ what: `user ${way}`, recorded: outcomeOf(then), replayed: outcomeOf(now) })
    }
    this.differences.push(...told.slice(0, mostUsers))
    if (told.length > mostUsers) this.#differ('users', `${told.length - mostUsers} more that differ`, '')
    const some = `${elsewhere.slice(0, 5).join(', ')}${elsewhere.length > 5 ? ' …' : ''}`
    if (elsewhere.length > 0) this.#differ('users who went to another server', some, `${elsewhere.length} of them`)
    return all.size
  }

  /** Each time that somebody was moved off a server, by who and off which and how often before. */
  #ways(run: Run): Map<string, RecordedMove> {
    const ways = new Map<string, RecordedMove>()
    const times = new Map<string, number>()
    for (const [place, evacuation] of run.evacuations) {
      const then = this.#was.evacuations.get(place)
      const forMs = then && !then.end ? this.#was.lastAt - then.createdAt + toleranceMs : Number.POSITIVE_INFINITY
      for (const move of run.movesOf(evacuation, forMs).filter(({ user }) => this.#names(user))) {
        const way = `${move.user} off ${move.from}`
        const nth = times.get(way) ?? 0
        times.set(way, nth + 1)
        ways.set(nth === 0 ? way : `${way} (time ${nth + 1})`, move)
      }
    }
    return ways
  }
}

function outcomeOf(move: RecordedMove | undefined): string {
  return move ? `moved to ${move.to} after ${seconds(move.at - beganAt(evacuationOf(move)))}` : 'not moved'
}

const evacuationOf = ({ migration }: RecordedMove): RecordedEvacuation => migration?.evacuation as RecordedEvacuation

function broken({ recorded }: Run, evacuation: RecordedEvacuation, forMs: number): string {
  const own = recorded.migrations.filter((one) => one.evacuation === evacuation && one.createdAt - evacuation.createdAt <= forMs)
  const counts = ['failed', 'cancelled'].map((status) => `${own.filter((one) => one.status === status).length} ${status}`)
  return counts.join(', ')
}

/**
 * Compares two journals of what should have been the same night: incidents, evacuations and users by their place and their
 * reference, because ids are drawn anew in each run.
 * @param names whether this user has the name that the recording gives him
 */
export function compareRuns(
  recorded: readonly JournalEntry[],
  replayed: readonly JournalEntry[],
  names: (user: string) => boolean,
): Comparison {
  const comparing = new Comparing(new Run(recorded), new Run(replayed), names)
  const compared = { incidents: comparing.incidents(), evacuations: comparing.evacuations(), users: comparing.users() }
  return { differences: comparing.differences, compared }
}
