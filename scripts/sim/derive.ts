import type { JournalEntry, Mode, PintailEvent, PolicyInput, ServerInput } from '@pintail/core'
import type { History, Script, Setup } from '@pintail/core/testing'
import { type DerivedServers, deriveServers } from './deriveServers.ts'
import { type DerivedUsers, deriveUsers } from './deriveUsers.ts'
import { deriveWords } from './deriveWords.ts'
import { type Recorded, type RecordedEvacuation, type RecordedMove, readRecorded } from './recorded.ts'

export interface DeriveOptions {
  /** The policy that was in force; null: what the journal shows of it, and the defaults. */
  readonly policy?: PolicyInput | null
  /** Rows of the registry, by id: capacities above all; null: as few limits as the journal allows. */
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
const defaults = {
  checkIntervalMs: 5000,
  recoveryThreshold: 2,
  registryRefreshMs: 15_000,
  moveTries: 3,
  confirmMs: 7000,
  cooldownMs: 1_800_000,
}

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
  const pace = {
    checkIntervalMs: given.detect?.checkIntervalMs ?? defaults.checkIntervalMs,
    recoveryThreshold: given.detect?.recoveryThreshold ?? defaults.recoveryThreshold,
    registryRefreshMs: given.registryRefreshMs ?? defaults.registryRefreshMs,
  }
  const servers = deriveServers(entries, pace)
  const users = deriveUsers(entries, recorded, given.migration?.moveTries ?? defaults.moveTries)
  const acts = [...servers.acts, ...users.acts, ...deriveWords(entries, recorded, users.requested), ...restarts(entries)]
  const row = rowsOf(servers, users, rows, recorded, assumptions)
  for (const { id, at } of servers.later) acts.push({ at, do: 'server.is_added', row: row(id) })
  const lastAt = entries.reduce((latest, { at }) => Math.max(latest, at), first.at)
  tell(entries, servers, users, recorded, assumptions)
  const setup: Setup = {
    seed: 1,
    servers: servers.first.map(row),
    users: users.users,
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

/** Loads are not recorded, so that the engine cannot choose targets as it did: it is led there by what users prefer. */
function leading(policy: PolicyInput): PolicyInput {
  return { ...policy, placement: { ...policy.placement, weights: { ...policy.placement?.weights, preference: 100 } } }
}

// ------------------------------------------------------------------------------------------------------------- policy

/** What the journal shows of the policy: modes, how long a failure takes to be confirmed, whether and when users go home. */
function derivePolicy(entries: readonly JournalEntry[], recorded: Recorded, assumptions: string[]): PolicyInput {
  const modes: Record<string, Mode> = {}
  for (const entry of entries) {
    const { type, data } = entry as PintailEvent
    if (type === 'decision.made') modes[data.reason] ??= data.mode
  }
  const mode: PolicyInput['mode'] = { default: 'auto', ...modes }
  const detect = deriveDetection(recorded)
  const failback = deriveFailback(entries, recorded)
  const pace = derivePace(recorded)
  assumptions.push(
    `policy: the journal does not hold it. Modes as decided (${list(Object.entries(modes).map(([reason, word]) => `${reason} ${word}`)) || 'none: auto'}), ` +
      `${detect.why}, ${pace.why}, failback ${failback.strategy}; all else are defaults. --policy FILE gives the real one`,
  )
  return { mode, detect: detect.detect, migration: pace.migration, failback }
}

/** How many moves were open at once, where more were waiting, and whether a server was asked for again soon. */
function derivePace({ evacuations, moves }: Recorded): { readonly migration: NonNullable<PolicyInput['migration']>; readonly why: string } {
  const most = mostOpen(moves)
  const largest = Math.max(0, ...evacuations.map(({ end, connections }) => end?.moved ?? connections))
  // As many intents are kept ahead as there are calls under way.
  const limit = largest > most && most > 0 ? { concurrency: Math.max(1, Math.ceil(most / 2)) } : {}
  const optional = evacuations.filter(({ incident, reason, isHomeward }) => !incident && !isHomeward && reason !== 'manual')
  const isSoon = ({ from, createdAt }: RecordedEvacuation) =>
    moves.some(
      (move) => move.end === 'moved' && from.includes(move.from) && move.at < createdAt && move.at > createdAt - defaults.cooldownMs,
    )
  const cooldown = optional.some(isSoon) ? { cooldownMs: 0 } : {}
  const why = [
    ...('concurrency' in limit ? [`${limit.concurrency} moves at once, because never more than ${most} were open`] : ['default pace']),
    ...('cooldownMs' in cooldown ? ['no cooldown, because a server was asked for again soon'] : []),
  ]
  return { migration: { ...limit, ...cooldown }, why: why.join(', ') }
}

function mostOpen(moves: readonly RecordedMove[]): number {
  const changes = moves.flatMap(({ startedAt, at, end }) =>
    startedAt === null || end === null
      ? []
      : [
          { at: startedAt, by: 1 },
          { at, by: -1 },
        ],
  )
  let [open, most] = [0, 0]
  for (const { by } of changes.sort((a, b) => a.at - b.at || a.by - b.by)) {
    open += by
    most = Math.max(most, open)
  }
  return most
}

function deriveDetection({ incidents }: Recorded): { readonly detect: NonNullable<PolicyInput['detect']>; readonly why: string } {
  const took = incidents.map(({ suspectedAt, openedAt }) => openedAt - suspectedAt).filter((ms) => ms > 0)
  const least = took.length > 0 ? Math.round(Math.min(...took)) : null
  if (least === null || Math.abs(least - defaults.confirmMs) <= 3000) return { detect: {}, why: 'default detection' }
  if (least <= 60_000)
    return { detect: { confirm: { durationMs: least } }, why: `a failure is confirmed after ${least / 1000} s, as fastest recorded` }
  const checkIntervalMs = Math.round(least / 2)
  return {
    detect: { confirm: null, checkIntervalMs },
    why: `no fast confirmation and a check every ${checkIntervalMs / 1000} s, as the fastest recorded failure has it`,
  }
}

function deriveFailback(entries: readonly JournalEntry[], { incidents, evacuations }: Recorded): NonNullable<PolicyInput['failback']> {
  const batches = entries.flatMap((entry) => {
    const { type, at, data } = entry as PintailEvent
    return type === 'failback.changed' ? [{ at, ...data }] : []
  })
  const [begun] = batches
  if (!begun) return { strategy: 'never' }
  const going = batches.filter(({ connections }) => connections > 0)
  const recovery = incidents.find(({ id }) => id === begun.incidentId)?.endedAt
  const stableMs = recovery && going[0] ? { stableMs: Math.max(0, Math.round(going[0].at - recovery) - 1000) } : {}
  const own = going.filter(({ incidentId }) => incidentId === going[0]?.incidentId)
  if (own.length < 2) return { strategy: 'immediate', ...stableMs }
  const [one, two] = own as [(typeof own)[0], (typeof own)[0]]
  const away = evacuations.find(({ incident }) => incident?.id === one.incidentId)?.end?.moved ?? 0
  const ended = evacuations.find(({ id }) => id === one.evacuationId)?.end?.at ?? one.at
  const batchPercent = away > 0 ? Math.min(100, Math.max(1, Math.floor((100 * one.connections) / away))) : 10
  return { strategy: 'gradual', ...stableMs, batchPercent, batchIntervalMs: Math.max(0, Math.round(two.at - ended) - 1000) }
}

// ---------------------------------------------------------------------------------------------- servers, panel, registry

function rowsOf(
  { first, later }: DerivedServers,
  { users, peaks }: DerivedUsers,
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
      capacity: row.capacity ?? (isFull ? (peaks.get(id) ?? 0) : roomy),
    }
  }
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
    `users: ${users.users.length}, by the references in the journal; of them ${users.unnamed} are counted and named nowhere, and get a name. Users of servers that nobody left, regions, needs and tiers are not in the journal: none`,
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
