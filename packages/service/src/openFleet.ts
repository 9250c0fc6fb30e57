import { errorText } from '@pintail/core'
import type { Logger } from 'pino'
import type { Fleet } from './fleet.ts'
import { openLedger } from './ledger.ts'
import { openNatsFleet } from './natsFleet.ts'
import { connectVpnDuck, listedByVpnDuck } from './parts.ts'
import { tellingRegistry } from './registry.ts'
import { isByNats } from './settings/fleet.ts'
import type { Resolved } from './settings/resolve.ts'
import type { Env } from './store.ts'

/** @throws PintailError with a remedy, if what it needs is not there */
export async function openFleet({ values, view }: Resolved, env: Env, logger: Logger): Promise<Fleet> {
  return isByNats(values) ? openNatsFleet(values, view.policy.migration.timeoutMs, logger) : openVpnDuck(values, env, logger)
}

function openVpnDuck(values: Resolved['values'], env: Env, logger: Logger): Fleet {
  const { duck, registry } = connectVpnDuck(values, { logger, ledger: openLedger(values, env, logger) })
  let metrics: Disposable | null = null
  return {
    registry: tellingRegistry(registry, listedByVpnDuck(values.databaseServiceUrl), logger),
    mover: duck.mover,
    log: duck.log,
    trouble: () => null,
    follow: (engine) => {
      if (values.metrics && values.mode !== 'observe') metrics = duck.forwardMetrics(engine)
    },
    figures: () => ({}),
    [Symbol.asyncDispose]: async () => {
      metrics?.[Symbol.dispose]()
      await duck.close().catch((error: unknown) => logger.debug({}, errorText(error)))
    },
  }
}
