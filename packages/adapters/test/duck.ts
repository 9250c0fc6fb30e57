import { type Clock, systemClock } from '@pintail/core'
import type { VpnDuckTimeouts } from '../src/vpn-duck/index.ts'
import type { DatabaseService } from '../src/vpn-duck/testing/index.ts'
import { until } from './until.ts'

/** Longer than any machine stands still. */
const ms = 120_000
export const unhurriedTimeouts: VpnDuckTimeouts = { readMs: ms, statusMs: ms, batchMs: ms, moveMs: ms, logMs: ms, metricsMs: ms }

/** The machine's, on which what VPN Duck's adapter allows a look takes as long as it needs. */
export const unhurriedClock: Clock = {
  ...systemClock,
  setTimeout: (callback, delayMs) => systemClock.setTimeout(callback, delayMs >= 3000 ? 100 * delayMs : delayMs),
}

/** On the port that it has had; somebody else may have been given it meanwhile, for a moment. */
export async function listenAgain(service: Pick<DatabaseService, 'listen'>, port?: number): Promise<void> {
  await until('its port is free again', () =>
    service.listen(port).then(
      () => true,
      (error: { readonly code?: string }) => {
        if (error.code === 'EADDRINUSE') return false
        throw error
      },
    ),
  )
}
