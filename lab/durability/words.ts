// What the processes of the durability lab say to each other: plain JSON, one value a line or one a request.
import type { Move, PolicyInput, ServerStatus } from '@pintail/core'

/** What changes who may use which server. */
export type Change = 'move' | 'complete' | 'rollback'

export interface PanelSetting {
  readonly host: string
  readonly servers: number
  /** All of them are on s1 at first. */
  readonly users: number
  readonly capacity: number
  /** Of each call that changes something, milliseconds: half of it before the effect and half after it, at random. */
  readonly latencyMs: number
  readonly seed: number
}

/** What a call to the panel carries of its move. */
export type MoveOnWire = Pick<Move, 'key' | 'fencingToken' | 'epoch'> & {
  readonly connectionId: string
  readonly from: string
  readonly to: string
}

export type Call = { readonly engine: string } & (
  | { readonly what: 'servers' }
  | { readonly what: 'connections' | 'probe'; readonly server: string }
  | { readonly what: 'status'; readonly server: string; readonly status: ServerStatus }
  | { readonly what: 'locate' | 'verify'; readonly move: MoveOnWire }
  | {
      readonly what: Change
      readonly move: MoveOnWire
      readonly fencing: 'enforced' | 'none'
      /** When the engine has asked for it, and until when its lease holds as far as it knows: milliseconds since 1970. */
      readonly calledAt: number
      readonly leaseUntil: number
    }
)

export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string }

/** One call that changes something, as the panel has it in its own book. */
export interface Entry {
  readonly engine: string
  readonly what: Change
  readonly key: string
  readonly connectionId: string
  readonly from: string
  readonly to: string
  readonly token: number
  readonly epoch: number
  readonly calledAt: number
  readonly leaseUntil: number
  /** By the clock of the panel, milliseconds since 1970. */
  readonly arrivedAt: number
  readonly effectAt: number
  readonly result: 'effective' | 'repeated' | 'fenced' | 'rejected'
}

export interface Book {
  readonly entries: readonly Entry[]
  readonly users: Readonly<Record<string, { readonly home: string; readonly grants: readonly string[] }>>
  readonly statuses: Readonly<Record<string, ServerStatus>>
  /** When each engine has probed last, and how often, by its name. */
  readonly probes: Readonly<Record<string, { readonly at: number; readonly count: number }>>
}

/** What the lab asks of the panel on its standard input; each is answered by a line with the same id. */
export type Word =
  | { readonly do: 'kill'; readonly server: string }
  /** After so many effective moves each further one waits before its effect, until `go`. */
  | { readonly do: 'hold'; readonly moves: number }
  | { readonly do: 'go' }
  | { readonly do: 'book' }
  /** How many are at home on dead servers. */
  | { readonly do: 'left' }
  /** Answered as soon as so many calls have changed something. */
  | { readonly do: 'when'; readonly effects: number }

export interface EngineSetting {
  readonly name: string
  /** host:port */
  readonly panel: readonly [host: string, port: number]
  readonly store:
    | { readonly kind: 'postgres'; readonly host: string; readonly port: number; readonly schema: string }
    | { readonly kind: 'sqlite'; readonly path: string }
  readonly fencing: 'enforced' | 'none'
  /** How long a call waits in the client before it is sent, milliseconds: so long in the mean, at random. */
  readonly clientDelayMs: number
  readonly policy: PolicyInput
}

/** How a call of the lease store has ended. */
export interface LeaseCall {
  readonly lease: 'acquire' | 'renew' | 'release'
  /** By the clock of the engine, milliseconds since 1970; and by the clock that the processes of the machine share. */
  readonly at: number
  readonly steadyAt: number
  readonly tookMs: number
  /** The token; null: refused; or what the call has failed with. */
  readonly token: number | null
  readonly error: string | null
}
