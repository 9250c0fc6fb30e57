import type { Json } from '@pintail/core'
import type { Listed } from './handler.ts'
import { type Command, comparePairs, type Pair, type SyncEntry } from './messages.ts'

// Pure: no clock, no randomness, no book. What is known and what time it is are arguments.

/** What a worker remembers of one connection on one server. */
export interface Known extends Pair {
  /** What was done at this pair; null: begun, and not known to have ended. */
  readonly done: 'granted' | 'revoked' | null
  /** The grant had an answer that the book does not keep: whoever asks for it again gets it by granting again. */
  readonly hasAnswer: boolean
  /** Milliseconds since 1970 by the worker's clock: when it was recorded. */
  readonly at: number
}

/** What a worker remembers of one server. */
export interface ServerMark {
  /** The highest fencing token seen. */
  readonly token: number
  /** When the broker stored the first message with this token, by the broker's clock; null: not known. */
  readonly since: number | null
  /** The mark of the newest sync that was applied. */
  readonly sync: Pair | null
}

/** What is known about the time of a message. */
export interface When {
  /** By the worker's clock. */
  readonly now: number
  /** By the broker's clock; null: not known. */
  readonly storedAt: number | null
  /** How long ago the broker stored it: measured on the broker's clock until it arrived, on the worker's since. Null: not known. */
  readonly ageMs: number | null
}

export type Refusal = 'STALE' | 'FENCED' | 'EXPIRED'
export type Admission = 'apply' | 'noop' | { readonly rejected: Refusal; readonly why: string }

/**
 * Whether a command may have its effect. A late grant cannot undo a revoke: what is older than the newest pair seen for the
 * connection is `STALE`. A leader who has been replaced is `FENCED`, but not what the broker had from him before his successor
 * first spoke. An equal pair is a `noop` if it is known to have been done, and is done again if not.
 */
export function admit(command: Command, known: Known | null, server: ServerMark | null, when: When, skewMs: number): Admission {
  if (server && command.token < server.token && !wasBefore(server, when))
    return { rejected: 'FENCED', why: `token ${command.token} has been replaced by ${server.token}` }
  const order = known ? comparePairs(command, known) : 1
  if (known && order < 0)
    return { rejected: 'STALE', why: `${text(command)} is older than ${text(known)}, which this worker has seen for the connection` }
  if (known && order === 0 && command.type !== 'access.check') {
    const wanted = command.type === 'access.grant' ? 'granted' : 'revoked'
    if (known.done === wanted) return 'noop'
    if (known.done !== null) return { rejected: 'STALE', why: `at ${text(known)} the connection was ${known.done}` }
  }
  return isExpired(command, when, skewMs) ? { rejected: 'EXPIRED', why: `its deadline ${command.deadline} has passed` } : 'apply'
}

/** Whether a sync may be applied. Equal is applied again: reality may have changed since. */
export function admitSync(command: Command, server: ServerMark | null, when: When, skewMs: number): Admission {
  if (server && command.token < server.token && !wasBefore(server, when))
    return { rejected: 'FENCED', why: `token ${command.token} has been replaced by ${server.token}` }
  if (server?.sync && comparePairs(command, server.sync) < 0)
    return { rejected: 'STALE', why: `a sync with the mark ${text(server.sync)} has been applied` }
  return isExpired(command, when, skewMs) ? { rejected: 'EXPIRED', why: `its deadline ${command.deadline} has passed` } : 'apply'
}

/**
 * The time allowed is the sender's own difference, the time passed is the broker's and the worker's own: no clock is compared
 * with another. Only who published long after he had issued it is seen by a comparison of foreign clocks, so by more than `skewMs`.
 */
export function isExpired(command: Pick<Command, 'issuedAt' | 'deadline'>, when: When, skewMs: number): boolean {
  if (command.deadline === null) return false
  const [issuedAt, deadline] = [Date.parse(command.issuedAt), Date.parse(command.deadline)]
  if (when.ageMs !== null && when.ageMs > deadline - issuedAt) return true
  const now = when.storedAt !== null && when.ageMs !== null ? when.storedAt + when.ageMs : when.now
  return now > deadline + skewMs
}

/** The deadline on the worker's own clock. */
export function deadlineOf(command: Pick<Command, 'issuedAt' | 'deadline'>, when: When): number | null {
  if (command.deadline === null) return null
  const deadline = Date.parse(command.deadline)
  return when.ageMs === null ? deadline : when.now - when.ageMs + (deadline - Date.parse(command.issuedAt))
}

// --------------------------------------------------------------------------------------------------------------- syncs

export interface SyncWorld {
  readonly desired: readonly SyncEntry[]
  readonly leave: ReadonlySet<string>
  /** What the list knows up to: the pair of the command. */
  readonly mark: Pair
  readonly known: ReadonlyMap<string, Known>
  /** What is really there; null: the handler cannot tell, and the book has to be believed. */
  readonly listed: readonly Listed[] | null
}

export interface SyncPlan {
  /** Who is missing, or differs. */
  readonly grant: readonly SyncEntry[]
  /** Who is there as he should be. */
  readonly keep: readonly SyncEntry[]
  /** Who does not belong here. */
  readonly revoke: readonly string[]
  /** Right as they are, and the book has yet to learn it. */
  readonly learn: readonly { readonly connectionId: string; readonly pair: Pair; readonly done: 'granted' | 'revoked' }[]
  readonly figures: SyncFigures
}

