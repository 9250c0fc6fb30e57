import { checkBuilt, Engine } from './engine/pintail.ts'
import { pseudonymsBy } from './engine/pseudonyms.ts'
import { unsupported } from './errors.ts'
import { memoryLeases } from './memory/leases.ts'
import { memoryStore } from './memory/store.ts'
import { type PintailOptions, parseOptions } from './options.ts'
import { allOf } from './probers/composite.ts'
import { icmp } from './probers/icmp.ts'
import type { Pintail } from './surface.ts'
import { silent } from './telling/narrator.ts'
import { systemClock } from './time.ts'

/**
 * Makes an engine. Synchronous, and nothing runs before `start()`.
 * @throws PintailError `invalid_options` naming every problem; `unsupported` for what is typed and not built yet
 */
export function createPintail(options: PintailOptions): Pintail {
  const policy = parseOptions(options)
  checkBuilt(policy)
  if (options.metrics) throw unsupported('the option metrics', 'the Prometheus adapter')
  if (options.mover.granularity === 'server') throw unsupported("mover.granularity 'server'", 'whole-server movers')
  const { registry, mover, clock = systemClock, probers = [icmp()] } = options
  return new Engine({
    registry,
    mover,
    prober: probers.length === 1 && probers[0] ? probers[0] : allOf(...probers),
    vantage: { name: options.vantage?.name ?? 'local', region: options.vantage?.region ?? null },
    observations: options.observations ?? null,
    store: options.store ?? memoryStore(),
    leases: options.leases ?? memoryLeases(clock),
    guards: options.guards ?? [],
    log: options.log ?? null,
    notifier: options.notifier ?? null,
    logger: options.logger ?? silent,
    clock,
    random: options.random ?? Math.random,
    pseudonym: pseudonymsBy(options.pseudonymKey ?? null),
    policy,
    // A copy: what the host does to its object later is no word of anybody.
    policyInput: structuredClone(options.policy ?? {}),
  })
}
