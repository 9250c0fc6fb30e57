import type {
  WireEvacuation,
  WireHealth,
  WireIncident,
  WireMigration,
  WirePause,
  WirePauseScope,
  WireServer,
  WireServices,
} from '@pintail/core/wire'

// What calls take, with the names of the wire; and the few answers that `@pintail/core/wire` does not name.

export interface Paging {
  /** 1–200. Default 50. */
  readonly limit?: number
  readonly offset?: number
}
type Id = string | number

export interface MigrationQuery extends Paging {
  readonly status?: readonly WireMigration['status'][]
  /** True: what is not over. False: what is. */
  readonly open?: boolean
  /** At most 200. */
  readonly ids?: readonly Id[]
  readonly evacuation_id?: Id
  /** Source or target. */
  readonly server_id?: Id
  readonly reason?: WireMigration['reason']
}
export interface ServerQuery extends Paging {
  readonly verdict?: readonly WireServer['verdict']['verdict'][]
  readonly status?: readonly WireServer['status'][]
  readonly region?: string
}
export interface EvacuationQuery extends Paging {
  readonly status?: readonly WireEvacuation['status'][]
  /** True: what is not over. False: what is. */
  readonly open?: boolean
  /** At most 200. */
  readonly ids?: readonly Id[]
  /** One of the sources, or the only target. */
  readonly server_id?: Id
  readonly reason?: WireMigration['reason']
  readonly incident_id?: Id
}
export interface IncidentQuery extends Paging {
  readonly status?: readonly WireIncident['status'][]
  /** True: what is not over. False: what is. */
  readonly open?: boolean
  /** At most 200. */
  readonly ids?: readonly Id[]
  readonly server_id?: Id
}
export interface PlanQuery {
  /** The servers to leave. */
  readonly drain: readonly Id[]
  readonly connections?: readonly Id[]
  readonly to?: Id
  readonly reason?: WireMigration['reason']
  /** Connections named for each placement, 1–1 000. Default 50. */
  readonly limit?: number
}
export interface MigrationBody {
  /** The server to leave. */
  readonly server_id: Id
  /** The only server that they may go to. Default: the plan chooses. */
  readonly to_node_id?: Id
  readonly connection_ids?: readonly Id[]
  readonly reason?: WireMigration['reason']
  readonly notes?: string
  /** True: scheduled at once. Default false: suggested. */
  readonly auto_approve?: boolean
  /** Of a plan: refused as `plan_stale` if it would be another one now. */
  readonly fingerprint?: string
}
export interface MoveBody {
  /** Where the user is now. */
  readonly server_id: Id
  readonly to_server_id?: Id
  readonly to_region?: string
  readonly notes?: string
  /** Default true. */
  readonly auto_approve?: boolean
}
export interface PauseBody {
  /** Default `all`. */
  readonly scope?: WirePauseScope
  readonly reason?: string
  /** Ends by itself after these milliseconds. Default never. */
  readonly for_ms?: number
}
/** A merge patch (RFC 7396) with the names of the wire: null takes a value back. */
export type PolicyPatch = { readonly [group: string]: unknown }

export interface Pauses {
  readonly pauses: readonly WirePause[]
}
export interface Cordoned {
  readonly server_id: string
  readonly cordoned: boolean
}
export type Health = WireHealth
export type Services = WireServices
