import { errorText, isPintailError, type Listing, type Logger, type ServerInput, type ServerRegistry, systemClock } from '@pintail/core'
import { collect } from './listing.ts'
import { count } from './terminal.ts'

/** While it is away, this is said again so often, milliseconds. */
const remindMs = 300_000

/** Whose list it is, in words, and what to do when it does not answer. Without credentials. */
export interface ListedBy {
  /** `the database service at http://…` */
  readonly name: string
  readonly remedy: string
}

/** The registry, and beside it a word in the log when its service goes away and when it is back. */
export function tellingRegistry(
  registry: ServerRegistry,
  { name, remedy: usual }: ListedBy,
  logger: Logger,
  now: () => number = systemClock.now,
): ServerRegistry {
  let awaySince: number | null = null
  let toldAt = 0
  let isKnown = false

  const answered = (servers: number): void => {
    if (awaySince !== null) {
      const away = Math.round((now() - awaySince) / 1000)
      logger.info({ servers }, `${name} answers again after ${away} s: ${count(servers, 'server')}`)
    } else if (!isKnown) logger.info({ servers }, `${name} lists ${count(servers, 'server')}`)
    awaySince = null
    isKnown = true
  }
  const failed = (error: unknown): void => {
    awaySince ??= now()
    if (toldAt >= awaySince && now() - toldAt < remindMs) return
    toldAt = now()
    const remedy = (isPintailError(error) && error.remedy) || usual
    logger.warn({ remedy }, `${name} does not answer: ${errorText(error)}. Nobody can be moved until it does; it is asked again and again`)
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
