import { Engine } from './engine/pintail.ts'
import { pseudonymsBy } from './engine/pseudonyms.ts'
import { unsupported } from './errors.ts'
import { memoryLeases } from './memory/leases.ts'
import { memoryStore } from './memory/store.ts'
import { type PintailOptions, parseOptions } from './options.ts'
import { allOf } from './probers/composite.ts'
import { icmp } from './probers/icmp.ts'
import type { Pintail } from './surface.ts'
import { counted, timed } from './telling/measured.ts'
import { metering } from './telling/meter.ts'
import { guarded, silent } from './telling/narrator.ts'
import { systemClock } from './time.ts'

/**
 * Makes an engine. Synchronous, and nothing runs before `start()`.
 * @throws PintailError `invalid_options` naming every problem; `unsupported` for what is typed and not built yet
 */
export function createPintail(options: PintailOptions): Pintail {
  const policy = parseOptions(options)
  if (options.mover.granularity === 'server') throw unsupported("mover.granularity 'server'", 'whole-server movers')
  const { clock = systemClock, logger = silent } = options
  const figures = options.metrics ? metering(options.metrics, clock, guarded(logger)) : null
  const port = <T extends object>(name: string, one: T): T => (figures ? timed(one, name, figures.tell, clock) : one)
  const maybe = <T extends object>(name: string, one: T | undefined): T | null => (one ? port(name, one) : null)
  const probers = (options.probers ?? [icmp()]).map((one) => (figures ? counted(one, figures.tell) : one))
  return new Engine({
    registry: port('registry', options.registry),
    mover: port('mover', options.mover),
    prober: probers.length === 1 && probers[0] ? probers[0] : allOf(...probers),
    vantage: { name: options.vantage?.name ?? 'local', region: options.vantage?.region ?? null },
    observations: options.observations ?? null,
    store: port('store', options.store ?? memoryStore()),
    leases: port('leases', options.leases ?? memoryLeases(clock)),
    guards: (options.guards ?? []).map((one) => port('guards', one)),
    log: maybe('log', options.log),
    notifier: maybe('notifier', options.notifier),
    logger,
    metering: figures,
    clock,
    random: options.random ?? Math.random,
    pseudonym: pseudonymsBy(options.pseudonymKey ?? null),
    policy,
    // A copy: what the host does to its object later is no word of anybody.
    policyInput: structuredClone(options.policy ?? {}),
  })
}
