import { errorText, isPintailError, type Listing, type Logger, type ServerInput, type ServerRegistry, systemClock } from '@pintail/core'
import { collect } from './listing.ts'
import { count } from './terminal.ts'

/** While the database service is away, this is said again so often, milliseconds. */
const remindMs = 300_000

/** The registry, and beside it a word in the log when the database service goes away and when it is back. */
export function tellingRegistry(
  registry: ServerRegistry,
  url: string,
  logger: Logger,
  now: () => number = systemClock.now,
): ServerRegistry {
  const where = url.replace(/(\w:\/\/)[^\s/@]*@/, '$1***@')
  let awaySince: number | null = null
  let toldAt = 0
  let isKnown = false

  const answered = (servers: number): void => {
    if (awaySince !== null) {
      const away = Math.round((now() - awaySince) / 1000)
      logger.info({ servers }, `the database service at ${where} answers again after ${away} s: ${count(servers, 'server')}`)
    } else if (!isKnown) logger.info({ servers }, `the database service at ${where} lists ${count(servers, 'server')}`)
    awaySince = null
    isKnown = true
  }
  const failed = (error: unknown): void => {
    awaySince ??= now()
    if (toldAt >= awaySince && now() - toldAt < remindMs) return
    toldAt = now()
    const remedy = (isPintailError(error) && error.remedy) || 'Check DATABASE_SERVICE_URL, and that the service runs.'
    logger.warn(
      { url: where, remedy },
      `the database service at ${where} does not answer: ${errorText(error)}. Nobody can be moved until it does; it is asked again and again`,
    )
  }
  const told = async (listing: Listing<ServerInput>): Promise<readonly ServerInput[]> => {
    try {
      const rows = await collect(listing)
      answered(rows.length)
      return rows
    } catch (error) {
      failed(error)
      throw error
    }
  }
  return {
    listServers: (ctx) => told(registry.listServers(ctx)),
    listConnections: (server, ctx) => registry.listConnections(server, ctx),
    ...(registry.coverage && { coverage: registry.coverage }),
    ...(registry.setServerStatus && { setServerStatus: registry.setServerStatus.bind(registry) }),
  }
}
