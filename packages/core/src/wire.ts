/**
 * What goes over the wire: snake_case JSON, ISO 8601 times, the keys of seed 004 verbatim with ours beside them.
 * Imports nothing of node, so that browsers use it too.
 */
import type { EventType, PintailEvent, PintailEvents } from './events.ts'
import type { Migration } from './vocabulary.ts'

export type { EventType, PintailEvent, PintailEvents } from './events.ts'

type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? Head extends Lowercase<Head>
    ? `${Head}${Snake<Tail>}`
    : `_${Lowercase<Head>}${Snake<Tail>}`
  : S

/** A payload as JSON carries it: keys in snake case, branded ids as strings, times as ISO 8601. */
export type Wire<T> = T extends string | number | boolean | null
  ? T extends string
    ? string extends T
      ? string
      : T extends { readonly [key: symbol]: unknown }
        ? string
        : T
    : T
  : T extends readonly (infer Item)[]
    ? readonly Wire<Item>[]
    : {
        readonly [K in keyof T as K extends string ? Snake<K> : never]: K extends `${string}At` ? string | null : Wire<T[K]>
      }

/** Seed 004's own names for what we call otherwise, by event. */
interface SeedKeys {
  'migration.created': { readonly from_node: string; readonly to_node: string }
  'migration.status_changed': { readonly timestamp: string }
  'migration.completed': { readonly players_transferred: number }
}

export interface WireEvent<T extends EventType = EventType> {
  readonly type: T
  /** Place in the journal, for `events({ after })` and `Last-Event-ID`; 0 for events that are never replayed. */
  readonly seq: number
  /** ISO 8601. */
  readonly timestamp: string
  readonly data: Wire<PintailEvents[T]> & (T extends keyof SeedKeys ? SeedKeys[T] : unknown)
}

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
const snakeKey = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
// Times end in "At"; so does no other number of ours, except these two.
const isTime = (key: string, value: unknown): value is number =>
  typeof value === 'number' && (key.endsWith('At') || key === 'until' || key === 'since' || key === 'notBefore')

/** Any of our plain values with snake-case keys and ISO times. `values` of a reason and `meta` keep their own keys. */
export function toSnake(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toSnake)
  if (typeof value !== 'object' || value === null) return value
  const out: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) {
    if (key === 'values' || key === 'meta') out[key] = item
    else out[snakeKey(key)] = isTime(key, item) ? iso(item) : toSnake(item)
  }
  return out
}

/** One event as seed 004's clients expect it: `{ type, data, seq, timestamp }`. */
export function toWire<T extends EventType>(event: Extract<PintailEvent, { type: T }>): WireEvent<T>
export function toWire(event: PintailEvent): WireEvent
export function toWire(event: PintailEvent): WireEvent {
  const timestamp = iso(event.at)
  const data = toSnake(event.data) as Record<string, unknown>
  if (event.type === 'migration.created') {
    data.from_node = event.data.fromServerId
    data.to_node = event.data.toServerId
  } else if (event.type === 'migration.status_changed') data.timestamp = timestamp
  else if (event.type === 'migration.completed') data.players_transferred = event.data.connectionsMoved
  return { type: event.type, data, seq: event.seq, timestamp } as unknown as WireEvent
}

/** One migration as seed 004's record. */
export function migrationToWire(migration: Migration): WireMigration {
  const { fromServerId, fromServerName, toServerId, toServerName } = migration
  return {
    ...(toSnake(migration) as Wire<Migration>),
    server_id: fromServerId,
    server_name: fromServerName,
    from_node_id: fromServerId,
    from_node_name: fromServerName,
    to_node_id: toServerId,
    to_node_name: toServerName,
    player_count_at_start: migration.connectionCountAtStart,
    data_sync_progress: migration.progress,
  } as WireMigration
}
