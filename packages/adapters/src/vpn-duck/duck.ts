import {
  type CallContext,
  type ConnectionMover,
  type LogSink,
  type Pintail,
  PintailError,
  type ServerRegistry,
  systemClock,
} from '@pintail/core'
import { HttpClient } from '../http/client.ts'
import { DuckApi } from './api.ts'
import { Homes } from './homes.ts'
import { DuckLog } from './log.ts'
import { DuckMetrics } from './metrics.ts'
import { DuckMover } from './mover.ts'
import type { Dialect, ForwardOptions, ServerMetrics, VpnDuckOptions } from './options.ts'
import { DuckRegistry } from './registry.ts'
import { Statuses } from './statuses.ts'
import { WireGuardApi, WireGuardMover } from './wireguard.ts'

/** The ports of a VPN Duck installation, over one connection to its database service. */
export interface VpnDuck extends AsyncDisposable {
  readonly registry: ServerRegistry
  readonly mover: ConnectionMover
  readonly log: LogSink
  /**
   * Which generation of the API it speaks, found out if nobody knows yet.
   * @throws PintailError `unavailable`
   */
  dialect(ctx?: CallContext): Promise<Dialect>
  /**
   * Figures of one server.
   * @throws PintailError `unavailable`, or whatever VPN Duck refuses them with
   */
  recordMetrics(metrics: ServerMetrics, ctx?: CallContext): Promise<void>
  /** Sends the newest sample of each server that is up, every minute, until it is disposed of. One warning when it fails. */
  forwardMetrics(pintail: Pick<Pintail, 'status'>, options?: ForwardOptions): Disposable
  /** After `pintail.stop()`: aborts what is under way; no socket and no timer is left. Later calls reject with `stopped`. */
  close(): Promise<void>
}

const always = (): CallContext => ({ signal: new AbortController().signal })

/**
 * VPN Duck (github.com/FrankX3M/VPN_DUCK) as registry, mover and log: seed 000's integration. Makes no call until it is
 * asked something.
 * @example const duck = vpnDuck({ databaseServiceUrl: 'http://database-service:5002' }); createPintail({ registry: duck.registry, mover: duck.mover, log: duck.log })
 * @throws PintailError `invalid_options`
 */
export function vpnDuck(options: VpnDuckOptions): VpnDuck {
  const { clock = systemClock, logger, headers = {}, timeouts = {}, dialect = 'auto', apiPrefix = null } = options
  if (!['auto', 'v1', 'v2'].includes(dialect))
    throw new PintailError('invalid_options', `dialect must be auto, v1 or v2, not ${JSON.stringify(dialect)}`)
  if (![null, '', '/api'].includes(apiPrefix))
    throw new PintailError('invalid_options', `apiPrefix must be '' or '/api', not ${JSON.stringify(apiPrefix)}`)
  const common = {
    fetch: options.fetch,
    ...(options.tries !== undefined && { tries: options.tries }),
    ...(options.backoffMs !== undefined && { backoffMs: options.backoffMs }),
    ...(options.concurrency !== undefined && { concurrency: options.concurrency }),
    rate: options.rate ?? null,
    clock,
    random: options.random,
  }
  const http = new HttpClient({ ...common, name: 'VPN Duck', baseUrl: withoutApi(options.databaseServiceUrl), headers })
  const api = new DuckApi(http, { dialect: dialect === 'auto' ? null : dialect, prefix: apiPrefix }, timeouts, logger)
  const homes = new Homes(api, clock, logger, options.ledger ?? null)
  const statuses = new Statuses(api, clock)
  const books = new DuckMover(api, homes, clock)
  const wireguard = options.wireguard ? new WireGuardApi(options.wireguard, common) : null
  const metrics = new DuckMetrics(api, clock, logger)
  const duck: VpnDuck = {
    registry: new DuckRegistry(api, homes, statuses, logger, wireguard !== null),
    mover: wireguard ? new WireGuardMover(books, wireguard) : books,
    log: new DuckLog(api, logger),
    dialect: async (ctx = always()) => (await api.spoken(ctx)).dialect,
    recordMetrics: (figures, ctx = always()) => metrics.record(figures, ctx),
    forwardMetrics: (pintail, forward) => metrics.forward(pintail, forward),
    async close() {
      metrics.close()
      await Promise.all([statuses.close(), http.close(), wireguard?.close()])
    },
    [Symbol.asyncDispose]: () => duck.close(),
  }
  return duck
}

/** The prefix is the dialect's: whoever has written it into the URL does not get it twice. */
function withoutApi(url: string | URL): string {
  return String(url).replace(/\/api\/?$/, '')
}
