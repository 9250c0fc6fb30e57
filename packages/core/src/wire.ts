/**
 * What goes over the wire: snake_case JSON, ISO 8601 times, the keys of seed 004 verbatim with ours beside them.
 * Imports nothing of node, so that browsers use it too.
 */
import type { EventType, PintailEvent, PintailEvents } from './events.ts'
import type { Migration } from './vocabulary.ts'

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
const snakeKey = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
const isOneOf = (names: readonly string[], key: string): boolean => names.includes(key)

function wireEntry([key, value]: [string, unknown]): [string, unknown] {
  if (isOneOf(kept, key)) return [key, value]
  const isTime = typeof value === 'number' && (key.endsWith('At') || isOneOf(times, key))
  // A time that no calendar knows is none: one odd row must not end a stream of events.
  if (isTime) return [snakeKey(key), Math.abs(value) <= 8.64e15 ? iso(value) : null]
  return [snakeKey(key), toSnake(value)]
}

/** Any of our plain values with snake-case keys and ISO times; `values`, `meta` and `basis` keep their own keys. */
export function toSnake<T>(value: T): Wire<T>
export function toSnake(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => toSnake(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(wireEntry))
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
  return {
    ...toSnake(migration),
    server_id: fromServerId,
    server_name: fromServerName,
    from_node_id: fromServerId,
    from_node_name: fromServerName,
    to_node_id: toServerId,
    to_node_name: toServerName,
    player_count_at_start: migration.connectionCountAtStart,
    data_sync_progress: migration.progress,
  }
}
