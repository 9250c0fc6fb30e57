import type { EngineHealth, FleetStatus, Pintail, Policy } from '@pintail/core'

/** Why the health is red. Words only: the route answers everybody, and an error's text may hold an address. */
export type HealthReason = 'start_failed' | 'not_started' | 'stopping' | 'stopped' | 'no_checks' | 'store_trouble'

export interface Health {
  readonly status: 'ok' | 'failing'
  readonly state: FleetStatus['state']
  readonly reasons: readonly HealthReason[]
  /** ISO 8601. */
  readonly last_check_at: string | null
  /** The dead man's switch: how long ago the last check came back. */
  readonly last_check_age_seconds: number | null
}

const stateReasons: Readonly<Record<FleetStatus['state'], HealthReason | null>> = {
  idle: 'not_started',
  standby: null,
  leading: null,
  stopping: 'stopping',
  stopped: 'stopped',
}

/**
 * Whether somebody is watching the fleet. An engine on standby is well: another one leads.
 * @internal
 */
export function healthOf(engine: Pintail, failure: unknown): Health {
  const status = engine.health()
  const reasons: HealthReason[] = []
  const byState = stateReasons[status.state]
  // An engine that leads has been started after all.
  if (failure !== null && status.state !== 'leading') reasons.push('start_failed')
  else if (byState) reasons.push(byState)
  if (status.state === 'leading' && isBlind(status, engine.policy.get().policy)) reasons.push('no_checks')
  if (status.storeTrouble !== null) reasons.push('store_trouble')
  const { lastCheckAt } = status
  return {
    status: reasons.length === 0 ? 'ok' : 'failing',
    state: status.state,
    reasons,
    last_check_at: lastCheckAt === null ? null : new Date(lastCheckAt).toISOString(),
    last_check_age_seconds: lastCheckAt === null ? null : Math.max(0, Math.round(status.at - lastCheckAt) / 1000),
  }
}

/** A busy event loop and a slow first listing are no blindness. */
const leastPatienceMs = 15_000

/** True when three rounds of checks have gone by without one answer from the prober. */
function isBlind({ at, lastCheckAt, leader, serverCount, registry }: EngineHealth, { startupDelayMs, detect }: Policy): boolean {
  if (serverCount === 0 && registry.listedAt !== null) return false
  const patienceMs = Math.max(leastPatienceMs, 3 * detect.checkIntervalMs + detect.pingCount * detect.pingTimeoutMs)
  const from = Math.max(lastCheckAt ?? 0, (leader?.since ?? at) + startupDelayMs)
  return at - from > patienceMs
}
