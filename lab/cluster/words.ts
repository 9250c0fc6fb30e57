// What the processes of the cluster lab are told, and what they say: plain JSON, one value a line.
import type { PolicyInput } from '@pintail/core'

/** What every process needs to know of the others. */
export interface Surroundings {
  /** `nats://127.0.0.1:…` */
  readonly natsUrl: string
  readonly prefix: string
  /** The port of PostgreSQL on loopback, and the schema of engine and books. */
  readonly postgres: { readonly port: number; readonly schema: string }
  /** Where ledgers, books and daemons of the workers are. */
  readonly folder: string
}

export interface EngineSetting extends Surroundings {
  readonly name: string
  readonly policy: PolicyInput
  readonly syncEveryMs: number
}

export interface WorkerSetting extends Surroundings {
  readonly region: string
}

export interface VantageSetting extends Surroundings {
  readonly vantage: string
  readonly detect: NonNullable<PolicyInput['detect']>
}

export interface ServerRow {
  readonly id: string
  readonly host: string
  readonly port: number
  readonly region: string
}

/** One change of what is really on a server, as its daemon has written it down together with the change. */
export interface Change {
  /** Rises by one with each change of the region. */
  readonly seq: number
  readonly at: number
  readonly what: 'grant' | 'revoke'
  readonly server: string
  readonly connection: string
  readonly token: number
  readonly epoch: number
  /** Whether somebody's access has begun or ended by it; else it was so already, or only its pair is newer. */
  readonly isEffective: boolean
}

/** A command that an engine has sent, written down before it was sent. */
export interface Sent {
  readonly engine: string
  readonly id: string
  readonly type: string
  readonly server: string
  readonly token: number
  readonly epoch: number
  /** Of a grant, a revoke or a check; of a sync all whom the page names, with their pairs. */
  readonly connection: string
  readonly entries?: readonly (readonly [connection: string, token: number, epoch: number])[]
}

/** What an engine says on a line `sync`: what a full sync of all servers has found. */
export interface SyncSaid {
  readonly servers: number
  readonly applied: number
  readonly drift: number
}

/** What an engine says on a line `status` of its standard input. */
export interface EngineStatus {
  readonly state: string
  readonly token: number | null
  readonly incidents: number
  readonly evacuations: number
  readonly pendingRevokes: number
  readonly down: readonly string[]
  readonly unknown: number
  readonly mover: Readonly<Record<string, number>>
}
