import type { JournalEntry, PintailEvent, PolicyInput, ServerInput } from '@pintail/core'
import type { History, Script, Setup, SimUser } from '@pintail/core/testing'
import { derivePolicy, leading, resolved } from './derivePolicy.ts'
import { type DerivedServers, deriveServers } from './deriveServers.ts'
import { type DerivedUsers, deriveUsers, unnamedUser } from './deriveUsers.ts'
import { deriveWords } from './deriveWords.ts'
import { type Recorded, readRecorded } from './recorded.ts'

export interface DeriveOptions {
  /** The policy that was in force; null: what the journal shows of it, and the defaults. */
  readonly policy?: PolicyInput | null
  /**
   * Rows of the registry when the recording began, by id: above all `capacity`, and `load`, which is filled with users
   * without a name. Null: as few limits as the journal allows.
   */
  readonly servers?: readonly ServerInput[] | null
}

export interface Derived {
  readonly history: History
  /** The time that is 0 in the script, milliseconds since 1970. */
  readonly startedAt: number
  /** What the journal does not hold, and what stands in for it. */
  readonly assumptions: readonly string[]
}

/** For an engine that was running before the journal begins: so long before it the script's engine starts, milliseconds. */
const warmUpMs = 60_000
/** The script goes on for so long after the last entry, so that what was about to happen happens, milliseconds. */
const afterMs = 30_000

const list = (items: readonly string[], most = 8): string =>
  items.length > most ? `${items.slice(0, most).join(', ')} and ${items.length - most} more` : items.join(', ')
