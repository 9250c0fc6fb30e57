import { natsPermissions, type RunningVantage, runVantage } from '@pintail/adapters/nats'
import type { Logger } from 'pino'
import { Closers } from './closers.ts'
import type { Terminal } from './io.ts'
import { type Broker, connectNats } from './nats.ts'
import { proberFor } from './probers.ts'
import { beginLog, couldNotBegin, remoteFigures } from './remoteProcess.ts'
import type { ResolvedVantage } from './settings/remote.ts'
import { vantageSettings } from './settings/vantage.ts'
import { endings } from './signals.ts'
import { openSmallHttp } from './smallHttp.ts'

/** Runs until a signal or a fault ends it. @returns the exit code */
export async function vantage(resolved: ResolvedVantage, terminal: Terminal): Promise<number> {
  const logger = beginLog('pintail vantage', resolved, vantageSettings, terminal)
  using ending = endings(logger)
  await using closers = new Closers()
  let probing: Probing
  try {
    probing = await begin(resolved, logger, closers)
  } catch (error) {
    return couldNotBegin(logger, error)
  }
  const { host, port, vantage: name, prober } = resolved.values
  const { metrics } = remoteFigures('pintail_vantage', () => figuresOf(probing.running), ['servers', 'waiting', 'looks', 'listAgeMs'])
  const http = await openSmallHttp({ host, port, logger, health: () => healthOf(probing, name), metrics })
  if (!http) return 1
  closers.own(http)
  logger.info({ vantage: name }, `the vantage ${name} probes by ${prober}; the engine is asked which servers there are`)
  const { why, code } = await ending.asked
  logger.info({ why }, `${why}: stopping. A second signal ends it at once`)
  await probing.running.stop()
  logger.info({}, 'stopped')
  return code
}

interface Probing {
  readonly running: RunningVantage
  readonly broker: Broker
}

async function begin({ values, sections }: ResolvedVantage, logger: Logger, closers: Closers): Promise<Probing> {
  const { vantage: name, canaries, checkInterval, pingCount, pingTimeout, natsPrefix: prefix } = values
  const { inboxPrefix } = natsPermissions({ role: 'vantage', name }, { prefix })
  const broker = closers.own(await connectNats(values, { name: `pintail vantage ${name}`, inboxPrefix }, logger))
  const running = await runVantage({
    nats: broker.nats,
    vantage: name,
    prefix,
    probers: [proberFor(values)],
    canaries,
    detect: {
      checkIntervalMs: Math.round(checkInterval * 1000),
      pingCount,
      pingTimeoutMs: Math.round(pingTimeout * 1000),
      ...sections.detect,
    },
    logger,
  })
  closers.add(() => running.stop())
  return { running, broker }
}

/** Numbers alone: what is not known yet is no figure. */
const figuresOf = (running: RunningVantage): object =>
  Object.fromEntries(Object.entries(running.status()).filter(([, value]) => typeof value === 'number'))

const healthOf = ({ running, broker }: Probing, name: string) => {
  const status = running.status()
  const reasons = [
    !broker.isConnected() && 'broker_away',
    status.servers === 0 && 'no_server_list',
    status.delivering === false && 'not_delivered',
  ]
  const found = reasons.filter((reason) => reason !== false)
  return { ready: found.length === 0, reasons: found, vantage: name, ...status }
}
