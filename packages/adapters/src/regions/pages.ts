import type { Clock, Timer } from '@pintail/core'
import { type Command, comparePairs, limits, type SyncEntry, type SyncPage } from './messages.ts'

/** A sync of which every page is there. */
export interface WholeSync {
  readonly syncId: string
  readonly entries: readonly SyncEntry[]
  readonly leave: ReadonlySet<string>
}

export type Collected =
  | { readonly is: 'whole'; readonly sync: WholeSync }
  | { readonly is: 'waiting'; readonly have: number }
  | { readonly is: 'done' }
  | { readonly is: 'refused'; readonly why: string }

export interface GivenUp {
  readonly serverId: string
  readonly syncId: string
  readonly have: number
  readonly pages: number
}

export interface PagesOptions {
  readonly clock: Clock
  /** How long the pages of a sync may take to come, from the first. */
  readonly waitMs: number
  givenUp(sync: GivenUp): void
}

interface Collecting {
  readonly command: Command
  readonly syncId: string
  readonly pages: Map<number, SyncPage>
  readonly count: number
  entries: number
  readonly timer: Timer
}

/** Servers whose syncs are collected at the same time; the oldest gives way. */
const maxCollecting = 64

export interface Pages {
  add(command: Command, page: SyncPage): Collected
  close(): void
}

/** Collects the pages of syncs, in whatever order they come. Nothing is applied of a sync of which a page is missing. */
export function syncPages({ clock, waitMs, givenUp }: PagesOptions): Pages {
  const servers = new Map<string, Collecting>()
  const done = new Map<string, string>()
  const drop = (serverId: string, tell: boolean): void => {
    const gone = servers.get(serverId)
    if (!gone) return
    gone.timer.cancel()
    servers.delete(serverId)
    if (tell) givenUp({ serverId, syncId: gone.syncId, have: gone.pages.size, pages: gone.count })
  }
  const begin = (command: Command, { syncId, pages }: SyncPage): Collecting => {
    const { serverId } = command
    drop(serverId, true)
    const [oldest] = servers.keys()
    if (servers.size >= maxCollecting && oldest !== undefined) drop(oldest, true)
    const timer = clock.setTimeout(() => drop(serverId, true), waitMs)
    const collecting = { command, syncId, pages: new Map<number, SyncPage>(), count: pages, entries: 0, timer }
    servers.set(serverId, collecting)
    return collecting
  }
  return {
    add: (command, page) => {
      const { serverId } = command
      if (page.pages > 1 && done.get(serverId) === page.syncId) return { is: 'done' }
      const found = servers.get(serverId)
      if (found && found.syncId !== page.syncId && comparePairs(command, found.command) < 0)
        return { is: 'refused', why: 'a newer sync of this server has begun' }
      const sync = found?.syncId === page.syncId ? found : begin(command, page)
      const why = differs(sync, command, page)
      if (why !== null) {
        drop(serverId, true)
        return { is: 'refused', why }
      }
      if (!sync.pages.has(page.page)) {
        sync.pages.set(page.page, page)
        sync.entries += page.entries.length
      }
      if (sync.pages.size < sync.count) return { is: 'waiting', have: sync.pages.size }
      drop(serverId, false)
      done.set(serverId, page.syncId)
      return { is: 'whole', sync: wholeOf(sync) }
    },
    close: () => {
      for (const serverId of [...servers.keys()]) drop(serverId, false)
      done.clear()
    },
  }
}

function differs(sync: Collecting, command: Command, page: SyncPage): string | null {
  if (sync.count !== page.pages) return `a page says that there are ${page.pages}, another one ${sync.count}`
  if (comparePairs(sync.command, command) !== 0) return 'its pages have different marks'
  return sync.entries + page.entries.length > limits.syncEntries ? `more than ${limits.syncEntries} entries` : null
}

function wholeOf({ syncId, pages }: Collecting): WholeSync {
  const all = [...pages.values()]
  return { syncId, entries: all.flatMap(({ entries }) => entries), leave: new Set(all.flatMap(({ leave }) => leave)) }
}