const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? '' : 's'}`
const median = (values: readonly number[]): number | null => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? null

/** A history for the simulator in which happens what a journal has recorded. Everything that is made up is an assumption. */
export function deriveHistory(entries: readonly JournalEntry[], { policy = null, servers: rows = null }: DeriveOptions = {}): Derived {
  const assumptions: string[] = []
  const recorded = readRecorded(entries)
  const first = entries[0] as JournalEntry
  const isWhole = first.seq === 1 && first.type === 'leader.acquired'
  if (!isWhole) assumptions.push(`the journal begins with entry ${first.seq}: cordons, pauses, incidents and users of before are not known`)
  const startedAt = isWhole ? first.at : first.at - warmUpMs
  const given = leading(policy ?? derivePolicy(entries, recorded, assumptions))
  const known = resolved(given)
  const { detect, registryRefreshMs } = known
  const servers = deriveServers(entries, { ...detect, registryRefreshMs })
  const users = deriveUsers(entries, recorded, known)
  const acts = [...servers.acts, ...users.acts, ...deriveWords(entries, recorded, users.requested), ...restarts(entries)]
  const row = rowsOf(servers, users, rows, recorded, assumptions)
  for (const { id, at } of servers.later) acts.push({ at, do: 'server.is_added', row: row(id) })
  const lastAt = entries.reduce((latest, { at }) => Math.max(latest, at), first.at)
  tell(entries, servers, users, recorded, assumptions)
  const setup: Setup = {
    seed: 1,
    servers: servers.first.map(row),
    users: [...users.users, ...background(users, rows)],
    policy: given,
    ...surroundings(entries, recorded, given.migration?.concurrency !== undefined, assumptions),
    guards: false,
    engines: 1,
    rudeListeners: false,
    troubleMs: 0,
    calmMs: 0,
  }
  const script: Script = {
    acts: acts.map((act) => relative(act, startedAt)).sort((a, b) => a.at - b.at),
    failures: users.failures,
    endsMs: Math.round(lastAt - startedAt) + afterMs,
  }
  return { history: { setup, steps: [], script }, startedAt, assumptions }
}

/** In the time of the script, which begins with 0. */
function relative(act: Script['acts'][number], startedAt: number): Script['acts'][number] {
  const at = Math.max(0, Math.round(act.at - startedAt))
  return act.do === 'operator.schedules' ? { ...act, at, startsAt: Math.round(act.startsAt - startedAt) } : { ...act, at }
}

/** Each new leader after the first one stands for an engine that has died right after its last entry. */
function restarts(entries: readonly JournalEntry[]): Script['acts'] {
  let token: unknown = null
  return entries.flatMap((entry, index) => {
    const { type, at, data } = entry as PintailEvent
    if (type !== 'leader.acquired' || data.token === token) return []
    token = data.token
    const before = entries[index - 1]
    if (!before) return []
    return [{ at: before.at + 1, do: 'engine.is_killed' as const, startsAfterMs: Math.max(1, Math.round(at - before.at) - 10) }]
  })
}

// ---------------------------------------------------------------------------------------------- servers, panel, registry

function rowsOf(
  { first, later }: DerivedServers,
  { users, room }: DerivedUsers,
  rows: DeriveOptions['servers'],
  { evacuations }: Recorded,
  assumptions: string[],
): (id: string) => Setup['servers'][number] {
  const ids = [...new Set([...first, ...later.map(({ id }) => id)])]
  const given = new Map((rows ?? []).map((row) => [String(row.id), row]))
  const isFull = evacuations.some(({ unplaced }) => [...unplaced.values()].includes('no_capacity'))
  const roomy = Math.max(10, 2 * users.length)
  const guessed = ids.filter((id) => (given.get(id)?.capacity ?? null) === null)
  if (guessed.length > 0)
    assumptions.push(
      `capacity of ${list(guessed)}: not in the journal. ${
        isFull ? 'Somebody found no room, so each holds as many as it is known to have carried' : `Nobody found them full: ${roomy} each`
      }. --servers FILE gives the real ones`,
    )
  const hosts = new Map(ids.map((id, index) => [id, `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`]))
  return (id) => {
    const { load: _, ...row } = given.get(id) ?? { id, host: '' }
    return {
      ...row,
      id,
      host: hosts.get(id) ?? '10.255.0.1',
      status: 'online',
      capacity: row.capacity ?? (isFull ? (room.get(id) ?? 0) : roomy),
    }
  }
}

/** Users of whom only the load of their server tells. */
function background({ users }: DerivedUsers, rows: DeriveOptions['servers']): SimUser[] {
  return (rows ?? []).flatMap(({ id, load }) => {
    const server = String(id)
    const more = Math.max(0, (load ?? 0) - users.filter((user) => user.server === server).length)
    return Array.from({ length: more }, (_, index) => ({
      id: `${unnamedUser}${server}-load-${index + 1}`,
      server,
      mobility: 'free' as const,
      region: null,
    }))
  })
}

function surroundings(
  entries: readonly JournalEntry[],
  { moves, evacuations }: Recorded,
  isPaced: boolean,
  assumptions: string[],
): Pick<Setup, 'panel' | 'registry' | 'notifier'> {
  const types = new Set(entries.map(({ type }) => type))
  const took = median(moves.flatMap(({ startedAt, at, end }) => (startedAt !== null && end === 'moved' ? at - startedAt : [])))
  // Where moves wait for each other, each waits about as long as it takes.
  const latencyMs = Math.min(10_000, Math.max(10, Math.round((isPaced ? 1 : 2) * (took ?? 50))))
  const acted = evacuations.some(({ incident, status }) => incident !== null && status === 'running')
  const setsStatus = types.has('server.status_set') || !acted
  assumptions.push(
    `panel: not in the journal. It has all optional methods, does not fence, and answers within ${latencyMs} ms${took === null ? '' : ' (by the median of what was recorded)'}; the registry tells its load and ${setsStatus ? 'takes' : 'takes no'} status`,
  )
  return {
    panel: { latencyMs, fencing: 'none', confirmation: 'applied', has: ['prepare', 'complete', 'locate', 'verify', 'rollback'] },
    registry: { tellsLoad: true, setsStatus, mixesIds: false },
    notifier: types.has('connection.undelivered'),
  }
}

// --------------------------------------------------------------------------------------------------------- what is told

function tell(
  entries: readonly JournalEntry[],
  servers: DerivedServers,
  users: DerivedUsers,
  recorded: Recorded,
  assumptions: string[],
): void {
  const { outages, lossy, slow, untested } = servers
  if (outages > 0)
    assumptions.push(
      `outages: ${count(outages, 'server outage')} by the verdicts (${lossy} by packet loss, ${slow} by slowness); whether a server was dead or only out of the prober's reach is not in the journal: it was dead, from half a check before the first one that failed`,
    )
  if (untested > 0) assumptions.push(`probing: ${count(untested, 'verdict')} became unknown; why the prober could not test is not replayed`)
  assumptions.push(
    `users: ${users.users.length}, by the references in the journal; of them ${users.unnamed} are counted and named nowhere, and get a name. Users of servers that nobody left are there as far as --servers FILE names a load; regions, needs and tiers are not in the journal: none`,
  )
  if (users.users.some(({ prefers = [] }) => prefers.length > 0))
    assumptions.push(
      'targets: they are chosen by loads, which are not in the journal. So each user prefers the servers to which he was moved, and that preference weighs 100: the replay says nothing of the ranking',
    )
  if (users.movedByHost > 0)
    assumptions.push(
      `users: ${count(users.movedByHost, 'time')} somebody is seen where no move has brought him: the host moved him, right before`,
    )
  if (users.failures.length > 0)
    assumptions.push(`moves: ${count(users.failures.length, 'pair')} of user and target whose first calls fail, as often as it is recorded`)
  const prepared = entries.filter((entry) => {
    const { type, data } = entry as PintailEvent
    return type === 'migration.status_changed' && data.oldStatus === 'preparing' && data.newStatus === 'scheduled'
  })
  if (prepared.length > 0)
    assumptions.push(`preparation: ${prepared.length} times a target was not ready; why is not in the journal, and it is not replayed`)
  const hosts = new Set(entries.flatMap((entry) => hostGuards(entry as PintailEvent)))
  if (hosts.size > 0) assumptions.push(`guards of the host: ${list([...hosts])}; what they said and for how long is not replayed`)
  const changes = entries.filter(({ type }) => type === 'policy.changed').length
  if (changes > 0)
    assumptions.push(`policy: it was changed ${count(changes, 'time')}; the journal does not hold how, so that no change is replayed`)
  const leaders = restarts(entries).length
  if (leaders > 0)
    assumptions.push(
      `engines: ${count(leaders, 'change')} of leader; each time the former one is killed right after its last entry, and its lease has run out when the next one comes`,
    )
  const words = recorded.evacuations.filter(({ incident, isHomeward }) => incident === null && !isHomeward).length
  if (words > 0) assumptions.push(`requests: ${words}; whether a target was named is not in the journal: the plan chooses`)
}

function hostGuards({ type, data }: PintailEvent): string[] {
  const denials = type === 'incident.held' ? data.guards : type === 'guard.denied' ? [data] : []
  return denials.flatMap(({ guard, values }) => (guard === 'host' ? [String(values?.name ?? 'unnamed')] : []))
}
