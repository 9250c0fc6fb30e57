import { isTerminal } from '../decide/migration.ts'
import { beingMoved } from '../decide/request.ts'
import type { Connection, Evacuation, EvacuationId, GuardDenial, Incident, Migration, Mode, ServerId } from '../vocabulary.ts'
import { type AdviceInput, emptied, type Moves, relief, whyNoRoom } from './advice.ts'
import { type AdviceReason, isDeclined, type Savings } from './history.ts'

/** Made of advice. */
export type Advised = Evacuation & { readonly reason: AdviceReason }

/** How many they are. */
export const countOf = (moves: Moves): number => moves.reduce((sum, { connections }) => sum + connections.length, 0)

/** Something that matters more is under way: a failure that nobody has acknowledged, or any evacuation. */
export function isBusy(incidents: Iterable<Incident>, evacuations: Iterable<Evacuation>): GuardDenial | null {
  const incident = [...incidents].find(({ acknowledgedAt }) => acknowledgedAt === null)
  const runs = [...evacuations].find(({ endedAt, status }) => endedAt === null && status === 'running')
  if (!incident && !runs) return null
  const what = incident ? `an incident of ${incident.serverName} is open` : `evacuation ${runs?.id} runs`
  return { guard: 'queue', message: `${what}: advice waits`, remedy: 'Wait until that is over, or acknowledge the incident.' }
}

/** What was seen before a scaling says little of what is needed after it. */
export function hasScaled(lastAt: number, afterScalingMs: number, now: number): GuardDenial | null {
  const until = lastAt + afterScalingMs
  if (until <= now) return null
  const message = `the fleet has scaled lately: for ${Math.ceil((until - now) / 60_000)} min yet no server is given back`
  return { guard: 'scaling', message, remedy: 'Wait, or lower advice.afterScalingMs.' }
}

/** The event of a piece of advice. @param evacuationId what was made of it */
export function givenNews(
  reason: AdviceReason,
  { serverId, moves }: { readonly serverId: ServerId; readonly moves: Moves },
  savings: Savings | null,
  mode: Mode,
  evacuationId: EvacuationId | null,
) {
  const connections = countOf(moves)
  const what = savings
    ? `giving back ${serverId} saves ${savings.savingsEurHour.toFixed(4)} EUR/h, ${savings.savingsEurMonth.toFixed(2)} EUR a month`
    : `${serverId} is hotter than it need be`
  const next = { observe: 'nothing is done', suggest: 'it waits for approval', auto: 'it is begun' }[mode]
  const users = `${connections} user${connections === 1 ? '' : 's'} to ${moves.length} other server${moves.length === 1 ? '' : 's'}`
  const message = `${what}: ${connections === 0 ? 'nobody is there' : `${users}; ${next}`}`
  const { savingsEurHour = null, savingsEurMonth = null } = savings ?? {}
  return { reason, serverId, mode, evacuationId, connections, savingsEurHour, savingsEurMonth, message }
}

/** As if it had not been suggested yet: its own server is not closed. */
export function without({ fromServerIds }: Evacuation, { closed, ...input }: AdviceInput): AdviceInput {
  return { ...input, closed: new Set([...(closed ?? [])].filter((id) => !fromServerIds.includes(id))) }
}

/** What an open piece of advice is judged by. */
export interface Present {
  /** Its own migrations. */
  readonly migrations: readonly Migration[]
  readonly input: AdviceInput
  readonly isEnabled: boolean
  /** What would be made of it now. */
  readonly mode: Mode
  /** Whether its server is still there. */
  readonly isListed: boolean
  /** Everybody on it; null: that is not known. */
  readonly connections: readonly Connection[] | null
  /** As in `emptied`. */
  readonly needed: ReadonlySet<string>
}

/** Why a piece of advice must not be acted on any more; null: it holds, as far as is known. */
export function whyOver(evacuation: Advised, present: Present): string | null {
  const { migrations, isEnabled, mode, isListed, connections, needed } = present
  const { reason, status, unplaced } = evacuation
  const [id] = evacuation.fromServerIds as [ServerId]
  const waiting = migrations.filter((one) => one.status === 'suggested')
  if (waiting.length > 0 && !isEnabled) return 'advice is turned off'
  if (waiting.length > 0 && migrations.some((one) => isTerminal(one.status) && isDeclined(one)))
    return 'a person has cancelled a part of it'
  // What could not be finished is not gone on with; who has moved is where he was to be.
  const stuck = unplaced.length - beingMoved(unplaced).length
  if (stuck > 0) return `${stuck} of its users would have no place`
  const arriving = new Map<ServerId, number>()
  for (const one of waiting) arriving.set(one.toServerId, (arriving.get(one.toServerId) ?? 0) + one.connectionCountAtStart)
  const input = without(evacuation, present.input)
  const noRoom = whyNoRoom(input, arriving)
  if (noRoom !== null || status !== 'suggested') return noRoom
  if (mode !== evacuation.mode) return `the policy says ${mode} now`
  if (!isListed) return `${id} is gone from the registry`
  if (!connections) return null
  if (reason === 'rebalancing') return relief(input, id, connections) ? null : `${id} would not be cooler by more than the margin`
  const found = emptied(input, id, connections, needed)
  return typeof found === 'string' ? found : null
}
