import { type CallContext, type Clock, PintailError, type Server, type ServerStatus } from '@pintail/core'
import { pause, untilAborted } from '../http/waiting.ts'
import type { DuckApi } from './api.ts'
import { Bounded } from './bounded.ts'
import { type DuckServer, whole } from './rows.ts'

/** How long a status waits for others that are set at the same time, milliseconds. */
const gatherMs = 20

/** VPN Duck's words for ours. What none of its versions knows is somebody's reason that we do not know: left alone. */
export function statusOf(word: string): ServerStatus {
  if (word === 'active' || word === 'degraded') return 'online'
  return word === 'inactive' || word === 'error' ? 'offline' : 'maintenance'
}

interface Wish {
  readonly server: Server
  readonly id: number
  readonly status: ServerStatus
  readonly settle: (error?: unknown) => void
}

/**
 * Writes statuses: those that are set at the same time in one call. Each is looked at before it is written, so that a
 * word of the operator that has come since the last list is left alone, and read back afterwards, because v2 answers
 * 200 for servers that do not exist and the batch calls of both skip them in silence.
 */
export class Statuses {
  readonly #api: DuckApi
  readonly #clock: Clock
  /** What stood there before we wrote inactive: `degraded` comes back as `degraded`. */
  readonly #before = new Bounded<number, string>(10_000)
  readonly #closing = new AbortController()
  #waiting: Wish[] = []
  #gathering: Promise<void> | null = null

  constructor(api: DuckApi, clock: Clock) {
    this.#api = api
    this.#clock = clock
  }

  async set(server: Server, status: ServerStatus, { signal }: CallContext): Promise<void> {
    signal.throwIfAborted()
    const id = whole(server.rawId)
    if (id === null) throw unknown(server.id)
    const done = new Promise<void>((resolve, reject) => {
      const settle = (error?: unknown): void => (error === undefined ? resolve() : reject(error))
      this.#waiting.push({ server, id, status, settle })
    })
    done.catch(() => {})
    this.#gathering ??= this.#gather()
    await untilAborted(done, signal)
  }

  async close(): Promise<void> {
    this.#closing.abort(new PintailError('stopped', 'VPN Duck: closed'))
    await this.#gathering
  }

  async #gather(): Promise<void> {
    const { signal } = this.#closing
    await pause(this.#clock, gatherMs, signal).catch(() => {})
    const wishes = this.#waiting
    this.#waiting = []
    this.#gathering = null
    // Of two for the same server the later one counts.
    const last = new Map(wishes.map((wish) => [wish.id, wish]))
    const ends = new Map<number, unknown>()
    try {
      signal.throwIfAborted()
      await this.#write([...last.values()], ends, { signal })
    } catch (error) {
      for (const { id } of wishes) if (!ends.has(id)) ends.set(id, error)
    }
    for (const { id, settle } of wishes) settle(ends.get(id))
  }

  async #write(wishes: readonly Wish[], ends: Map<number, unknown>, ctx: CallContext): Promise<void> {
    const before = await this.#look(wishes, ctx)
    const due: { wish: Wish; word: string }[] = []
    for (const wish of wishes) {
      const row = before.get(wish.id)
      const word = row ? this.#wordFor(wish, row) : unknown(wish.server.id)
      if (word instanceof PintailError) ends.set(wish.id, word)
      else if (word !== null) due.push({ wish, word })
    }
    if (due.length === 0) return
    const [first, ...more] = due as [(typeof due)[number], ...typeof due]
    if (more.length === 0) await this.#api.setStatus(first.wish.id, first.word, ctx)
    else
      await this.#api.setStatuses(
        due.map(({ wish, word }) => ({ id: wish.id, status: word })),
        ctx,
      )
    const after = await this.#look(
      due.map(({ wish }) => wish),
      ctx,
    )
    for (const { wish } of due) {
      const row = after.get(wish.id)
      if (!row) ends.set(wish.id, unknown(wish.server.id))
      // v2 keeps of all words only whether it is `active`.
      else if (statusOf(row.status) !== wish.status) ends.set(wish.id, notTaken(wish, row))
    }
  }

  /** The servers as they are now. */
  async #look(wishes: readonly Wish[], ctx: CallContext): Promise<Map<number, DuckServer>> {
    const [only, ...more] = wishes
    const rows = only && more.length === 0 ? [await this.#api.server(only.id, ctx)] : (await this.#api.servers(ctx)).servers
    return new Map(rows.flatMap((row) => (row && whole(row.rawId) !== null ? [[whole(row.rawId) as number, row]] : [])))
  }

  /** What to write; null: it stands there already. An error: somebody has said something else in the meantime. */
  #wordFor({ id, status, server }: Wish, row: DuckServer): string | null | PintailError {
    const now = statusOf(row.status)
    if (now === status) return null
    if (status === 'offline') {
      if (now !== 'online') return overruled(server.id, row.status)
      this.#before.set(id, row.status)
      return 'inactive'
    }
    if (status === 'maintenance') return 'maintenance'
    // Only what we may have written ourselves is taken back.
    if (row.status !== 'inactive') return overruled(server.id, row.status)
    const before = this.#before.get(id) ?? 'active'
    this.#before.delete(id)
    return before
  }
}

function unknown(id: string): PintailError {
  return new PintailError('rejected', `VPN Duck has no server ${id}`, {
    remedy: 'Nothing to do if it was deleted: Pintail forgets it after some more lists.',
  })
}

function overruled(id: string, word: string): PintailError {
  return new PintailError('conflict', `VPN Duck: somebody has set server ${id} to ${word}; that is left alone`, {
    remedy: 'Nothing to do: the next list shows it.',
  })
}

function notTaken({ server, status }: Wish, row: DuckServer): PintailError {
  return new PintailError('conflict', `VPN Duck: server ${server.id} was to be ${status}, and is still ${row.status}`, {
    remedy: "Look at the database service's log.",
  })
}
