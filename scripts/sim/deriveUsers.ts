import type { JournalEntry, PintailEvent, Policy } from '@pintail/core'
import type { Script, SimUser } from '@pintail/core/testing'
import type { Recorded, RecordedEvacuation, RecordedMove } from './recorded.ts'

type Timed = Script['acts'][number]

export interface DerivedUsers {
  readonly users: readonly SimUser[]
  /** Who came, and whom the host moved. */
  readonly acts: readonly Timed[]
  readonly failures: Script['failures']
  /** Users that are counted in the journal and named nowhere. */
  readonly unnamed: number
  /** Those of them who stand for the unnamed part of what a person has asked for, by evacuation. */
  readonly requested: ReadonlyMap<string, readonly string[]>
  /** Users that the journal shows on a server on which no move has brought them. */
  readonly movedByHost: number
  /** How many users fitted on a server at least, by server. */
  readonly room: ReadonlyMap<string, number>
}

/** So begin the names of those who are counted and not named. */
export const unnamedUser = 'unnamed-'
/** Before the plan in which he is first seen, milliseconds. */
const beforeMs = 1000

interface Seen {
  readonly from: string
  /** When the migration or the decision was made in which he is first named. */
  readonly at: number
}

/** Where users were, by the moves that are recorded, in the order of the journal. */
class Homes {
  readonly first = new Map<string, Seen>()
  readonly acts: Timed[] = []
  readonly #home = new Map<string, string>()
  movedByHost = 0

  /** He is named as being there. */
  see(user: string, server: string, at: number): void {
    if (server === '') return
    const home = this.#home.get(user)
    if (home === undefined) this.first.set(user, { from: server, at })
    else if (home !== server) {
      const earliest = this.first.get(user)?.at ?? at
      this.acts.push({ at: Math.max(earliest, at - beforeMs), do: 'user.is_moved_by_the_host', user, to: server })
      this.movedByHost++
    }
    this.#home.set(user, server)
  }

  settle({ user, from, to, end, isRolledBack }: RecordedMove): void {
    if (end === 'moved') this.#home.set(user, to)
    if (end === 'undone' && isRolledBack) this.#home.set(user, from)
  }
}

/** Everybody on the server was planned for: that counts them. */
function countsAll({ from, incident, reason, isHomeward }: RecordedEvacuation): boolean {
  return from.length === 1 && !isHomeward && (incident !== null || reason === 'maintenance')
}

function arrivals(moves: readonly RecordedMove[], server: string, before: number): number {
  let sum = 0
  for (const { from, to, end, at } of moves) {
    if (end !== 'moved' || at >= before) continue
    if (to === server) sum++
    if (from === server) sum--
  }
  return sum
}

/**
 * Who was where when the recording began: who is named, and on the servers whose users were counted as many more as that.
 * Whoever is named beyond that count has come later.
 */
