import type { FleetStatus } from '@pintail/core'
import type { Health, HealthReason } from '@pintail/fastify-plugin'

/** Why the service is not ready: the engine's reasons, and what only the service knows. */
export type ServiceHealthReason = HealthReason | 'no_server_list' | 'server_list_stale' | 'broker_away'

export interface ServiceHealth {
  readonly status: Health['status']
  /** The process answers. */
  readonly live: true
  /** It watches the fleet and may act on what it sees. */
  readonly ready: boolean
  readonly reasons: readonly ServiceHealthReason[]
  readonly state: Health['state']
  readonly mode: string
  /** The dead man's switch: when the last check came back, and how long ago that is. */
  readonly last_check_at: string | null
  readonly last_check_age_seconds: number | null
  readonly servers: Readonly<Record<string, number>>
  readonly server_list: { readonly listed_at: string | null; readonly stale: boolean }
  readonly version: string
}

interface About {
  readonly mode: string
  readonly version: string
  readonly trouble?: 'broker_away' | null
}

/** @param engine what the plugin says of the engine: its judgement is asked for, not made a second time */
export function serviceHealth(engine: Health, { registry, counts }: FleetStatus, about: About): ServiceHealth {
  const { listedAt, stale } = registry
  // With a store in memory nobody else leads: on standby it has just been started.
  const runs = engine.state === 'leading' || engine.state === 'standby'
  const list: ServiceHealthReason[] = !runs ? [] : stale ? ['server_list_stale'] : listedAt === null ? ['no_server_list'] : []
  const reasons = [...engine.reasons, ...list, ...(about.trouble ? [about.trouble] : [])]
  return {
    status: reasons.length === 0 ? 'ok' : 'failing',
    live: true,
    ready: reasons.length === 0,
    reasons,
    state: engine.state,
    mode: about.mode,
    last_check_at: engine.last_check_at,
    last_check_age_seconds: engine.last_check_age_seconds,
    servers: counts,
    server_list: { listed_at: listedAt === null ? null : new Date(listedAt).toISOString(), stale },
    version: about.version,
  }
}
