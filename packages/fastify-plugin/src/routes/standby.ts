import { type FleetStatus, type Pintail, PintailError } from '@pintail/core'

/**
 * What is so now. An engine on standby sees no fleet, and an empty picture would look like a fleet that is gone.
 * @throws PintailError `not_leader`
 */
export function lookedAt(engine: Pintail): FleetStatus {
  const status = engine.status()
  if (status.state !== 'standby') return status
  throw new PintailError('not_leader', 'this engine is on standby', { remedy: 'Ask the engine that leads, or ask again.' })
}