export function deriveUsers(entries: Iterable<JournalEntry>, recorded: Recorded, { migration, placement }: Policy): DerivedUsers {
  const { moveTries } = migration
  const { fillLimit } = placement
  const evacuations = new Map(recorded.evacuations.map((one) => [one.id, one]))
  const homes = new Homes()
  const byKey = [...recorded.moves].sort((a, b) => (a.startedAt ?? a.at) - (b.startedAt ?? b.at))
  const named = byKey.map((move) => ({
    at: move.startedAt ?? move.at,
    do: () => homes.see(move.user, move.from, move.migration?.createdAt ?? move.at),
  }))
  const settled = recorded.moves.map((move) => ({ at: move.at, do: () => homes.settle(move) }))
  const left = [...entries].flatMap((entry) => {
    const { type, at, data } = entry as PintailEvent
    if (type !== 'connection.unplaced' || (evacuations.get(data.evacuationId ?? '')?.from.length ?? 1) > 1) return []
    return [{ at, do: () => homes.see(data.connectionId, data.serverId, at) }]
  })
  for (const one of [...left, ...named, ...settled].sort((a, b) => a.at - b.at)) one.do()

  const ways = waysOf(byKey)
  const users: SimUser[] = []
  const acts: Timed[] = []
  const unnamed: string[] = []
  const requested = new Map<string, readonly string[]>()
  const servers = new Set([...[...homes.first.values()].map(({ from }) => from), ...recorded.evacuations.flatMap(({ from }) => from)])
  for (const server of servers) {
    const counted = recorded.evacuations.find((evacuation) => evacuation.from[0] === server && countsAll(evacuation))
    const here = [...homes.first].filter(([, seen]) => seen.from === server).sort(([, a], [, b]) => a.at - b.at)
    const atFirst = counted ? counted.connections - arrivals(recorded.moves, server, counted.createdAt) : here.length
    for (const [index, [user, seen]] of here.entries()) {
      const known = { server, mobility: mobilityOf(user, recorded), prefers: ways.get(user) ?? [] }
      if (index < atFirst || (counted && seen.at <= counted.createdAt)) users.push({ id: user, region: null, ...known })
      else acts.push({ at: seen.at - beforeMs, do: 'user.is_added', user, ...known })
    }
    const missing = ({ connections, users: those }: RecordedEvacuation) => Math.max(0, connections - those.size)
    const requests = recorded.evacuations.filter((one) => one.from[0] === server && !countsAll(one) && missing(one) > 0)
    const many = Math.max(atFirst - here.length, ...requests.map(missing), 0)
    const names = Array.from({ length: many }, (_, index) => `${unnamedUser}${server}-${index + 1}`)
    for (const id of names) users.push({ id, server, mobility: 'free', region: null })
    for (const one of requests) requested.set(one.id, names.slice(0, missing(one)))
    unnamed.push(...names)
  }
  // Whoever comes, comes before anything else is done with him.
  acts.push(...homes.acts)
  const { movedByHost } = homes
  const failures = failuresOf(recorded, moveTries)
  return { users, acts, requested, movedByHost, failures, unnamed: unnamed.length, room: roomOf(users, recorded.moves, fillLimit) }
}

/** Pinned is who was left for that; if only where there was time for it, he may have been movable in a failure. */
function mobilityOf(user: string, { evacuations }: Recorded): SimUser['mobility'] {
  const left = evacuations.filter(({ unplaced }) => unplaced.get(user) === 'pinned')
  if (left.length === 0) return 'free'
  return left.some(({ incident }) => incident !== null) ? 'pinned' : 'failure-only'
}

/** Where each user was to go, one after the other. */
function waysOf(moves: readonly RecordedMove[]): Map<string, string[]> {
  const ways = new Map<string, string[]>()
  for (const { user, to, end } of moves) {
    if (end !== 'moved' && end !== 'failed') continue
    const way = ways.get(user) ?? []
    ways.set(user, way)
    if (way.at(-1) !== to) way.push(to)
  }
  return ways
}

function failuresOf({ moves }: Recorded, moveTries: number): Script['failures'] {
  const failures = new Map<string, Script['failures'][number]>()
  const arrived = new Set(moves.flatMap(({ user, to, end }) => (end === 'moved' ? `${user} ${to}` : [])))
  for (const { user, to, end, isPermanent, isRolledBack } of moves) {
    if (end !== 'failed') continue
    const how = isPermanent ? 'rejected' : isRolledBack ? 'unclear' : 'unavailable'
    const known = failures.get(`${user} ${to}`)
    // A call that is refused for good is not repeated.
    const calls = (known?.calls ?? 0) + (isPermanent ? 1 : moveTries)
    failures.set(`${user} ${to}`, { user, to, calls, how: known?.how ?? how, isGivenUp: !arrived.has(`${user} ${to}`) })
  }
  return [...failures.values()]
}

/** As many as it is known to have carried; who came when there was time left the rest of the fill limit free. */
function roomOf(users: readonly SimUser[], moves: readonly RecordedMove[], fillLimit: number): Map<string, number> {
  const now = new Map<string, number>()
  for (const { server } of users) now.set(server, (now.get(server) ?? 0) + 1)
  const room = new Map(now)
  for (const { from, to, migration } of moves.filter(({ end }) => end === 'moved').sort((a, b) => a.at - b.at)) {
    const load = (now.get(to) ?? 0) + 1
    now.set(to, load)
    now.set(from, (now.get(from) ?? 0) - 1)
    const needed = migration?.evacuation?.incident ? load : Math.ceil(load / fillLimit)
    room.set(to, Math.max(room.get(to) ?? 0, needed))
  }
  return room
}
