/**
 * What goes over the wire: snake_case JSON, ISO 8601 times, the keys of seed 004 verbatim with ours beside them.
 * Imports nothing of node, so that browsers use it too.
 */
import type { EventType, PintailEvent, PintailEvents } from './events.ts'
import type {
  DecisionRecord,
  Evacuation,
  FleetStatus,
  Incident,
  Migration,
  MigrationStats,
  PauseScope,
  Plan,
  PolicySource,
  ServerReport,
} from './vocabulary.ts'

export type { EventType, PintailEvent, PintailEvents } from './events.ts'

// Besides these, our times end in `At`, and no other number of ours does.
const times = ['at', 'since', 'until', 'overrideUntil', 'asOf', 'notBefore'] as const
// Their keys are not ours to change: figures of a reason, the adapter's own JSON, servers of a plan.
const kept = ['values', 'meta', 'basis'] as const

type TimeKey = `${string}At` | (typeof times)[number]
type KeptKey = (typeof kept)[number]

type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? Head extends Lowercase<Head>
    ? `${Head}${Snake<Tail>}`
    : `_${Lowercase<Head>}${Snake<Tail>}`
  : S

/** A value as JSON carries it: keys in snake case, ids and tokens without their brand, times as ISO 8601. */
export type Wire<T> = T extends boolean | null | undefined
  ? T
  : T extends number
    ? number
    : T extends string
      ? // A word stays itself; an id is any string.
        Record<never, never> extends Record<T, 1>
        ? string
        : T
      : T extends readonly (infer Item)[]
        ? readonly Wire<Item>[]
        : {
            readonly [K in keyof T as K extends string ? Snake<K> : never]: K extends KeptKey
              ? T[K]
              : K extends TimeKey
                ? WireTime<T[K]>
                : Wire<T[K]>
          }

type WireTime<T> = T extends number ? string : Wire<T>

/** Seed 004's own names for what we call otherwise, by event. */
interface SeedKeys {
  'migration.created': { readonly from_node: string; readonly to_node: string }
  'migration.status_changed': { readonly timestamp: string }
  'migration.completed': { readonly players_transferred: number }
}

/** One event; `type` tells which `data` it has. */
export type WireEvent<T extends EventType = EventType> = {
  [K in T]: {
    readonly type: K
    /** Place in the journal, for `events({ after })` and `Last-Event-ID`; 0 for events that are never replayed. */
    readonly seq: number
    /** ISO 8601. */
    readonly timestamp: string
    readonly data: Wire<PintailEvents[K]> & (K extends keyof SeedKeys ? SeedKeys[K] : unknown)
  }
}[T]

/** Seed 004's record: `server_*` is the source, `node` a VPN server, `player` a connection; ours stand beside. */
export interface WireMigration extends Wire<Migration> {
  readonly server_id: string
  readonly server_name: string
  readonly from_node_id: string
  readonly from_node_name: string
  readonly to_node_id: string
  readonly to_node_name: string
  readonly player_count_at_start: number
  readonly data_sync_progress: number
}

const iso = (ms: number): string => new Date(ms).toISOString()

/** What becomes of a key, found once: a list of two hundred records has eight thousand. */
interface WireKey {
  readonly name: string
  readonly isKept: boolean
  readonly isTime: boolean
}
const wireKeys = new Map<string, WireKey>()
/** Keys are ours and few; where they are a caller's they must not pile up. */
const mostKeys = 1000

function wireKeyOf(key: string): WireKey {
  const known = wireKeys.get(key)
  if (known) return known
  const isKept = (kept as readonly string[]).includes(key)
  const name = isKept ? key : key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const made = { name, isKept, isTime: key.endsWith('At') || (times as readonly string[]).includes(key) }
  if (wireKeys.size < mostKeys) wireKeys.set(key, made)
  return made
}

function wireValue({ isKept, isTime }: WireKey, value: unknown): unknown {
  if (isKept) return value
  // A time that no calendar knows is none: one odd row must not end a stream of events.
  if (isTime && typeof value === 'number') return Math.abs(value) <= 8.64e15 ? iso(value) : null
  return typeof value === 'object' ? toSnake(value) : value
}

