import { errorText, isPintailError } from '@pintail/core'
import type { Logger } from 'pino'
import * as client from 'prom-client'
import { figureText } from './figureText.ts'
import type { Terminal } from './io.ts'
import { createLogger } from './log.ts'
import type { Definitions } from './settings/setting.ts'
import { settingsData, type Told } from './settings/show.ts'
import type { WorkerValues } from './settings/worker.ts'
import { usesColor } from './terminal.ts'
import { version } from './version.ts'

interface Starting extends Told {
  readonly values: Readonly<Record<string, unknown>> & Pick<WorkerValues, 'logLevel' | 'logFormat'>
  readonly warnings: readonly string[]
}

/** The log of `pintail worker` or `pintail vantage`, with its first lines in it. */
export function beginLog(what: string, resolved: Starting, definitions: Definitions, terminal: Terminal): Logger {
  const { logLevel, logFormat } = resolved.values
  const logger = createLogger({ logLevel, logFormat, isTerminal: terminal.isTerminal, color: usesColor(terminal) })
  logger.info({ version: version(), settings: settingsData(resolved, definitions) }, `${what} ${version()} starts`)
  for (const warning of resolved.warnings) logger.warn({}, warning)
  return logger
}

/** What could not begin, with what to do. @returns the exit code */
export function couldNotBegin(logger: Logger, error: unknown): number {
  const remedy = (isPintailError(error) && error.remedy) || 'See the settings: --print-config shows them with their sources.'
  logger.fatal({ err: error, remedy }, `it could not begin: ${errorText(error)}. ${remedy}`)
  return 1
}

export interface RemoteFigures {
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>
}

/**
 * Figures that something counts itself, for Prometheus, and Node's own.
 * @param gauges those that may fall; all others only rise
 */
export function remoteFigures(prefix: string, count: () => object, gauges: readonly string[]): RemoteFigures {
  const registry = new client.Registry()
  client.collectDefaultMetrics({ register: registry })
  const body = async (): Promise<string> => `${await registry.metrics()}${figureText(prefix, count(), gauges)}`
  return { metrics: async () => ({ contentType: registry.contentType, body: await body() }) }
}
