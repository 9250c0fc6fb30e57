import { type Clock, errorText, type Logger, type Pintail, type ServerId, systemClock } from '@pintail/core'
import { count } from './terminal.ts'

interface LeftoverOptions {
  readonly engine: Pintail
  readonly logger: Logger
  /** Before it is tried again where a guard forbids it or nobody has room, milliseconds. Default 10 000. */
  readonly retryMs?: number
  readonly clock?: Clock
}

/**
 * What an earlier run has left behind. With its state in memory a killed service forgets its incidents, and the engine
 * takes a server that is inactive for one that somebody has taken out of service on purpose. So: a server that was
 * inactive when this run first saw it, is then confirmed to be dead, and still has users, is evacuated. Servers that
 * live, and those that somebody sets inactive later, are left alone. To be called before `start()`, in mode `auto`.
 */
export function moveLeftovers({ engine, logger, retryMs = 10_000, clock = systemClock }: LeftoverOptions): Disposable {
  const found = new Set<ServerId>()
  const ending = new AbortController()

  const report = (id: ServerId) => engine.status().servers.find(({ serverId }) => serverId === id)
  const isDue = (id: ServerId): boolean => {
    const server = report(id)
    const isLeft = server?.status === 'offline' && server.verdict.verdict === 'down' && server.incidentId === null
    return isLeft && hasWitness(engine) && !ending.signal.aborted
  }
  const begin = (id: ServerId): void => {
    if (!found.delete(id)) return
    evacuate(id).catch((error) => logger.error({ err: error, serverId: id }, `server ${id}: ${errorText(error)}`))
  }

  /** Until somebody moves them, nobody is there, or the server is no leftover any more. */
  async function evacuate(id: ServerId): Promise<void> {
    let told = ''
    while (isDue(id)) {
      const problem = await attempt(id)
      if (problem === null) return
      if (problem !== told)
        logger.warn({ serverId: id }, `server ${id} was inactive at the start and is dead, but nobody is moved yet: ${problem}`)
      told = problem
      await wait(retryMs)
    }
    // Not due any more, or not yet: the next verdict decides.
    if (!ending.signal.aborted && report(id)?.status === 'offline') found.add(id)
  }

  /** Why it has to be tried again; null: it is done. */
  async function attempt(id: ServerId): Promise<string | null> {
    try {
      const plan = await engine.plan({ drain: [id], reason: 'server-down' })
      const users = plan.placements.reduce((sum, { connections }) => sum + connections.length, 0)
      if (users + plan.unplaced.length === 0) return null
      if (users === 0) return plan.unplaced[0]?.message ?? 'nobody has room'
      await engine.execute(plan)
      logger.warn(
        { serverId: id, users, unplaced: plan.unplaced.length },
        `server ${id} was inactive at the start, is dead and still has ${count(users, 'user')}, as an earlier run may have left them: they are moved`,
      )
      return null
    } catch (error) {
      return errorText(error)
    }
  }

  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        ending.signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = clock.setTimeout(end, ms)
      if (ending.signal.aborted) end()
      else ending.signal.addEventListener('abort', end)
    })

  const listeners = [
    engine.on('server.added', ({ serverId }) => {
      if (report(serverId)?.status === 'offline') found.add(serverId)
    }),
    engine.on('server.verdict_changed', ({ serverId, verdict }) => {
      if (verdict === 'down' && isDue(serverId)) begin(serverId)
    }),
  ]
  return {
    [Symbol.dispose]() {
      ending.abort()
      for (const one of listeners) one[Symbol.dispose]()
    },
  }
}

/** A lone dead server may as well be a dead prober: somebody else must be seen to live. */
function hasWitness(engine: Pintail): boolean {
  const { counts, servers } = engine.status()
  const { guards, detect } = engine.policy.get().policy
  return counts.up > 0 && (servers.length >= guards.minServers || detect.canaries.length > 0)
}