export interface SyncFigures {
  /** Wanted and not there. */
  readonly missing: number
  /** There, and not as wanted. */
  readonly changed: number
  /** There, and not wanted. */
  readonly extra: number
  /** As they should be. */
  readonly same: number
  /** Left as they are, because a call is under way. */
  readonly left: number
  /** Left as they are, because the worker has seen something newer than the list. */
  readonly newer: number
  /** Somebody's whom the handler did not make: left. */
  readonly foreign: number
}

/** What has to be done so that the server is as the list says, without touching what is newer than the list. */
export function syncPlan({ desired, leave, mark, known, listed }: SyncWorld): SyncPlan {
  const present = listed && presentOf(listed)
  const wanted = newestOf(desired)
  const grant: SyncEntry[] = []
  const keep: SyncEntry[] = []
  const revoke: string[] = []
  const learn: SyncPlan['learn'][number][] = []
  const figures = { missing: 0, changed: 0, extra: 0, same: 0, left: 0, newer: 0, foreign: present?.foreign ?? 0 }

  for (const entry of wanted.values()) {
    const { connectionId } = entry
    const mine = known.get(connectionId) ?? null
    const state = stateOf(entry, mine, present?.byId.get(connectionId) ?? null, present !== null)
    if (leave.has(connectionId)) figures.left += 1
    else if (mine && comparePairs(mine, mark) > 0 && comparePairs(mine, entry) > 0) figures.newer += 1
    else if (state === 'same') {
      figures.same += 1
      keep.push(entry)
      if (mine?.done !== 'granted' || comparePairs(mine, entry) < 0) learn.push({ connectionId, pair: newer(mine, entry), done: 'granted' })
    } else {
      figures[state] += 1
      grant.push({ ...entry, ...newer(mine, entry) })
    }
  }
  for (const connectionId of new Set([...known.keys(), ...(present?.byId.keys() ?? [])])) {
    if (wanted.has(connectionId)) continue
    const mine = known.get(connectionId) ?? null
    const isThere = present ? present.byId.has(connectionId) : mine?.done !== 'revoked'
    if (!isThere && mine?.done === 'revoked') continue
    if (leave.has(connectionId)) figures.left += 1
    else if (mine && comparePairs(mine, mark) > 0) figures.newer += 1
    else if (isThere) {
      figures.extra += 1
      revoke.push(connectionId)
    } else learn.push({ connectionId, pair: newer(mine, mark), done: 'revoked' })
  }
  return { grant, keep, revoke, learn, figures }
}

/** More than two, and more than half of all who are there: a list that was read wrongly looks like that. */
export function isDrastic({ revoke, figures }: SyncPlan): boolean {
  const present = figures.same + figures.changed + figures.extra + figures.newer + figures.left
  return revoke.length > 2 && revoke.length > present / 2
}

interface Present {
  readonly byId: ReadonlyMap<string, readonly Json[]>
  readonly foreign: number
}

function presentOf(listed: readonly Listed[]): Present {
  const byId = new Map<string, Json[]>()
  let foreign = 0
  for (const { connectionId, payload } of listed) {
    if (connectionId === null) foreign += 1
    else byId.set(connectionId, [...(byId.get(connectionId) ?? []), payload])
  }
  return { byId, foreign }
}

function newestOf(entries: readonly SyncEntry[]): ReadonlyMap<string, SyncEntry> {
  const newest = new Map<string, SyncEntry>()
  for (const entry of entries) {
    const other = newest.get(entry.connectionId)
    if (!other || comparePairs(entry, other) >= 0) newest.set(entry.connectionId, entry)
  }
  return newest
}

function stateOf(entry: SyncEntry, known: Known | null, found: readonly Json[] | null, isListed: boolean): 'same' | 'missing' | 'changed' {
  if (isListed) return !found ? 'missing' : found.every((one) => agrees(entry.payload, one)) ? 'same' : 'changed'
  if (known?.done !== 'granted') return 'missing'
  return comparePairs(known, entry) < 0 ? 'changed' : 'same'
}

/** Fields that only one of both has do not count: a daemon knows neither all that was sent, nor only that. */
function agrees(wanted: Json, found: Json): boolean {
  if (!isObject(wanted) || !isObject(found)) return !isObject(wanted) && !isObject(found) ? isEqual(wanted, found) : true
  return Object.entries(found).every(([key, value]) => !Object.hasOwn(wanted, key) || isEqual(wanted[key] as Json, value))
}

type JsonRecord = { readonly [key: string]: Json }
const isObject = (value: Json): value is JsonRecord => typeof value === 'object' && value !== null && !Array.isArray(value)

function isEqual(a: Json, b: Json): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, index) => isEqual(one, b[index]))
  if (!isObject(a) || !isObject(b)) return a === b
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key] as Json, b[key] as Json))
}

function newer(a: Pair | null, b: Pair): Pair {
  const { token, epoch } = a && comparePairs(a, b) > 0 ? a : b
  return { token, epoch }
}

const wasBefore = (server: ServerMark, { storedAt }: When): boolean => storedAt !== null && server.since !== null && storedAt < server.since
const text = ({ token, epoch }: Pair): string => `${token}.${epoch}`
