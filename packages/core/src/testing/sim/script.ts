import type { ServerInput } from '../../ports.ts'
import type { MigrationReason, Mobility } from '../../vocabulary.ts'

/** The so manieth evacuation, or migration, that begins on this server, from 0 on: ids differ from run to run. */
export interface NthOn {
  readonly server: string
  readonly nth: number
}

/** What a pause is for. */
export type ActScope = 'all' | { readonly server: string } | { readonly evacuation: NthOn } | { readonly migration: NthOn }

/** What happens in a script: to a server, to a user, to an engine, or by an operator's word. */
export type Act =
  | {
      readonly do: 'server.dies' | 'server.loses_packets' | 'server.slows' | 'server.is_well' | 'server.is_removed'
      readonly server: string
    }
  | { readonly do: 'server.is_added'; readonly row: ServerInput & { readonly capacity: number } }
  | {
      readonly do: 'user.is_added'
      readonly user: string
      readonly server: string
      readonly mobility: Mobility
      readonly prefers: readonly string[]
    }
  | { readonly do: 'user.is_moved_by_the_host'; readonly user: string; readonly to: string }
  /** As by kill -9; the next engine starts so much later, milliseconds, and finds the lease run out. */
  | { readonly do: 'engine.is_killed'; readonly startsAfterMs: number }
  | { readonly do: 'operator.cordons' | 'operator.uncordons' | 'operator.drains' | 'operator.acknowledges'; readonly server: string }
  | { readonly do: 'operator.overrides_the_guard'; readonly server: string; readonly forMs: number }
  | {
      readonly do: 'operator.requests'
      readonly servers: readonly string[]
      /** Those of them who are there; null: everybody. */
      readonly users: readonly string[] | null
      readonly reason: MigrationReason
      /** Null: a plan of it is carried out, and the policy says whether it has to be approved. */
      readonly approved: boolean | null
    }
  | { readonly do: 'operator.approves' | 'operator.cancels'; readonly what: { readonly evacuation: NthOn } | { readonly migration: NthOn } }
  | { readonly do: 'operator.schedules'; readonly migration: NthOn; readonly startsAt: number }
  | { readonly do: 'operator.pauses'; readonly scope: ActScope; readonly forMs: number | null }
  | { readonly do: 'operator.resumes'; readonly scope: ActScope }

/** What happens and when, instead of faults that are drawn: nothing is healed in the end. Plain JSON. */
export interface Script {
  /** Milliseconds after the start, in any order. */
  readonly acts: readonly (Act & { readonly at: number })[]
  /** The first so many calls that are to bring this user there fail, and how. */
  readonly failures: readonly {
    readonly user: string
    readonly to: string
    readonly calls: number
    readonly how: 'rejected' | 'unavailable' | 'unclear'
    /** He was never brought there after all: from then on he prefers the next server. */
    readonly isGivenUp: boolean
  }[]
  /** How long the world is watched, milliseconds. */
  readonly endsMs: number
}
