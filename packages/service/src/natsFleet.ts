import type { NatsConnection } from '@nats-io/transport-node'
import { type PostgresAccess, postgresAccess } from '@pintail/adapters/access'
import { natsMover, natsPermissions, natsVantages, setUpNats } from '@pintail/adapters/nats'
import type { SyncReport } from '@pintail/adapters/regions'
import { webhook } from '@pintail/adapters/webhook'
import { wireguardNotifier } from '@pintail/adapters/wireguard'
import { type ClientNotifier, errorText, type Pintail } from '@pintail/core'
import type { Logger } from 'pino'
import { Closers } from './closers.ts'
import type { Fleet } from './fleet.ts'
import { connectNats } from './nats.ts'
import { postgresPlaceOf, postgresPool } from './postgres.ts'
import { withPort } from './probers.ts'
import { type ListedBy, tellingRegistry } from './registry.ts'
import type { Settings } from './settings/settings.ts'

/** Connections to PostgreSQL for the books at most: each move asks them three times, and many are under way. */
const mostConnections = 8

export interface Books extends AsyncDisposable {
  readonly access: PostgresAccess
  readonly listedBy: ListedBy
}

/** The books of who has access where, over a pool of their own. Nothing is connected yet. */
export async function openBooks(values: Settings, logger?: Logger): Promise<Books> {
  const pool = await postgresPool(values, mostConnections, logger)
  return {
    access: postgresAccess({ pool, schema: values.postgresSchema }),
    listedBy: { name: `the books in ${postgresPlaceOf(values)}`, remedy: 'Check PINTAIL_POSTGRES_URL, and that the database runs.' },
    [Symbol.asyncDispose]: () => pool.end(),
  }
}

/**
 * Books in PostgreSQL, moves by workers of regions, samples of vantages elsewhere.
 * @param timeoutMs how long a move may take, as the policy has it
 * @throws PintailError
 */
export async function openNatsFleet(values: Settings, timeoutMs: number, logger: Logger): Promise<Fleet> {
  const closers = new Closers()
  try {
    return await opened(values, timeoutMs, logger, closers)
  } catch (error) {
    await closers[Symbol.asyncDispose]()
    throw error
  }
}

async function opened(values: Settings, timeoutMs: number, logger: Logger, closers: Closers): Promise<Fleet> {
  const { access, listedBy } = closers.own(await openBooks(values, logger))
  if (values.migrate) await access.migrate()
  const prefix = values.natsPrefix
  const { inboxPrefix } = natsPermissions({ role: 'engine', name: 'engine' }, { prefix })
  // A broker that lost its disk has no streams when it is back.
  const setUp = async (nats: NatsConnection): Promise<unknown> => setUpNats(nats, { prefix, replicas: values.natsReplicas })
  const again = (nats: NatsConnection): void => {
    setUp(nats).catch((error: unknown) => logger.warn({ err: error }, `the streams at NATS could not be looked after: ${errorText(error)}`))
  }
  const broker = closers.own(await connectNats(values, { name: 'pintail serve', inboxPrefix, onReconnect: again }, logger))
  const { nats, where } = broker
  await setUp(nats)
  logger.info({ where }, `NATS at ${where} is set up: commands for workers and samples of vantages begin with ${prefix}.`)
  let engine: Pintail | null = null
  const leads = (): number | null => {
    if (engine?.health().state !== 'leading') return null
    return engine.health().leader?.token ?? null
  }
  const mover = natsMover({
    nats,
    access,
    prefix,
    timeoutMs,
    syncEveryMs: values.syncInterval * 1000,
    leads,
    onDrift: tellDrift(logger),
    logger,
  })
  closers.add(() => mover.close())
  const notifier = notifierOf(values, closers)
  const registry = withPort(access, values.tcpPort)
  const vantages = natsVantages({ nats, prefix, servers: registry, logger })
  return {
    registry: tellingRegistry(registry, listedBy, logger),
    mover,
    observations: vantages,
    ...(notifier && { notifier }),
    trouble: () => (broker.isConnected() ? null : 'broker_away'),
    follow: (one) => {
      engine = one
      const following = vantages.follow(one)
      closers.add(() => following[Symbol.dispose]())
    },
    figures: () => ({ ...mover.figures() }),
    [Symbol.asyncDispose]: () => closers[Symbol.asyncDispose](),
  }
}

/** Clients of WireGuard keep their old server until they are told. Null: nobody is to be told by this service. */
function notifierOf({ webhookUrl, webhookSecret }: Settings, closers: Closers): ClientNotifier | null {
  if (webhookUrl === '') return null
  const deliver = webhook({ url: webhookUrl, secret: webhookSecret })
  closers.add(() => deliver.close())
  return wireguardNotifier({ deliver })
}

/** What was not as the books say: repaired or not, somebody should look why. */
const tellDrift =
  (logger: Logger) =>
  ({ serverId, region, status, missing, changed, extra, error }: SyncReport): void =>
    logger.warn(
      { serverId, region, status, missing, changed, extra, error },
      `server ${serverId} was not as the books say: ${missing} were missing, ${extra} were there who should not, ${changed} had other data (${status})`,
    )
