import type { WireEvacuation, WireIncident, WireMigration, WirePause, WirePolicy, WireServer, WireStatus } from '@pintail/core/wire'
import type { ActionName } from './requests.ts'
import type { Trouble } from './trouble.ts'

/** Where the data come from at the moment, so that nobody takes an old picture for a new one. */
export type Link =
  /** Nobody looks, or the page is hidden. */
  | { readonly state: 'resting' }
  | { readonly state: 'loading' }
  | { readonly state: 'live' }
  /** The picture is as of `model.readAt`; it comes again by itself. */
  | { readonly state: 'stale'; readonly why: Trouble }
  /** The picture is read every few seconds, because its events do not get through: a proxy that holds them back, say. */
  | { readonly state: 'polled'; readonly why: Trouble }
  /** 401: `session.signIn()` goes on. */
  | { readonly state: 'signed-out'; readonly why: Trouble }
  /** 403, 404 and what else does not pass quickly; asked again now and then. */
  | { readonly state: 'refused'; readonly why: Trouble }

/** What is true of the fleet as a whole. */
export type FleetFacts = Omit<WireStatus, 'servers' | 'migrations' | 'evacuations' | 'incidents' | 'guards' | 'pauses'>

/**
 * Everything that elements show: immutable, and a part that has not changed keeps its identity, so that `===` tells what
 * is to be drawn anew.
 */
export interface Model {
  readonly link: Link
  /** Null until the first picture. */
  readonly fleet: FleetFacts | null
  /** By name. */
  readonly servers: readonly WireServer[]
  readonly serverById: ReadonlyMap<string, WireServer>
  /** Open ones first, oldest first; then the newest hundred that have ended, newest first. */
  readonly migrations: readonly WireMigration[]
  readonly evacuations: readonly WireEvacuation[]
  readonly incidents: readonly WireIncident[]
  readonly guards: WireStatus['guards']
  readonly pauses: readonly WirePause[]
  /** Null: not read, or not allowed. */
  readonly policy: WirePolicy | null
  /** The newest word about a running migration, by its id. */
  readonly progress: ReadonlyMap<string, string>
  /** What this viewer was refused (403) in this session. */
  readonly denied: ReadonlySet<ActionName>
  /** What to add to this machine's clock for the server's, milliseconds. */
  readonly clockOffsetMs: number
  /** When the last whole picture was read, milliseconds of the server's clock; null: never. */
  readonly readAt: number | null
}

export const emptyModel: Model = {
  link: { state: 'resting' },
  fleet: null,
  servers: [],
  serverById: new Map(),
  migrations: [],
  evacuations: [],
  incidents: [],
  guards: [],
  pauses: [],
  policy: null,
  progress: new Map(),
  denied: new Set(),
  clockOffsetMs: 0,
  readAt: null,
}

const ended: readonly WireMigration['status'][] = ['completed', 'failed', 'cancelled']
export const isEnded = ({ status }: Pick<WireMigration, 'status'>): boolean => ended.includes(status)
