import type { Clock, Logger, Random, Rate, Server } from '@pintail/core'
import type { MoveLedger } from './ledger.ts'

/** The generations of VPN Duck's database service: `v1` of April 2025, `v2` since. */
export type Dialect = 'v1' | 'v2'

/** For each try of a call, milliseconds. */
export interface VpnDuckTimeouts {
  /** Lists of servers and connections, and single rows. Default 10 000. */
  readonly readMs?: number
  /** One status. Default 10 000. */
  readonly statusMs?: number
  /** Several statuses at once. Default 15 000. */
  readonly batchMs?: number
  /** Moving a user. Default 20 000. */
  readonly moveMs?: number
  /** An entry of the migration log. Default 10 000. */
  readonly logMs?: number
  /** Figures of a server. Default 10 000. */
  readonly metricsMs?: number
}

/**
 * Where WireGuard itself is to be told: the peer is made on the target before the books are changed, and removed from
 * the source when the move is complete. VPN Duck's own migration never did this. Read the limits in the README first.
 */
export interface WireGuardOptions {
  /** The wireguard-service (v1) or wireguard-proxy (v2) that is responsible for a server. */
  readonly url: string | URL | ((server: Server) => string | URL)
  /** For each call, milliseconds. Default 10 000. */
  readonly timeoutMs?: number
}

export interface VpnDuckOptions {
  /** Seed 000's DATABASE_SERVICE_URL, e.g. `http://database-service:5002`. May end in `/api`. */
  readonly databaseServiceUrl: string | URL
  /** Default `auto`: found out with the first call, and anew when the service no longer knows a path. */
  readonly dialect?: 'auto' | Dialect
  /** What comes before every path. Default: by the dialect, none in v1 and `/api` in v2. */
  readonly apiPrefix?: '' | '/api'
  /** For a gateway in front of it, e.g. an API key; values are never shown. VPN Duck itself asks for none. */
  readonly headers?: Readonly<Record<string, string>>
  readonly timeouts?: VpnDuckTimeouts
  /** Tries of each call that may be repeated, the first included, 1–20. Default 3. */
  readonly tries?: number
  /** First pause before another try, milliseconds; doubles each time. Default 200. */
  readonly backoffMs?: number
  /** Calls under way at once, for each kind of call, 1–10 000. Default 16. */
  readonly concurrency?: number
  /** All calls together. Default: no limit. */
  readonly rate?: Rate | null
  /**
   * Where it keeps whom it has moved, e.g. `fileLedger(path)`. VPN Duck v2 tells nobody where a user lives, so that a
   * process that was killed in the middle of an evacuation would otherwise move some users once more.
   * Default: kept in memory only.
   */
  readonly ledger?: MoveLedger | null
  /** Default: the global one. */
  readonly fetch?: typeof fetch
  /** pino's shape. Default: silent. */
  readonly logger?: Logger
  readonly clock?: Clock
  readonly random?: Random
  /** Off by default: only VPN Duck's books are changed, as its own migration service did. */
  readonly wireguard?: WireGuardOptions
}

/** What was measured of a server that answers. */
export interface ServerMetrics {
  readonly serverId: string | number
  /** Mean round trip, milliseconds; null: unknown. */
  readonly latencyMs: number | null
  /** 0–100. */
  readonly packetLossPercent: number
  /** Mean difference of successive round trips, milliseconds. */
  readonly jitterMs?: number | null
}

export interface ForwardOptions {
  /** Pause between two rounds, milliseconds, 1 000–86 400 000. Default 60 000. */
  readonly intervalMs?: number
}