/** Any of our plain values with snake-case keys and ISO times; `values`, `meta` and `basis` keep their own keys. */
export function toSnake<T>(value: T): Wire<T>
export function toSnake(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => toSnake(item))
  if (typeof value !== 'object' || value === null) return value
  const wire: Record<string, unknown> = {}
  for (const [key, one] of Object.entries(value)) {
    const known = wireKeyOf(key)
    const made = wireValue(known, one)
    // To assign this one would change what the object is made of.
    if (known.name === '__proto__')
      Object.defineProperty(wire, known.name, { value: made, enumerable: true, writable: true, configurable: true })
    else wire[known.name] = made
  }
  return wire
}

/** One event as seed 004's clients expect it: `{ type, data, seq, timestamp }`. */
export function toWire<E extends PintailEvent>(event: E): WireEvent<E['type']>
export function toWire({ type, seq, at, data }: PintailEvent): object {
  const timestamp = iso(at)
  return { type, data: { ...toSnake(data), ...seedKeys({ type, data } as PintailEvent, timestamp) }, seq, timestamp }
}

function seedKeys({ type, data }: PintailEvent, timestamp: string): object {
  if (type === 'migration.created') return { from_node: data.fromServerId, to_node: data.toServerId }
  if (type === 'migration.status_changed') return { timestamp }
  if (type === 'migration.completed') return { players_transferred: data.connectionsMoved }
  return {}
}

/** One migration as seed 004's record. */
export function migrationToWire(migration: Migration): WireMigration {
  const { fromServerId, fromServerName, toServerId, toServerName } = migration
  return Object.assign(toSnake(migration), {
    server_id: fromServerId,
    server_name: fromServerName,
    from_node_id: fromServerId,
    from_node_name: fromServerName,
    to_node_id: toServerId,
    to_node_name: toServerName,
    player_count_at_start: migration.connectionCountAtStart,
    data_sync_progress: migration.progress,
  })
}

// ------------------------------------------------------------------------------------------- answers of the HTTP API

export type WireServer = Wire<ServerReport>
/** Of long lists of users the first are named; the totals count all. */
export interface WireEvacuation extends Wire<Evacuation> {
  readonly unplaced_total: number
  /** Null: everybody on the sources. */
  readonly only_connections_total: number | null
}
export type WireIncident = Wire<Incident>
export type WireDecision = Wire<DecisionRecord>
export type WireStats = Wire<MigrationStats>
export type WirePause = Wire<FleetStatus['pauses'][number]>
export type WirePauseScope = Wire<PauseScope>

/** The whole picture; `last_seq` is the cursor of the events that come after it. */
export interface WireStatus extends Omit<Wire<FleetStatus>, 'migrations' | 'evacuations'> {
  readonly migrations: readonly WireMigration[]
  readonly evacuations: readonly WireEvacuation[]
}

/** One page of a listing, newest first; `total` counts all that match. */
export interface WirePage {
  readonly total: number
  readonly limit: number
  readonly offset: number
}
export interface WireMigrationPage extends WirePage {
  readonly migrations: readonly WireMigration[]
}
export interface WireEvacuationPage extends WirePage {
  readonly evacuations: readonly WireEvacuation[]
}
export interface WireIncidentPage extends WirePage {
  readonly incidents: readonly WireIncident[]
}
export interface WireServerPage extends WirePage {
  readonly servers: readonly WireServer[]
  readonly state: FleetStatus['state']
  readonly at: string
  readonly counts: FleetStatus['counts']
  readonly last_seq: number
}

export interface WireActiveMigrations {
  /** The oldest open one. */
  readonly migration: WireMigration | null
  readonly migrations: readonly WireMigration[]
}

/** A plan to look at: who would go where is counted, and named up to a limit. The fingerprint is what carries it out. */
export interface WirePlan extends Omit<Wire<Plan>, 'placements' | 'basis'> {
  readonly placements: readonly (Omit<Wire<Plan['placements'][number]>, 'connections'> & {
    readonly connections: number
    /** The first of them. */
    readonly connection_ids: readonly string[]
  })[]
  readonly unplaced_total: number
}

