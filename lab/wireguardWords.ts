// What the processes of the scene with a broker are told, as one argument of JSON.

export interface ServerWord {
  readonly id: string
  readonly host: string
  readonly publicKey: string
  readonly interface: string
}

export interface WorkerSetting {
  readonly broker: string
  readonly server: ServerWord
  readonly port: number
  readonly network: string
  /** Where it keeps its book and its ledger. */
  readonly folder: string
}

export interface UserWord {
  readonly id: string
  readonly home: string
  readonly publicKey: string
  readonly allowedIps: readonly string[]
  /** Where the user is. Default: not known. */
  readonly region?: string
}

export interface EngineSetting {
  readonly broker: string
  readonly servers: readonly ServerWord[]
  readonly port: number
  readonly users: readonly UserWord[]
  readonly probeKey: string
  /** Vantages that tell over the broker, with the region for which each speaks. */
  readonly vantages?: Readonly<Record<string, string>>
  /** `migration.revokeGraceMs`. Default: the engine's own. */
  readonly revokeGraceMs?: number
}
