import { type Clock, errorText, type Logger, type Random } from '@pintail/core'
import type { AccessServer } from '../access/book.ts'
import type { SyncReport } from './syncReport.ts'

export interface ScheduleParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly everyMs: number | null
  readonly atOnce: number
  leads(): number | null
  servers(): Promise<readonly AccessServer[]>
  sync(server: AccessServer, token: number): Promise<SyncReport>
}

/** When which server is synced. */
export interface Schedule {
  /** These are due at once. */
  hurry(which: (server: AccessServer) => boolean): void
  /** Its worker has spoken: if it was silent, it is due at once. */
  heard(serverId: string): void
  close(): void
}

interface Turn {
  readonly server: AccessServer
  dueAt: number
  isRunning: boolean
  /** Its worker has not answered: a list after the other would only fill the broker. */
  isSilent: boolean
}

/** A worker that has not answered is asked again after so many periods, or when it is heard. */
const silentPeriods = 12
/** The second list that a worker waits for comes so soon, milliseconds. */
const heldMs = 30_000

/** One timer for all; servers are spread over the period. */
export function schedule({ clock, random, logger, everyMs, atOnce, leads, servers, sync }: ScheduleParts): Schedule {
  const turns = new Map<string, Turn>()
  let token: number | null = null
  let listedAt = Number.NEGATIVE_INFINITY
  let running = 0
  let isClosed = false
  if (everyMs === null) return { hurry: () => {}, heard: () => {}, close: () => {} }
  const tickMs = Math.max(50, Math.min(1000, everyMs / 10))
  const around = (ms: number): number => ms * (0.9 + 0.2 * random())

  const list = async (): Promise<void> => {
    const isFirst = turns.size === 0
    const all = await servers()
    const now = clock.now()
    for (const server of all) {
      const known = turns.get(server.id)
      // A new leader does not know for how long nobody has looked: each within the first period, not all at once.
      const dueAt = known?.dueAt ?? (isFirst ? now + everyMs * random() : now)
      turns.set(server.id, { isRunning: false, isSilent: false, ...known, server, dueAt })
    }
    const ids = new Set(all.map(({ id }) => id))
    for (const id of turns.keys()) if (!ids.has(id)) turns.delete(id)
  }

  const run = async (turn: Turn, byToken: number): Promise<void> => {
    const { id } = turn.server
    let status: SyncReport['status'] = 'failed'
    try {
      status = (await sync(turn.server, byToken)).status
    } finally {
      const after = turns.get(id)
      if (after) {
        after.isRunning = false
        after.isSilent = status === 'unanswered'
        const pause = after.isSilent ? silentPeriods * everyMs : status === 'held' ? Math.min(heldMs, everyMs) : everyMs
        after.dueAt = clock.now() + around(pause)
      }
    }
  }

  const tick = async (): Promise<void> => {
    const leading = leads()
    if (leading !== token) {
      token = leading
      turns.clear()
      listedAt = Number.NEGATIVE_INFINITY
    }
    if (leading === null) return
    const now = clock.now()
    if (now - listedAt >= everyMs / 2) {
      listedAt = now
      await list()
    }
    for (const turn of turns.values()) {
      if (running >= atOnce || isClosed) return
      if (turn.isRunning || turn.dueAt > clock.now()) continue
      turn.isRunning = true
      running++
      run(turn, leading)
        .catch((error) => logger.error({ error: errorText(error) }, 'a sync has failed'))
        .finally(() => {
          running--
        })
    }
  }

  const again = (): void => {
    timer = clock.setTimeout(() => {
      tick()
        .catch((error) => logger.warn({ error: errorText(error) }, 'the servers to be synced could not be listed'))
        .finally(() => {
          if (!isClosed) again()
        })
    }, tickMs)
  }
  let timer = clock.setTimeout(() => {}, 0)
  timer.cancel()
  again()
  return {
    hurry: (which) => {
      for (const turn of turns.values()) if (which(turn.server)) turn.dueAt = Math.min(turn.dueAt, clock.now())
    },
    heard: (serverId) => {
      const turn = turns.get(serverId)
      if (!turn?.isSilent) return
      turn.isSilent = false
      turn.dueAt = clock.now()
    },
    close: () => {
      isClosed = true
      timer.cancel()
    },
  }
}
