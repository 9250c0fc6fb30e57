import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { PintailError } from '@pintail/core'

interface Waiting {
  readonly write: () => unknown
  readonly undo: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface GroupCommit {
  /** Resolves when the write would survive a loss of power. @param undo called, the latest first, if it cannot be kept */
  add(write: () => unknown, undo: () => void): Promise<void>
  /** Writes what was added, so that a query finds it; it is synchronised later. */
  write(): void
  /** Resolves when all that was added is kept; nothing can be added afterwards. */
  close(): Promise<void>
}

/**
 * A commit of SQLite writes to its log; what makes it last is that the log is synchronised. That is done here, by a thread of
 * Node's own, while the event loop goes on: whatever comes meanwhile is the next commit, and one synchronisation serves it all.
 */
export function groupCommit(db: DatabaseSync, path: string, unwritten: (error: unknown) => PintailError): GroupCommit {
  let waiting: Waiting[] = []
  let written: Waiting[] = []
  let isScheduled = false
  let isClosed = false
  let log: number | null = null
  let synced: Promise<void> | null = null

  const write = (): void => {
    const group = waiting
    if (group.length === 0) return
    waiting = []
    try {
      db.exec('BEGIN IMMEDIATE')
      for (const { write: one } of group) one()
      db.exec('COMMIT')
      written.push(...group)
    } catch (error) {
      rollBack(db)
      settle(group, unwritten(error))
    }
  }
  /** There is no log before the first commit, and none for what is in memory. */
  const logOf = (): number | null => {
    if (path !== ':memory:') log ??= openSync(`${path}-wal`, 'r')
    return log
  }
  const synchronise = (): Promise<void> =>
    new Promise((resolve) => {
      const group = written
      written = []
      const end = (error: unknown): void => {
        settle(group, error ? unwritten(error) : null)
        resolve()
      }
      try {
        const file = group.length === 0 ? null : logOf()
        if (file === null) end(null)
        else fdatasync(file, end)
      } catch (error) {
        end(error)
      }
    })
  const turn = (): void => {
    isScheduled = false
    write()
    if (synced || written.length === 0) return
    synced = synchronise().then(() => {
      synced = null
      if (waiting.length + written.length > 0 && !isClosed) turn()
    })
  }
  return {
    add: (one, undo) => {
      if (isClosed) {
        undo()
        return Promise.reject(new PintailError('stopped', `${path} has been closed`))
      }
      return new Promise((resolve, reject) => {
        waiting.push({ write: one, undo, resolve, reject })
        if (isScheduled || synced) return
        isScheduled = true
        setImmediate(turn)
      })
    },
    write,
    close: async () => {
      isClosed = true
      await synced
      write()
      const rest = written
      written = []
      try {
        const file = rest.length === 0 ? null : logOf()
        if (file !== null) fdatasyncSync(file)
        settle(rest, null)
      } catch (error) {
        settle(rest, unwritten(error))
      }
      if (log !== null) closeSync(log)
      log = null
    },
  }
}

function settle(group: readonly Waiting[], error: PintailError | null): void {
  if (error) for (const { undo } of group.toReversed()) undo()
  for (const { resolve, reject } of group) {
    if (error) reject(error)
    else resolve()
  }
}

function rollBack(db: DatabaseSync): void {
  try {
    db.exec('ROLLBACK')
  } catch {
    // SQLite has done so itself.
  }
}