export interface WirePolicy {
  /** As `Policy`, in snake case; names of vantages and reasons are as they were given. */
  readonly policy: { readonly [group: string]: unknown }
  /** Where each value comes from, by dotted path. */
  readonly sources: Readonly<Record<string, PolicySource>>
  readonly version: number
}

/** `GET /health`: whether somebody is watching the fleet. */
export interface WireHealth {
  readonly status: 'ok' | 'failing'
  readonly state: 'idle' | 'standby' | 'leading' | 'stopping' | 'stopped'
  /** Words, one a reason; none: it is well. */
  readonly reasons: readonly string[]
  /** ISO 8601. */
  readonly last_check_at: string | null
  /** The dead man's switch: how long ago the last check came back. */
  readonly last_check_age_seconds: number | null
}

/** `GET /health/services`: the health of each part that the engine leans on. */
export interface WireServices {
  readonly status: 'ok' | 'failing'
  readonly services: Readonly<
    Record<string, { readonly status: 'ok' | 'failing' | 'unknown'; readonly note: string; readonly since: string | null }>
  >
}

/** What is wrong with a request: RFC 9457, with a stable `type`, its last part again as `code`, and what to do about it. */
export interface WireProblem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly remedy?: string
  /** Each thing that is wrong, and where, as a dotted path into the request. */
  readonly errors?: readonly { readonly path: string; readonly message: string; readonly remedy?: string }[]
  /** `plan_stale`: what has changed since. */
  readonly differences?: readonly string[]
  /** By which the log of the server knows the request. */
  readonly request_id?: string
}

/** What a live stream says besides events. */
export type WireStreamWord =
  /** First of all for who comes without a cursor, and after `stream.reset`: `seq` is the cursor to go on from. */
  | { readonly type: 'snapshot'; readonly seq: number; readonly timestamp: string; readonly data: WireStatus }
  /** The cursor cannot be followed any more: whatever was built from it is out of date, and a snapshot comes next. */
  | {
      readonly type: 'stream.reset'
      readonly seq: 0
      readonly timestamp: string
      readonly data: { readonly reason: 'cursor_too_old' | 'cursor_unknown'; readonly after: number | null }
    }
  /** The last message: why the server ends the stream. Go on from `after`. */
  | {
      readonly type: 'stream.closed'
      readonly seq: 0
      readonly timestamp: string
      readonly data: {
        readonly reason: 'too_slow' | 'shutting_down' | 'expired' | 'cursor_too_old' | 'unavailable'
        readonly after: number
      }
    }

/** Everything that can come over `GET /events` and `GET /ws`. */
export type WireMessage = WireEvent | WireStreamWord

/** The whole picture, with migrations as seed 004's records. */
export function statusToWire(status: FleetStatus): WireStatus {
  const { migrations, evacuations, ...rest } = status
  return {
    ...toSnake(rest),
    migrations: migrations.map(migrationToWire),
    evacuations: evacuations.map((evacuation) => evacuationToWire(evacuation)),
  }
}

/** @param limit how many users are named in each of its lists */
export function evacuationToWire(evacuation: Evacuation, limit = 50): WireEvacuation {
  const { unplaced, onlyConnections } = evacuation
  return {
    ...toSnake({ ...evacuation, unplaced: unplaced.slice(0, limit), onlyConnections: onlyConnections?.slice(0, limit) ?? null }),
    unplaced_total: unplaced.length,
    only_connections_total: onlyConnections?.length ?? null,
  }
}

/** @param limit how many connections are named for each placement, and how many of those that find no place */
export function planToWire(plan: Plan, limit = 50): WirePlan {
  const { placements, unplaced, basis: _, ...rest } = plan
  return {
    ...toSnake({ ...rest, unplaced: unplaced.slice(0, limit) }),
    placements: placements.map(({ connections, ...place }) => ({
      ...toSnake(place),
      connections: connections.length,
      connection_ids: connections.slice(0, limit).map(({ id }) => id),
    })),
    unplaced_total: unplaced.length,
  }
}
