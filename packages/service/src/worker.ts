import { join } from 'node:path'
import { natsPermissions, type RunningWorker, runRegionWorker } from '@pintail/adapters/nats'
import { sqliteBook, type WorkerBook } from '@pintail/adapters/regions'
import { errorText, PintailError } from '@pintail/core'
import type { Logger } from 'pino'
import { Closers } from './closers.ts'
import type { Terminal } from './io.ts'
import { stateFolder } from './ledger.ts'
import { type Broker, connectNats } from './nats.ts'
import { beginLog, couldNotBegin, remoteFigures } from './remoteProcess.ts'
import type { ResolvedWorker } from './settings/remote.ts'
import { workerSettings } from './settings/worker.ts'
import { endings } from './signals.ts'
import { openSmallHttp } from './smallHttp.ts'
import { type Env, madeFolder } from './store.ts'
import { handlerOf } from './workerHandler.ts'

/** Runs until a signal or a fault ends it. @returns the exit code */
export async function runWorker(resolved: ResolvedWorker, terminal: Terminal): Promise<number> {
  const logger = beginLog('pintail worker', resolved, workerSettings, terminal)
  using ending = endings(logger)
  await using closers = new Closers()
  let worker: Running
  try {
    worker = await begin(resolved, terminal.env, logger, closers)
  } catch (error) {
    return couldNotBegin(logger, error)
  }
  const { region, host, port, servers } = resolved.values
  const { metrics } = remoteFigures('pintail_worker', () => worker.running.figures(), ['inFlight', 'foreign'])
  const http = await openSmallHttp({ host, port, logger, health: () => healthOf(worker, region), metrics })
  if (!http) return 1
  closers.own(http)
  const which = servers.length === 0 ? 'all of its servers' : servers.join(', ')
  logger.info({ region, servers }, `the worker of region ${region} waits for commands: ${which}`)
  const { why, code } = await Promise.race([ending.asked, worker.running.ended.then(() => ({ why: 'its connection is gone', code: 1 }))])
  await stop(worker, resolved, why, logger)
  return code
}

interface Running {
  readonly running: RunningWorker
  readonly broker: Broker
}

async function begin({ values, sections }: ResolvedWorker, env: Env, logger: Logger, closers: Closers): Promise<Running> {
  const path = values.book === 'auto' ? join(stateFolder(env), `worker-${encodeURIComponent(values.region)}.db`) : values.book
  const book = openBook(path, values.book === 'auto', logger)
  closers.add(() => book.close())
  const handler = handlerOf(values, sections, path, logger)
  const which = values.servers.length === 0 ? {} : { servers: values.servers }
  const { inboxPrefix } = natsPermissions({ role: 'worker', region: values.region, ...which }, { prefix: values.natsPrefix })
  const broker = closers.own(await connectNats(values, { name: `pintail worker ${values.region}`, inboxPrefix }, logger))
  const running = await runRegionWorker({
    nats: broker.nats,
    region: values.region,
    ...which,
    // `pintail serve` makes the streams, with its own limits.
    setUp: false,
    handler,
    book,
    prefix: values.natsPrefix,
    concurrency: values.concurrency,
    logger,
  })
  closers.add(() => running.stop())
  return { running, broker }
}

/** What it has done must be known to the next run: without a place for it nothing is begun. */
function openBook(path: string, isAuto: boolean, logger: Logger): WorkerBook {
  const missing = madeFolder(join(path, '..'))
  if (missing !== null) {
    const remedy = isAuto
      ? 'Mount a volume there, or name a file that it may write in PINTAIL_BOOK.'
      : 'Name a file that it may write in PINTAIL_BOOK.'
    throw new PintailError('unavailable', `there is no place for ${path}: ${errorText(missing)}`, { cause: missing, remedy })
  }
  const book = sqliteBook({ path })
  logger.info({ path }, `what it has done is kept in ${path}`)
  return book
}

const healthOf = ({ running, broker }: Running, region: string) => {
  const isConnected = broker.isConnected()
  return { ready: isConnected, reasons: isConnected ? [] : ['broker_away'], region, figures: running.figures() }
}

/** What is under way gets its time; what does not end by then is delivered again to the next run. */
async function stop({ running }: Running, { values }: ResolvedWorker, why: string, logger: Logger): Promise<void> {
  const { inFlight } = running.figures()
  const rest = inFlight === 0 ? '' : `; ${inFlight} commands under way get ${values.stopTimeout} s to finish`
  logger.info({ why, inFlight }, `${why}: stopping${rest}. A second signal ends it at once`)
  await running.stop(values.stopTimeout * 1000)
  logger.info({}, 'stopped')
}
