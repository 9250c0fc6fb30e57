import { PintailError } from '../../errors.ts'
import type { EventType, PintailEvent } from '../../index.ts'
import type { JournalEntry } from '../../ports.ts'

type Kind = 'text' | 'text or null' | 'number' | 'true or false' | 'list' | 'scope'

/** The fields without which an entry cannot be judged, of each type that is. */
const shapes: Partial<Record<EventType, Readonly<Record<string, Kind>>>> = {
  'server.verdict_changed': { serverId: 'text', verdict: 'text', previous: 'text' },
  'server.damped': { serverId: 'text', until: 'number' },
  'server.undamped': { serverId: 'text' },
  'server.cordoned': { serverId: 'text' },
  'server.uncordoned': { serverId: 'text' },
  'incident.opened': { incidentId: 'text', serverId: 'text', suspectedAt: 'number' },
  'incident.recovered': { incidentId: 'text', serverId: 'text' },
  'incident.closed': { incidentId: 'text', serverId: 'text' },
  'failback.changed': { incidentId: 'text', evacuationId: 'text or null' },
  'decision.made': {
    decisionId: 'text',
    incidentId: 'text or null',
    reason: 'text',
    mode: 'text',
    connections: 'number',
    placed: 'number',
    unplaced: 'number',
  },
  'evacuation.created': {
    evacuationId: 'text',
    incidentId: 'text or null',
    fromServerIds: 'list',
    status: 'text',
    connections: 'number',
    migrations: 'number',
    unplaced: 'number',
  },
  'evacuation.approved': { evacuationId: 'text' },
  'evacuation.completed': { evacuationId: 'text', moved: 'number' },
  'evacuation.cancelled': { evacuationId: 'text', moved: 'number' },
  'migration.created': {
    id: 'text',
    status: 'text',
    fromServerId: 'text',
    toServerId: 'text',
    evacuationId: 'text',
    reason: 'text',
    connections: 'number',
  },
  'migration.status_changed': { id: 'text', oldStatus: 'text', newStatus: 'text' },
  'migration.completed': { id: 'text', connectionsMoved: 'number', connectionsFailed: 'number' },
  'migration.failed': { id: 'text', residue: 'list' },
  'migration.cancelled': { id: 'text', connectionsMoved: 'number' },
  'migration.deleted': { id: 'text' },
  'move.started': {
    key: 'text',
    migrationId: 'text',
    connectionId: 'text',
    fromServerId: 'text',
    toServerId: 'text',
    fencingToken: 'number',
  },
  'connection.moved': { key: 'text', migrationId: 'text', connectionId: 'text', fromServerId: 'text', toServerId: 'text', reason: 'text' },
  'connection.move_failed': {
    key: 'text',
    migrationId: 'text',
    connectionId: 'text',
    fromServerId: 'text',
    toServerId: 'text',
    permanent: 'true or false',
    rolledBack: 'true or false',
  },
  'connection.skipped': { migrationId: 'text', connectionId: 'text' },
  'connection.unplaced': { connectionId: 'text', serverId: 'text', code: 'text' },
  'revoke.pending': { serverId: 'text', connectionId: 'text' },
  'revoke.settled': { serverId: 'text', connectionId: 'text' },
  'pause.set': { scope: 'scope' },
  'pause.lifted': { scope: 'scope' },
  'leader.acquired': { token: 'number', holder: 'text' },
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

function isKind(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string'
    case 'text or null':
      return value === null || typeof value === 'string'
    case 'number':
      return Number.isFinite(value)
    case 'true or false':
      return typeof value === 'boolean'
    case 'list':
      return Array.isArray(value)
    case 'scope':
      return value === 'all' || (isObject(value) && Object.keys(value).length === 1 && typeof Object.values(value)[0] === 'string')
    default:
      return kind satisfies never
  }
}

/** Why this cannot be judged as an entry of the journal; null: it can. An entry of a type that is not known is no problem. */
function entryProblem(value: unknown): string | null {
  if (!isObject(value)) return 'it is no JSON object'
  const { seq, at, type, data } = value
  if (!Number.isSafeInteger(seq) || (seq as number) < 1) return 'its seq is no whole number from 1 on'
  if (!Number.isFinite(at) || Math.abs(at as number) > 8.64e15) return 'its at is no time in milliseconds since 1970'
  if (typeof type !== 'string' || type === '') return 'it has no type'
  if (!isObject(data)) return 'its data is no JSON object'
  const shape: Readonly<Record<string, Kind>> = Object.hasOwn(shapes, type) ? (shapes[type as EventType] ?? {}) : {}
  const wrong = Object.entries(shape).flatMap(([field, kind]) => (isKind(data[field], kind) ? [] : `data.${field} must be ${kind}`))
  return wrong.length === 0 ? null : `${type}: ${wrong.join(', ')}`
}

/** @throws PintailError `invalid_argument` naming the entry and what is wrong with it */
export function eventOf(entry: JournalEntry): PintailEvent {
  const problem = entryProblem(entry)
  if (problem === null) return entry as PintailEvent
  const which = isObject(entry) && Number.isSafeInteger(entry.seq) ? `entry ${entry.seq}` : 'an entry'
  throw new PintailError('invalid_argument', `${which} of the journal cannot be judged: ${problem}`, {
    remedy: 'Hand in the entries as store.readJournal() gives them, or as parseJournalLine() reads them from a file.',
  })
}

/** One line of a file, read: an entry, or what is wrong with it. */
export type JournalLine =
  | {
      readonly ok: true
      /** Null: an event that is told as it happens and is never kept (its `seq` is 0). */
      readonly entry: JournalEntry | null
      /** A line of the audit log, which is written at least once: the same line again is no second entry. */
      readonly isLog: boolean
    }
  | {
      readonly ok: false
      /** It is no JSON, as the last line before a crash is. */
      readonly isTorn: boolean
      readonly problem: string
    }

/**
 * One line of a file of JSON lines: an entry as `store.readJournal()` gives it (`seq`, `at`, `type`, `data`), an event as
 * `events()` gives it, or a line of the audit log as a `LogSink` gets it (`id` is `journal-<seq>`). Never throws.
 */
export function parseJournalLine(line: string): JournalLine {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return { ok: false, isTorn: true, problem: 'it is no JSON' }
  }
  if (!isObject(value)) return { ok: false, isTorn: false, problem: 'it is no JSON object' }
  const isLog = !('seq' in value) && typeof value.id === 'string'
  const number = isLog ? /^journal-([1-9]\d{0,15})$/.exec(value.id as string)?.[1] : undefined
  if (isLog && number === undefined) return { ok: false, isTorn: false, problem: 'its id is not journal-<number>' }
  if (!isLog && !('seq' in value)) return { ok: false, isTorn: false, problem: 'it has neither a seq nor an id journal-<number>' }
  const { at, type, data } = value
  if (value.seq === 0) return { ok: true, entry: null, isLog }
  const entry = { seq: isLog ? Number(number) : value.seq, at, type, data } as JournalEntry
  const problem = entryProblem(entry)
  return problem === null ? { ok: true, entry, isLog } : { ok: false, isTorn: false, problem }
}
